"""Subsampling at one aspect ratio: where windows lie, identities, Marchenko-Pastur, the authors' numbers, refusals."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from spinspectra.errors import NonFiniteError, OptionError
from spinspectra.spectra.esd import SpectrumError, esd
from spinspectra.spectra.goodness import hill_alpha
from spinspectra.spectra.subsampling import farms_alpha, fixed_aspect_spectrum, place_windows, pooled_alpha


def gaussian(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def noise_alpha(q: float) -> float:
    """1 + 1 / <ln(x / median)> over the upper half of the Marchenko-Pastur law: Hill's estimate of endless noise."""
    centre, radius = 1.0 + 1.0 / q, 2.0 / np.sqrt(q)

    def density(t: float) -> float:  # of t, with x = centre + radius cos t
        return q / (2.0 * np.pi) * (radius * np.sin(t)) ** 2 / (centre + radius * np.cos(t))

    half = brentq(lambda t: quad(density, 0.0, t)[0] - 0.5, 1e-3, np.pi - 1e-3)
    median = centre + radius * np.cos(half)
    excess = quad(lambda t: density(t) * np.log((centre + radius * np.cos(t)) / median), 0.0, half)[0]
    return 1.0 + 0.5 / excess


@pytest.mark.parametrize("shape", [(60, 60), (1, 1), (300, 300)])
def test_a_square_matrix_is_its_own_window(shape: tuple[int, int]) -> None:
    matrix = gaussian(0, *shape).astype(np.float32)
    found, whole = fixed_aspect_spectrum(matrix), esd(matrix)
    assert np.array_equal(found.eigenvalues, whole.eigenvalues)
    assert (found.n_rows, found.n_cols, found.n_matrices, found.precision) == (*shape, 1, whole.precision)
    assert found.floor == whole.floor


@pytest.mark.parametrize("shape", [(90, 30), (30, 90)])
def test_a_matrix_of_its_own_ratio_too(shape: tuple[int, int]) -> None:
    matrix = gaussian(1, *shape)
    assert np.array_equal(fixed_aspect_spectrum(matrix, q=3.0).eigenvalues, esd(matrix).eigenvalues)


@pytest.mark.parametrize("shape", [(100, 30), (30, 100)])
@pytest.mark.parametrize(("q", "size", "n_windows"), [(1.0, None, None), (1.5, 16, 3), (2.0, 20, 1), (4.0, None, 2)])
def test_the_pool_is_the_windows_spectra(shape: tuple[int, int], q: float, size: int, n_windows: int) -> None:
    matrix = gaussian(2, *shape)
    places = place_windows(shape, q, size, n_windows)
    found = fixed_aspect_spectrum(matrix, q, size, n_windows)
    tall = matrix if shape[0] > shape[1] else matrix.T
    expected = [
        np.linalg.svd(tall[i : i + places.n_rows, j : j + places.n_cols], compute_uv=False) ** 2
        for i in places.row_starts
        for j in places.col_starts
    ]
    assert found.eigenvalues.size == len(places) * places.n_cols
    assert (found.n_rows, found.n_cols, found.n_matrices) == (places.n_rows, places.n_cols, len(places))
    np.testing.assert_allclose(found.eigenvalues, np.sort(np.concatenate(expected)), rtol=1e-6)


@given(
    long=st.integers(1, 400),
    short=st.integers(1, 400),
    q=st.sampled_from([1.0, 4.0 / 3.0, 2.0, 100.0 / 30.0]),
    size=st.none() | st.integers(1, 500),
    n_windows=st.none() | st.integers(1, 40),
)
def test_windows_lie_in_the_matrix(long: int, short: int, q: float, size: int | None, n_windows: int | None) -> None:
    if max(long, short) < q:
        return
    places = place_windows((long, short), q, size, n_windows)
    assert abs(places.n_rows - q * places.n_cols) <= 0.5
    for starts, width, side in (
        (places.row_starts, places.n_rows, max(long, short)),
        (places.col_starts, places.n_cols, min(long, short)),
    ):
        assert starts[0] == 0
        assert starts[-1] + width <= side
        assert len(set(starts)) == len(starts) <= (n_windows or 15)
        assert len(starts) == 1 or starts[-1] + width == side
        if n_windows is None and side <= 15 * width:  # then every row, or column, is in a window
            assert all(later <= earlier + width for earlier, later in pairwise(starts))
            assert starts[-1] + width == side


def test_the_largest_window_that_fits() -> None:
    assert place_windows((90, 100)).n_cols == 90
    assert place_windows((60, 60), q=2.0).n_cols == 30
    assert place_windows((18, 14), q=18.0 / 14.0).n_cols == 14  # 18 / (18 / 14) is 13.999999999999998
    assert place_windows((1536, 384)).row_starts == (0, 384, 768, 1152)
    assert len(place_windows((30522, 384))) == 15


