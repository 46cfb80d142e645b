"""What is measured of one layer: norms and stable rank without eigenvalues, or what its spectrum says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import NonFiniteError, SpinSpectraError
from spinspectra.layers import Layer
from spinspectra.layers.selection import long_name
from spinspectra.monitor.messages import NUMBERS, Clock, Numbers
from spinspectra.spectra.columns import row_of
from spinspectra.spectra.esd import SpectrumError
from spinspectra.spectra.measure import Measures, measure_layer

_NAN = float("nan")
_EXACT_BELOW = 64  # columns, up to which singular values cost no more than products with a vector
_TOLERANCE = 1e-3  # of the largest eigenvalue's residual; the eigenvalue itself was within 2e-6 on Gaussian matrices
_LARGE = 1e15  # entries from here on, or below its inverse, are scaled before float32 squares them
_CHUNK = 1 << 20  # values squared in float64 at a time


def measure(clock: Clock, layer: Layer) -> Numbers:
    """Spectra are as `analyze` has them with its defaults. Never raises for what is wrong with the layer."""
    if clock == "spectra":
        found = row_of(measure_layer(Measures(), True, layer)[0], True)
    else:
        try:
            found = {**norms(layer.matrices()), "status": "success", "reason": ""}
        except SpinSpectraError as error:
            return failed(layer, str(error))
    return _numbers(layer, found)


def failed(layer: Layer, reason: str) -> Numbers:
    return _numbers(layer, {"status": "failed", "reason": reason})


def _numbers(layer: Layer, found: Mapping[str, Any]) -> Numbers:
    numbers: dict[str, Any] = {name: float(found.get(name, _NAN)) for name in NUMBERS}
    return Numbers(longname=long_name(layer), status=found["status"], reason=found["reason"], **numbers)


def norms(matrices: Sequence[NDArray[np.floating]]) -> dict[str, float]:
    """log_norm, log_spectral_norm and stable_rank of a layer, its matrices pooled, as `spectral_metrics` defines them.

    The largest eigenvalue of W^T W by Lanczos from a fixed start, in products of W with vectors. A zero matrix has
    logarithms -inf and NaN for its stable rank. Raises NonFiniteError for NaN or infinity, SpectrumError if Lanczos
    does not settle.
    """
    largest_entry = max(_largest_entry(one) for one in matrices)
    if largest_entry == 0.0:
        return {"log_norm": -np.inf, "log_spectral_norm": -np.inf, "stable_rank": _NAN}
    unit = 1.0 if 1.0 / _LARGE < largest_entry < _LARGE else float(np.ldexp(1.0, int(np.frexp(largest_entry)[1])))
    scaled = [one if unit == 1.0 else one / one.dtype.type(unit) for one in matrices]
    norm, largest = sum(map(_square_sum, scaled)), max(map(_largest_eigenvalue, scaled))
    return {
        "log_norm": float(np.log10(norm) + 2.0 * np.log10(unit)),
        "log_spectral_norm": float(np.log10(largest) + 2.0 * np.log10(unit)),
        "stable_rank": norm / largest,
    }


def _largest_entry(matrix: NDArray[np.floating]) -> float:
    largest = max(float(matrix.max()), -float(matrix.min()))
    if not np.isfinite(largest):
        bad = matrix.size - int(np.count_nonzero(np.isfinite(matrix)))
        raise NonFiniteError(f"{bad} of {matrix.size} values are NaN or infinite")
    return largest


def _square_sum(matrix: NDArray[np.floating]) -> float:
    flat = matrix.reshape(-1)
    parts = (flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK))
    return sum(float(np.sum(np.square(part, dtype=np.float64))) for part in parts)


def _largest_eigenvalue(matrix: NDArray[np.floating]) -> float:
    """Of W^T W; 0 for a zero matrix."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    m = tall.shape[1]
    if m <= _EXACT_BELOW:
        return float(np.linalg.svd(np.asarray(tall, np.float64), compute_uv=False)[0]) ** 2
    if not tall.any():
        return 0.0
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    def square(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        narrow = vector.ravel().astype(tall.dtype)
        return np.asarray(tall.T @ (tall @ narrow), np.float64)

    operator: Any = LinearOperator((m, m), matvec=square, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size=(m,))
    try:
        return float(eigsh(operator, k=1, v0=start, tol=_TOLERANCE, return_eigenvectors=False)[0])
    except ArpackError:
        raise SpectrumError("its largest eigenvalue did not settle") from None
