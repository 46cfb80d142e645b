"""What a tensor of a checkpoint is: its kind, and the matrices in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights import TensorInfo, Weights, open_weights

Kind = Literal["dense", "embedding", "stack", "conv1d", "conv2d", "conv3d", "norm", "bias", "other"]

_EMBEDDING = re.compile(r"(^|[._])(?!embed_out)(\w*embed\w*|wte|wpe|emb)([._]|$)")
_NOT_WEIGHT = re.compile(
    r"(^|[._])(bias|masked_bias|running_mean|running_var|relative_position_bias_table|\w*_token|position_ids)$"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One tensor of a checkpoint, not yet read.

    index: its place in natural order of names (block 2 before block 10). kind: see `kind_of`. shape and
    dtype: as stored. n_matrices: how many matrices `matrices` gives: one for a dense layer or an embedding,
    one a kernel position for a convolution, one a layer of a stack, none for vectors and tables that act as no
    linear map.
    """

    index: int
    name: str
    kind: Kind
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    n_matrices: int
    _weights: Weights = field(repr=False, compare=False)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Rows and columns of each of its matrices. Of no meaning where there are none."""
        rows, columns = self.shape[1:3] if self.kind == "stack" else self.shape[:2]
        return rows, columns

    def matrices(self) -> list[NDArray[np.floating]]:
        """The tensor, read now, as `n_matrices` matrices in its stored orientation.

        Dense and embedding: the tensor itself. Convolution of shape (out, in, k...): its (out, in) slice at
        every kernel position, in row-major order of positions. Stack of shape (k, n, m): its k matrices.
        Raises WeightsError if it cannot be read.
        """
        if self.n_matrices == 0:
            return []
        values = self._weights.read(self.name)
        if values.ndim == 2:
            return [values]
        if self.kind == "stack":
            return [np.ascontiguousarray(values[k]) for k in range(self.n_matrices)]
        out, into = self.shape[:2]
        slices = values.reshape(out, into, -1)
        return [np.ascontiguousarray(slices[:, :, k]) for k in range(self.n_matrices)]


def read_layers(source: Any) -> Iterator[Layer]:
    """Every tensor of a checkpoint as a Layer, in natural order of names; none is read until asked.

    source: as for `open_weights`, or Weights already open. Raises what `open_weights` raises.
    """
    weights = open_weights(source)
    for index, name in enumerate(sorted(weights.names(), key=natural_key)):
        info = weights.info(name)
        kind = kind_of(name, info)
        yield Layer(index, name, kind, info.shape, info.dtype, _n_matrices(kind, info), weights)


def kind_of(name: str, info: TensorInfo) -> Kind:
    """The kind of a tensor, by its number of dimensions and then its name.

    2-d weights are `embedding` where the name says so, else `dense`; 3-, 4- and 5-d weights are `conv1d`,
    `conv2d`, `conv3d`, but 3-d ones whose first side is no longer than the others are a `stack` of matrices (experts,
    bilinear layers), since a convolution has more channels than kernel positions; 1-d weights scale a normalisation,
    `norm`; names that end in bias are `bias`. Tables,
    tokens, buffers and integers are `other`.
    """
    if info.dtype.kind in "iub" or info.size == 0:
        return "other"
    if name.endswith("bias") and len(info.shape) == 1:
        return "bias"
    if _NOT_WEIGHT.search(name):
        return "other"
    by_dimensions: dict[int, Kind] = {1: "norm", 2: "dense", 3: "conv1d", 4: "conv2d", 5: "conv3d"}
    kind = by_dimensions.get(len(info.shape), "other")
    if _EMBEDDING.search(name):
        if kind == "dense":
            return "embedding"
        if kind == "conv1d" and info.shape[0] == 1:  # a (1, n, d) table of positions
            return "other"
    if kind == "conv1d" and info.shape[0] <= min(info.shape[1:]):
        return "stack"
    return kind


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that takes runs of digits as numbers, of any length, so that `h.2` comes before `h.10`."""
    parts = re.split(r"(\d+)", name)
    runs = (part.lstrip("0") for part in parts)
    return [(0, len(run), run) if part.isdecimal() else (1, 0, part) for part, run in zip(parts, runs, strict=True)]


def _n_matrices(kind: Kind, info: TensorInfo) -> int:
    if kind in ("dense", "embedding"):
        return 1
    if kind == "stack":
        return info.shape[0]
    if kind.startswith("conv"):
        return int(np.prod(info.shape[2:]))
    return 0
