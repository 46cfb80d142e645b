"""The chain: exact facts over all its states, and what it refuses."""

import pickle

import numpy as np
import pytest
import torch

from spinspectra.errors import ChainError, NonFiniteError, SpinsError
from spinspectra.ising import IsingChain
from tests.ising.helpers import SMALL, flipped, plain_energy, random_system

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SHAPES = pytest.mark.parametrize("nodes", SMALL.values(), ids=SMALL.keys())


def every_state(system):
    return [system.spins(state) for state in range(2 ** sum(system.nodes))]


@DTYPES
@SHAPES
def test_energy_is_the_plain_sum_over_bonds(nodes, dtype):
    system = random_system(nodes, dtype=dtype)
    chain = system.chain()
    assert chain.flat.dtype == dtype
    for spins in every_state(system):
        assert chain.energy(spins) == pytest.approx(plain_energy(system.matrices, spins), abs=1e-13)


@DTYPES
@SHAPES
def test_moments_over_all_states_are_zero_and_the_sum_of_squares(nodes, dtype):
    system = random_system(nodes, dtype=dtype)
    chain = system.chain()
    energies = np.array([chain.energy(spins) for spins in every_state(system)])
    squares = sum(float(value) ** 2 for matrix in system.matrices for value in matrix.ravel())
    assert energies.mean() == pytest.approx(0.0, abs=1e-12)
    assert energies.var() == pytest.approx(squares, rel=1e-12)
    assert chain.sum_of_squares == pytest.approx(squares, rel=1e-14)


@pytest.mark.parametrize("parity", [0, 1], ids=["even layers", "odd layers"])
@SHAPES
def test_flipping_all_layers_of_one_parity_turns_the_energy(nodes, parity):
    system = random_system(nodes)
    chain = system.chain()
    for spins in every_state(system):
        turned = [-s if layer % 2 == parity else s for layer, s in enumerate(spins)]
        assert chain.energy(turned) == -chain.energy(spins)


@DTYPES
@SHAPES
def test_a_flip_costs_twice_spin_times_field(nodes, dtype):
    system = random_system(nodes, dtype=dtype)
    chain = system.chain()
    for spins in every_state(system)[::5]:
        before = plain_energy(system.matrices, spins)
        for layer, field in enumerate(chain.local_fields(spins)):
            assert field.dtype == np.float64
            for i, h in enumerate(field):
                cost = plain_energy(system.matrices, flipped(spins, layer, i)) - before
                assert cost == pytest.approx(2.0 * float(spins[layer][i]) * h, abs=1e-12)


def test_wide_float32_matrices_are_summed_in_float64_chunk_by_chunk():
    """3 x 700,000 couplings do not fit one chunk; a float32 sum of so many would be off by far more."""
    rng = np.random.default_rng(5)
    matrix = rng.standard_normal((3, 700_000), np.float32)
    spins = [rng.choice(np.array([-1, 1], np.int8), size=n) for n in matrix.shape]
    chain = IsingChain.from_matrices([matrix])
    wide = matrix.astype(np.float64)
    assert chain.energy(spins) == pytest.approx(-float(spins[0] @ wide @ spins[1]), rel=1e-12)
    assert chain.sum_of_squares == pytest.approx(float(np.sum(wide**2)), rel=1e-12)
    left, right = chain.local_fields(spins)
    np.testing.assert_allclose(left, wide @ spins[1], rtol=1e-10)
    np.testing.assert_allclose(right, spins[0] @ wide, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([np.float32], np.float32),
        ([np.float16], np.float32),
        ([np.float64], np.float64),
        ([np.float32, np.float64], np.float64),
        ([np.int64], np.float64),
        ([np.bool_, np.float32], np.float64),
    ],
    ids=["float32", "float16", "float64", "mixed", "whole numbers", "bool"],
)
def test_dtype_follows_the_widest_matrix(given, kept):
    assert IsingChain.from_matrices([np.ones((2, 2), dtype) for dtype in given]).flat.dtype == kept


def test_sizes_and_labels():
    chain = random_system((3, 4, 2)).chain()
    assert (chain.nodes, chain.n_spins, chain.n_bonds) == ((3, 4, 2), 9, 20)
    assert chain.labels == ("couplings[0]", "couplings[1]")
    assert repr(chain) == "IsingChain(enumerated chain: nodes=(3, 4, 2), N=9, B=20, float64)"


def test_couplings_are_read_only_views_of_one_array():
    chain = random_system((3, 4, 2)).chain()
    assert all(np.shares_memory(matrix, chain.flat) for matrix in chain.couplings)
    for array in (chain.flat, *chain.couplings, chain.packed.forward, chain.packed.backward):
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_matrices_are_copied():
    system = random_system((3, 4, 2))
    chain = system.chain()
    for given, held in zip(system.matrices, chain.couplings, strict=True):
        np.testing.assert_array_equal(given, held)
        assert not np.shares_memory(given, held)
        assert given.flags.writeable


