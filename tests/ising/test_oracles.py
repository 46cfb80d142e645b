"""The exact systems against one another, against enumeration, and against a published density of states."""

from pathlib import Path

import numpy as np
import pytest

from spinspectra.errors import OptionError
from spinspectra.ising.oracles import ConstantCouplings, Enumerated, OpenChain, SquareLattice, TwoLayers, states
from tests.ising.helpers import SMALL, plain_energy, random_system

LN2 = np.log(2.0)
BETAS = (0.0, 0.3, -0.7, 2.5)
OPEN = OpenChain((0.7, -1.3, 0.2, 2.1, -0.4))
CONSTANT = ConstantCouplings((3, 4, 2, 3), (1.0, -2.0, 3.0))
SYSTEMS = {
    "open chain": OPEN,
    "two layers": TwoLayers(random_system((3, 9), seed=4).matrices[0]),
    "two layers, wide first": TwoLayers(random_system((9, 3), seed=4).matrices[0]),
    "constant couplings": CONSTANT,
    "constant couplings, gauged": ConstantCouplings(CONSTANT.nodes, CONSTANT.constants, gauge=3),
    "square lattice 4 x 4": SquareLattice(4),
}


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_formula_agrees_with_enumeration(system):
    enumerated = Enumerated(system.chain().couplings)
    assert system.ground_energy() == pytest.approx(enumerated.ground_energy(), rel=1e-12)
    for beta in BETAS:
        assert system.ln_z(beta) == pytest.approx(enumerated.ln_z(beta), rel=1e-12)


@pytest.mark.parametrize("name", ["open chain", "two layers", "two layers, wide first"])
def test_mean_energy_agrees_with_enumeration(name):
    enumerated = Enumerated(SYSTEMS[name].chain().couplings)
    for beta in BETAS:
        assert SYSTEMS[name].mean_energy(beta) == pytest.approx(enumerated.mean_energy(beta), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("nodes", SMALL.values(), ids=SMALL.keys())
def test_enumeration_is_the_plain_energy_of_every_state(nodes):
    system = random_system(nodes, seed=1)
    for state, energy in enumerate(system.energies.ravel()):
        assert energy == pytest.approx(plain_energy(system.matrices, system.spins(state)), abs=1e-12)


def test_states_are_all_different():
    assert states(0).shape == (1, 0)
    assert len({tuple(state) for state in states(5)}) == 32


def test_levels_of_constant_couplings_are_those_counted():
    levels, counts = np.unique(Enumerated(CONSTANT.chain().couplings).energies, return_counts=True)
    energies, ln_g = CONSTANT.ln_g()
    np.testing.assert_array_equal(energies, levels)
    np.testing.assert_allclose(np.exp(ln_g), counts, rtol=1e-12)


def test_levels_of_five_hundred_spins_have_the_total_the_symmetry_and_the_partition_function():
    system = ConstantCouplings((200, 300), (1.0,))
    energies, ln_g = system.ln_g()
    assert np.logaddexp.reduce(ln_g) == pytest.approx(500 * LN2, rel=1e-12)
    np.testing.assert_array_equal(energies, -energies[::-1])
    np.testing.assert_allclose(ln_g, ln_g[::-1], rtol=1e-12)
    assert np.logaddexp.reduce(ln_g - 0.005 * energies) == pytest.approx(system.ln_z(0.005), rel=1e-12)


def test_square_lattice_is_published_density():
    """The file of stosicresearch/dnnising: energies scaled to 0..1, natural log of g over N; Kaufman knows only Z."""
    scaled, ln_g_per_spin = np.loadtxt(Path(__file__).parents[1] / "data" / "ising8x8.dat").T
    lattice = SquareLattice(8)
    energies = lattice.ground_energy() * (1.0 - 2.0 * scaled)
    for beta in (0.0, 0.1, 0.3, 0.44, 0.6, 1.5):
        assert lattice.ln_z(beta) == pytest.approx(np.logaddexp.reduce(64 * ln_g_per_spin - beta * energies), rel=1e-13)


def test_square_lattice_is_thirty_two_and_thirty_two_spins_of_four_bonds():
    (matrix,) = SquareLattice(8).chain().couplings
    assert matrix.shape == (32, 32)
    assert set(matrix.ravel()) == {0.0, 1.0}
    assert np.all(matrix.sum(axis=0) == 4)
    assert np.all(matrix.sum(axis=1) == 4)


@pytest.mark.parametrize(
    "system", [random_system((11, 10)), TwoLayers(np.ones((21, 30)))], ids=["states", "two layers"]
)
def test_too_many_spins_to_enumerate_are_refused(system):
    with pytest.raises(OptionError, match="21 spins to enumerate: at most 20 can be"):
        system.ln_z(1.0)
