"""What training changed: a checkpoint minus the one it started from, tensor by tensor, as Weights.

Subtraction keeps the rounding of both: two bfloat16 weights of size |W| are each known to about 2^-8 |W|, however small
W - W0 is. `Difference.rounding` says how large that noise is, so that an analysis does not take it for a spectrum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, Weights
from spinspectra.weights.dtypes import is_real
from spinspectra.weights.matching import match_names
from spinspectra.weights.opening import open_weights

_CHUNK = 1 << 22  # values whose rounding is summed at a time
_finfo: Any = ml_dtypes.finfo  # which has no annotations


def difference(model: Any, base: Any) -> "Difference":
    """The tensors of `model` minus those of `base`, one at a time when read.

    model, base: as for `open_weights`, in any two formats. Tensors belong together by their full names. Where not one
    name is in both, one of the two may carry a prefix more (`model.`, `base_model.model.`, `bert.`), the same for all.
    Names, order and `config` are those of `model`; what only `base` has is left out.

    A tensor that `base` lacks, or has in another shape (transposed included), is not replaced by the full weight:
    reading it raises WeightsError with the reason, which `analyze` puts into its row. Equal tensors give zeros.

    Raises WeightsError if no tensor has a counterpart, and what `open_weights` raises.
    """
    weights, base_weights = open_weights(model), open_weights(base)
    match = match_names(weights.names(), base_weights.names(), f"{weights.source} - {base_weights.source}")
    if match is None:
        first, other = (shown(one.names()[0]) for one in (weights, base_weights))
        hint = "; it is an adapter, merge it first" if any(".lora_" in name for name in weights.names()) else ""
        raise WeightsError(
            f"{weights.source}: no tensor has the same name in {base_weights.source}; theirs begin with {first} and "
            f"{other}{hint}"
        )
    held = set(base_weights.names())
    pairs = {name: match.base_name(name) for name in weights.names()}
    found = {name: other for name, other in pairs.items() if other is not None and other in held}
    return Difference(weights, base_weights, found)


class Difference:
    """Weights minus other weights; made by `difference`.

    Values are float32, or float64 where either tensor is read as such; `info` says so. Integers and booleans keep the
    stored dtype of the model in `info`: their differences are no weights.
    """

    def __init__(self, weights: Weights, base: Weights, base_name_of: Mapping[str, str]) -> None:
        self.source = f"{weights.source} - {base.source}"
        self._weights = weights
        self._base = base
        self._base_name_of = base_name_of

    @property
    def config(self) -> Mapping[str, Any] | None:
        return self._weights.config

    def names(self) -> list[str]:
        return self._weights.names()

    def info(self, name: str) -> TensorInfo:
        info = self._weights.info(name)
        if name not in self._base_name_of:
            return info
        base = self._base_info(name)
        # one memory in both has one difference; in one of them alone it has two
        same_as = info.same_as if base.same_as == self._base_name_of.get(info.same_as, "") else ""
        info = replace(info, file=f"{info.file} - {base.file}", same_as=same_as)
        if info.dtype.kind in "iub" or not is_real(info.dtype):
            return info
        wide = any(dtype.kind == "f" and dtype.itemsize >= 8 for dtype in (info.dtype, base.dtype))
        return replace(info, dtype=np.dtype(np.float64 if wide else np.float32))

    def read(self, name: str) -> NDArray[np.floating]:
        ours, theirs = self._pair(name)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite stays so, for the reader to see
            return np.asarray(ours - theirs)

    def rounding(self, name: str) -> float | None:
        """How large an entry of the rounding in `read(name)` is, in the unit of the weights; None for integers.

        Rounding alone reaches singular values of about this times (sqrt N + sqrt M) and no further, N x M being the
        shape of the matrices in the tensor. Reads both tensors.

        A number stored with spacing d is uncertain by d^2/12 (variance of rounding); the variances of both numbers and
        of their difference add up. Rows and columns differ in size, and so does their noise, so the largest singular
        value is taken as sqrt(max row sum of variances) + sqrt(max column sum): Bandeira and van Handel 2016,
        theorem 1.1, less its logarithm. Noise cannot be larger than the difference that holds it, so a sum is at most
        that row's, or column's, sum of squares; hence 0 for equal tensors.
        """
        info = self._weights.info(name)
        if info.dtype.kind in "iub":
            return None
        ours, theirs = self._pair(name)
        dtypes = info.dtype, self._base_info(name).dtype, self.info(name).dtype
        return _equal_noise(ours, theirs, dtypes)

    def _base_info(self, name: str) -> TensorInfo:
        return self._base.info(self._base_name_of[name])

    def _pair(self, name: str) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        shape = self._weights.info(name).shape
        if name not in self._base_name_of:
            raise WeightsError(f"{self._weights.source}: {shown(name)} is not in {self._base.source}; no difference")
        other = self._base_info(name).shape
        if shape != other:
            how = ", transposed" if shape == other[::-1] else ""
            raise WeightsError(
                f"{self._weights.source}: {shown(name)} has shape {shape}, in {self._base.source} {other}{how}; no "
                "difference"
            )
        return self._weights.read(name), self._base.read(self._base_name_of[name])


def _equal_noise(ours: NDArray[np.floating], theirs: NDArray[np.floating], dtypes: Sequence[np.dtype[Any]]) -> float:
    """The size of equal entries whose largest singular value is that of the rounding in ours - theirs.

    dtypes: those of the two as stored, and of their difference.
    """
    if ours.size == 0:
        return 0.0
    if ours.ndim < 2:
        ours, theirs = ours.reshape(-1, 1), theirs.reshape(-1, 1)
    largest = _largest_sums(ours, theirs, dtypes)
    # the matrices of a convolution are in the first two axes, those of a stack in the last two
    layouts = [(0, 1), (1, 2)] if ours.ndim == 3 else [(0, 1)]
    sides = np.sqrt(ours.shape)
    return max(float((largest[i] + largest[j]) / (sides[i] + sides[j])) for i, j in layouts)


def _largest_sums(
    ours: NDArray[np.floating], theirs: NDArray[np.floating], dtypes: Sequence[np.dtype[Any]]
) -> list[float]:
    """Along each of the first axes, up to three, the square root of the largest sum of variances; a few rows at a time.

    A sum of variances is cut to the sum of squares of the difference at the same place.
    """
    axes = range(min(ours.ndim, 3))
    largest = [0.0 for _axis in axes]
    down = np.zeros((2, *ours.shape[1:]))  # of variances and of squares, over the first axis
    step = max(1, _CHUNK // max(1, ours[0].size))
    for start in range(0, len(ours), step):
        a, b = ours[start : start + step], theirs[start : start + step]
        with np.errstate(invalid="ignore", over="ignore"):
            found = a - b
        variance = sum(_rounding_variance(x, dtype) for x, dtype in zip((a, b, found), dtypes, strict=True))
        both = np.stack([variance, np.square(found, dtype=np.float64)])
        down += both.sum(axis=1)
        for axis in axes[1:]:
            largest[axis] = max(largest[axis], float(both.sum(axis=1 + axis).min(axis=0).max()))
    largest[0] = float(down.min(axis=0).max())
    return [float(np.sqrt(one)) for one in largest]


def _rounding_variance(values: NDArray[np.floating], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """d^2/12 for each number, d its distance to the next one of the stored dtype; 0 for integers, which are exact."""
    if dtype.kind in "iub":
        return np.zeros(values.shape)
    stored = _finfo(dtype)
    smallest = float(stored.smallest_normal)  # below it, numbers are equally spaced
    exponent = np.frexp(np.maximum(np.abs(values), smallest))[1] - 1
    return np.asarray(np.ldexp(float(stored.eps) ** 2 / 12.0, 2 * exponent))
