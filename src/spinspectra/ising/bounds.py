"""Certified bounds on the ground state: how low E can possibly be, whatever search was run.

With A the symmetric coupling matrix (J_l off the diagonal) and E = - s^T A s / 2, two upper bounds on |E_min|:

    spectral   sum_l sigma_max(J_l) sqrt(n_l n_{l+1})
    dual       [ sum(u) + N max(0, lambda_max(A - diag u)) ] / 2   for any vector u

The dual one is the semidefinite relaxation of the ground state (Goemans, Williamson 1995) seen from its dual side.
A good u comes from the primal side: unit vectors v_i in place of spins, each turned along its field g_i =
sum_j J_ij v_j until all agree (Burer, Monteiro 2003; the mixing method of Wang, Chang, Kolter 2017); then u_i = |g_i|.
A bad u still gives a true bound, since lambda_max is not estimated but proved by a factorisation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from spinspectra.ising.blas import blas_threads
from spinspectra.ising.chain import IsingChain

_RANK = 24  # dimensions of the unit vectors; more gains less than 1e-3 of the bound on real weights
_MAX_SWEEPS = 200
_CONVERGED = 2e-6  # relative gain of sum(u) in one sweep
_EIGENVALUE_PRECISION = 0.05  # of lambda_max(A - diag u), itself about 1e-3 of the bound

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EnergyBounds:
    """Upper bounds on |E_min|, in the unit of the weights; divide by n_spins for the value per spin.

    spectral: from the largest singular values. dual: from the semidefinite dual, never above `spectral`.
    """

    spectral: float
    dual: float


def energy_bounds(chain: IsingChain) -> EnergyBounds:
    """Both bounds of a chain: |E_min| <= dual <= spectral, so the width 2 |E_min| is enclosed from above.

    Takes seconds for a network of ten thousand spins; the matrix products of about 200 sweeps with 24 columns.
    """
    with blas_threads(chain):
        spectral = spectral_bound(chain)
        return EnergyBounds(spectral, min(spectral, dual_bound(chain, relaxed_fields(chain))))


def spectral_bound(chain: IsingChain) -> float:
    """sum_l sigma_max(J_l) sqrt(n_l n_{l+1}), singular values from the smaller Gram matrix in float64."""
    total = 0.0
    for matrix in chain.couplings:
        wide = matrix.astype(np.float64)
        gram = wide @ wide.T if wide.shape[0] <= wide.shape[1] else wide.T @ wide
        n = gram.shape[0]
        (largest,) = scipy.linalg.eigvalsh(gram, subset_by_index=(n - 1, n - 1))
        # rounding of the product and of the solver is below n eps of the largest eigenvalue
        largest = max(largest, 0.0) * (1.0 + 8 * max(matrix.shape) * np.finfo(np.float64).eps)
        total += float(np.sqrt(largest * matrix.shape[0] * matrix.shape[1]))
    return total


def relaxed_fields(chain: IsingChain) -> NDArray[np.float64]:
    """A good u for the dual bound, (N,): |g_i| where the relaxed spins, unit vectors, have nearly settled."""
    rng = np.random.default_rng(0)
    couplings = chain.couplings
    vectors = [_unit_rows(rng.standard_normal((n, _RANK)).astype(chain.flat.dtype))[0] for n in chain.nodes]
    fields: list[NDArray[np.floating]] = [np.zeros(n) for n in chain.nodes]
    before = 0.0
    for _ in range(_MAX_SWEEPS):
        for layer in range(len(chain.nodes)):
            pull = _pull(couplings, vectors, layer)
            vectors[layer], fields[layer] = _unit_rows(pull)
        total = float(sum(field.sum(dtype=np.float64) for field in fields))
        if total - before <= _CONVERGED * total:
            break
        before = total
    return np.concatenate([np.linalg.norm(_pull(couplings, vectors, i), axis=1) for i in range(len(vectors))]).astype(
        np.float64
    )


def dual_bound(chain: IsingChain, u: NDArray[np.float64]) -> float:
    """[ sum(u) + N m ] / 2 for the given u, (N,), with m >= max(0, lambda_max(A - diag u)) proved.

    m is the least found, to 5 %, for which m + diag(u) - A has a Cholesky factorisation; that it has one is the
    proof. Raises nothing: any u gives a bound.
    """
    diagonals = np.split(u, np.cumsum(chain.nodes)[:-1])
    scale = float(np.mean(np.abs(u))) + float(np.abs(chain.flat).max())
    if scale == 0.0:
        return 0.0
    low, high = 0.0, 1e-3 * scale
    while not _dominates(chain, diagonals, high):
        low, high = high, 4.0 * high
    while high - low > _EIGENVALUE_PRECISION * high and high > 1e-6 * scale:
        middle = 0.5 * (low + high)
        if _dominates(chain, diagonals, middle):
            high = middle
        else:
            low = middle
    return 0.5 * (float(u.sum()) + chain.n_spins * high)


def _dominates(chain: IsingChain, diagonals: Sequence[NDArray[np.float64]], shift: float) -> bool:
    """Whether shift + diag(u) - A is positive definite, by factorisation.

    Layers of one parity feel only those of the other, so one parity is eliminated while its block is still
    diagonal; the Schur complement on the rest is block tridiagonal and is factorised block by block. The
    parity with the wide layers goes first, so that no block is wider than the narrow ones.
    """
    shifted = [diagonal + shift for diagonal in diagonals]
    parity = _parity_to_eliminate(chain.nodes)
    if any(float(d.min()) <= 0.0 for d in shifted):
        return False
    inner, outer = _schur_complement(chain.couplings, shifted, parity)
    return _is_positive_definite(inner, outer, 64 * np.finfo(np.float64).eps * max(float(d.max()) for d in shifted))


def _parity_to_eliminate(nodes: Sequence[int]) -> int:
    """0 or 1: of which layers, even or odd, the cubes of the sizes sum to more."""
    cubes = [sum(float(n) ** 3 for n in nodes[parity::2]) for parity in (0, 1)]
    return int(cubes[1] >= cubes[0])


def _schur_complement(
    couplings: Sequence[NDArray[np.floating]], diagonals: Sequence[NDArray[np.float64]], parity: int
) -> tuple[list[Matrix], list[Matrix]]:
    """Diagonal blocks (n_l, n_l) and those to the next kept layer, once layers of `parity` are eliminated."""
    n_layers = len(diagonals)
    kept = range(1 - parity, n_layers, 2)
    inner = [np.diag(diagonals[layer]) for layer in kept]
    outer: list[Matrix] = []
    for eliminated in range(parity, n_layers, 2):
        weights = 1.0 / np.sqrt(diagonals[eliminated])
        before, after = eliminated - 1, eliminated + 1
        left = couplings[before] * weights if before >= 0 else None  # (n_before, n_eliminated)
        right = weights[:, None] * couplings[eliminated] if after < n_layers else None  # (n_eliminated, n_after)
        if left is not None:
            inner[before // 2] -= left @ left.T
        if right is not None:
            inner[after // 2] -= right.T @ right
        if left is not None and right is not None:
            outer.append(-left @ right)
    return inner, outer


def _is_positive_definite(inner: list[Matrix], outer: list[Matrix], margin: float) -> bool:
    """Block Cholesky of a block tridiagonal matrix, less `margin` on its diagonal to allow for rounding."""
    for i, block in enumerate(inner):
        n = block.shape[0]
        block[np.diag_indices(n)] -= margin * n
        try:
            factor = scipy.linalg.cholesky(block, lower=True, overwrite_a=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            return False
        if i < len(outer):
            solved = scipy.linalg.solve_triangular(factor, outer[i], lower=True, check_finite=False)
            inner[i + 1] -= solved.T @ solved
    return True


def _pull(
    couplings: Sequence[NDArray[np.floating]], vectors: Sequence[NDArray[np.floating]], layer: int
) -> NDArray[np.floating]:
    """g_i = sum_j J_ij v_j for the spins of one layer, (n_l, rank)."""
    pull = np.zeros_like(vectors[layer])
    if layer > 0:
        pull += couplings[layer - 1].T @ vectors[layer - 1]
    if layer < len(couplings):
        pull += couplings[layer] @ vectors[layer + 1]
    return pull


def _unit_rows(rows: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Rows scaled to length 1, and their lengths; a row of zeros becomes the first axis, of length 0."""
    lengths = np.linalg.norm(rows, axis=1)
    empty = lengths == 0.0
    if empty.any():
        rows = rows.copy()
        rows[empty, 0] = 1.0
    return rows / np.where(empty, 1.0, lengths)[:, None].astype(rows.dtype), lengths
