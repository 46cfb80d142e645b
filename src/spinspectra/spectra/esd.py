"""The empirical spectral density of a weight matrix: the eigenvalues of W^T W, in float64, no 1/N.

W is taken N x M with N >= M, so a matrix and its transpose have the same M eigenvalues. Three exact routes:

    Gram matrix     eigenvalues of the M x M matrix W^T W. Fast, one pass over W; an eigenvalue is known to
                    4 sqrt(M) eps lambda_max absolutely (at most 1.7 sqrt(M) was seen), so small ones lose digits
    few smallest    those that lost more than 1e-6 of themselves, by Lanczos on (W^T W)^-1 through the QR or LU factors
                    of W, whose error is that of singular values
    singular values squares of the singular values of W, where many are that small. Slowest; s is known to eps s_max, so
                    lambda to 2 eps sqrt(lambda lambda_max): small ones keep twice as many digits
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import NonFiniteError, SpinSpectraError
from spinspectra.spectra.symmetric import symmetric_eigenvalues

_RELATIVE_ERROR = 1e-6  # of the smallest eigenvalue, beyond which the Gram route is given up
_FEW = 32  # eigenvalues that are worth refining one by one
_LARGE = 256  # columns from which that beats singular values
_CHUNK = 1 << 21  # values of W turned into float64 at a time, if they make _BLOCK rows
_BLOCK = 512  # rows of W^T W computed at a time
_UNSCALED = 64  # powers of 2 from 1 within which neither squares nor LAPACK need scaling
_EPS = float(np.finfo(np.float64).eps)


class SpectrumError(SpinSpectraError):
    """What was given has no spectrum: not a matrix, empty, or slices of different shapes."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Eigenvalues of W^T W, ascending, float64 (n_cols * n_matrices,).

    n_rows, n_cols: N and M, the larger and the smaller side. n_matrices: how many slices were pooled (the kernel
    positions of a convolution), 1 for a plain matrix. precision: relative spacing of the stored numbers, 1.2e-7
    for float32; it says below which eigenvalue there is only rounding (`floor`).
    """

    eigenvalues: NDArray[np.float64]
    n_rows: int
    n_cols: int
    n_matrices: int = 1
    precision: float = _EPS

    @property
    def aspect_ratio(self) -> float:
        """Q = N / M >= 1."""
        return self.n_rows / self.n_cols

    @property
    def floor(self) -> float:
        """Eigenvalues at or below this are rounding: of the stored numbers, or of the arithmetic here.

        Rounding errors of W are like a random matrix with entries of size precision * rms(W), whose largest
        singular value is that times (sqrt N + sqrt M); float64 arithmetic adds N eps s_max.
        """
        largest = float(self.eigenvalues[-1])
        total = float(self.eigenvalues.sum())
        rms = np.sqrt(total / (self.n_rows * self.n_cols * self.n_matrices))
        stored = self.precision * rms * (np.sqrt(self.n_rows) + np.sqrt(self.n_cols))
        computed = np.sqrt(largest) * self.n_rows * _EPS
        return float(max(stored, computed)) ** 2


def esd(matrix: ArrayLike | Sequence[NDArray[np.floating]], precision: float | None = None) -> Spectrum:
    """The spectrum of a matrix, (N, M) or (M, N), or of slices of one shape with their eigenvalues pooled.

    precision: relative spacing of the numbers as they were stored; default that of the array's own dtype.

    Raises SpectrumError if there is no matrix or slices differ in shape, NonFiniteError for NaN or infinity.
    """
    slices = _as_slices(matrix)
    if precision is None:
        precision = max(_precision_of(one) for one in slices)
    values = np.concatenate([_eigenvalues(_tall(one)) for one in slices])
    shape = slices[0].shape
    return Spectrum(np.sort(values), max(shape), min(shape), len(slices), precision)


def _as_slices(matrix: ArrayLike | Iterable[NDArray[np.floating]]) -> list[NDArray[np.floating]]:
    given = matrix if isinstance(matrix, list | tuple) and np.ndim(matrix[0] if matrix else 0) == 2 else [matrix]
    slices = [np.asarray(one) for one in given]
    for one in slices:
        if one.ndim != 2 or one.size == 0 or one.dtype.kind not in "fiub":
            raise SpectrumError(f"a spectrum needs a matrix of real numbers, got {one.dtype} of shape {one.shape}")
        if one.shape != slices[0].shape:
            raise SpectrumError(f"slices of shapes {slices[0].shape} and {one.shape} cannot be pooled")
    return slices


def _precision_of(array: NDArray[np.floating]) -> float:
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else _EPS


def _tall(matrix: NDArray[np.floating]) -> NDArray[np.floating]:
    return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T


def _largest(matrix: NDArray[np.floating]) -> float:
    """The largest absolute value, in two passes without a copy. Raises NonFiniteError if there are others."""
    largest = max(float(matrix.max()), -float(matrix.min()))
    if not np.isfinite(largest):
        bad = matrix.size - int(np.count_nonzero(np.isfinite(matrix)))
        raise NonFiniteError(f"{bad} of {matrix.size} values are NaN or infinite")
    return largest


def _eigenvalues(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of W^T W for a tall W, ascending and never negative. Scaled by a power of 2 if squares could overflow."""
    largest = _largest(matrix)
    if largest == 0.0:
        return np.zeros(matrix.shape[1])
    exponent = int(np.frexp(largest)[1])
    if abs(exponent) < _UNSCALED:
        exponent = 0
    values = np.maximum(symmetric_eigenvalues(_gram(matrix, exponent)), 0.0)
    error = 4.0 * np.sqrt(matrix.shape[1]) * _EPS * float(values[-1])
    n_lost = int(np.searchsorted(values, error / _RELATIVE_ERROR))
    if n_lost:
        few = n_lost <= _FEW and matrix.shape[1] >= _LARGE
        if not (few and _refine_smallest(_as_float64(matrix, exponent), values, n_lost)):
            values = np.sort(np.linalg.svd(_as_float64(matrix, exponent), compute_uv=False)) ** 2
    return np.ldexp(values, 2 * exponent) if exponent else values


