"""Both bounds hold for every chain, the dual one for any vector u, and both scale with the couplings."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinspectra.ising import IsingChain, energy_bounds, quench
from spinspectra.ising.bounds import dual_bound, relaxed_fields, spectral_bound
from spinspectra.ising.oracles import ConstantCouplings, OpenChain, SquareLattice, TwoLayers
from tests.ising.helpers import SMALL, random_system

SHAPES = pytest.mark.parametrize("nodes", [*SMALL.values(), (20, 5, 30, 10)], ids=[*SMALL.keys(), "larger"])
NODES = st.lists(st.integers(1, 5), min_size=2, max_size=5).filter(lambda nodes: sum(nodes) <= 12)
SEEDS = st.integers(0, 2**32 - 1)
SLACK = 1.0 - 1e-12  # the rounding of the enumerated energy itself


def dense(chain):
    """The symmetric coupling matrix A, (N, N), in float64."""
    starts = np.cumsum([0, *chain.nodes])
    matrix = np.zeros((chain.n_spins, chain.n_spins))
    for i, J in enumerate(chain.couplings):
        matrix[starts[i] : starts[i + 1], starts[i + 1] : starts[i + 2]] = J
    return matrix + matrix.T


def dual_formula(chain, u):
    """[ sum(u) + N max(0, lambda_max(A - diag u)) ] / 2 by a dense eigenvalue solver, and its second term."""
    largest = max(0.0, float(np.linalg.eigvalsh(dense(chain) - np.diag(u))[-1]))
    return 0.5 * (u.sum() + chain.n_spins * largest), 0.5 * chain.n_spins * largest


@settings(max_examples=150, deadline=None, derandomize=True)
@given(NODES, SEEDS, st.sampled_from([np.float32, np.float64]), st.sampled_from([1e-3, 1.0, 1e3]))
def test_bounds_hold_for_enumerated_chains(nodes, seed, dtype, scale):
    system = random_system(nodes, seed, dtype)
    system = type(system)(tuple((scale * matrix).astype(dtype) for matrix in system.matrices))
    bounds = energy_bounds(system.chain())
    lowest = -system.ground_energy()
    assert bounds.spectral >= bounds.dual >= SLACK * lowest


@settings(max_examples=100, deadline=None, derandomize=True)
@given(NODES, SEEDS, st.data())
def test_bounds_hold_for_whole_number_couplings(nodes, seed, data):
    """Couplings of -1, 0 and +1: many exact ties, empty rows, matrices of low rank."""
    rng = np.random.default_rng(seed)
    system = random_system(nodes)
    weights = data.draw(st.sampled_from([[1, 0, 1], [1, 2, 1], [0, 5, 1], [0, 0, 1]]))
    chance = np.array(weights) / sum(weights)
    matrices = tuple(rng.choice([-1.0, 0.0, 1.0], size=matrix.shape, p=chance) for matrix in system.matrices)
    system = type(system)(matrices)
    bounds = energy_bounds(system.chain())
    assert bounds.spectral >= bounds.dual >= -SLACK * system.ground_energy()


@pytest.mark.parametrize(
    "u_of",
    [
        lambda chain, rng: np.zeros(chain.n_spins),
        lambda chain, rng: rng.standard_normal(chain.n_spins),
        lambda chain, rng: -np.abs(rng.standard_normal(chain.n_spins)),
        lambda chain, rng: -100.0 * np.ones(chain.n_spins),
        lambda chain, rng: 100.0 * np.ones(chain.n_spins),
        lambda chain, rng: 10.0 ** rng.uniform(-4, 4, chain.n_spins),
        lambda chain, rng: relaxed_fields(chain),
    ],
    ids=["zero", "random", "negative", "far below", "far above", "uneven", "relaxed"],
)
@SHAPES
def test_dual_bound_is_a_certificate_for_any_u(nodes, u_of):
    """Never below the exact formula, which is itself a bound, and above it by at most 5 % of the eigenvalue term."""
    chain = random_system(nodes, seed=3).chain()
    for seed in range(5):
        u = u_of(chain, np.random.default_rng(seed))
        exact, eigenvalue_term = dual_formula(chain, u)
        bound = dual_bound(chain, u)
        rounding = 1e-5 * chain.n_spins * (np.abs(u).mean() + np.abs(chain.flat).max())
        assert bound >= exact - 1e-12 * abs(exact)
        assert bound <= exact + 0.06 * eigenvalue_term + rounding


def test_dual_bound_of_any_u_holds_for_enumerated_chains():
    rng = np.random.default_rng(4)
    for seed in range(30):
        system = random_system((3, 4, 2), seed)
        u = rng.normal(rng.uniform(-2, 4), rng.uniform(0, 3), 9)
        assert dual_bound(system.chain(), u) >= -system.ground_energy()


def test_dual_bound_obeys_the_inequality_of_grothendieck():
    """Odd layers feel even ones only, so the relaxation exceeds |E_min| by less than pi / (2 ln(1 + sqrt 2)) = 1.782.

    That holds at the best u (Krivine 1979); here it tells that the u found is a good one.
    """
    for seed in range(20):
        system = random_system((5, 6, 5, 4), seed)
        assert energy_bounds(system.chain()).dual <= 1.782 * -system.ground_energy()


@pytest.mark.parametrize("nodes", [(20, 5, 30, 10), (60, 60), (40, 80, 40, 80, 40)], ids=str)
def test_u_found_is_within_a_percent_of_the_best(nodes):
    """Any unit vectors v give the relaxation from below: sum_l sum_ij J_ij v_i v_j, here with v along its fields.

    Eigenvectors of A - diag u near 0 span the best v; the fields they are turned along give a value that the
    bound must exceed and may not exceed by much.
    """
    chain = random_system(nodes, seed=2).chain()
    u = relaxed_fields(chain)
    matrix = dense(chain)
    vectors = np.linalg.eigh(matrix - np.diag(u))[1][:, -12:]
    for _ in range(300):
        for layer in np.split(np.arange(chain.n_spins), np.cumsum(nodes)[:-1]):
            vectors[layer] = matrix[layer] @ vectors
            vectors[layer] /= np.linalg.norm(vectors[layer], axis=1, keepdims=True)
    primal = 0.5 * float(np.sum(vectors * (matrix @ vectors)))
    assert primal <= dual_bound(chain, u) <= 1.01 * primal


@SHAPES
def test_spectral_bound_is_that_of_the_singular_values(nodes):
    chain = random_system(nodes, seed=5).chain()
    expected = sum(np.linalg.norm(J, 2) * np.sqrt(J.size) for J in chain.couplings)
    assert spectral_bound(chain) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "system",
    [
        OpenChain((0.7,)),
        ConstantCouplings((1, 9), (-2.0,)),
        ConstantCouplings((30, 50), (1.0,), gauge=1),
        SquareLattice(8),
    ],
    ids=["one bond", "star", "gauged", "square lattice"],
)
def test_bounds_are_tight_where_the_ground_state_is_an_eigenvector(system):
    bounds = energy_bounds(system.chain())
    lowest = -system.ground_energy()
    assert SLACK * lowest <= bounds.dual <= bounds.spectral
    assert bounds.spectral == pytest.approx(lowest, rel=1e-9)


def test_dual_bound_is_tight_for_an_open_chain_and_the_spectral_one_too():
    system = OpenChain(tuple(np.random.default_rng(6).standard_normal(40)))
    bounds = energy_bounds(system.chain())
    assert -SLACK * system.ground_energy() <= bounds.dual <= bounds.spectral
    assert bounds.spectral == pytest.approx(-system.ground_energy(), rel=1e-9)


@pytest.mark.parametrize("label", ["0.qkv", "0.fc1"])
def test_bounds_hold_for_real_weights(minilm, label):
    system = TwoLayers(minilm.couplings[minilm.labels.index(label)][:16, :1000])
    bounds = energy_bounds(system.chain())
    assert bounds.spectral >= bounds.dual >= -system.ground_energy()


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@SHAPES
def test_bounds_scale_with_the_couplings(nodes, dtype, scale):
    matrices = random_system(nodes, seed=7, dtype=dtype).matrices
    plain = energy_bounds(IsingChain.from_matrices(matrices))
    scaled = energy_bounds(IsingChain.from_matrices([(scale * matrix).astype(dtype) for matrix in matrices]))
    assert scaled.spectral == pytest.approx(scale * plain.spectral, rel=1e-9)
    assert scaled.dual == pytest.approx(scale * plain.dual, rel=1e-3)


@SHAPES
def test_zero_couplings_have_zero_bounds(nodes):
    matrices = [np.zeros(matrix.shape) for matrix in random_system(nodes).matrices]
    bounds = energy_bounds(IsingChain.from_matrices(matrices))
    assert (bounds.spectral, bounds.dual) == (0.0, 0.0)


def test_a_matrix_of_zeros_among_others():
    rng = np.random.default_rng(8)
    matrices = (rng.standard_normal((3, 4)), np.zeros((4, 2)), rng.standard_normal((2, 3)))
    system = type(random_system((1, 1)))(matrices)
    bounds = energy_bounds(system.chain())
    assert bounds.spectral >= bounds.dual >= -SLACK * system.ground_energy()


@SHAPES
def test_bounds_do_not_depend_on_the_gauge(nodes):
    """Turning spins and with them the signs of their couplings changes no energy."""
    matrices = random_system(nodes, seed=9).matrices
    turns = [np.random.default_rng(10).choice([-1.0, 1.0], size=n) for n in nodes]
    turned = [x[:, None] * J * y for x, J, y in zip(turns, matrices, turns[1:], strict=False)]
    plain, gauged = (energy_bounds(IsingChain.from_matrices(system)) for system in (matrices, turned))
    assert gauged.spectral == pytest.approx(plain.spectral, rel=1e-12)
    assert gauged.dual == pytest.approx(plain.dual, rel=2e-2)


@pytest.mark.parametrize("scale", [1e-130, 1e-40, 1e30, 1e130])
def test_bounds_hold_at_any_scale_a_chain_may_have(scale):
    chain = IsingChain.from_matrices([np.full((3, 3), scale)])
    bounds = energy_bounds(chain)
    assert 9 * scale <= bounds.dual <= bounds.spectral <= 9.001 * scale
    assert quench(chain).energy == pytest.approx(-9 * scale)


@pytest.mark.parametrize("n_layers", [1000, 5000])
def test_bounds_of_long_open_chains_are_not_rounded_below_the_truth(n_layers):
    """All bonds satisfied: |E_min| = sum |J| exactly, and both bounds are tight."""
    couplings = np.random.default_rng(n_layers).standard_normal(n_layers)
    chain = IsingChain.from_matrices([[[one]] for one in couplings])
    bounds = energy_bounds(chain)
    truth = math.fsum(np.abs(couplings))
    assert truth <= bounds.dual
    assert truth <= bounds.spectral <= truth * (1 + 1e-12)


def test_two_wide_layers_apart_cost_no_dense_block():
    """Layers 0 and 3 are both wide; whichever parity goes first leaves one of them, so there is no dual proof."""
    rng = np.random.default_rng(0)
    chain = IsingChain.from_matrices([rng.standard_normal(shape) for shape in [(20000, 2), (2, 2), (2, 20000)]])
    bounds = energy_bounds(chain)
    assert bounds.dual == bounds.spectral >= -quench(chain, restarts=1).energy
