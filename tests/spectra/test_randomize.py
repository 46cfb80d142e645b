"""Permuted weights: one seeded draw behind all numbers, traps counted per replica."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.spectra.esd import esd
from spinspectra.spectra.randomize import Randomized, eigenvalue_distance, randomize

Matrix = NDArray[np.float64]


def gauss(seed: int, *shape: int) -> Matrix:
    return np.random.default_rng(seed).standard_normal(shape)


def same(one: Randomized, two: Randomized) -> bool:
    return np.array_equal(one.spectrum.eigenvalues, two.spectrum.eigenvalues) and one.fit == two.fit


def trapped(n: int, m: int) -> Matrix:
    matrix = gauss(3, n, m) / 17
    matrix[0, 0] = 3.0
    return matrix


@pytest.mark.parametrize("n_replicas", [1, 2, 5, 9, None])
@pytest.mark.parametrize(("n", "m"), [(300, 60), (60, 300), (300, 150), (80, 80)])
def test_one_trap_counts_one_for_any_number_of_replicas(n: int, m: int, n_replicas: int | None) -> None:
    """The peer adds up its five replicas: 5."""
    found = randomize(trapped(n, m), 1, n_replicas)
    assert found.num_traps == 1.0
    assert found.replicas_with_traps == found.n_replicas
    assert found.max_rand_eval > 8.0


@pytest.mark.parametrize("shape", [(200, 150), (150, 150), (40, 30), (9, 32, 16)])
def test_noise_has_no_traps(shape: tuple[int, ...]) -> None:
    found = [randomize(list(gauss(seed, *shape)) if len(shape) == 3 else gauss(seed, *shape), 0) for seed in range(50)]
    assert np.mean([one.num_traps for one in found]) <= 0.05
    assert np.mean([one.fit.sigma for one in found]) == pytest.approx(1.0, rel=0.02)


def test_one_draw_behind_all_numbers() -> None:
    """The peer takes two draws in one row."""
    matrix = gauss(2, 400, 150) / 20
    found, original = randomize(matrix, 0), esd(matrix)
    largest = original.eigenvalues[-1]
    assert found.max_rand_eval == found.spectrum.eigenvalues[-1]
    assert found.ww_softrank == found.max_rand_eval / largest
    assert found.ww_maxdist == largest - found.max_rand_eval
    assert found.rand_distance == eigenvalue_distance(original.eigenvalues, found.spectrum.eigenvalues)
    assert found.fit.softrank == found.fit.bulk_max / found.max_rand_eval


def test_same_seed_same_numbers_and_nothing_of_the_callers_touched() -> None:
    matrix = gauss(2, 60, 40)
    kept = matrix.copy()
    seed = np.random.SeedSequence(7, spawn_key=(3, 1))
    np.random.seed(5)  # noqa: NPY002 - the global generator is what must stay untouched
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = randomize(matrix, seed), randomize(matrix, seed)
    assert same(first, second)
    assert seed.n_children_spawned == 0
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert np.array_equal(matrix, kept)
    assert not same(first, randomize(matrix, np.random.SeedSequence(7, spawn_key=(3, 2))))
    assert same(randomize(matrix, 4), randomize(matrix, np.random.SeedSequence(4)))
    assert not same(randomize(matrix, 4), randomize(matrix, 5))


def test_more_replicas_keep_the_first() -> None:
    matrix = gauss(2, 60, 40)
    one, three = randomize(matrix, 0, 1), randomize(matrix, 0, 3)
    assert np.isin(one.spectrum.eigenvalues, three.spectrum.eigenvalues).all()
    assert three.spectrum.n_matrices == 3


@pytest.mark.parametrize(
    ("shape", "slices", "expected"), [((99, 120), 1, 5), ((100, 120), 1, 1), ((50, 30), 4, 1), ((50, 30), 3, 5)]
)
def test_replicas_are_pooled_below_100_eigenvalues(shape: tuple[int, int], slices: int, expected: int) -> None:
    assert randomize(list(gauss(0, slices, *shape))).n_replicas == expected


def test_elements_are_permuted_not_drawn_with_replacement() -> None:
    """The sum of the eigenvalues is the sum of squares, which a permutation keeps."""
    slices = [one * scale for one, scale in zip(gauss(1, 3, 40, 40), (1.0, 5.0, 0.1), strict=True)]
    found = randomize(slices, 0, 4)
    total = sum(float((one**2).sum()) for one in slices)
    assert found.spectrum.eigenvalues.sum() == pytest.approx(4 * total, rel=1e-12)
    assert found.spectrum.eigenvalues.size == 4 * 3 * 40


def test_signal_is_destroyed() -> None:
    left, right = np.linalg.qr(gauss(1, 300, 5))[0], np.linalg.qr(gauss(2, 120, 5))[0]
    found = randomize(gauss(0, 300, 120) + 60.0 * left @ right.T)
    noise = randomize(gauss(0, 300, 120))
    assert found.num_traps == 0
    assert found.ww_softrank < 0.5
    assert found.ww_maxdist > 0.0
    assert found.rand_distance > 5 * noise.rand_distance
    assert noise.ww_softrank == pytest.approx(1.0, rel=0.1)


def test_a_known_spectrum_is_not_computed_again() -> None:
    matrix = gauss(0, 120, 110).astype(np.float32)
    given, found = randomize(matrix, 0, spectrum=esd(matrix)), randomize(matrix, 0)
    assert same(given, found)
    assert given.rand_distance == found.rand_distance
    assert found.spectrum.precision == np.finfo(np.float32).eps


def test_distance_by_hand() -> None:
    p, q = np.array([0.25, 0.75]), np.array([0.5, 0.5])
    m = (p + q) / 2
    expected = np.sqrt((np.sum(p * np.log(p / m)) + np.sum(q * np.log(q / m))) / 2)
    assert eigenvalue_distance(3.0 * p, 7.0 * q) == pytest.approx(expected, rel=1e-14)
    assert eigenvalue_distance(p, p) == 0.0
    assert eigenvalue_distance(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(np.sqrt(np.log(2.0)))


def test_zero_matrix_is_nan_with_a_reason() -> None:
    found = randomize(np.zeros((64, 64)))
    assert found.max_rand_eval == 0.0
    assert found.ww_maxdist == 0.0
    for value in (found.ww_softrank, found.rand_distance, found.num_traps, found.replicas_with_traps):
        assert np.isnan(value)
    assert found.fit.status == "failed"
    assert found.fit.reason == "all eigenvalues are zero"


def test_constant_matrix_is_left_as_it_is() -> None:
    found = randomize(np.ones((120, 110)))
    assert found.rand_distance == pytest.approx(0.0, abs=1e-6)
    assert found.ww_softrank == pytest.approx(1.0)
    assert np.isnan(found.num_traps)


@pytest.mark.parametrize("power", [-100, 3, 100])
def test_scale_invariance(power: int) -> None:
    matrix = trapped(120, 110)
    one, two = randomize(matrix, 1), randomize(np.ldexp(matrix, power), 1)
    assert two.num_traps == one.num_traps
    assert two.rand_distance == pytest.approx(one.rand_distance, rel=1e-9)
    assert two.ww_softrank == pytest.approx(one.ww_softrank, rel=1e-12)


@pytest.mark.parametrize("seed", [-1, True, 1.5, "a", None])
def test_seed_that_is_none(seed: object) -> None:
    with pytest.raises(OptionError, match="seed="):
        randomize(gauss(0, 20, 20), seed)  # type: ignore[arg-type]


def test_at_least_one_replica() -> None:
    with pytest.raises(OptionError, match="n_replicas=0"):
        randomize(gauss(0, 20, 20), n_replicas=0)
