"""Heat-bath sweeps sample exp(-beta E) / Z, on NumPy arrays and torch tensors alike; a wrong sampler is found out."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.heat_bath import heat_bath, load, sweep, uniforms, unload
from spinspectra.ising.oracles import ConstantCouplings, OpenChain, TwoLayers
from spinspectra.ising.spins import split
from tests.ising.helpers import random_system

DEVICES = [None, "cpu"]
SYSTEMS = {
    "two layers": random_system((3, 4), seed=1),
    "three layers": random_system((2, 3, 2), seed=2),
    "float32": random_system((2, 3, 2), seed=3, dtype=np.float32),
    "wide middle": random_system((1, 6, 1), seed=5),
}
BETA = 0.5
REPLICAS = 20_000
LIMIT = 1e-3  # of the chance that a right sampler deviates so far; seeds are fixed


def sampled(chain, betas, device, sweeps, seed=0, alter=lambda bath: bath):
    """Spins (R, N) after sweeps from random ones, and their energies as the last sweep gives them."""
    bath = alter(heat_bath(chain, device))
    start, run = np.random.SeedSequence(seed).spawn(2)
    spins = 2 * np.random.default_rng(start).integers(0, 2, (betas.size, chain.n_spins), np.int8) - 1
    layers, draw = load(bath, spins), uniforms(bath, run)
    for _ in range(sweeps):
        energies = sweep(bath, layers, betas, draw)
    return unload(bath, layers), energies


def chance(system, spins):
    """P-value of chi-square of independent states against the Boltzmann distribution at BETA."""
    numbers = (spins > 0) @ (1 << np.arange(spins.shape[1])[::-1])
    counts = np.bincount(numbers, minlength=system.energies.size)
    expected = len(spins) * system.probabilities(BETA)
    rare = expected < 10
    return scipy.stats.chisquare(
        np.append(counts[~rare], counts[rare].sum()), np.append(expected[~rare], expected[rare].sum() or 1e-300)
    ).pvalue


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_states_come_as_often_as_they_should(name, device):
    system = SYSTEMS[name]
    spins, _ = sampled(system.chain(), np.full(REPLICAS, BETA), device, 40)
    assert chance(system, spins) > LIMIT


@pytest.mark.parametrize("device", DEVICES)
def test_a_wrong_sampler_is_found_out(device):
    system = SYSTEMS["three layers"]
    spins, _ = sampled(system.chain(), np.full(REPLICAS, 1.1 * BETA), device, 40)
    assert chance(system, spins) < LIMIT

    def one_sided(bath):  # each spin feels only one of its two neighbour layers fully
        return replace(bath, couplings=(bath.couplings[0], 0.8 * bath.couplings[1]))

    spins, _ = sampled(system.chain(), np.full(REPLICAS, BETA), device, 40, alter=one_sided)
    assert chance(system, spins) < LIMIT


@pytest.mark.parametrize("device", DEVICES)
def test_every_replica_has_its_own_temperature(device):
    system = TwoLayers(np.random.default_rng(4).standard_normal((8, 40)).astype(np.float32))
    betas = np.repeat([0.0, 0.1, 0.3, 3.0], 3000)
    _, energies = sampled(system.chain(), betas, device, 40)
    for beta in (0.0, 0.1, 0.3):
        here = energies[betas == beta]
        assert abs(here.mean() - system.mean_energy(beta)) < 4.0 * here.std() / np.sqrt(here.size)
    assert energies[betas == 3.0].min() == pytest.approx(system.ground_energy(), rel=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("scale", [1.0, 1e90, 1e-90])
def test_energies_are_those_of_the_spins(device, scale):
    rng = np.random.default_rng(1)
    matrices = [scale * rng.standard_normal(shape) for shape in ((30, 50), (50, 20), (20, 40), (40, 10))]
    chain = IsingChain.from_matrices(matrices)
    spins, energies = sampled(chain, np.array([0.0, 0.1, 0.5, 5.0]) / scale, device, 5)
    exact = [chain.energy(split(row, chain.nodes)) for row in spins]
    typical = np.sqrt(chain.sum_of_squares)
    assert np.abs(energies - exact).max() < 1e-5 * typical
    assert energies[3] < energies[1] < -typical


@pytest.mark.parametrize("device", DEVICES)
def test_whole_numbers_are_summed_exactly(device):
    chain = ConstantCouplings((3000, 5000), (1.0,), gauge=1).chain()
    spins, energies = sampled(chain, np.array([0.0, 1e-4, 1e-3, 1.0]), device, 6)
    assert energies.tolist() == [chain.energy(split(row, chain.nodes)) for row in spins]


def test_at_zero_beta_all_spins_are_free():
    chain = OpenChain((3.0, -2.0, 1.0)).chain()
    spins, energies = sampled(chain, np.zeros(REPLICAS), None, 1)
    assert np.abs(spins.mean(axis=0)).max() < 4.0 / np.sqrt(REPLICAS)
    assert energies.var() == pytest.approx(14.0, rel=0.05)  # sum(J^2)


@pytest.mark.parametrize("device", DEVICES)
def test_a_seed_fixes_the_outcome(device):
    chain, betas = SYSTEMS["float32"].chain(), np.linspace(0.0, 1.0, 9)
    first, second, other = (sampled(chain, betas, device, 5, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("device", DEVICES)
def test_spins_come_back_as_they_went(device):
    bath = heat_bath(SYSTEMS["wide middle"].chain(), device)
    spins = 2 * np.random.default_rng(0).integers(0, 2, (5, 8), np.int8) - 1
    assert np.array_equal(unload(bath, load(bath, spins)), spins)
    assert unload(bath, load(bath, spins)).dtype == np.int8


def test_float32_couplings_are_not_copied():
    chain = SYSTEMS["float32"].chain()
    assert all(np.shares_memory(matrix, chain.flat) for matrix in heat_bath(chain).couplings)


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(OptionError, match=f"device='{device}': torch cannot use it"):
        heat_bath(SYSTEMS["float32"].chain(), device)
