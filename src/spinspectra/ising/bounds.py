"""Certified bounds on the ground state: how low E can possibly be, whatever search was run.

With A the symmetric coupling matrix (J_l off the diagonal) and E = - s^T A s / 2, two upper bounds on |E_min|:

    spectral   sum_l sigma_max(J_l) sqrt(n_l n_{l+1})
    dual       [ sum(u) + N max(0, lambda_max(A - diag u)) ] / 2   for any vector u

The dual one is the semidefinite relaxation of the ground state (Goemans, Williamson 1995) seen from its dual side.
A good u comes from the primal side: unit vectors v_i in place of spins, each turned along its field g_i =
sum_j J_ij v_j until all agree (Burer, Monteiro 2003; the mixing method of Wang, Chang, Kolter 2017); then u_i = |g_i|.
A bad u still gives a true bound, since lambda_max is not estimated but proved by a factorisation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from spinspectra.ising.blas import blas_threads
from spinspectra.ising.certificate import is_dominant, widest_block
from spinspectra.ising.chain import IsingChain

_RANK = 24  # dimensions of the unit vectors; more gains less than 1e-3 of the bound on real weights
_MAX_SWEEPS = 200
_CONVERGED = 2e-6  # relative gain of sum(u) in one sweep
_EIGENVALUE_PRECISION = 0.05  # of lambda_max(A - diag u), itself about 1e-3 of the bound

_WIDEST = 16_384  # rows of a dense block: 2 GiB

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class EnergyBounds:
    """Upper bounds on |E_min|, in the unit of the weights; divide by n_spins for the value per spin.

    spectral: from the largest singular values. dual: from the semidefinite dual, never above `spectral`.
    """

    spectral: float
    dual: float


def energy_bounds(chain: IsingChain) -> EnergyBounds:
    """Both bounds of a chain: |E_min| <= dual <= spectral, so the width 2 |E_min| is enclosed from above.

    Allowances for rounding are in both. Takes seconds for a network of ten thousand spins: the matrix products of up to
    200 sweeps with 24 columns, and ten factorisations. Where a proof would need a dense block beyond 16,384 rows (two
    layers in a row wider than that), dual is the spectral bound.
    """
    with blas_threads(chain):
        spectral = spectral_bound(chain)
        if widest_block(chain.nodes) > _WIDEST:
            return EnergyBounds(spectral, spectral)
        return EnergyBounds(spectral, min(spectral, dual_bound(chain, relaxed_fields(chain))))


def spectral_bound(chain: IsingChain) -> float:
    """sum_l sigma_max(J_l) sqrt(n_l n_{l+1}), singular values from the smaller Gram matrix in float64."""
    return _rounded_up([_spectral_norm_bound(matrix) * float(np.sqrt(matrix.size)) for matrix in chain.couplings])


def _spectral_norm_bound(matrix: NDArray[np.floating]) -> float:
    """sigma_max of a matrix or slightly more: rounding of the product and of the solver is added."""
    wide = matrix.astype(np.float64)
    gram = wide @ wide.T if wide.shape[0] <= wide.shape[1] else wide.T @ wide
    n = gram.shape[0]
    (largest,) = scipy.linalg.eigvalsh(gram, subset_by_index=(n - 1, n - 1))
    error = (sum(matrix.shape) + 8) * _EPS * float(np.trace(gram))
    return float(np.sqrt(max(float(largest), 0.0) + error))


def _rounded_up(terms: Sequence[float]) -> float:
    """The sum of positive terms, each known to a few units in the last place, or slightly more."""
    return math.fsum(terms) * (1.0 + 16 * _EPS)


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

    def proved(shift: float) -> bool:
        return is_dominant(chain.couplings, [diagonal + shift for diagonal in diagonals])

    while not proved(high):
        low, high = high, 4.0 * high
    while high - low > _EIGENVALUE_PRECISION * high and high > 1e-6 * scale:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if proved(middle) else (middle, high)
    total = math.fsum([*u.tolist(), chain.n_spins * high])
    return 0.5 * (total + 16 * _EPS * (math.fsum(np.abs(u).tolist()) + chain.n_spins * high))


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
