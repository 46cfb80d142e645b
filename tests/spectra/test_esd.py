"""Eigenvalues of W^T W by either route: known spectra, identities, scale, pooling, refusals, the peer's numbers."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinspectra.errors import NonFiniteError
from spinspectra.spectra.esd import SpectrumError, esd
from tests.spectra import reference


def with_singular_values(values: np.ndarray, n_rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((n_rows, values.size)))[0]
    right = np.linalg.qr(rng.standard_normal((values.size, values.size)))[0]
    return (left * values) @ right.T


@pytest.mark.parametrize("shape", [(40, 40), (90, 40), (40, 90), (1, 7), (7, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_are_the_squared_singular_values(shape: tuple[int, int], dtype: type) -> None:
    matrix = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    spectrum = esd(matrix)
    expected = np.sort(np.linalg.svd(matrix.astype(np.float64), compute_uv=False)) ** 2
    assert spectrum.eigenvalues.dtype == np.float64
    assert (spectrum.n_rows, spectrum.n_cols) == (max(shape), min(shape))
    np.testing.assert_allclose(spectrum.eigenvalues, expected, rtol=1e-6)


def test_a_transpose_has_the_same_spectrum() -> None:
    matrix = np.random.default_rng(1).standard_normal((50, 20))
    assert np.array_equal(esd(matrix).eigenvalues, esd(matrix.T).eigenvalues)


@pytest.mark.parametrize("spread", [1e-2, 1e-5, 1e-9], ids=["Gram", "edge", "singular values"])
def test_small_eigenvalues_keep_their_digits(spread: float) -> None:
    """The route changes with the spread; the promise does not: 1e-6 where the matrix itself knows that much."""
    values = np.geomspace(spread, 1.0, 60)
    found = np.sqrt(esd(with_singular_values(values, 80)).eigenvalues)
    np.testing.assert_allclose(found, values, rtol=1e-6, atol=2e-15)


@pytest.mark.parametrize("shape", [(300, 300), (320, 300), (1024, 1024)])
@pytest.mark.parametrize("smallest", [None, 1e-7, 1e-13], ids=["Gaussian", "one small", "one tiny"])
def test_a_few_small_eigenvalues_are_refined(shape: tuple[int, int], smallest: float | None) -> None:
    """Where most are well known and a few are not; the last matrix is singular to rounding."""
    matrix = np.random.default_rng(6).standard_normal(shape)
    if smallest is not None:
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        values[-1] = smallest * values[0]
        matrix = (left * values) @ right
    found = np.sqrt(esd(matrix).eigenvalues)
    expected = np.sort(np.linalg.svd(matrix, compute_uv=False))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=3e-15 * expected[-1])


def test_a_singular_matrix_of_any_size_has_its_zero() -> None:
    matrix = np.random.default_rng(7).standard_normal((300, 300))
    matrix[:, 5] = 0.0
    assert esd(matrix).eigenvalues[0] <= 1e-28 * esd(matrix).eigenvalues[-1]


@given(exponent=st.integers(-400, 400))
def test_a_power_of_two_scales_the_spectrum_exactly(exponent: int) -> None:
    matrix = np.random.default_rng(2).standard_normal((12, 9))
    scaled = esd(np.ldexp(matrix, exponent)).eigenvalues
    assert np.array_equal(scaled, np.ldexp(esd(matrix).eigenvalues, 2 * exponent))


def test_float32_extremes_neither_overflow_nor_vanish() -> None:
    matrix = np.diag(np.array([1e38, 1e30, 1e-30], np.float32))
    expected = np.sort(np.diag(matrix).astype(np.float64) ** 2)
    np.testing.assert_allclose(esd(matrix).eigenvalues, expected, rtol=1e-6)


def test_slices_are_pooled() -> None:
    slices = list(np.random.default_rng(3).standard_normal((5, 8, 6)))
    spectrum = esd(slices)
    assert (spectrum.n_matrices, spectrum.eigenvalues.size) == (5, 30)
    expected = np.sort(np.concatenate([esd(one).eigenvalues for one in slices]))
    assert np.array_equal(spectrum.eigenvalues, expected)
    assert spectrum.eigenvalues.sum() == pytest.approx(sum((one**2).sum() for one in slices))


def test_a_tall_matrix_is_summed_in_pieces() -> None:
    matrix = np.random.default_rng(4).standard_normal((300_000, 20)).astype(np.float32)
    wide = matrix.astype(np.float64)
    np.testing.assert_allclose(esd(matrix).eigenvalues, np.linalg.eigvalsh(wide.T @ wide), rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_the_floor_lies_between_rounding_and_signal(dtype: type) -> None:
    """A product of rank 8, rounded to its stored format: 8 eigenvalues stand above the floor, the rest below."""
    rng = np.random.default_rng(5)
    product = rng.standard_normal((256, 8)) @ rng.standard_normal((8, 200))
    spectrum = esd(product.astype(dtype).astype(np.float64), precision=float(ml_dtypes.finfo(dtype).eps))
    assert np.count_nonzero(spectrum.eigenvalues > spectrum.floor) == 8


@pytest.mark.parametrize(
    "matrix", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2)), 1.0, np.zeros((2, 2), complex), []]
)
def test_what_is_no_matrix_is_refused(matrix: object) -> None:
    with pytest.raises(SpectrumError, match="a spectrum needs a matrix of real numbers"):
        esd(matrix)  # type: ignore[arg-type]


def test_slices_of_two_shapes_are_refused() -> None:
    with pytest.raises(SpectrumError, match=r"slices of shapes \(2, 3\) and \(3, 2\) cannot be pooled"):
        esd([np.ones((2, 3)), np.ones((3, 2))])


def test_not_a_number_is_counted() -> None:
    with pytest.raises(NonFiniteError, match="2 of 6 values are NaN or infinite"):
        esd(np.array([[1.0, np.nan, 2.0], [np.inf, 1.0, 1.0]]))


def test_a_zero_matrix_has_zero_eigenvalues() -> None:
    spectrum = esd(np.zeros((5, 3)))
    assert np.array_equal(spectrum.eigenvalues, np.zeros(3))
    assert spectrum.floor == 0.0


@pytest.mark.parametrize("name", reference.matrices())
def test_norms_of_the_peer(name: str) -> None:
    expected = reference.synthetic().loc[name]
    values = esd(reference.matrices()[name]).eigenvalues
    assert np.log10(values.sum()) == pytest.approx(expected.log_norm, rel=1e-9)
    assert np.log10(values[-1]) == pytest.approx(expected.log_spectral_norm, rel=1e-9)
