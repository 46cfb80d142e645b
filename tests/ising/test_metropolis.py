"""Metropolis sweeps sample exp(-beta E) / Z, against enumeration and exact sums; a wrong sampler is found out."""

import numpy as np
import pytest
import scipy.stats

from spinspectra.ising.kernels.search import metropolis_sweep
from spinspectra.ising.oracles import OpenChain, SquareLattice, TwoLayers
from spinspectra.ising.spins import join, random_spins, split
from spinspectra.ising.state import start
from tests.ising.helpers import random_system

SYSTEMS = {
    "two layers": random_system((3, 4), seed=1),
    "three layers": random_system((2, 3, 2), seed=2),
    "float32": random_system((2, 3, 2), seed=3, dtype=np.float32),
    "single spins": random_system((1, 1, 1, 1, 1, 1), seed=4),
    "wide middle": random_system((1, 6, 1), seed=5),
}
TRUE_BETA = 0.5
LIMIT = 1e-3  # of the chance that a right sampler deviates so far; seeds are fixed


def sweep(chain, state, beta, rng):
    return metropolis_sweep(chain.packed, state.spins, state.fields, beta, rng, state.rows, state.scales)


def state_number(system, spins):
    """Number of a state in `energies.ravel()`: its spins read as bits, the first the highest."""
    return int("".join("1" if spin > 0 else "0" for spin in join(spins)), 2)


def chance(system, visited):
    """P-value of chi-square of visited states, independent, against the Boltzmann distribution at TRUE_BETA."""
    counts = np.bincount(visited, minlength=system.energies.size)
    expected = len(visited) * system.probabilities(TRUE_BETA)
    rare = expected < 10  # too rare for chi-square one by one: pooled
    return scipy.stats.chisquare(
        np.append(counts[~rare], counts[rare].sum()), np.append(expected[~rare], expected[rare].sum() or 1e-300)
    ).pvalue


def after_sweeps_from_boltzmann(system, beta, n_walkers=10_000, n_sweeps=2):
    """States of independent walkers that start exactly distributed, so they stay so if the sweep is right."""
    chain, rng = system.chain(), np.random.default_rng(11)
    starts = rng.choice(system.energies.size, n_walkers, p=system.probabilities(TRUE_BETA))
    all_spins = [system.spins(number) for number in range(system.energies.size)]
    visited = []
    for number in starts:
        state = start(chain, rng, all_spins[number])
        for _ in range(n_sweeps):
            sweep(chain, state, beta, rng)
        visited.append(state_number(system, split(state.spins, chain.nodes)))
    return visited


def long_walk(system, beta, n_sweeps=100_000):
    """Every state of one walk from random spins."""
    chain, rng = system.chain(), np.random.default_rng(12)
    state = start(chain, rng)
    bits = 1 << np.arange(chain.n_spins)[::-1]
    visited = np.empty(n_sweeps, np.int64)
    for i in range(n_sweeps):
        sweep(chain, state, beta, rng)
        visited[i] = (state.spins > 0) @ bits
    return visited


def correlation_time(series):
    """Integrated autocorrelation time, summed up to the first lag at which nothing is left."""
    centred = series - series.mean()
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(series))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(series)]
    correlation /= correlation[0]
    return 1.0 + 2.0 * correlation[1 : np.argmax(correlation < 0.01)].sum()


def thinned(system, visited):
    """Every k-th state, k five times the longest correlation time of the energy and of all single spins."""
    spins = (visited[:, None] >> np.arange(sum(system.nodes))) & 1
    series = [system.energies.ravel()[visited], *spins.T]
    return visited[:: int(np.ceil(5 * max(map(correlation_time, series))))]


def test_state_numbers_are_those_of_the_enumeration():
    system = random_system((2, 3, 2))
    assert [state_number(system, system.spins(number)) for number in range(128)] == list(range(128))


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_boltzmann_distribution_is_kept(system):
    assert chance(system, after_sweeps_from_boltzmann(system, TRUE_BETA)) > LIMIT


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_one_walk_samples_the_boltzmann_distribution(system):
    samples = thinned(system, long_walk(system, TRUE_BETA))
    assert len(samples) > 1000
    assert chance(system, samples) > LIMIT


@pytest.mark.parametrize("wrong", [-TRUE_BETA, TRUE_BETA / 2, 1.1 * TRUE_BETA], ids=["sign", "half", "ten percent"])
def test_a_wrong_sampler_is_found_out(wrong):
    """In the kernel beta stands before dE only, so -beta is the mutant whose dE has its sign turned."""
    system = SYSTEMS["three layers"]
    assert chance(system, thinned(system, long_walk(system, wrong))) < LIMIT
    assert chance(system, after_sweeps_from_boltzmann(system, wrong)) < LIMIT


def mean_and_error(energies, n_blocks=20):
    """Mean, and its standard error from blocks, each far longer than the correlation time."""
    blocks = energies.reshape(n_blocks, -1).mean(axis=1)
    assert energies.size / n_blocks > 20 * correlation_time(energies)
    return blocks.mean(), blocks.std(ddof=1) / np.sqrt(n_blocks)


def sampled_energies(chain, beta, n_sweeps, seed=0):
    rng = np.random.default_rng(seed)
    state = start(chain, rng)
    energies = []
    for _ in range(n_sweeps + n_sweeps // 10):
        sweep(chain, state, beta, rng)
        energies.append(-0.5 * float(state.spins @ state.fields))
    return np.array(energies[n_sweeps // 10 :])


@pytest.mark.slow
@pytest.mark.parametrize(("label", "temperature"), [("0.fc1", 1.0), ("3.fc1", 2.0)])
def test_mean_energy_of_real_weights(minilm, label, temperature):
    """20 x 1,000 trained weights, summed exactly over the 20."""
    system = TwoLayers(minilm.couplings[minilm.labels.index(label)][:20, :1000])
    mean, error = mean_and_error(sampled_energies(system.chain(), 1.0 / temperature, 20_000))
    exact = system.mean_energy(1.0 / temperature)
    assert error < 0.005 * abs(exact)
    assert abs(mean - exact) < 4 * error


def test_mean_energy_of_an_open_chain():
    rng = np.random.default_rng(7)
    system = OpenChain(tuple(rng.standard_normal(60)))
    mean, error = mean_and_error(sampled_energies(system.chain(), 0.8, 40_000))
    assert error < 0.005 * abs(system.mean_energy(0.8))
    assert abs(mean - system.mean_energy(0.8)) < 4 * error


@pytest.mark.parametrize("beta", [0.2, 0.35])
def test_mean_energy_of_the_square_lattice(beta):
    """U = - d ln Z / d beta, by central differences of Kaufman's Z."""
    system = SquareLattice(8)
    exact = -(system.ln_z(beta + 1e-4) - system.ln_z(beta - 1e-4)) / 2e-4
    mean, error = mean_and_error(sampled_energies(system.chain(), beta, 40_000))
    assert error < 0.01 * abs(exact)
    assert abs(mean - exact) < 4 * error


def test_a_sweep_at_low_temperature_never_goes_uphill():
    chain = random_system((20, 30, 20)).chain()
    rng = np.random.default_rng(8)
    state = start(chain, rng, random_spins(chain.nodes, rng))
    before = chain.energy(split(state.spins, chain.nodes))
    while sweep(chain, state, 1e9, rng):
        after = chain.energy(split(state.spins, chain.nodes))
        assert after < before
        before = after
