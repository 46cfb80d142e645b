"""All eigenvalues of a large symmetric matrix, in two stages: to a band by matrix products, then LAPACK's band solver.

LAPACK's own reduction to tridiagonal form does half of its work as products of the matrix with one vector, which wait
for memory. A reduction to a band of width b (Bischof, Lang, Sun 2000: successive band reduction) does all of it as
products with b vectors at a time. With A = A22 the part still to reduce and its leading panel P = Q R,

    A <- Q^T A Q,   Q = I - V T V^T,   = A - V W^T - W V^T,   W = Y - V (T^T V^T Y) / 2,   Y = A V T.

Orthogonal throughout, so each eigenvalue is known to a small multiple of eps lambda_max, as from LAPACK.
"""

import numpy as np
from numpy.typing import NDArray

TWO_STAGES_FROM = 2560  # rows; below it LAPACK's one stage is as fast
_BAND = 64
_BLOCK = 256  # rows updated at a time, so that their product stays in cache

Matrix = NDArray[np.float64]


def symmetric_eigenvalues(matrix: Matrix) -> Matrix:
    """Ascending, shape (n,), of a symmetric C-contiguous (n, n) matrix; a large one is overwritten.

    Only the lower triangle is read. From 2,560 rows on by two stages, below by LAPACK's divide and conquer.
    """
    if matrix.shape[0] < TWO_STAGES_FROM:
        return np.asarray(np.linalg.eigvalsh(matrix), np.float64)
    return two_stage_eigenvalues(matrix)


def two_stage_eigenvalues(matrix: Matrix, width: int = _BAND) -> Matrix:
    """The same at any size n >= 1, always in two stages through a band of `width` diagonals; overwrites the matrix."""
    import scipy.linalg

    reduce_to_band(matrix, width)
    n = matrix.shape[0]
    band = np.zeros((min(width, n - 1) + 1, n))
    for i in range(band.shape[0]):
        band[i, : n - i] = np.diagonal(matrix, -i)
    values = scipy.linalg.eig_banded(band, lower=True, eigvals_only=True, overwrite_a_band=True, check_finite=False)
    return np.asarray(values, np.float64)


def reduce_to_band(matrix: Matrix, width: int) -> None:
    """Replace the lower triangle by that of a similar matrix with zeros below `width` sub-diagonals (not written)."""
    from scipy.linalg import lapack

    n = matrix.shape[0]
    products = np.empty(_BLOCK * n)
    for start in range(width, n - 1, width):
        panel = np.asfortranarray(matrix[start:, start - width : start])
        k = min(panel.shape)
        # compact WY form (Schreiber, Van Loan 1989): R above, V below the diagonal, T beside
        packed, t, _info = lapack.dgeqrt(k, panel, overwrite_a=True)
        matrix[start : start + k, start - width : start] = np.triu(packed[:k])
        v = np.tril(packed[:, :k], -1)
        np.fill_diagonal(v, 1.0)
        _rotate(matrix[start:, start:], v, np.triu(t[:k, :k]), products)


def _rotate(a: Matrix, v: Matrix, t: Matrix, products: Matrix) -> None:
    """Q^T A Q in the lower triangle of a (m, m), with v (m, k) and t (k, k)."""
    vt = v @ t
    y = _times_symmetric(np.ascontiguousarray(vt.T), a).T
    w = y - 0.5 * (v @ (vt.T @ y))
    left, right = np.hstack([v, w]), np.ascontiguousarray(np.hstack([w, v]).T)
    for first in range(0, a.shape[0], _BLOCK):
        last = min(first + _BLOCK, a.shape[0])
        product = products[: (last - first) * last].reshape(last - first, last)
        np.matmul(left[first:last], right[:, :last], out=product)
        a[first:last, :last] -= product


def _times_symmetric(x: Matrix, a: Matrix) -> Matrix:
    """x A, (k, m), for the symmetric A of which a (m, m) holds the lower triangle."""
    y = np.zeros(x.shape)
    for first in range(0, a.shape[0], _BLOCK):
        last = min(first + _BLOCK, a.shape[0])
        lower = np.tril(a[first:last, first:last])
        y[:, first:last] += x[:, first:last] @ (lower + np.tril(lower, -1).T)
        if first:
            rows = a[first:last, :first]
            y[:, first:last] += x[:, :first] @ rows.T
            y[:, :first] += x[:, first:last] @ rows
    return y
