"""Quench and anneal: what they find is stable, is measured anew, repeats, and is the true ground state where known."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats

from spinspectra.errors import OptionError, SpinsError
from spinspectra.ising import IsingChain, anneal, quench
from spinspectra.ising.anneal import temperature_range
from spinspectra.ising.oracles import ConstantCouplings, Enumerated, OpenChain, SquareLattice, TwoLayers
from spinspectra.ising.spins import join, random_spins
from spinspectra.ising.state import is_stable
from tests.ising.helpers import SMALL, flipped, plain_energy, random_system

SHAPES = pytest.mark.parametrize("nodes", SMALL.values(), ids=SMALL.keys())
SELECTIONS = pytest.mark.parametrize("selection", ["spin", "layer"])
SEARCHES = pytest.mark.parametrize("search", [quench, anneal])


def is_local_minimum(matrices, spins):
    energy = plain_energy(matrices, spins)
    return all(
        plain_energy(matrices, flipped(spins, layer, i)) >= energy - 1e-12
        for layer, s in enumerate(spins)
        for i in range(s.size)
    )


def assert_same(a, b):
    assert (a.energy, a.energy_per_spin, a.stable, a.sweeps, a.flips) == (
        b.energy,
        b.energy_per_spin,
        b.stable,
        b.sweeps,
        b.flips,
    )
    for x, y in zip(a.spins, b.spins, strict=True):
        np.testing.assert_array_equal(x, y)


@SELECTIONS
@SHAPES
def test_quench_ends_in_a_local_minimum_below_its_start(nodes, selection):
    system = random_system(nodes)
    chain = system.chain()
    for seed in range(20):
        spins = random_spins(nodes, np.random.default_rng(seed))
        found = quench(chain, seed, selection, spins, restarts=1)
        assert found.stable
        assert is_local_minimum(system.matrices, found.spins)
        assert found.energy <= chain.energy(spins)
        assert (found.flips == 0) == (found.energy == chain.energy(spins))


def chances_of_ending(system, weights):
    """P(quench from random spins ends in state b), (2^N,), exactly, where spin i is picked with odds weights[i].

    From each state the probability moves to its lower neighbours, in proportion to the odds; states are settled
    from the highest energy down.
    """
    energies = system.energies.ravel()
    chances = np.full(energies.size, 1.0 / energies.size)
    bits = 1 << np.arange(len(weights))[::-1]
    for state in np.argsort(-energies):
        neighbours = state ^ bits
        odds = np.where(energies[neighbours] < energies[state], weights, 0.0)
        if odds.any():
            chances[neighbours] += chances[state] * odds / odds.sum()
            chances[state] = 0.0
    return chances


@pytest.mark.parametrize(
    ("selection", "weights"),
    [("spin", [1.0] * 9), ("layer", [1 / 3] * 3 + [1 / 4] * 4 + [1 / 2] * 2)],
    ids=["spin", "layer"],
)
def test_quench_ends_in_each_local_minimum_as_often_as_it_should(selection, weights):
    """Against the exact absorption probabilities of the walk; a wrong choice of spins would shift them."""
    system = random_system((3, 4, 2), seed=7)
    chain, n_runs = system.chain(), 4000
    chances = chances_of_ending(system, np.array(weights))
    minima = np.flatnonzero(chances)
    assert all(is_local_minimum(system.matrices, system.spins(state)) for state in minima)
    ends = [join(quench(chain, seed, selection, restarts=1).spins) for seed in range(n_runs)]
    counts = np.bincount([int("".join("1" if s > 0 else "0" for s in end), 2) for end in ends], minlength=512)
    assert counts[minima].sum() == n_runs
    assert scipy.stats.chisquare(counts[minima], n_runs * chances[minima]).pvalue > 1e-3


@SHAPES
def test_stable_states_are_the_local_minima(nodes):
    system = random_system(nodes, seed=2)
    chain = system.chain()
    stable = [is_stable(chain, system.spins(state)) for state in range(system.energies.size)]
    minima = [is_local_minimum(system.matrices, system.spins(state)) for state in range(system.energies.size)]
    assert stable == minima


def test_quench_from_a_local_minimum_stays_there():
    chain = random_system((20, 30, 20)).chain()
    first = quench(chain)
    again = quench(chain, seed=1, spins=first.spins)
    assert (again.flips, again.sweeps, again.energy) == (0, 0, first.energy)


def test_quench_leaves_the_spins_given_as_they_were():
    chain = random_system((20, 30, 20)).chain()
    given = random_spins(chain.nodes, np.random.default_rng(0))
    copies = [s.copy() for s in given]
    quench(chain, spins=given)
    for s, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(s, copy)


@SELECTIONS
def test_quench_ends_where_fields_are_torn_exactly(selection):
    """Sums of +-0.1, 0.2, 0.3 that should be 0 are not quite, and not alike in every order of adding."""
    rng = np.random.default_rng(3)
    for seed in range(50):
        nodes = rng.integers(1, 12, size=4)
        matrices = [rng.choice([-0.3, -0.2, -0.1, 0.1, 0.2, 0.3], size=shape) for shape in pairwise(nodes)]
        found = quench(IsingChain.from_matrices(matrices), seed, selection)
        assert found.stable
        assert is_local_minimum(matrices, found.spins)


@SEARCHES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reported_energy_is_that_of_the_spins(search, dtype):
    system = random_system((30, 40, 20), dtype=dtype)
    chain = system.chain()
    found = search(chain, seed=2)
    assert found.energy == chain.energy(found.spins)
    assert found.energy == pytest.approx(plain_energy(system.matrices, found.spins), rel=1e-13)
    assert found.energy_per_spin == found.energy / 90
    assert [(s.dtype, s.shape) for s in found.spins] == [(np.int8, (n,)) for n in (30, 40, 20)]
    assert found.stable
    assert is_local_minimum(system.matrices, found.spins)


@SEARCHES
def test_same_seed_same_answer(search):
    chain = random_system((30, 40, 20)).chain()
    assert_same(search(chain, seed=7), search(chain, seed=7))
    assert_same(search(chain, seed=7), search(chain, seed=np.random.SeedSequence(7)))
    assert not all(
        np.array_equal(a, b) for a, b in zip(search(chain, seed=7).spins, search(chain, seed=8).spins, strict=True)
    )


@SEARCHES
def test_a_seed_sequence_is_not_altered(search):
    chain = random_system((30, 40, 20)).chain()
    seed = np.random.SeedSequence(5, spawn_key=(2,))
    first = search(chain, seed=seed)
    assert seed.n_children_spawned == 0
    assert_same(first, search(chain, seed=seed))
    seed.spawn(3)
    assert_same(first, search(chain, seed=seed))
    other = search(chain, seed=np.random.SeedSequence(5, spawn_key=(3,)))
    assert not all(np.array_equal(a, b) for a, b in zip(first.spins, other.spins, strict=True))


SYSTEMS = {
    **{name: random_system(nodes, seed=5) for name, nodes in SMALL.items()},
    "float32": random_system((4, 5, 4), seed=6, dtype=np.float32),
    "twenty spins": random_system((5, 6, 5, 4), seed=6),
    "open chain": OpenChain(tuple(np.random.default_rng(8).standard_normal(12))),
    "two layers": TwoLayers(np.random.default_rng(9).standard_normal((12, 300))),
    "constant couplings": ConstantCouplings((100, 4900, 100, 4800, 100), (1.0, 2.0, 0.5, 1.0)),
    "gauged": ConstantCouplings((100, 4900, 100, 4800, 100), (1.0, -2.0, 0.5, -1.0), gauge=4),
    "square lattice": SquareLattice(8),
    "zero couplings": Enumerated((np.zeros((2, 3)),)),
}


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_anneal_finds_the_ground_state(system):
    found = anneal(system.chain(), sweeps=200, seed=1, restarts=10)
    assert found.stable
    assert found.energy == pytest.approx(system.ground_energy(), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["0.qkv", "0.fc1", "3.fc1"])
def test_anneal_finds_the_ground_state_of_real_weights(minilm, label):
    """20 rows of trained weights, up to 1,000 columns: the lowest E is known by trying all states of the 20."""
    system = TwoLayers(minilm.couplings[minilm.labels.index(label)][:20, :1000])
    found = anneal(system.chain(), sweeps=200, restarts=200)
    assert found.energy == pytest.approx(system.ground_energy(), rel=1e-12)


def test_more_restarts_never_find_less():
    chain = random_system((60, 60, 60)).chain()
    energies = [anneal(chain, sweeps=5, restarts=restarts).energy for restarts in (1, 2, 4, 8, 16)]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < energies[0]


@pytest.mark.parametrize("workers", [1, 3])
def test_restarts_in_threads_are_the_serial_ones(workers):
    chain = random_system((30, 40, 20), dtype=np.float32).chain()
    with ThreadPoolExecutor(workers) as executor:
        parallel = anneal(chain, sweeps=20, restarts=6, executor=executor)
    assert_same(parallel, anneal(chain, sweeps=20, restarts=6))


@pytest.mark.slow
def test_restarts_in_processes_are_the_serial_ones():
    chain = random_system((30, 40, 20), dtype=np.float32).chain()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        parallel = anneal(chain, sweeps=20, restarts=4, executor=executor)
    assert_same(parallel, anneal(chain, sweeps=20, restarts=4))


def test_progress_hears_of_every_sweep_of_every_restart():
    heard = []
    anneal(random_system((3, 4)).chain(), sweeps=30, restarts=2, progress=heard.append)
    assert heard == [1] * 60


@pytest.mark.parametrize("scale", [2.0**-12, 2.0**12])
@SEARCHES
def test_scaling_the_couplings_scales_the_energy_and_nothing_else(search, scale):
    """A power of two, so that every rounding is the same."""
    matrices = random_system((30, 40, 20)).matrices
    plain = search(IsingChain.from_matrices(matrices))
    scaled = search(IsingChain.from_matrices([scale * matrix for matrix in matrices]))
    assert scaled.energy == scale * plain.energy
    assert scaled.flips == plain.flips


@pytest.mark.parametrize("nodes", [(3, 4), (30, 40, 20), (1, 100, 1)], ids=str)
def test_cooling_starts_at_the_largest_eigenvalue(nodes):
    system = random_system(nodes)
    starts = np.cumsum([0, *nodes])
    dense = np.zeros((starts[-1], starts[-1]))
    for i, matrix in enumerate(system.matrices):
        dense[starts[i] : starts[i + 1], starts[i + 1] : starts[i + 2]] = matrix
    hot, cold = temperature_range(system.chain())
    assert hot == pytest.approx(np.linalg.eigvalsh(dense + dense.T)[-1], rel=0.05)
    typical_field = np.sqrt(np.mean((dense + dense.T).dot(dense + dense.T).diagonal()))
    assert cold == pytest.approx(0.1 * typical_field, rel=1e-12)


@pytest.mark.parametrize(
    ("search", "options", "text"),
    [
        (quench, {"selection": "row"}, "selection='row': give 'spin' or 'layer'"),
        (quench, {"seed": -1}, "seed=-1: give a non-negative integer or a numpy SeedSequence"),
        (quench, {"seed": 1.0}, "seed=1.0: give a non-negative integer"),
        (anneal, {"seed": True}, "seed=True: give a non-negative integer"),
        (anneal, {"sweeps": 0}, "sweeps=0: give at least 1, or quench"),
        (anneal, {"restarts": 0}, "restarts=0: give at least 1"),
        (anneal, {"temperatures": (1.0, 2.0)}, r"temperatures=\(1.0, 2.0\): give \(first, last\) with first >= last"),
        (anneal, {"temperatures": (1.0, 0.0)}, r"temperatures=\(1.0, 0.0\): give"),
        (anneal, {"temperatures": (np.inf, 1.0)}, r"temperatures=\(inf, 1.0\): give"),
        (anneal, {"temperatures": (np.nan, 1.0)}, r"temperatures=\(nan, 1.0\): give"),
    ],
)
def test_options_outside_their_range_are_refused(search, options, text):
    with pytest.raises(OptionError, match=text):
        search(random_system((3, 4)).chain(), **options)


def test_start_spins_that_do_not_fit_are_refused():
    with pytest.raises(SpinsError, match="the chain has 2 layers of spins, got 1"):
        quench(random_system((3, 4)).chain(), spins=[np.ones(3, np.int8)])


def test_restarts_of_quench_keep_the_lowest_and_executors_agree():
    chain = random_system((8, 8), seed=5).chain()
    with ThreadPoolExecutor(2) as executor:
        parallel = quench(chain, 3, restarts=6, executor=executor)
    assert_same(parallel, quench(chain, 3, restarts=6))
    assert parallel.energy <= quench(chain, 3, restarts=1).energy
    with pytest.raises(OptionError, match="restarts=0: give at least 1"):
        quench(chain, restarts=0)
