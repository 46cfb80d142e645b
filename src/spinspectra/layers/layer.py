"""A tensor of a checkpoint as a layer: its kind, and the matrices in it, taken apart and put together again."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.layers.kinds import Channels, Kind, nature_of
from spinspectra.weights import Weights, open_weights


@dataclass(frozen=True, slots=True)
class Layer:
    """One tensor of a checkpoint, not yet read.

    index: its place in natural order of names (block 2 before block 10). kind: see `nature_of`. shape and
    dtype: as stored. n_matrices: how many matrices `matrices` gives: one for a dense layer or an embedding,
    one a kernel position for a convolution, one a gate of a recurrent layer, one a layer of a stack, none for vectors
    and tables that act as no linear map. channels: where a convolution's stand, "first" or "last", else None.
    same_as: the tensor of another name that is the same memory, if it is tied to one, else empty. reason: why it holds
    no matrix, where its shape and kind do not say. side_by_side: whether the gates of a recurrent layer stand side by
    side, as Keras has them, and not one above the other, as torch does.
    """

    index: int
    name: str
    kind: Kind
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    n_matrices: int
    _weights: Weights = field(repr=False, compare=False)
    channels: Channels | None = None
    same_as: str = ""
    reason: str = ""
    side_by_side: bool = False

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Rows and columns of each of its matrices; (0, 0) where there are none."""
        if self.n_matrices == 0:
            return 0, 0
        if self.side_by_side:
            return self.shape[0], self.shape[1] // self.n_matrices
        if self.kind == "recurrent":
            return self.shape[0] // self.n_matrices, self.shape[1]
        rows, columns = self.shape[:2] if self.channels == "first" else self.shape[-2:]
        return rows, columns

    def matrices(self) -> list[NDArray[np.floating]]:
        """The tensor, read now, as `n_matrices` matrices in its stored orientation.

        Dense and embedding: the tensor itself. Convolution: its slice at every kernel position, in row-major order
        of positions, (out, in) of a tensor (out, in, k...) and (in, out) of one with channels last, (k..., in, out).
        A transposed convolution of torch, (in, out, k...), so gives (in, out), which has the same spectrum. A grouped
        one is (out, in / groups, k...), and so are its slices: all groups, one above the other, and not the
        block-diagonal map. Stack of shape (k..., n, m): its matrices (n, m) in row-major order. Recurrent of shape
        (g h, n): the g gates, (h, n) each, in torch's order (LSTM: input, forget, cell, output; GRU: reset, update,
        new); in Keras (n, g h), which gives (n, h) each, the GRU's in its order (update, reset, new). Raises
        WeightsError if it cannot be read.
        """
        if self.n_matrices == 0:
            return []
        values = self._weights.read(self.name)
        if self.channels == "first":
            slices = np.moveaxis(values.reshape(*self.matrix_shape, self.n_matrices), -1, 0)
        elif self.side_by_side:
            slices = np.moveaxis(values.reshape(self.shape[0], self.n_matrices, -1), 1, 0)
        else:
            slices = values.reshape(self.n_matrices, *self.matrix_shape)
        return [np.ascontiguousarray(one) for one in slices]

    def rounding(self) -> float | None:
        """Size of the rounding of an entry, where the weights know it better than their dtype says; see `Weights`."""
        known = getattr(self._weights, "rounding", None)
        return None if known is None else known(self.name)

    def assemble(self, parts: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
        """The tensor of its stored shape that has these matrices: the inverse of `matrices`, in the parts' dtype.

        Raises OptionError unless there are `n_matrices` of them, at least one, each of `matrix_shape`.
        """
        shapes = {part.shape for part in parts}
        if len(parts) != self.n_matrices or shapes != {self.matrix_shape}:
            said = ", ".join(map(str, sorted(shapes))) or "no shape"
            raise OptionError(
                f"{self.name} is made of {self.n_matrices} matrices of shape {self.matrix_shape}, "
                f"not of {len(parts)} of {said}"
            )
        if self.n_matrices == 1:
            return parts[0].reshape(self.shape)
        axis = -1 if self.channels == "first" else 1 if self.side_by_side else 0
        return np.stack(parts, axis=axis).reshape(self.shape)


def read_layers(source: Any, channels: Channels | None = None) -> Iterator[Layer]:
    """Every tensor of a checkpoint as a Layer, in natural order of names; none is read until asked.

    source: as for `open_weights`, or Weights already open. channels: where the channels of convolutions stand,
    "first" as torch has them, (out, in, k...), or "last" as TensorFlow and Flax have them, (k..., in, out); None
    tells them apart by each tensor's shape (`nature_of`). Torch modules know their own. Raises OptionError for another
    value, and what `open_weights` raises.
    """
    if channels is not None and channels not in get_args(Channels):
        raise OptionError(f"channels={channels!r}: give 'first', 'last' or None")
    weights = open_weights(source)
    infos = {name: weights.info(name) for name in weights.names()}
    for index, name in enumerate(sorted(infos, key=natural_key)):
        info, nature = infos[name], nature_of(name, infos, channels)
        yield Layer(
            index,
            name,
            nature.kind,
            info.shape,
            info.dtype,
            nature.n_matrices,
            weights,
            nature.channels,
            info.same_as,
            nature.reason,
            nature.side_by_side,
        )


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that takes runs of digits as numbers, of any length, so that `h.2` comes before `h.10`."""
    parts = re.split(r"(\d+)", name)
    runs = (part.lstrip("0") for part in parts)
    return [(0, len(run), run) if part.isdecimal() else (1, 0, part) for part, run in zip(parts, runs, strict=True)]
