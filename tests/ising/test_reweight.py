"""Reweighting, on energies drawn independently from exact distributions: right values, honest errors."""

import math

import numpy as np
import pytest

from spinspectra.errors import SpinSpectraError
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.oracles import ConstantCouplings
from spinspectra.ising.reweight import autocorrelation_times, n_blocks, reweight
from tests.ising.helpers import random_system

ENUMERATED = random_system((5, 6, 5), seed=3)
CONSTANT = ConstantCouplings((20, 40), (1.0,))
SYSTEMS = {
    "enumerated": (ENUMERATED.energies.ravel(), np.zeros(2**16), 16, np.linspace(0.0, 2.5, 7), 25),
    "constant couplings": (*CONSTANT.ln_g(), 60, np.linspace(0.0, 0.15, 16), 40),
}


def binned_ln_g(levels, ln_g, bins):
    """Exact levels and their ln g, summed over the bins of the half range, (n_bins,); -inf where there is none."""
    index = bins.indices_of(levels)
    summed = np.full(bins.n_bins, -np.inf)
    np.logaddexp.at(summed, index[index >= 0], ln_g[index >= 0])
    return summed


def samples(levels, ln_g, betas, sweeps, seed, runs=2):
    """Independent energies on each rung, (runs, sweeps, R)."""
    rng = np.random.default_rng(seed)
    columns = []
    for beta in betas:
        exponents = ln_g - beta * levels
        chances = np.exp(exponents - exponents.max())
        columns.append(rng.choice(levels, (runs, sweeps), p=chances / chances.sum()))
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_errors_are_honest(name):
    levels, ln_g, n_spins, betas, n_bins = SYSTEMS[name]
    bins = EnergyBins(float(levels.min()), n_bins)
    exact = binned_ln_g(levels, ln_g, bins)
    deviations = []
    for seed in range(50):
        half = reweight(samples(levels, ln_g, betas, 1000, seed), betas, bins, n_spins)
        often = half.counts >= 30  # ln of a smaller count is no normal variable
        deviations.append(((half.ln_g - exact[half.index]) / half.stderr)[often])
    inside = np.mean(np.abs(np.concatenate(deviations)) < 1.0)
    assert 0.6 < inside < 0.75  # 68 % expected
    assert abs(np.mean(np.concatenate(deviations))) < 0.1
    assert np.mean(np.abs(np.concatenate(deviations)) > 3.0) < 0.01


def test_replicates_carry_the_same_error_and_the_correlations():
    levels, ln_g, n_spins, betas, n_bins = SYSTEMS["constant couplings"]
    bins = EnergyBins(float(levels.min()), n_bins)
    half = reweight(samples(levels, ln_g, betas, 1000, 1), betas, bins, n_spins)
    spread = half.replicates.std(axis=0, ddof=1) / math.sqrt(half.replicates.shape[0])
    assert np.median(spread / half.stderr) == pytest.approx(1.0, abs=0.2)
    assert half.replicates.mean(axis=0) == pytest.approx(half.ln_g, abs=1e-6)
    jumps = np.diff(half.replicates, axis=1).std(axis=0, ddof=1)  # next bins lie on the same rungs and err together
    apart = np.sqrt(half.replicates.var(axis=0, ddof=1)[1:] + half.replicates.var(axis=0, ddof=1)[:-1])
    assert np.median(jumps / apart) < 0.95


def test_states_are_not_taken_to_lie_at_the_centre_of_their_bin():
    levels, ln_g, n_spins, betas, _ = SYSTEMS["enumerated"]
    bins = EnergyBins(float(levels.min()), 3)
    assert betas[-1] * bins.width > 20.0
    half = reweight(samples(levels, ln_g, betas, 4000, 5), betas, bins, n_spins)
    exact = binned_ln_g(levels, ln_g, bins)
    assert np.all(np.abs(half.ln_g - exact[half.index]) < 4.0 * half.stderr)
    assert half.stderr.max() < 0.05


