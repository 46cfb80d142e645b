"""Localisation of a layer's eigenvectors: is a direction carried by a few coordinates, or spread over all of them?

Source: Martin and Mahoney, JMLR 22 (2021) 165 (arXiv 1810.01075), with weightwatcher 0.7.7's formulas and column names.
Vectors of pure noise are spread evenly (Haar): E sum_i v_i^4 = 3 / (M + 2), so a participation number near (M + 2)/3
is that of noise. A vector on one coordinate has 1. No measure depends on the vector's sign.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import NonFiniteError
from spinspectra.spectra.esd import SpectrumError

Floats = NDArray[np.float64]

BINS = 100
COLUMNS = ("vec_entropy", "loc_ratio", "part_ratio")

_EMPTY_BIN = 1e-10  # added to each bin's density, as the peer does, so that an empty one has a logarithm
_CHUNK = 1 << 20  # values worked on at a time
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class VectorMetrics:
    """One entry a vector, arrays (n,). The ratios do not depend on the length |v|_2, vec_entropy only below 1e-6.

    vec_entropy: Shannon entropy, in nats, of the histogram of |v_i| in 100 equal bins over its own range: at most
    ln 100 = 4.6; 0 where all |v_i| are equal. It tells how the sizes are shared out, not how many coordinates carry
    the vector. loc_ratio: |v|_1 / |v|_inf, from 1 (one coordinate) to M. part_ratio: |v|_2 / |v|_4, from 1 to M^(1/4).
    The ratios of a zero vector are NaN.
    """

    vec_entropy: Floats
    loc_ratio: Floats
    part_ratio: Floats

    @property
    def participation_number(self) -> Floats:
        """(sum v_i^2)^2 / sum v_i^4, from 1 to M: how many coordinates carry the vector."""
        return self.part_ratio**4


@dataclass(frozen=True, slots=True)
class Localisation:
    """The eigenvectors of a layer, those of each slice one after another, each ascending in eigenvalue.

    eigenvalues: (n_matrices * M,), of the Gram matrix, so known to `error` absolutely; vectors below it (the null
    space of a matrix without full rank) are an arbitrary basis, and so are their metrics.
    """

    eigenvalues: Floats
    metrics: VectorMetrics
    error: float


def vector_metrics(vectors: ArrayLike) -> VectorMetrics:
    """Localisation of vectors, one a row: shape (n, M), or (M,) for one vector. They need not have unit length.

    Raises SpectrumError for any other shape or no coordinate, NonFiniteError for NaN or infinity.
    """
    given = np.atleast_2d(np.asarray(vectors))
    if given.ndim != 2 or given.shape[1] == 0 or given.dtype.kind not in "fiub":
        raise SpectrumError(f"vectors: give real numbers of shape (n, M), got {given.dtype} of shape {given.shape}")
    _refuse_non_finite(given)
    parts = [_measure(np.abs(rows)) for rows in _float64_rows(given)]
    entropy, loc_ratio, part_ratio = (np.concatenate(made) for made in zip(*parts, strict=True))
    return VectorMetrics(entropy, loc_ratio, part_ratio)


def norm_entropy(vectors: ArrayLike) -> Floats:
    """exp(-|v|_2 / 2) / sqrt(2 pi) of vectors as in `vector_metrics`: what the peer's vector_metrics calls entropy.

    It sees only the length of the vector: 0.24197 for every eigenvector.
    """
    lengths = np.linalg.norm(np.atleast_2d(np.asarray(vectors, np.float64)), axis=1)
    return np.asarray(np.exp(-lengths / 2.0) / np.sqrt(2.0 * np.pi), np.float64)


def localisation(matrices: NDArray[np.floating] | Sequence[NDArray[np.floating]]) -> Localisation:
    """Eigenvectors of the smaller Gram matrix of a matrix (N, M) or (M, N), or of slices of one shape, measured.

    That is W^T W of the tall W, whose eigenvectors are the right singular vectors; a square W takes W W^T, its left
    ones, as the peer does.

    Raises SpectrumError if there is no matrix or slices differ in shape, NonFiniteError for NaN or infinity.
    """
    single = isinstance(matrices, np.ndarray) and matrices.ndim == 2
    slices = [np.asarray(one) for one in ([matrices] if single else matrices)]
    shapes = {one.shape for one in slices}
    if len(shapes) != 1 or any(one.ndim != 2 or one.size == 0 or one.dtype.kind not in "fiub" for one in slices):
        raise SpectrumError(f"eigenvectors need real matrices of one shape, got shapes {sorted(shapes)}")
    eigenvalues, parts = [], []
    for one in slices:
        _refuse_non_finite(one)
        values, vectors = _eigenvectors(one.T if one.shape[0] <= one.shape[1] else one)
        eigenvalues.append(values)
        parts.append(vector_metrics(vectors))
    metrics = VectorMetrics(*(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS))
    pooled = np.concatenate(eigenvalues)
    return Localisation(pooled, metrics, 4.0 * np.sqrt(min(slices[0].shape)) * _EPS * float(pooled.max()))


def localisation_columns(found: Localisation, xmin: float) -> dict[str, float]:
    """Mean and variance (of the sample, ddof 0) of each metric over the bulk, eigenvalue < xmin, and the tail, >= xmin.

    xmin: in the unit of the eigenvalues, as PowerLawFit has it; an eigenvalue equal to it to `found.error` is in the
    tail. Keys bulk_mean_X, bulk_var_X, tail_mean_X, tail_var_X for X in vec_entropy, loc_ratio, part_ratio. NaN where
    a side is empty, all NaN for a NaN xmin. The null space counts in the bulk, as it does for the peer.
    """
    tail = found.eigenvalues >= xmin - found.error
    sides = {"bulk": ~tail & np.isfinite(xmin), "tail": tail}
    made = {}
    for name in COLUMNS:
        for side, chosen in sides.items():
            values = getattr(found.metrics, name)[chosen]
            made[f"{side}_mean_{name}"] = float(values.mean()) if values.size else np.nan
            made[f"{side}_var_{name}"] = float(values.var()) if values.size else np.nan
    return made


def _eigenvectors(tall: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Ascending eigenvalues (M,) of W^T W, never negative, and eigenvectors (M, M), one a row."""
    exponent = int(np.frexp(float(np.abs(tall).max()))[1])  # scaled by a power of 2, so nothing overflows
    gram = np.zeros((tall.shape[1], tall.shape[1]))
    for rows in _float64_rows(tall):
        scaled = np.ldexp(rows, -exponent)
        gram += scaled.T @ scaled
    values, vectors = np.linalg.eigh(gram)
    return np.ldexp(np.maximum(values, 0.0), 2 * exponent), np.asarray(vectors.T, np.float64)


