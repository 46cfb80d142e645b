"""FARMS: spectrum and tail of a layer from submatrices of one aspect ratio, so that layers of any shape compare.

Source: Hu, Goel, Killiakov, Yang, ICML 2025 (arXiv 2506.06280), Fixed-Aspect-Ratio Matrix Subsampling. The spectrum of
pure noise narrows as Q = N/M grows (Marchenko-Pastur), so alpha of a long matrix is too large whatever was learnt.
Windows of one Q slide over W; their eigenvalues are pooled, which averages their densities; Hill's estimate from the
upper half of the pool is the layer's alpha. The slices of a convolution are pooled too: the authors' code averages an
alpha for each block of rows instead, over whole blocks only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.spectra.esd import Spectrum, SpectrumError, esd
from spinspectra.spectra.goodness import hill_alpha

Matrices = NDArray[np.floating] | Sequence[NDArray[np.floating]]

MOST_WINDOWS = 15  # along a side; the authors' number for language models


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows lie in the tall matrix, N x M with N >= M: each n_rows x n_cols, at every row and column start.

    n_cols <= n_rows.
    """

    n_rows: int
    n_cols: int
    row_starts: tuple[int, ...]
    col_starts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.row_starts) * len(self.col_starts)


def place_windows(
    shape: tuple[int, int], q: float = 1.0, size: int | None = None, n_windows: int | None = None
) -> Windows:
    """Windows of aspect ratio q on a matrix of a shape, evenly spaced from edge to edge along either side.

    q: longer over shorter side of a window, >= 1, kept to rounding to whole rows. size: shorter side; default, and at
    most, the largest that fits. Layers compare best at one size, since a window sees a fraction of a layer's
    correlations. n_windows: along each side, fewer where fewer different ones fit; default just enough to cover the
    side, at most 15. So a square matrix with q = 1 is one window, itself.

    Raises OptionError for q < 1, size < 1, n_windows < 1, or a matrix too small for one window.
    """
    long, short = max(shape), min(shape)
    if not 1.0 <= q < np.inf:
        raise OptionError(f"q={q!r}: give an aspect ratio of 1 or more")
    for name, value in (("size", size), ("n_windows", n_windows)):
        if value is not None and (not isinstance(value, int | np.integer) or value < 1):
            raise OptionError(f"{name}={value!r}: give a whole number, 1 or more")
    fits = int(long / q * (1.0 + 1e-12))
    n_cols = min(short, fits, short if size is None else size)
    if n_cols < 1:
        raise OptionError(f"q={q!r}: no window of this aspect ratio fits a matrix of shape {long} x {short}")
    n_rows = min(long, round(q * n_cols))
    return Windows(n_rows, n_cols, _starts(long, n_rows, n_windows), _starts(short, n_cols, n_windows))


def fixed_aspect_spectrum(
    matrices: Matrices,
    q: float = 1.0,
    size: int | None = None,
    n_windows: int | None = None,
    precision: float | None = None,
) -> Spectrum:
    """The pooled spectrum of the windows of `place_windows`, in a matrix or in every slice of a convolution.

    matrices: one of shape (N, M) or (M, N), or slices of one shape. precision: as for `esd`. The Spectrum has the
    windows' n_rows and n_cols, and n_matrices = windows x slices: n_cols * n_matrices eigenvalues. No chance is in it.
    Windows overlap, so the eigenvalues are not independent, and standard errors that take them for it are too small.

    Raises what `place_windows` and `esd` raise; NaN or infinity only where a window covers it.
    """
    single = isinstance(matrices, np.ndarray) and matrices.ndim == 2
    slices = [np.asarray(one) for one in ([matrices] if single else matrices)]
    shapes = {one.shape for one in slices}
    if len(shapes) != 1 or any(one.ndim != 2 or one.size == 0 for one in slices):
        raise SpectrumError(f"subsampling needs matrices of one shape, got shapes {sorted(shapes)}")
    places = place_windows((slices[0].shape[0], slices[0].shape[1]), q, size, n_windows)
    tall = (one if one.shape[0] >= one.shape[1] else one.T for one in slices)
    return esd([window for one in tall for window in _windows(one, places)], precision)


def farms_alpha(
    matrices: Matrices,
    q: float = 1.0,
    size: int | None = None,
    n_windows: int | None = None,
    precision: float | None = None,
) -> float:
    """Hill's estimate from the upper half of `fixed_aspect_spectrum`: PL_Alpha_Hill of FARMS. Arguments as there.

    It ignores the unit of W. NaN where the windows leave fewer than 8 eigenvalues above rounding.
    """
    return pooled_alpha(fixed_aspect_spectrum(matrices, q, size, n_windows, precision))


def pooled_alpha(spectrum: Spectrum) -> float:
    """Hill's estimate from the upper half of a spectrum's eigenvalues above its floor."""
    largest = float(spectrum.eigenvalues[-1])
    return hill_alpha(spectrum.eigenvalues, floor=spectrum.floor / largest) if largest > 0.0 else np.nan


def _starts(side: int, width: int, n_windows: int | None) -> tuple[int, ...]:
    room = side - width
    wanted = min(MOST_WINDOWS, -(-side // width)) if n_windows is None else n_windows
    n = min(wanted, room + 1)
    if n == 1:
        return (0,)
    return tuple(room * k // (n - 1) for k in range(n))


def _windows(tall: NDArray[np.floating], places: Windows) -> Iterator[NDArray[np.floating]]:
    for row in places.row_starts:
        for col in places.col_starts:
            yield tall[row : row + places.n_rows, col : col + places.n_cols]