def test_ln_z_and_the_total():
    levels, ln_g, n_spins, betas, n_bins = SYSTEMS["constant couplings"]
    half = reweight(samples(levels, ln_g, betas, 1000, 2), betas, EnergyBins(levels.min(), n_bins), n_spins)
    exact = np.array([CONSTANT.ln_z(beta) for beta in betas])
    assert half.ln_z[0] == pytest.approx(n_spins * math.log(2.0), rel=1e-14)
    assert half.ln_z_stderr[0] == 0.0
    assert np.all(np.abs(half.ln_z - exact)[1:] < 4.0 * half.ln_z_stderr[1:])
    whole = np.concatenate([half.ln_g, half.ln_g[half.index > 0]])
    assert np.logaddexp.reduce(whole) == pytest.approx(n_spins * math.log(2.0), rel=1e-10)


def test_the_weights_solve_the_equations_of_the_estimate():
    """Z_k from its own definition, sum over states of g exp(-beta E), with g from the samples one by one."""
    levels, ln_g, n_spins, betas, n_bins = SYSTEMS["enumerated"]
    energies = samples(levels, ln_g, betas, 64, 3)
    half = reweight(energies, betas, EnergyBins(levels.min(), n_bins), n_spins, blocks=4)
    x = np.abs(energies.ravel())
    ln_cosh = np.logaddexp(np.outer(x, betas), -np.outer(x, betas)) - math.log(2.0)
    ln_states = -np.logaddexp.reduce(math.log(128) - half.ln_z + ln_cosh, axis=1)
    assert np.logaddexp.reduce(ln_states[:, None] + ln_cosh, axis=0) == pytest.approx(half.ln_z, abs=1e-8)


def test_runs_that_disagree_set_the_error():
    levels, ln_g, n_spins, betas, n_bins = SYSTEMS["constant couplings"]
    bins = EnergyBins(float(levels.min()), n_bins)
    energies = samples(levels, ln_g, betas, 1000, 4, runs=4)
    agreed = reweight(energies, betas, bins, n_spins)
    energies[0, :, 8:] = samples(levels, ln_g, 1.1 * betas, 1000, 5, runs=1)[0, :, 8:]  # a run that is stuck elsewhere
    torn = reweight(energies, betas, bins, n_spins)
    assert torn.ln_z_stderr[-1] > 2.0 * agreed.ln_z_stderr[-1]


def test_rungs_apart_are_refused():
    energies = np.zeros((1, 40, 3))
    energies[:, :, 1], energies[:, :, 2] = -100.0, -1e6
    with pytest.raises(SpinSpectraError, match="use a closer ladder"):
        reweight(energies + np.arange(40)[:, None] * 1e-3, np.array([0.0, 50.0, 100.0]), EnergyBins(-1e6, 10), 30)


def test_autocorrelation_time_of_a_known_process():
    """x_t = rho x_{t-1} + noise has 1/2 + sum rho^t = (1 + rho) / (2 (1 - rho))."""
    rng = np.random.default_rng(0)
    rho = np.array([0.0, 0.5, 0.9])
    noise = rng.standard_normal((4, 20_000, 3))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for t in range(1, 20_000):
        series[:, t] = rho * series[:, t - 1] + noise[:, t]
    times = autocorrelation_times(series)
    assert times == pytest.approx((1 + rho) / (2 * (1 - rho)), rel=0.1)
    assert n_blocks(series[:, :1000]) == int(1000 / (20 * autocorrelation_times(series[:, :1000]).max()))


def test_a_rung_that_never_moves_has_the_shortest_time():
    assert autocorrelation_times(np.full((2, 50, 1), -3.0)).tolist() == [0.5]


def test_the_mean_energy_of_a_bins_states():
    levels, ln_g, n_spins, betas, _ = SYSTEMS["enumerated"]
    bins = EnergyBins(float(levels.min()), 6)
    half = reweight(samples(levels, ln_g, betas, 4000, 6), betas, bins, n_spins)
    index = bins.indices_of(levels)
    exact = np.array([levels[index == k].mean() for k in half.index])
    assert half.means[1:] == pytest.approx(exact[1:], abs=0.03 * bins.width)
    assert half.means[0] == 0.0  # the bin around 0 is its own mirror image
    assert np.abs(exact - bins.centres[half.index]).max() > 0.15 * bins.width  # centres would not do
