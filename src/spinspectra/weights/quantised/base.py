"""What a scheme of quantisation is to the rest: a tensor name that betrays it, and a way to undo it for one weight."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights.base import TensorInfo, Weights
from spinspectra.weights.quantised.settings import Settings

Values = NDArray[np.float32]

FLOATS = ("float32", "float16", "bfloat16", "float64")  # what scales are stored as

_CHUNK = 1 << 18  # values worked on at a time
_SMALL = 1 << 16  # the most values of a tensor that is read to learn what another one is
_MOST_SIDES = 8


class Misfit(Exception):  # noqa: N818  no error that a user meets
    """The tensors of a quantised weight do not fit one another; the text says how, in few words."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as it is stored, and what its configuration says of its quantisation."""

    weights: Weights
    names: frozenset[str]
    settings: Settings

    def info(self, name: str) -> TensorInfo:
        """The header of a tensor. Raises Misfit if it is not there."""
        if name not in self.names:
            raise Misfit(f"no {name.rpartition('.')[2]}")
        return self.weights.info(name)

    def small(self, name: str) -> NDArray[np.floating]:
        """The values of a tensor that says what another one is, flat. Raises Misfit for one too long for that."""
        if self.info(name).size > _SMALL:
            raise Misfit(f"{self.info(name).size} values in {name.rpartition('.')[2]}")
        return self.weights.read(name).ravel()


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight that can be read. shape: of its values. scheme: for `TensorInfo`. values: reads them, float32."""

    shape: tuple[int, ...]
    scheme: str
    values: Callable[[], Values]


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to store weights. label: how codes are called that do not fit. marker: ends the name of the tensor that
    betrays it; what stands before is the stem. codes, beside: the endings of the tensor with the codes and of those
    that belong to it. name: the ending of the weight's name. build: the weight of a stem from the headers, None if the
    tensors are of another scheme after all; raises Misfit.
    """

    label: str
    marker: str
    codes: str
    beside: tuple[str, ...]
    name: str
    build: Callable[[Stored, str], Weight | None]


@dataclass(frozen=True, slots=True)
class Found:
    """One weight and the stored tensors behind it, that with the codes first."""

    name: str
    parts: tuple[str, ...]
    weight: Weight


@dataclass(frozen=True, slots=True)
class Unread:
    """Stored tensors that are left as they stand. label: the format that describe shows, empty for that of the header.
    reason: why they are not read.
    """

    parts: tuple[str, ...]
    label: str
    reason: str


def positive_sides(shape: tuple[int, ...]) -> None:
    """Raises Misfit for a weight without values or with more sides than any has."""
    if not 1 <= len(shape) <= _MOST_SIDES or min(shape) < 1:
        raise Misfit(f"a weight of shape {shape}")


def require(info: TensorInfo, part: str, shape: tuple[int, ...] | None, *dtypes: str) -> None:
    """Raises Misfit unless a part has that shape (None: any) and one of the dtypes, by numpy's names (none: any)."""
    if shape is not None and info.shape != shape:
        raise Misfit(f"{part} of shape {info.shape}, not {shape}")
    if info.format or (dtypes and info.dtype.name not in dtypes):
        raise Misfit(f"{part} stored as {info.stored_as}")


def words(values: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Stored integers of 32 bits, which readers give as floats that hold them exactly, as their bits."""
    return (values.astype(np.int64) & 0xFFFFFFFF).astype(np.uint64)


def unpacked(packed: NDArray[np.uint64], bits: int, first: int, last: int) -> NDArray[np.uint64]:
    """Fields first to last - 1 of rows of words: bits j b to (j + 1) b - 1 of the words in a row, lowest bit first.

    packed: (words, n). Gives (last - first, n). A field may begin in one word and end in the next, as of 3 bits.
    """
    start = np.arange(first, last) * bits
    low = start // 32
    high = np.minimum(low + 1, len(packed) - 1)
    both = packed[low] | packed[high] << np.uint64(32)
    return both >> (start % 32).astype(np.uint64)[:, None] & np.uint64((1 << bits) - 1)


def n_words(fields: int, bits: int) -> int:
    """Words of 32 bits that so many fields take."""
    return -(-fields * bits // 32)


def chunks(rows: int, row: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows, of `row` values each, that are worked on at a time."""
    step = max(1, _CHUNK // max(row, 1))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)


@cache
def fp4_values() -> Values:
    """The 16 values of E2M1, a sign, two bits of exponent and one of mantissa (OCP Microscaling Formats 1.0)."""
    half = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0], np.float32)
    return np.concatenate([half, -half])
