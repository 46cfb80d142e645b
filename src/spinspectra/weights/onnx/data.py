"""The numbers of an ONNX tensor: their format, where they are, and how they are read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.dtypes import is_real
from spinspectra.weights.onnx import graph
from spinspectra.weights.onnx.bytes import Bytes, Octets
from spinspectra.weights.onnx.external import Neighbours
from spinspectra.weights.onnx.graph import Tensor

# TensorProto.DataType, as far as one value takes whole bytes.
_WHOLE: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype("bool"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
    14: np.dtype("<c8"),
    15: np.dtype("<c16"),
    16: np.dtype(ml_dtypes.bfloat16),
    17: np.dtype(ml_dtypes.float8_e4m3fn),
    18: np.dtype(ml_dtypes.float8_e4m3fnuz),
    19: np.dtype(ml_dtypes.float8_e5m2),
    20: np.dtype(ml_dtypes.float8_e5m2fnuz),
    24: np.dtype(ml_dtypes.float8_e8m0fnu),
}
# Those of which several share a byte, the first in its lowest bits. A row of float6 has no byte of its own at all.
_PACKED: dict[int, tuple[np.dtype[Any], int]] = {
    21: (np.dtype(ml_dtypes.uint4), 4),
    22: (np.dtype(ml_dtypes.int4), 4),
    23: (np.dtype(ml_dtypes.float4_e2m1fn), 4),
    25: (np.dtype(ml_dtypes.uint2), 2),
    26: (np.dtype(ml_dtypes.int2), 2),
    27: (np.dtype(ml_dtypes.float6_e2m3fn), 6),
    28: (np.dtype(ml_dtypes.float6_e3m2fn), 6),
}
_STRING = 8

# The field, besides raw_data, that may hold numbers of a format; those of all others are in INT32S.
_FIELDS = {
    1: graph.FLOATS,
    14: graph.FLOATS,
    11: graph.DOUBLES,
    15: graph.DOUBLES,
    7: graph.INT64S,
    12: graph.UINT64S,
    13: graph.UINT64S,
}

_MOST_SIDES = 32
_CHUNK = 1 << 20  # bytes of variable length decoded at a time


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor whose numbers have been found.

    shape, dtype: what it is as stored; dtype is raw bytes where `unknown` names a format that numpy has not, and that
    of one value where several share a byte (bits < 8). places: where the bytes are in `data`. varint: they are
    integers of variable length. sparse: only some values are there.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    bits: int
    data: Bytes
    places: tuple[graph.Place, ...]
    varint: bool = False
    sparse: bool = False
    unknown: str = ""

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes the values take, or would if each took its `bits`."""
        return (self.size * self.bits + 7) // 8

    @property
    def region(self) -> tuple[object, ...]:
        """What two tensors have in common that are the same bytes."""
        return self.data.source, self.places, self.shape, self.dtype.name, self.varint

    def read(self, where: str) -> NDArray[Any]:
        """Its values in their stored format, read now. Raises WeightsError, naming `where`, if they cannot be."""
        if self.sparse:
            raise WeightsError(f"{where} is stored sparse; save it dense")
        if self.unknown:
            raise WeightsError(f"{where} is stored as {self.unknown}, which holds no numbers this version knows")
        if self.bits < 8:
            raise WeightsError(
                f"{where} is stored as {self.dtype}, a packed format whose scale lives elsewhere; dequantise the model "
                "first"
            )
        return self.codes(where)

    def codes(self, where: str) -> NDArray[Any]:
        """As `read`, with two- and four-bit values taken apart."""
        n_values = self.n_bytes if self.bits < 8 else self.size
        held = np.dtype("u1") if self.bits < 8 else self.dtype
        octets = self._octets()
        values = _from_varints(octets, n_values, held, where) if self.varint else octets.view(held)
        if self.bits < 8:
            values = unpacked(values, self.bits)[: self.size].view(self.dtype)
        return values.reshape(self.shape)

    def _octets(self) -> Octets:
        parts = [self.data.array(begin, end - begin) for begin, end in self.places]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint8), *parts])


