"""The first block of a trained network, N = 3,072: exact facts hold, and both methods agree, trained and shuffled."""

import math

import numpy as np
import pytest

from spinspectra.ising.anneal import anneal
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.shuffle import shuffle
from spinspectra.ising.tempering import temper
from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.ising.wang_landau import wang_landau
from tests import minilm

pytestmark = pytest.mark.slow
N_BINS = 60
DEPTH = 0.4  # per spin: far enough down for the weights' order to show, where both methods are quick


@pytest.fixture(scope="module", params=["trained", "shuffled"])
def chain(request):
    block = IsingChain.from_weights(minilm.FOLDER, 1)
    return block if request.param == "trained" else shuffle(block, seed=0)


@pytest.fixture(scope="module")
def sampled(chain):
    """By tempering, over the whole half range and beyond the bins of the upper part that Wang-Landau walks."""
    ground = anneal(chain, 1000).energy
    width = EnergyBins(-DEPTH * chain.n_spins, N_BINS).width
    bins = EnergyBins(ground, math.ceil(-ground / width + 0.5))
    return temper(chain, EnergyBins(-width * (bins.n_bins - 0.5), bins.n_bins), seed=1, sweeps=400, runs=2)


@pytest.mark.filterwarnings("ignore::spinspectra.errors.DoubtWarning")  # of the coldest rungs, in so short a run
def test_what_holds_for_every_chain(chain, sampled):
    assert sampled.ln_total == pytest.approx(chain.n_spins * math.log(2.0), rel=1e-12)
    assert np.array_equal(sampled.energies, -sampled.energies[::-1])
    hot = thermodynamics(sampled, [1e6])
    assert abs(hot["U"].item()) < 4.0 * hot["U_err"].item() + chain.sum_of_squares / 1e6
    variance, error = hot["C"].item() * 1e12, hot["C_err"].item() * 1e12
    of_bins = sampled.bin_width**2 / 12.0
    assert abs(variance - chain.sum_of_squares) < 4.0 * error + of_bins
    below = sampled.energies <= 0.0
    rises = np.diff(sampled.ln_g[below])
    assert np.all(rises > -4.0 * np.hypot(sampled.stderr[below][1:], sampled.stderr[below][:-1]))
    assert np.mean(rises > 0.0) > 0.98


@pytest.mark.filterwarnings("ignore::spinspectra.errors.DoubtWarning")
def test_both_methods_agree(chain, sampled):
    bins = EnergyBins(-DEPTH * chain.n_spins, N_BINS)
    assert bins.width == pytest.approx(sampled.bin_width, rel=1e-12)
    walked = wang_landau(chain, bins, seed=2, teams=4, ln_f_end=2e-4)
    places = [np.rint(-one.energies / bins.width).astype(int) for one in (sampled, walked)]
    common = np.intersect1d(*[place[place >= 0] for place in places])
    assert common.size == N_BINS
    at = [np.flatnonzero(np.isin(place, common)) for place in places]
    difference = sampled.ln_g[at[0]] - walked.ln_g[at[1]]
    assert np.abs(difference / np.hypot(sampled.stderr[at[0]], walked.stderr[at[1]])).max() < 4.0
    assert np.abs(difference).max() < 1.0  # of ln g that falls by more than 100
