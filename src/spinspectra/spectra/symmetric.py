"""All eigenvalues of a large symmetric matrix, in two stages: to a band by matrix products, then LAPACK's band solver.

LAPACK's own reduction to tridiagonal form does half of its work as products of the matrix with one vector, which wait
for memory. A reduction to a band of width b (Bischof, Lang, Sun 2000: successive band reduction) does all of it as
products with b vectors at a time. With A = A22 the part still to reduce and its leading panel P = Q R,

    A <- Q^T A Q,   Q = I - V T V^T,   = A - V W^T - W V^T,   W = Y - V (T^T V^T Y) / 2,   Y = A V T.

Orthogonal throughout, so each eigenvalue is known to a small multiple of eps lambda_max, as from LAPACK.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from spinspectra.cores import n_cores

TWO_STAGES_FROM = 3072  # rows; below it one stage is as fast
_BAND = 64
_BLOCK = 256  # rows updated at a time, so that their product stays in cache

Matrix = NDArray[np.float64]


def symmetric_eigenvalues(matrix: Matrix) -> Matrix:
    """Ascending, shape (n,), of a symmetric C-contiguous (n, n) matrix; a large one is overwritten.

    Only the lower triangle is read. From 3,072 rows on by two stages, below by LAPACK's divide and conquer.
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
    """Replace the lower triangle by that of a similar matrix with zeros below `width` sub-diagonals (not written).

    Blocks of rows go to threads of our own, with one BLAS thread each: BLAS's own, which meet at the end of each of
    thousands of products, took twice as long on a machine with anything else to do.
    """
    from scipy.linalg import lapack

    n, n_workers = matrix.shape[0], n_cores()
    with ThreadPoolExecutor(n_workers) as pool, threadpool_limits(1, user_api="blas"):
        for start in range(width, n - 1, width):
            panel = np.asfortranarray(matrix[start:, start - width : start])
            k = min(panel.shape)
            # compact WY form (Schreiber, Van Loan 1989): R above, V below the diagonal, T beside
            packed, t, _info = lapack.dgeqrt(k, panel, overwrite_a=True)
            matrix[start : start + k, start - width : start] = np.triu(packed[:k])
            v = np.tril(packed[:, :k], -1)
            np.fill_diagonal(v, 1.0)
            _rotate(matrix[start:, start:], v, np.triu(t[:k, :k]), pool, n_workers)


def _rotate(a: Matrix, v: Matrix, t: Matrix, pool: Executor, n_workers: int) -> None:
    """Q^T A Q in the lower triangle of a (m, m), with v (m, k) and t (k, k)."""
    vt = v @ t
    x = np.ascontiguousarray(vt.T)
    blocks = list(range(0, a.shape[0], _BLOCK))
    shares = [blocks[one::n_workers] for one in range(n_workers)]
    y = np.sum(list(pool.map(partial(_times_symmetric, x, a), shares)), axis=0).T
    w = y - 0.5 * (v @ (vt.T @ y))
    left, right = np.hstack([v, w]), np.ascontiguousarray(np.hstack([w, v]).T)
    for _done in pool.map(partial(_update, a, left, right), shares):
        pass


def _times_symmetric(x: Matrix, a: Matrix, blocks: Sequence[int]) -> Matrix:
    """What blocks of rows add to x A, (k, m), for the symmetric A of which a (m, m) holds the lower triangle."""
    y = np.zeros(x.shape)
    for first in blocks:
        last = min(first + _BLOCK, a.shape[0])
        lower = np.tril(a[first:last, first:last])
        y[:, first:last] += x[:, first:last] @ (lower + np.tril(lower, -1).T)
        if first:
            rows = a[first:last, :first]
            y[:, first:last] += x[:, :first] @ rows.T
            y[:, :first] += x[:, first:last] @ rows
    return y


def _update(a: Matrix, left: Matrix, right: Matrix, blocks: Sequence[int]) -> None:
    """Subtract left @ right from blocks of rows of the lower triangle."""
    products = np.empty((min(_BLOCK, a.shape[0]), a.shape[0]))
    for first in blocks:
        last = min(first + _BLOCK, a.shape[0])
        product = products[: last - first].reshape(-1)[: (last - first) * last].reshape(last - first, last)
        np.matmul(left[first:last], right[:, :last], out=product)
        a[first:last, :last] -= product
