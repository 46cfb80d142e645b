"""Bins of energy: every energy in one, its mirror image in the mirror bin, the ground state in the last."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numba import njit

from spinspectra.errors import OptionError
from spinspectra.ising.bins import EnergyBins, bin_index
from spinspectra.ising.oracles import Enumerated, SquareLattice
from tests.ising.helpers import random_system

ENERGIES = st.floats(allow_nan=False, allow_infinity=False)
LOWEST = st.floats(-1e100, -1e-100)
BINS = st.builds(EnergyBins, LOWEST, st.integers(1, 5000))
compiled = njit(bin_index)


@settings(deadline=None)
@given(ENERGIES, BINS)
def test_the_mirror_image_is_in_the_mirror_bin(energy, bins):
    assert bin_index(-energy, bins.width) == -bin_index(energy, bins.width)
    assert bins.index_of(-energy) == -bins.index_of(energy)


@settings(deadline=None)
@given(st.lists(ENERGIES, min_size=1), BINS)
def test_one_at_a_time_all_at_once_and_compiled_agree(energies, bins):
    places = [bin_index(energy, bins.width) for energy in energies]
    assert [bins.index_of(energy) for energy in energies] == places
    assert [compiled(energy, bins.width) for energy in energies] == places
    np.testing.assert_array_equal(bins.indices_of(energies), places)


@settings(deadline=None)
@given(BINS, st.floats(0.0, 1.0))
def test_an_energy_is_within_half_a_width_of_its_bins_centre(bins, depth):
    energy = depth * bins.e_min
    place = bins.index_of(energy)
    assert 0 <= place < bins.n_bins
    assert abs(energy - bins.centres[place]) <= 0.5 * bins.width * (1.0 + 1e-8)


@settings(deadline=None)
@given(BINS, st.data(), st.floats(-0.499, 0.499))
def test_around_its_centre_is_a_bin(bins, data, offset):
    place = data.draw(st.integers(0, bins.n_bins - 1))
    assert bins.index_of(bins.centres[place] + offset * bins.width) == place
    assert bins.index_of(-bins.centres[place] + offset * bins.width) == -place


@settings(deadline=None)
@given(ENERGIES, ENERGIES, BINS)
def test_lower_energies_have_no_lower_number(a, b, bins):
    assume(a <= b)
    assert bins.index_of(a) >= bins.index_of(b)


@settings(deadline=None)
@given(LOWEST, st.integers(1, 1_000_000))
@example(-1.0, 1_000_000)
@example(-128.0, 1)
def test_the_ground_state_is_in_the_last_bin(e_min, n_bins):
    bins = EnergyBins(e_min, n_bins)
    assert bins.index_of(e_min) == bins.n_bins - 1
    assert bins.index_of(-e_min) == 1 - bins.n_bins


@settings(deadline=None)
@given(LOWEST, st.integers(1, 5000), st.floats(-1.0, 1.0))
def test_so_it_is_when_summed_in_another_order(e_min, n_bins, error):
    """A sum of 10^5 terms in float64 is off by a part in 10^13 or less; a millionth of a bin below is another bin."""
    bins = EnergyBins(e_min, n_bins)
    assert bins.index_of(e_min * (1.0 + 1e-13 * error)) == n_bins - 1
    assert bins.index_of(e_min - 1e-6 * bins.width) == n_bins


@settings(deadline=None)
@given(BINS)
def test_the_bins_cover_the_half_range(bins):
    """Half of the bin around 0 lies above 0."""
    centres = bins.centres
    assert centres.shape == (bins.n_bins,)
    assert centres[0] == 0.0
    assert not np.signbit(centres[0])
    assert centres[-1] - 0.5 * bins.width == pytest.approx(bins.e_min, rel=1e-12)
    np.testing.assert_allclose(np.diff(centres), -bins.width, rtol=1e-9)


def test_levels_on_the_edges_are_shared_out_alike_on_both_sides():
    """The 4 x 4 lattice has levels 0, +-8, .. +-32: edges of bins of width 16 from 8 on."""
    energies = Enumerated(SquareLattice(4).chain().couplings).energies
    bins = EnergyBins(-40.0, 3)
    assert bins.width == 16.0
    places, counts = np.unique(bins.indices_of(energies), return_counts=True)
    np.testing.assert_array_equal(places, -places[::-1])
    np.testing.assert_array_equal(counts, counts[::-1])
    assert bins.index_of(-8.0) == bins.index_of(8.0) == 0
    assert (bins.index_of(-24.0), bins.index_of(24.0)) == (1, -1)


@pytest.mark.parametrize("n_bins", [1, 2, 7, 100])
def test_every_state_of_a_chain_is_in_a_bin_and_half_of_them_mirrored(n_bins):
    system = random_system((3, 4, 2), seed=5)
    bins = EnergyBins(system.ground_energy(), n_bins)
    places = bins.indices_of(system.energies)
    assert places.shape == system.energies.shape
    assert np.abs(places).max() == n_bins - 1
    tally = np.bincount(places.ravel() + n_bins - 1, minlength=2 * n_bins - 1)
    assert tally.sum() == 2**9
    np.testing.assert_array_equal(tally, tally[::-1])


def test_float32_numbers_make_float64_bins():
    bins = EnergyBins(np.float32(-0.1), np.int32(7))
    assert bins == EnergyBins(float(np.float32(-0.1)), 7)
    assert (type(bins.e_min), type(bins.n_bins), bins.centres.dtype) == (float, int, np.float64)
    assert float(bins.width) == float(np.float32(-0.1)) / -6.5
    edge = np.float32(-1.5 * bins.width)
    assert bins.index_of(edge) == bins.index_of(float(edge))


@pytest.mark.parametrize(
    ("e_min", "n_bins", "text"),
    [
        (0.0, 10, "e_min=0.0: give a finite energy below zero"),
        (3.5, 10, "e_min=3.5: give a finite energy below zero"),
        (math.nan, 10, "e_min=nan"),
        (-math.inf, 10, "e_min=-inf"),
        (-5e-324, 2000, "e_min=-5e-324: too near 0 to be cut into 2000 bins"),
        (-1.0, 0, "n_bins=0: give a whole number, at least 1"),
        (-1.0, -3, "n_bins=-3"),
        (-1.0, 2.0, "n_bins=2.0"),
        (-1.0, True, "n_bins=True"),
        (-1.0, "10", "n_bins=10"),
        (-1.0, 1_000_001, "n_bins of more than 1,000,000: give fewer"),
        (-1.0, 10**5000, "n_bins of more than 1,000,000: give fewer"),
    ],
    ids=lambda value: str(value)[:12] if not isinstance(value, int) or value < 10**9 else "huge",
)
def test_numbers_out_of_range(e_min, n_bins, text):
    with pytest.raises(OptionError, match=f"^{text}"):
        EnergyBins(e_min, n_bins)


@pytest.mark.parametrize("energy", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_in_no_bin(energy):
    bins = EnergyBins(-1.0, 10)
    with pytest.raises(OptionError, match="energies: 1 in 1 are NaN or infinite"):
        bins.index_of(energy)
    with pytest.raises(OptionError, match="energies: 2 in 3 are NaN or infinite"):
        bins.indices_of([energy, 0.5, energy])
