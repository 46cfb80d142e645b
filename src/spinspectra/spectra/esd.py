"""The empirical spectral density of a weight matrix: the eigenvalues of W^T W, in float64, no 1/N.

W is taken N x M with N >= M, so a matrix and its transpose have the same M eigenvalues. Two exact routes:

    Gram matrix     eigenvalues of the M x M matrix W^T W. Fast, one pass over W; an eigenvalue is known to
                    about M eps lambda_max absolutely, so small ones lose digits
    singular values squares of the singular values of W. Slower; s is known to eps s_max, so lambda to
                    2 eps sqrt(lambda lambda_max): small ones keep twice as many digits

The Gram matrix is taken wherever it gives every eigenvalue to 1e-6 of itself, singular values elsewhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import NonFiniteError, SpinSpectraError

_RELATIVE_ERROR = 1e-6  # of the smallest eigenvalue, beyond which the Gram route is given up
_CHUNK = 1 << 22  # values of W turned into float64 at a time
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
        if bad := one.size - int(np.count_nonzero(np.isfinite(one))):
            raise NonFiniteError(f"{bad} of {one.size} values are NaN or infinite")
    return slices


def _precision_of(array: NDArray[np.floating]) -> float:
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else _EPS


def _tall(matrix: NDArray[np.floating]) -> NDArray[np.floating]:
    return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T


def _eigenvalues(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of W^T W for a tall W, ascending and never negative. Scaled by a power of 2, so nothing overflows."""
    largest = float(np.abs(matrix).max())
    if largest == 0.0:
        return np.zeros(matrix.shape[1])
    exponent = int(np.frexp(largest)[1])
    values = _gram_eigenvalues(matrix, exponent)
    error = matrix.shape[1] * _EPS * values[-1]
    if values[0] * _RELATIVE_ERROR < error:
        wide = np.ldexp(matrix.astype(np.float64), -exponent)
        values = np.sort(scipy.linalg.svdvals(wide, overwrite_a=True, check_finite=False)) ** 2
    return np.ldexp(values, 2 * exponent)


def _gram_eigenvalues(matrix: NDArray[np.floating], exponent: int) -> NDArray[np.float64]:
    m = matrix.shape[1]
    gram = np.zeros((m, m), order="F")
    for rows in _float64_rows(matrix):
        scaled = np.ldexp(rows, -exponent)
        # W^T W of the rows, upper triangle only: half the work of a product
        gram = scipy.linalg.blas.dsyrk(1.0, scaled.T, beta=1.0, c=gram, overwrite_c=True)
    values = scipy.linalg.eigvalsh(gram, lower=False, overwrite_a=True, check_finite=False, driver="ev")
    return np.maximum(values, 0.0)


def _float64_rows(matrix: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    step = max(1, _CHUNK // matrix.shape[1])
    for start in range(0, matrix.shape[0], step):
        yield np.ascontiguousarray(matrix[start : start + step], np.float64)
