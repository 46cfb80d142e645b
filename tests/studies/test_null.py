"""The shuffled null: its numbers by hand, chains on it and off it."""

import statistics

import numpy as np
import pytest
from scipy.stats import t, ttest_ind

from spinspectra import IsingChain
from spinspectra.errors import OptionError
from spinspectra.studies.null import ShuffledNull, shuffled_null, twin_of_null


def noise(seed: int, scales: tuple[float, ...] = (1.0, 1.0), n: int = 25) -> IsingChain:
    """Normal couplings, (n, n) a matrix, of these standard deviations."""
    rng = np.random.default_rng(seed)
    return IsingChain.from_matrices([scale * rng.standard_normal((n, n)) for scale in scales])


def test_numbers_by_hand() -> None:
    twins = (-1.0, -1.2, -1.1, -1.5)
    null = ShuffledNull(-2.0, twins)
    assert null.n == 4
    assert null.mean == pytest.approx(statistics.mean(twins))
    assert null.sd == pytest.approx(statistics.stdev(twins))
    assert null.z == pytest.approx((-2.0 - statistics.mean(twins)) / statistics.stdev(twins))
    assert null.ratio == pytest.approx(2.0 / 1.2)
    assert null.p == pytest.approx(ttest_ind([-2.0], twins).pvalue)  # one value against n: Student's own
    assert null.p == pytest.approx(2 * t.cdf(null.z / np.sqrt(1.25), 3))


def test_few_shuffles_know_no_spread() -> None:
    none, one = ShuffledNull(-2.0, ()), ShuffledNull(-2.0, (-1.0,))
    assert np.isnan([none.mean, none.sd, none.z, none.p, none.ratio, one.sd, one.z, one.p]).all()
    assert one.ratio == 2.0


def test_equal_couplings_are_their_own_null() -> None:
    null = shuffled_null(IsingChain.from_matrices([np.ones((6, 5)), np.ones((5, 4))]), shuffles=3, sweeps=20)
    assert {null.energy, *null.twins} == {-50 / 15}
    assert null.ratio == 1.0
    assert np.isnan(null.z)


def test_order_lies_far_below_its_null() -> None:
    """Signs in one pattern, J = xi eta^T: the ground state satisfies every bond, a shuffled one far from all."""
    rng = np.random.default_rng(0)
    xi, eta, zeta = (rng.choice([-1.0, 1.0], n) for n in (20, 30, 20))
    null = shuffled_null(IsingChain.from_matrices([np.outer(xi, eta), np.outer(eta, zeta)]), shuffles=4, sweeps=100)
    assert null.energy == -1200 / 70
    assert null.ratio > 2.0
    assert null.z < -20.0
    assert null.p < 1e-3


def test_noise_is_a_draw_of_its_null() -> None:
    p = [shuffled_null(noise(seed), shuffles=5, sweeps=30, seed=seed).p for seed in range(30)]
    assert sum(one < 0.1 for one in p) <= 7  # 3 to be expected; more than 7 has a chance of 0.8 %


def test_matrices_of_different_size_need_their_own_shuffles() -> None:
    """Noise of two scales: permuting over the network evens them out, permuting each in itself does not."""
    chains = [noise(seed, (1.0, 10.0, 1.0), n=60) for seed in range(5)]
    over, within = (
        [shuffled_null(chain, 5, 30, seed, where).p for seed, chain in enumerate(chains)]
        for where in ("network", "matrix")
    )
    assert np.median(over) < 0.01
    assert np.median(within) > 0.1


def test_more_shuffles_keep_the_first_ones_and_seeds_differ() -> None:
    chain = noise(0)
    few, many, other = shuffled_null(chain, 2, 20), shuffled_null(chain, 3, 20), shuffled_null(chain, 2, 20, seed=1)
    assert many.twins[:2] == few.twins
    assert many.energy == few.energy
    assert not set(other.twins) & set(few.twins)
    assert np.array_equal(twin_of_null(chain, 0).flat, twin_of_null(chain, 0, number=0).flat)
    assert not np.array_equal(twin_of_null(chain, 0).flat, twin_of_null(chain, 0, number=1).flat)


def test_refusal() -> None:
    with pytest.raises(OptionError, match="shuffles=-1"):
        shuffled_null(noise(0), shuffles=-1)
