"""Windows cover the range, places agree with `EnergyBins`, canonical runs give the right slopes, walkers get inside."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinspectra.errors import OptionError
from spinspectra.ising.anneal import anneal
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.wang_landau import place_of
from spinspectra.ising.oracles import ConstantCouplings, SquareLattice
from spinspectra.ising.spins import split
from spinspectra.ising.windows import count_bins, descend_to, enter, expected_slopes, integrate, lay_out
from tests.ising.helpers import random_system

LATTICE = SquareLattice(8)
BINS = EnergyBins(-128.0, 33)


@given(
    n_bins=st.integers(20, 400),
    n_windows=st.integers(1, 6),
    overlap=st.floats(0.25, 0.9),
    mirror=st.booleans(),
)
def test_windows_cover_all_bins_and_overlap(n_bins, n_windows, overlap, mirror):
    bins = EnergyBins(-7.0, n_bins)
    try:
        windows = lay_out(bins, n_windows, overlap, mirror)
    except OptionError as error:
        assert "too narrow" in str(error)  # noqa: PT017
        assert n_windows > 1
        return
    covered = np.zeros(windows.n_bins, int)
    for window in range(n_windows):
        covered[windows.bins(window)] += 1
    assert covered.min() >= 1
    for one, other in zip(windows.firsts, windows.firsts[1:], strict=False):
        assert one + windows.size - other >= 3
        assert one < other
    expected = bins.centres[::-1] if mirror else np.concatenate([bins.centres[::-1], -bins.centres[1:]])
    assert windows.centres == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("e_min", [-0.3, -128.0, -1.0 / 3.0])
def test_an_energy_has_the_place_that_the_bins_give_it_edges_included(e_min, mirror):
    bins = EnergyBins(e_min, 33)
    windows = lay_out(bins, 1, 0.5, mirror)
    edges = (np.arange(33) + 0.5) * bins.width
    energies = np.concatenate([-edges, edges, bins.centres, -bins.centres, np.linspace(e_min, -e_min, 1001)])
    inside = (bins.indices_of(energies) >= 0) | (not mirror)
    for energy, index in zip(energies[inside].tolist(), bins.indices_of(energies)[inside].tolist(), strict=True):
        assert windows.holds(0, energy)
        assert place_of(energy, windows.e_low, windows.width, windows.n_bins) == windows.lowest - index
    for energy in energies[~inside].tolist():
        assert not windows.holds(0, energy)


def test_a_part_ends_with_the_bin_of_e_max():
    windows = lay_out(BINS, 2, 0.5, e_max=BINS.centres[10])
    assert windows.n_bins == count_bins(BINS, e_max=BINS.centres[10]) == 33 - 10
    assert windows.centres[[0, -1]] == pytest.approx([BINS.centres[-1], BINS.centres[10]])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_windows": 0}, "n_windows=0: give at least 1"),
        ({"n_windows": 30}, "n_windows=30 of 33 bins: too narrow"),
        ({"overlap": -0.1}, "overlap=-0.1"),
        ({"overlap": 0.95}, "overlap=0.95"),
        ({"e_max": 1.0}, "e_max=1.0: give an energy above e_min=-128.0"),
        ({"e_max": -128.0}, "e_max=-128.0"),
        ({"e_max": math.nan}, "e_max=nan"),
        ({"e_max": -5.0, "mirror": False}, "mirror=False"),
    ],
)
def test_bad_windows_are_named(options, text):
    with pytest.raises(OptionError, match=text):
        lay_out(BINS, **({"n_windows": 2, "overlap": 0.5} | options))


def test_a_descent_has_the_canonical_energies():
    system = ConstantCouplings((200, 300), (1.0,), gauge=1)
    rng = np.random.default_rng(3)
    spread = math.sqrt(system.chain().sum_of_squares)
    deviations = []
    for _ in range(16):
        descent = descend_to(system.chain(), -20_000.0, rng)
        for beta, energy in zip(descent.betas[1:], descent.energies[1:], strict=True):
            step = 1e-3 * beta
            exact = (system.ln_z(beta - step) - system.ln_z(beta + step)) / (2.0 * step)
            if exact < -20.0 * spread:  # beyond the transition, where a short run lags
                deviations.append(energy / exact - 1.0)
    assert len(deviations) >= 16
    assert np.abs(deviations).max() < 0.2
    assert abs(np.mean(deviations)) < 0.03


def test_a_descent_ends_where_nothing_moves():
    descent = descend_to(LATTICE.chain(), -1000.0, np.random.default_rng(0))
    assert descent.betas.size < 40
    assert descent.energies[-1] <= -104.0  # stripes at worst
    assert np.all(np.diff(descent.energies) <= 0.0)


def test_a_chain_without_couplings_descends_nowhere():
    chain = IsingChain.from_matrices([np.zeros((3, 4))])
    descent = descend_to(chain, -1.0, np.random.default_rng(0))
    assert descent.energies.tolist() == [0.0]
    assert not expected_slopes(chain, descent, np.linspace(-1.0, 1.0, 5), 0.5).any()


def test_expected_slopes_follow_the_density():
    """d ln g / dE is beta(E): against exact levels of a system where bins hold many."""
    system = ConstantCouplings((200, 300), (1.0,))
    levels, ln_g = system.ln_g()
    bins = EnergyBins(-20_000.0, 21)
    index = bins.indices_of(levels)
    exact = np.array([np.logaddexp.reduce(ln_g[index == k]) for k in range(20, -1, -1)])
    windows = lay_out(bins, 1, 0.5)
    descent = descend_to(system.chain(), -20_000.0, np.random.default_rng(5))
    guess = integrate(expected_slopes(system.chain(), descent, windows.centres, windows.width), windows.width)
    assert np.abs((guess - guess[-1]) - (exact - exact[-1])).max() < 0.1 * (exact[-1] - exact[0])
    whole = lay_out(bins, 1, 0.5, mirror=False)
    slopes = expected_slopes(system.chain(), descent, whole.centres, whole.width)
    assert np.array_equal(slopes, -slopes[::-1])
    assert slopes[20] == 0.0


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("system", [LATTICE, random_system((5, 6, 5), seed=3)], ids=["lattice", "enumerated"])
def test_walkers_get_into_every_window(system, mirror):
    chain = system.chain()
    rng = np.random.default_rng(1)
    windows = lay_out(EnergyBins(system.ground_energy(), 33), 6, 0.5, mirror)
    descent = descend_to(chain, windows.e_low, rng)
    for window in range(6):
        spins = enter(chain, windows, window, descent, rng)
        energy = chain.energy(split(spins, chain.nodes))
        assert windows.edge(window) <= energy + 1e-6
        assert energy - 1e-6 <= windows.edge(window) + windows.size * windows.width


def test_a_part_of_the_range_far_from_zero_is_entered():
    system = ConstantCouplings((200, 300), (1.0,), gauge=2)
    chain, rng = system.chain(), np.random.default_rng(1)
    windows = lay_out(EnergyBins(-30_000.0, 201), 2, 0.5, e_max=-25_000.0)
    descent = descend_to(chain, windows.e_low, rng)
    for window in range(2):
        energy = chain.energy(split(enter(chain, windows, window, descent, rng), chain.nodes))
        assert windows.holds(window, energy)


def test_a_window_without_states_stays_shut():
    chain = LATTICE.chain()
    lowest = anneal(chain, 200, seed=0).energy
    windows = lay_out(EnergyBins(2.0 * lowest, 41), 4, 0.3)
    rng = np.random.default_rng(0)
    assert enter(chain, windows, 0, descend_to(chain, windows.e_low, rng), rng) is None
