"""Permutations of arrays: nothing lost, all equally likely, seeded, by the small and the large route."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chi2

from spinspectra.errors import OptionError
from spinspectra.permutation import permuted

LARGE = 40_000  # elements, beyond a plain shuffle


@pytest.mark.parametrize("shape", [(1,), (2,), (3, 5), (200, 250), (4, 100, 99)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_values_in_another_order(shape: tuple[int, ...], dtype: type) -> None:
    values = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    made = permuted(values, 1)
    assert made.shape == shape
    assert made.dtype == dtype
    assert np.array_equal(np.sort(made, axis=None), values.ravel())
    assert values.ravel()[-1] == values.size - 1  # the given one is as it was


def test_every_permutation_is_equally_likely() -> None:
    """All 24 of four elements, chi-square at the 0.1 % level."""
    counts = Counter(tuple(permuted(np.arange(4.0), seed)) for seed in range(100_000, 124_000))
    assert len(counts) == 24
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < chi2.ppf(0.999, 23)


@pytest.mark.parametrize("followed", [0, 17, LARGE - 1])
def test_an_element_of_a_large_array_may_land_anywhere(followed: int) -> None:
    values = np.zeros(LARGE, np.float32)
    values[followed] = 1.0
    places = [int(np.argmax(permuted(values, seed))) for seed in range(2000)]
    counts = np.histogram(places, 20, (0, LARGE))[0]
    assert np.sum((counts - 100) ** 2 / 100) < chi2.ppf(0.999, 19)


def test_neighbours_part_and_order_is_forgotten() -> None:
    """The correlation of place before and after, and of neighbours after, is that of chance, 1/sqrt(n)."""
    made = permuted(np.arange(LARGE, dtype=np.float64), 3)
    assert abs(np.corrcoef(made, np.arange(LARGE))[0, 1]) < 4.0 / LARGE**0.5
    assert abs(np.corrcoef(made[1:], made[:-1])[0, 1]) < 4.0 / LARGE**0.5
    assert np.count_nonzero(made == np.arange(LARGE)) < 8  # fixed points: Poisson of mean 1


def test_seeds() -> None:
    values = np.arange(float(LARGE))
    assert np.array_equal(permuted(values, 5), permuted(values, np.random.SeedSequence(5)))
    assert not np.array_equal(permuted(values, 5), permuted(values, 6))
    assert np.array_equal(
        permuted(values.reshape(200, 200).T, 5).ravel(), permuted(values.reshape(200, 200).T.copy(), 5).ravel()
    )
    with pytest.raises(OptionError):
        permuted(values, -1)
