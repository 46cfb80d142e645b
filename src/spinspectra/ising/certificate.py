"""Proof that diag(d) - A is positive definite, A the symmetric coupling matrix of a chain, by factorisation.

Layers of one parity feel only those of the other, so one parity is eliminated while its block is still diagonal; the
Schur complement on the rest is block tridiagonal and is factorised block by block. The parity with the wide layers
goes first, so that no dense block is wider than the narrow ones.

Rounding is allowed for by asking more than is needed: the diagonal is lowered by a bound on the errors of the
products (Higham 2002, section 3.5) and of the Cholesky factorisation (Rump 2006, "Verification of positive
definiteness", theorem 2.3). A factorisation that still succeeds proves the matrix positive definite.
"""

from collections.abc import Sequence

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)  # twice the unit roundoff, so every bound below is doubled


def widest_block(nodes: Sequence[int]) -> int:
    """Rows of the largest dense block that a proof for these layers needs."""
    return max(nodes[1 - _parity_to_eliminate(nodes) :: 2], default=1)


def is_dominant(couplings: Sequence[NDArray[np.floating]], diagonals: Sequence[NDArray[np.float64]]) -> bool:
    """Whether diag(d) - A is proved positive definite; False says only that it was not.

    couplings: J_l, (n_l, n_{l+1}). diagonals: d, one vector a layer, (n_l,).
    """
    if any(float(d.min()) <= 0.0 for d in diagonals):
        return False
    parity = _parity_to_eliminate([d.size for d in diagonals])
    inner, outer, error = _schur_complement(couplings, diagonals, parity)
    trace = sum(float(np.trace(block)) for block in inner)
    widest = max((block.shape[0] for block in inner), default=0)
    error += 4 * (widest + 1) * _EPS * abs(trace) + 4 * _EPS * max(float(d.max()) for d in diagonals)
    return _factorises(inner, outer, error)


def _parity_to_eliminate(nodes: Sequence[int]) -> int:
    """0 or 1: of which layers, even or odd, the cubes of the sizes sum to more."""
    cubes = [sum(float(n) ** 3 for n in nodes[parity::2]) for parity in (0, 1)]
    return int(cubes[1] >= cubes[0])


def _schur_complement(
    couplings: Sequence[NDArray[np.floating]], diagonals: Sequence[NDArray[np.float64]], parity: int
) -> tuple[list[Matrix], list[Matrix], float]:
    """Diagonal blocks (n_l, n_l) and those to the next kept layer, once layers of `parity` are eliminated.

    Also a bound on the spectral norm of the error that rounding made.
    """
    n_layers = len(diagonals)
    inner = [np.diag(diagonals[layer]) for layer in range(1 - parity, n_layers, 2)]
    outer: list[Matrix] = []
    error = 0.0
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
        norms = sum(float(np.linalg.norm(factor)) for factor in (left, right) if factor is not None)
        error += (weights.size + 8) * _EPS * norms**2
    return inner, outer, error


def _factorises(inner: list[Matrix], outer: list[Matrix], lowered: float) -> bool:
    """Whether a block tridiagonal matrix, its diagonal lowered, has a Cholesky factorisation. Overwrites `inner`."""
    for i, block in enumerate(inner):
        block[np.diag_indices(block.shape[0])] -= lowered
        try:
            factor = scipy.linalg.cholesky(block, lower=True, overwrite_a=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            return False
        if i < len(outer):
            solved = scipy.linalg.solve_triangular(factor, outer[i], lower=True, check_finite=False)
            inner[i + 1] -= solved.T @ solved
    return True