def _gram(matrix: NDArray[np.floating], exponent: int) -> NDArray[np.float64]:
    """W^T W of W 2^-exponent, its lower triangle at least, from a block of rows at a time."""
    m = matrix.shape[1]
    step = max(_BLOCK, _CHUNK // m)
    if matrix.shape[0] <= step:
        rows = _as_float64(matrix, exponent)
        return np.asarray(rows.T @ rows)  # numpy computes half of it and mirrors
    gram, products = np.zeros((m, m)), np.empty(_BLOCK * m)
    for start in range(0, matrix.shape[0], step):
        rows = _as_float64(matrix[start : start + step], exponent)
        for first in range(0, m, _BLOCK):
            last = min(first + _BLOCK, m)
            product = products[: (last - first) * last].reshape(last - first, last)
            np.matmul(rows[:, first:last].T, rows[:, :last], out=product)
            gram[first:last, :last] += product
    return gram


def _as_float64(matrix: NDArray[np.floating], exponent: int) -> NDArray[np.float64]:
    """A copy of W 2^-exponent, in C order."""
    wide = matrix.astype(np.float64, order="C")
    return np.ldexp(wide, -exponent) if exponent else wide


def _refine_smallest(wide: NDArray[np.float64], values: NDArray[np.float64], n_lost: int) -> bool:
    """Replace the n_lost smallest eigenvalues of W^T W in `values` by those of (W^T W)^-1, inverted.

    False, and nothing replaced, if W is singular or Lanczos does not settle. A square W is overwritten.
    """
    from scipy.linalg import lapack
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    m = wide.shape[1]
    square: Any = wide if wide.shape[0] == m else np.linalg.qr(wide, mode="r")
    transposed = square.flags.c_contiguous  # LAPACK's columns are its rows, and no copy is needed
    lu, pivots, info = lapack.dgetrf(square.T if transposed else square, overwrite_a=True)
    if info != 0:  # exactly singular
        return False

    def inverse(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        half, _info = lapack.dgetrs(lu, pivots, vector.ravel(), trans=int(not transposed))
        solved, _info = lapack.dgetrs(lu, pivots, half, trans=int(transposed))
        return np.asarray(solved, np.float64)

    operator: Any = LinearOperator((m, m), matvec=inverse, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size=(m,))
    try:
        found = eigsh(operator, k=n_lost, v0=start, tol=1e-9, return_eigenvectors=False)
    except ArpackError:
        return False
    if not np.all(np.isfinite(found)) or found.min() <= 0.0:
        return False
    values[:n_lost] = np.sort(1.0 / found)
    return bool(np.all(np.diff(values[: n_lost + 1]) >= 0.0))