def find_stored(tensor: Tensor, data: Bytes, neighbours: Neighbours) -> Stored:
    """Check a tensor's header against the bytes that are there, reading none of them.

    Raises WeightsError for sides below 0 or more than memory can address, and unless the bytes are those its shape
    and format need.
    """
    where, kind = f"{data.source}: {shown(tensor.name)}", tensor.data_type
    shape = tuple(tensor.dims)
    if len(shape) > _MOST_SIDES or any(n < 0 for n in shape) or math.prod(n for n in shape if n) >= 1 << 56:
        sides = f"{len(shape)} sides" if len(shape) > 8 else str(shape)
        raise WeightsError(f"{where} claims the shape {sides}, which no tensor has; fetch it again")
    everything = tuple(place for places in tensor.data.values() for place in places)
    if kind not in _WHOLE and kind not in _PACKED:
        unknown = "string" if kind == _STRING else f"ONNX's data type {kind}"
        return Stored(shape, np.dtype((np.void, 1)), 8, data, everything, unknown=unknown)
    dtype, bits = _PACKED[kind] if kind in _PACKED else (_WHOLE[kind], 8 * _WHOLE[kind].itemsize)
    if tensor.sparse:
        return Stored(shape, dtype, bits, data, everything, sparse=True)
    found = Stored(shape, dtype, bits, data, ())
    if tensor.external is not None:
        file, offset = neighbours.find(tensor.external, found.n_bytes, tensor.name)
        return Stored(shape, dtype, bits, file, ((offset, offset + found.n_bytes),))
    field = graph.RAW if graph.RAW in tensor.data else _FIELDS.get(kind, graph.INT32S)
    varint = field in (graph.INT32S, graph.INT64S, graph.UINT64S)
    places = tuple(tensor.data.get(field, ()))
    _check_length(found, sum(end - begin for begin, end in places), varint, where)
    return Stored(shape, dtype, bits, data, places, varint)


def _check_length(found: Stored, there: int, varint: bool, where: str) -> None:
    n_values = found.n_bytes if found.bits < 8 else found.size
    enough = n_values <= there <= 10 * n_values if varint else there == found.n_bytes
    if not enough:
        raise WeightsError(
            f"{where} of shape {found.shape} needs {found.n_bytes} bytes and has {there}; fetch it again"
        )


def real(stored: Stored) -> bool:
    """Whether it can be read as real numbers."""
    return not stored.unknown and not stored.sparse and stored.bits >= 8 and is_real(stored.dtype)


def unpacked(octets: Octets, bits: int) -> Octets:
    """The values of so many bits in each byte, the lowest first; a sign is in their highest bit."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return ((octets[..., None] >> shifts) & np.uint8((1 << bits) - 1)).reshape(*octets.shape[:-1], -1)


def _from_varints(octets: Octets, n_values: int, dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    """Integers of variable length, 7 bits a byte with the lowest first; floats are there as integers of their bits."""
    pattern = np.dtype(f"<u{dtype.itemsize}")
    values, filled = np.empty(n_values, pattern), 0
    for chunk in _whole_numbers(octets):
        ends = np.flatnonzero(chunk < 0x80)
        begins = np.concatenate([[0], ends[:-1] + 1])
        lengths = ends - begins + 1
        if lengths.max() > 10 or filled + ends.size > n_values:
            break
        found = np.zeros(ends.size, np.uint64)
        for k in range(int(lengths.max())):
            reaches = lengths > k
            found[reaches] |= (chunk[begins[reaches] + k] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * k)
        values[filled : filled + ends.size] = found.astype(pattern) if dtype.kind != "b" else found != 0
        filled += ends.size
    if filled != n_values or (octets.size and octets[-1] >= 0x80):
        raise WeightsError(f"{where} does not hold the {n_values} values of its shape; fetch it again")
    return values.view(dtype)


def _whole_numbers(octets: Octets) -> Iterator[Octets]:
    """Runs of bytes that each end with a number."""
    begin = 0
    while begin < octets.size:
        end = min(begin + _CHUNK, octets.size)
        while end > begin and octets[end - 1] >= 0x80:
            end -= 1
        if end == begin:  # not one number ends here
            return
        yield octets[begin:end]
        begin = end
