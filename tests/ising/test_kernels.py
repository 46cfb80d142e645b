"""The compiled loops against numpy: rows added, both orientations, and fields that stay true flip after flip."""

import numpy as np
import pytest
import scipy.stats

from spinspectra.ising.kernels import flips, search
from spinspectra.ising.oracles import ConstantCouplings
from spinspectra.ising.spins import split
from spinspectra.ising.state import refresh, start
from tests.ising.helpers import SMALL, random_system

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SHAPES = pytest.mark.parametrize("nodes", [*SMALL.values(), (40, 30, 50)], ids=[*SMALL.keys(), "ten dozens"])


def started(nodes, dtype=np.float64, seed=0):
    chain = random_system(nodes, seed, dtype).chain()
    return chain, start(chain, np.random.default_rng(seed))


def true_fields(chain, state):
    return np.concatenate(chain.local_fields(split(state.spins, chain.nodes)))


def assert_fields_are_true(chain, state):
    np.testing.assert_allclose(state.fields, true_fields(chain, state), rtol=0, atol=1e-10)


@DTYPES
@pytest.mark.parametrize("n_rows", range(21))
def test_add_rows_is_a_matrix_product(n_rows, dtype):
    rng = np.random.default_rng(n_rows)
    matrix, target = rng.standard_normal((25, 13)).astype(dtype), rng.standard_normal(13)
    rows, scales = rng.permutation(25), rng.choice([-2.0, 2.0], size=25)
    expected = target + scales[:n_rows] @ matrix[rows[:n_rows]].astype(np.float64)
    flips.add_rows(scales, rows, n_rows, matrix, target)
    np.testing.assert_allclose(target, expected, rtol=0, atol=1e-13)


@DTYPES
@SHAPES
def test_packed_chain_holds_both_orientations(nodes, dtype):
    chain = random_system(nodes, dtype=dtype).chain()
    for layer, matrix in enumerate(chain.couplings):
        np.testing.assert_array_equal(flips.forward_matrix(chain.packed, layer), matrix)
        np.testing.assert_array_equal(flips.backward_matrix(chain.packed, layer + 1), matrix.T)
    np.testing.assert_array_equal(chain.packed.layer_of, [layer for layer, n in enumerate(nodes) for _ in range(n)])


@DTYPES
@SHAPES
def test_computed_fields_are_those_of_the_chain(nodes, dtype):
    chain, state = started(nodes, dtype)
    state.fields[:] = np.nan
    refresh(chain, state)
    np.testing.assert_allclose(state.fields, true_fields(chain, state), rtol=0, atol=1e-13)


@DTYPES
@SHAPES
def test_fields_stay_true_over_single_flips(nodes, dtype):
    chain, state = started(nodes, dtype)
    for spin in np.random.default_rng(1).integers(chain.n_spins, size=3000):
        before = state.spins.copy()
        flips.flip(chain.packed, state.spins, state.fields, spin)
        assert np.flatnonzero(state.spins != before).tolist() == [spin]
    assert_fields_are_true(chain, state)


@DTYPES
@SHAPES
def test_fields_stay_true_over_metropolis_sweeps(nodes, dtype):
    chain, state = started(nodes, dtype)
    rng = np.random.default_rng(2)
    for _ in range(500):
        before = state.spins.copy()
        made = search.metropolis_sweep(chain.packed, state.spins, state.fields, 0.3, rng, state.rows, state.scales)
        assert made == np.count_nonzero(state.spins != before)
    assert_fields_are_true(chain, state)


@pytest.mark.parametrize("kernel", [search.descend, search.descend_by_layer], ids=["spin", "layer"])
@DTYPES
@SHAPES
def test_descent_reports_the_energy_it_lost(nodes, dtype, kernel):
    chain, state = started(nodes, dtype, seed=3)
    before = chain.energy(split(state.spins, nodes))
    made, change = kernel(chain.packed, state.spins, state.fields, 40, np.random.default_rng(4))
    assert_fields_are_true(chain, state)
    assert change == pytest.approx(chain.energy(split(state.spins, nodes)) - before, abs=1e-10)
    assert (made > 0) == (change < 0.0)


@SHAPES
def test_unstable_spins_are_those_that_would_lower_the_energy(nodes):
    chain, state = started(nodes, seed=5)
    expected = np.count_nonzero(state.spins * true_fields(chain, state) < 0)
    assert search.count_unstable(state.spins, state.fields) == expected


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [(search.descend, [1 / 6] * 6), (search.descend_by_layer, [1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9])],
    ids=["spin", "layer"],
)
def test_descent_picks_uniformly_over_spins_or_over_layers(kernel, expected):
    """All J = -1 and all spins up, so the first spin picked is turned, whichever it is."""
    chain = ConstantCouplings((1, 2, 3), (-1.0, -1.0)).chain()
    rng = np.random.default_rng(6)
    picked = np.zeros(6)
    for _ in range(6000):
        state = start(chain, rng, [np.ones(n, np.int8) for n in chain.nodes])
        kernel(chain.packed, state.spins, state.fields, 1, rng)
        picked += state.spins == -1
    assert picked.sum() == 6000
    assert scipy.stats.chisquare(picked, 6000 * np.array(expected)).pvalue > 1e-3
