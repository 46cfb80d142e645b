"""Ladders and swaps: rates and energies against exact g(E), and the bookkeeping of who is where."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import erfc

from spinspectra.ising.heat_bath import heat_bath
from spinspectra.ising.ladder import Places, cooling_betas, make_ladder, respace, start_places, swap
from spinspectra.ising.oracles import ConstantCouplings, SquareLattice

SYSTEM = ConstantCouplings((30, 50), (1.0,))


def boltzmann(levels, ln_g, beta):
    exponents = ln_g - beta * levels
    chances = np.exp(exponents - exponents.max())
    return chances / chances.sum()


@pytest.fixture(scope="module")
def ladder():
    chain = SYSTEM.chain()
    return make_ladder(chain, heat_bath(chain), SYSTEM.ground_energy(), 0.35, np.random.SeedSequence(3))


def test_every_pair_of_a_ladder_swaps(ladder):
    levels, ln_g = SYSTEM.ln_g()
    for low, high in pairwise(ladder):
        pairs = np.minimum(1.0, np.exp(np.minimum(0.0, (high - low) * np.subtract.outer(levels, levels))))
        rate = boltzmann(levels, ln_g, high) @ pairs @ boltzmann(levels, ln_g, low)
        assert rate > 0.2
    assert len(ladder) < 20


def test_a_ladder_goes_from_zero_to_near_the_ground_state(ladder):
    levels, ln_g = SYSTEM.ln_g()
    assert ladder[0] == 0.0
    assert np.all(np.diff(ladder) > 0.0)
    assert boltzmann(levels, ln_g, ladder[-1]) @ levels < 0.985 * levels[0]


def test_a_ladder_ends_where_spins_freeze_if_the_energy_cannot_be_reached():
    chain = SquareLattice(4).chain()
    betas = make_ladder(chain, heat_bath(chain), -1000.0, 0.35, np.random.SeedSequence(0))
    assert betas[-1] == pytest.approx(10.0 / 2.0)  # ten over the root mean square of four bonds


def test_swaps_keep_the_joint_distribution():
    """Two levels 0 and 1 on two rungs: the four joint states keep their exact frequencies under swaps alone."""
    rng = np.random.default_rng(0)
    betas, levels = np.array([0.3, 1.5]), np.array([0.0, 1.0])
    chances = [boltzmann(levels, np.zeros(2), beta) for beta in betas]
    energies = np.stack([rng.choice(levels, 40_000, p=p) for p in chances], axis=1)
    after = []
    for pair in energies:
        places, _ = swap(start_places(2), betas, pair, 0, rng)
        after.append(pair[np.argsort(places.rungs)])
    joint = np.histogram2d(*np.array(after).T, bins=2)[0] / 40_000
    assert joint == pytest.approx(np.outer(*chances), abs=0.01)


def test_a_swap_that_lowers_the_energy_on_the_cold_rung_is_certain():
    betas = np.array([0.0, 1.0, 2.0, 3.0])
    places, chances = swap(start_places(4), betas, np.array([-3.0, -2.0, -1.0, 0.0]), 1, np.random.default_rng(0))
    assert chances.tolist() == [1.0]
    assert places.rungs.tolist() == [0, 2, 1, 3]


def test_round_trips_are_counted_at_the_hot_end():
    betas = np.array([0.0, 1.0])
    places, rng = start_places(2), np.random.default_rng(0)
    for _ in range(6):  # both replicas change places each time
        energies = np.where(places.rungs == 0, -50.0, 50.0)
        places, _ = swap(places, betas, energies, 0, rng)
    assert places.round_trips == 6  # each time one comes back from the cold end
    places, _ = swap(Places(np.array([1, 0]), np.array([-1, 1], np.int8), 0), betas, np.array([-50.0, 50.0]), 0, rng)
    assert places.round_trips == 0


def test_replicas_stay_a_permutation():
    rng, betas = np.random.default_rng(1), np.linspace(0.0, 0.1, 7)
    places = start_places(7)
    for i in range(200):
        places, _ = swap(places, betas, rng.normal(size=7), i % 2, rng)
    assert sorted(places.rungs) == list(range(7))


def test_even_spacing_of_gaussian_energies():
    """Spread sigma: a pair swaps at erfc(sigma d beta / 2), so a respaced ladder is even in sigma beta."""
    betas = np.array([0.0, 0.1, 0.5, 0.6, 1.0])
    spaced = respace(betas, erfc(3.0 * np.diff(betas) / 2.0), step=0.5)
    assert spaced == pytest.approx(np.linspace(0.0, 1.0, 7))


def test_cooling_starts_at_zero_and_ends_on_the_rungs():
    betas = np.array([0.0, 0.2, 0.3, 1.0])
    assert cooling_betas(betas, 0.0).tolist() == [0.0] * 4
    assert cooling_betas(betas, 1.0) == pytest.approx(betas)
    assert np.all(cooling_betas(betas, 0.4) <= betas)