def test_matrices_in_any_memory_order_give_the_same_chain():
    matrices = random_system((3, 4, 2)).matrices
    plain = IsingChain.from_matrices(matrices)
    turned = IsingChain.from_matrices(np.asfortranarray(matrix) for matrix in matrices)
    np.testing.assert_array_equal(plain.flat, turned.flat)


@DTYPES
def test_pickling_keeps_the_chain_and_its_protection(dtype):
    chain = random_system((3, 4, 2), dtype=dtype).chain()
    assert chain.packed.layer_of.size == 9  # derived parts are not sent along
    again = pickle.loads(pickle.dumps(chain))
    np.testing.assert_array_equal(again.flat, chain.flat)
    assert (again.flat.dtype, again.nodes, again.labels, again.source) == (
        chain.flat.dtype,
        chain.nodes,
        chain.labels,
        chain.source,
    )
    assert not again.flat.flags.writeable
    assert len(pickle.dumps(chain)) < chain.flat.nbytes + 600


@pytest.mark.parametrize(
    ("matrices", "error", "text"),
    [
        ([], ChainError, "a chain needs at least one matrix of couplings, got none"),
        ([np.ones(3)], ChainError, r"couplings\[0\] is float64 of shape \(3,\); give a real matrix, input x output"),
        ([np.ones((2, 2), complex)], ChainError, r"couplings\[0\] is complex128 .*give a real matrix"),
        ([np.array([["a"]])], ChainError, r"couplings\[0\] is <U1 .*give a real matrix"),
        ([np.ones((2, 0))], ChainError, r"couplings\[0\] has shape \(2, 0\), a layer without nodes"),
        (
            [np.ones((2, 3)), np.ones((2, 3))],
            ChainError,
            r"couplings\[0\] is \(2, 3\) and couplings\[1\] is \(2, 3\), so layer 1 would have 3 and 2 nodes; "
            "is one transposed",
        ),
        (
            [np.ones((2, 3)), np.array([[1.0], [np.nan], [-np.inf]])],
            NonFiniteError,
            r"couplings\[1\] has 2 values in 3 that are NaN or infinite",
        ),
    ],
    ids=["none", "vector", "complex", "text", "empty", "do not meet", "not finite"],
)
def test_matrices_that_make_no_chain_are_refused(matrices, error, text):
    with pytest.raises(error, match=text):
        IsingChain.from_matrices(matrices)


ONES = [np.ones(n, np.int8) for n in (3, 4, 2)]


@pytest.mark.parametrize("method", ["energy", "local_fields"])
@pytest.mark.parametrize(
    ("spins", "text"),
    [
        (ONES[:2], "the chain has 3 layers of spins, got 2"),
        ([*ONES, ONES[0]], "the chain has 3 layers of spins, got 4"),
        ([ONES[0], ONES[0], ONES[2]], r"spins\[1\] has shape \(3,\), layer 1 of the chain needs \(4,\)"),
        ([ONES[0], ONES[1], np.array([0, 1], np.int8)], r"spins\[2\] has values besides -1 and \+1; try np.where"),
    ],
    ids=["too few", "too many", "misshapen", "zero"],
)
def test_spins_that_do_not_fit_are_refused(method, spins, text):
    with pytest.raises(SpinsError, match=text):
        getattr(random_system((3, 4, 2)).chain(), method)(spins)


@pytest.mark.parametrize("size", [1e150, 1e300, 1e-150])
def test_couplings_whose_squares_no_float64_holds_are_refused(size):
    with pytest.raises(NonFiniteError, match="whose squares no float64 holds; rescale the weights"):
        IsingChain.from_matrices([np.full((2, 2), size)])


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_extreme_float32_couplings_are_kept_as_float64(size):
    matrix = np.full((2, 3), size, np.float32)
    chain = IsingChain.from_matrices([matrix])
    assert chain.flat.dtype == np.float64
    np.testing.assert_array_equal(chain.couplings[0], matrix)


def test_torch_parameters_and_narrow_floats_make_a_chain():
    layer = torch.nn.Linear(3, 2, bias=False)
    expected = layer.weight.detach().numpy().T
    np.testing.assert_array_equal(IsingChain.from_matrices([layer.weight.T]).couplings[0], expected)
    np.testing.assert_array_equal(
        IsingChain.from_matrices([layer.weight.bfloat16()]).couplings[0], layer.weight.bfloat16().float().detach()
    )


def test_ragged_rows_are_refused():
    with pytest.raises(ChainError, match=r"couplings\[1\] has rows of different lengths"):
        IsingChain.from_matrices([np.ones((1, 2)), [[1.0], [1.0, 2.0]]])