@pytest.mark.parametrize(
    ("seed", "q", "size", "expected"),
    [
        (31, 1.0, 64, (576, 106.27921839747715, 2322.7282325529777, 110768.04662994784, 2.01111610517708)),
        (32, 2.0, 40, (360, 167.22270818836975, 66543.7911353748, 356204.53397489304, 2.129333972842361)),
    ],
)
def test_numbers_of_the_authors_code(seed: int, q: float, size: int, expected: tuple[float, ...]) -> None:
    """Their fixed_sampling, 3 windows a side: count, median, largest, sum and alpha. They count the median as one of
    the n/2 above it, which the paper's formula and ours do not: the same sum, another divisor.
    """
    matrix = np.random.default_rng(seed).standard_t(3, (96, 160))
    pool = fixed_aspect_spectrum(matrix, q, size, 3).eigenvalues
    half = pool.size // 2
    alpha = 1.0 + (hill_alpha(pool, k=half - 1) - 1.0) * half / (half - 1)
    np.testing.assert_allclose((pool.size, pool[half], pool[-1], pool.sum(), alpha), expected, rtol=1e-9)


@pytest.mark.parametrize("q", [1, 2, 4, 8, 16])
def test_noise_of_any_shape_has_one_alpha(q: int) -> None:
    """Marchenko-Pastur says 2.12 at q = 1, whatever the shape of the matrix. At M = 128 one matrix scatters by at most
    0.03 and the finite size takes off 0.01; plain Hill estimates scatter by 0.14 or less and lie 0.12 low at most.
    """
    matrix = gaussian(10 + q, 128 * q, 128)
    assert farms_alpha(matrix) == pytest.approx(noise_alpha(1.0), abs=0.15)
    assert farms_alpha(matrix, size=64, n_windows=3) == pytest.approx(noise_alpha(1.0), abs=0.15)
    assert pooled_alpha(esd(matrix)) == pytest.approx(noise_alpha(float(q)), abs=0.8)


def test_plain_hill_estimates_of_noise_differ_by_its_shape() -> None:
    assert noise_alpha(16.0) - noise_alpha(1.0) > 3.7
    plain = [pooled_alpha(esd(gaussian(10 + q, 128 * q, 128))) for q in (1, 2, 4, 8, 16)]
    assert np.all(np.diff(plain) > 0.3)


def test_another_ratio_has_its_own_alpha() -> None:
    assert farms_alpha(gaussian(3, 1024, 128), q=2.0) == pytest.approx(noise_alpha(2.0), abs=0.15)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
def test_the_unit_does_not_matter(scale: float) -> None:
    matrix = gaussian(4, 90, 40)
    found, unit = fixed_aspect_spectrum(scale * matrix), fixed_aspect_spectrum(matrix)
    np.testing.assert_allclose(found.eigenvalues, scale**2 * unit.eigenvalues, rtol=1e-6)
    assert farms_alpha(scale * matrix) == pytest.approx(farms_alpha(matrix), rel=1e-9)


def test_a_transpose_has_the_same_pool() -> None:
    matrix = gaussian(5, 90, 40)
    assert np.array_equal(fixed_aspect_spectrum(matrix).eigenvalues, fixed_aspect_spectrum(matrix.T).eigenvalues)


def test_slices_are_pooled() -> None:
    slices = [gaussian(seed, 40, 16) for seed in range(9)]
    found = fixed_aspect_spectrum(slices)
    alone = [fixed_aspect_spectrum(one).eigenvalues for one in slices]
    assert np.array_equal(found.eigenvalues, np.sort(np.concatenate(alone)))
    assert found.n_matrices == 9 * len(place_windows((40, 16)))


def test_noise_of_low_rank_leaves_its_rank() -> None:
    """Eigenvalues below the floor are rounding and no tail: the median is that of the rest."""
    matrix = (gaussian(6, 200, 30) @ gaussian(7, 30, 50)).astype(np.float32)
    pool = fixed_aspect_spectrum(matrix)
    kept = np.sort(pool.eigenvalues)[-30 * pool.n_matrices :]
    assert pool.eigenvalues.size == 50 * pool.n_matrices
    assert farms_alpha(matrix) == pytest.approx(hill_alpha(kept), rel=1e-12)
    for too_little in (np.zeros((20, 10)), gaussian(8, 6, 6)):
        assert np.isnan(farms_alpha(too_little))


def test_precision_is_passed_on() -> None:
    matrix = gaussian(9, 40, 20).astype(np.float32)
    assert fixed_aspect_spectrum(matrix, precision=2.0**-8).precision == 2.0**-8
    assert fixed_aspect_spectrum(matrix).precision == float(np.finfo(np.float32).eps)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"q": 0.5}, "q=0.5: give an aspect ratio"),
        ({"q": np.nan}, "q=nan"),
        ({"q": 50.0}, "no window of this aspect ratio fits"),
        ({"size": 0}, "size=0"),
        ({"size": 2.5}, "size=2.5"),
        ({"n_windows": 0}, "n_windows=0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        farms_alpha(gaussian(0, 30, 20), **options)


def test_what_is_no_matrix_is_refused() -> None:
    for bad in ([], [np.ones(3)], [np.ones((3, 2)), np.ones((2, 3))], np.ones((0, 3))):
        with pytest.raises(SpectrumError, match="matrices of one shape"):
            fixed_aspect_spectrum(bad)
    matrix = gaussian(0, 30, 20)
    matrix[4, 4] = np.nan
    with pytest.raises(NonFiniteError):
        fixed_aspect_spectrum(matrix)