def _measure(sizes: Floats) -> tuple[Floats, Floats, Floats]:
    largest = sizes.max(axis=1)
    unit = sizes / np.where(largest > 0.0, largest, np.nan)[:, None]  # no power over- or underflows
    squares = unit * unit
    part_ratio = np.sqrt(squares.sum(axis=1) / np.sqrt(np.einsum("ij,ij->i", squares, squares)))
    return _histogram_entropy(sizes), unit.sum(axis=1), part_ratio


def _histogram_entropy(sizes: Floats) -> Floats:
    """Of each row's histogram over its own range. The mean that the peer takes off first shifts the bins along."""
    n, m = sizes.shape
    low, width = sizes.min(axis=1), np.ptp(sizes, axis=1)
    flat = width <= 0.0
    low, width = np.where(flat, low - 0.5, low), np.where(flat, 1.0, width)  # numpy's range of equal values
    bins = ((sizes - low[:, None]) / width[:, None] * BINS).astype(np.int64)
    bins = np.minimum(bins, BINS - 1) + BINS * np.arange(n)[:, None]
    counts = np.bincount(bins.ravel(), minlength=n * BINS).reshape(n, BINS)
    density = counts * (BINS / (m * width))[:, None] + _EMPTY_BIN
    share = density / density.sum(axis=1, keepdims=True)
    return np.asarray(-(share * np.log(share)).sum(axis=1), np.float64)


def _float64_rows(array: NDArray[np.floating]) -> Iterator[Floats]:
    step = max(1, _CHUNK // array.shape[1])
    for start in range(0, max(1, array.shape[0]), step):
        yield np.ascontiguousarray(array[start : start + step], np.float64)


def _refuse_non_finite(array: NDArray[np.floating]) -> None:
    if bad := array.size - int(np.count_nonzero(np.isfinite(array))):
        raise NonFiniteError(f"{bad} of {array.size} values are NaN or infinite")
