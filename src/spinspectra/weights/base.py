"""What every reader of weights offers: names, headers, and one tensor at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.dtypes import stored_bits


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What the header says of one tensor; nothing of its data has been read.

    shape: as stored. dtype: as stored, `np.dtype`; bfloat16 and float8 come from `ml_dtypes` and compare equal
    to their names (`info.dtype == "bfloat16"`). file: where the tensor lives, for messages. format: the stored
    format where numpy has no dtype for it, such as `quint8`; dtype is then raw bytes of its size. module: the class of
    the module that holds it where the source knows it, in torch's words (`Conv2d`, `Linear`) or Keras's (`Conv2D`,
    `Dense`). same_as: the name of the first tensor, in the order of `names`, that is the same memory; empty for that
    one itself and for all that share nothing. scheme: the quantisation that `read` undoes, such as `Q4_K` or `nf4`;
    dtype is then that of the values read, and stored_bytes what they take in the file, scales included.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    file: str
    format: str = ""
    module: str = ""
    same_as: str = ""
    scheme: str = ""
    stored_bytes: int | None = None

    @property
    def stored_as(self) -> str:
        """The name of the stored number format, known to numpy or not."""
        return self.scheme or self.format or str(self.dtype)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def n_bytes(self) -> int:
        """Bytes the tensor takes as stored."""
        return self.size * stored_bits(self.dtype) // 8 if self.stored_bytes is None else self.stored_bytes


class Weights(Protocol):
    """A lazy mapping from tensor names to arrays, whatever the format behind it.

    `source` names the checkpoint for messages; `config` is the model's config.json where there is one. Weights made
    of others may also have `rounding(name) -> float | None`, the size of the rounding of an entry where it is not that
    of the dtype: a small difference of two bfloat16 tensors has far fewer digits left than its numbers show.
    """

    @property
    def source(self) -> str: ...

    @property
    def config(self) -> Mapping[str, Any] | None: ...

    def names(self) -> list[str]:
        """All tensor names, in the order of the file."""
        ...

    def info(self, name: str) -> TensorInfo:
        """Shape, stored dtype and file of one tensor, without reading it. Raises WeightsError if absent."""
        ...

    def read(self, name: str) -> NDArray[np.floating]:
        """The tensor's values: float64 if stored so, or if integers would not fit; else float32."""
        ...


def missing(name: str, source: str, names: list[str]) -> WeightsError:
    """The error for a tensor that is not there, with a few that are."""
    some = ", ".join(shown(other) for other in names[:3]) + (", ..." if len(names) > 3 else "")
    return WeightsError(f"{source}: no tensor named '{shown(name)}'; there are {len(names)}: {some}")
