"""HDF5's datatypes and dataspaces: what numpy calls them."""

from dataclasses import dataclass
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from spinspectra.weights.hdf5.bytes import Cursor, MalformedError

_INTEGER, _FLOAT, _STRING, _ENUM, _VARIABLE = 0, 1, 3, 8, 9

# Sign, exponent and mantissa of the floats that numpy and ml_dtypes have: (bytes, exponent at, its bits, mantissa bits,
# bias) -> dtype in little-endian order.
_FLOATS: dict[tuple[int, ...], np.dtype[Any]] = {
    (2, 10, 5, 10, 15): np.dtype("<f2"),
    (4, 23, 8, 23, 127): np.dtype("<f4"),
    (8, 52, 11, 52, 1023): np.dtype("<f8"),
    (2, 7, 8, 7, 127): np.dtype(ml_dtypes.bfloat16),
}
_IMPLIED = 2  # the first bit of a normalised mantissa is not stored

_MOST_SIDES = 32


@dataclass(frozen=True, slots=True)
class Datatype:
    """A stored type. dtype: numpy's; raw bytes where it has none. strings: None, or how text is kept, `fixed` in the
    value itself, `heap` in the file's global heap.
    """

    dtype: np.dtype[Any]
    strings: str | None = None


def read_datatype(cursor: Cursor, depth: int = 0) -> Datatype:
    """The type that a datatype message describes. Raises MalformedError if it is cut short or absurd."""
    first, bits, size = cursor.number(1), cursor.number(3), cursor.number(4)
    kind = first & 15
    if kind == _INTEGER:
        return Datatype(_integer(cursor, bits, size))
    if kind == _FLOAT:
        return Datatype(_float(cursor, bits, size))
    if kind == _STRING:
        return Datatype(np.dtype((np.bytes_, _bounded(size))), "fixed")
    if kind == _ENUM and depth == 0:  # numpy's bool, among others
        return Datatype(read_datatype(cursor, depth + 1).dtype)
    if kind == _VARIABLE and bits & 15 == 1 and size == 16:
        return Datatype(np.dtype((np.void, size)), "heap")
    return Datatype(_raw(size))


def read_shape(cursor: Cursor) -> tuple[int, ...]:
    """The sides that a dataspace message describes: () of a single value, (0,) of none."""
    version, n_sides, flags = cursor.number(1), cursor.number(1), cursor.number(1)
    if version == 1:
        cursor.take(5)
    elif version != 2:
        raise MalformedError(f"a dataspace of version {version}")
    elif cursor.number(1) == 2:
        return (0,)
    if n_sides > _MOST_SIDES:
        raise MalformedError(f"a dataspace of {n_sides} sides")
    shape = tuple(cursor.number(8) for _ in range(n_sides))
    if flags & 1:
        cursor.take(8 * n_sides)  # how far it may grow
    if prod(side for side in shape if side) >= 2**60:  # more than numpy can count, though one side may be 0
        raise MalformedError(f"an array of shape {shape}")
    return shape


def _integer(cursor: Cursor, bits: int, size: int) -> np.dtype[Any]:
    offset, precision = cursor.number(2), cursor.number(2)
    if size not in (1, 2, 4, 8) or offset or precision != 8 * size:
        return _raw(size)
    return np.dtype(f"{'>' if bits & 1 else '<'}{'i' if bits & 8 else 'u'}{size}")


def _float(cursor: Cursor, bits: int, size: int) -> np.dtype[Any]:
    offset, precision, exponent_at, exponent = (cursor.number(n) for n in (2, 2, 1, 1))
    mantissa_at, mantissa, bias = (cursor.number(n) for n in (1, 1, 4))
    dtype = _FLOATS.get((size, exponent_at, exponent, mantissa, bias))
    is_plain = not offset and not mantissa_at and precision == 8 * size and not bits & 64  # 64: VAX order
    if dtype is None or not is_plain or bits >> 4 & 3 != _IMPLIED or bits >> 8 & 255 != precision - 1:
        return _raw(size)
    return dtype.newbyteorder(">") if bits & 1 else dtype


def _raw(size: int) -> np.dtype[Any]:
    return np.dtype((np.void, _bounded(size)))


def _bounded(size: int) -> int:
    if not 0 < size < 2**31:
        raise MalformedError(f"a value of {size} bytes")
    return size
