"""Parser of a GGUF header: its metadata, and where each tensor lies, held against the file's size before use.

Written anew because the `gguf` package makes an object of every token of a vocabulary: here long arrays are skipped.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from spinspectra.errors import WeightsError
from spinspectra.text import shown

_MAGIC = b"GGUF"
_ALIGNMENT = 32  # where general.alignment does not say

# struct's codes of the metadata's number types; two more types hold other things.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _UINT32 = 8, 9, 4

# Far above what any model needs; without them a long file of nothing could keep the parser busy for hours.
_MOST_ENTRIES = 1 << 16  # metadata entries, and tensors
_MOST_STRINGS = 1 << 21  # in arrays of strings; the largest vocabularies with their merges have 800,000
_MOST_HEADER = 512 << 20  # bytes
_MOST_KEPT = 8 << 20  # bytes of names and values that stay in memory
_LONGEST_NAME = (1 << 16) - 1  # bytes; the format's own limit for keys
_LONGEST_TEXT = 4096  # bytes of a value; longer ones (chat templates, licences) are skipped
_LONGEST_ARRAY = 4096  # numbers, one a layer; longer ones (token scores) are skipped
_MOST_SIDES = 8
_MOST_VALUES = 1 << 59  # of one tensor, sides of length 0 left out; numpy counts their bytes in 63 bits

_PIECE = 1 << 16  # bytes read at once


@dataclass(frozen=True, slots=True)
class GgufType:
    """A stored number format: blocks of `block` values of a row, `n_bytes` each."""

    name: str
    block: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor: its shape in numpy's order (rows first), its type's number, its first byte and its bytes."""

    shape: tuple[int, ...]
    type: int
    start: int
    n_bytes: int

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says of itself.

    metadata: by key; numbers, booleans, short strings and short arrays of numbers (tuples), None for what was skipped:
    arrays of strings and all that is long. tensors: by name, in the order of the file. order: of bytes in a number.
    """

    metadata: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]
    order: Literal["little", "big"]


def read_header(path: Path, types: Mapping[int, GgufType]) -> GgufHeader:
    """The header of a GGUF file, version 2 or 3; no byte of a tensor is read.

    types: the number formats by their numbers. Raises WeightsError for another version, an unknown type, and all that
    does not fit the file: lengths, counts, shapes, offsets, tensors that overlap or share a name; OSError where the
    file cannot be read.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        if size == 0:
            raise WeightsError(f"{path}: the file is empty; fetch it again")
        if (magic := file.read(len(_MAGIC))) != _MAGIC:
            raise WeightsError(f"{path}: not a GGUF file (it begins with {magic!r}); fetch it again")
        order = _byte_order(path, file.read(4))
        header = _Header(file, path, size, order)
        n_tensors, n_entries = header.number("Q"), header.number("Q")
        if max(n_tensors, n_entries) > _MOST_ENTRIES:
            raise header.wrong(f"it claims {n_tensors} tensors and {n_entries} metadata entries")
        metadata = _metadata(header, n_entries)
        return GgufHeader(metadata, _tensors(header, n_tensors, metadata, types), order)


def _byte_order(path: Path, version: bytes) -> Literal["little", "big"]:
    """The order of bytes in which the version is a number that exists; versions are small."""
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        if len(version) == 4 and 0 < (number := int.from_bytes(version, order)) < 1 << 16:
            if number in (2, 3):
                return order
            raise WeightsError(
                f"{path}: GGUF version {number} is not read, 2 and 3 are; convert the model again with a current "
                "llama.cpp, or update this package"
            )
    raise WeightsError(f"{path}: not a whole GGUF file (no version in {version!r}); fetch it again")


class _Header:
    """The bytes of a header one after the other, in buffered pieces, never beyond the file's end."""

    def __init__(self, file: BinaryIO, path: Path, size: int, order: Literal["little", "big"]) -> None:
        self.path = path
        self.size = size
        self._file = file
        self._mark = "<" if order == "little" else ">"
        self._base = file.tell()  # of the buffer in the file
        self._buffer = b""
        self._at = 0  # in the buffer, or beyond it after a skip
        self._n_strings = 0
        self._n_kept = 0

    @property
    def position(self) -> int:
        return self._base + self._at

    def wrong(self, why: str) -> WeightsError:
        return WeightsError(f"{self.path}: not a whole GGUF file ({why}); fetch it again")

    def number(self, code: str) -> Any:
        return self.numbers(code, 1)[0]

    def numbers(self, code: str, count: int) -> tuple[Any, ...]:
        layout = struct.Struct(f"{self._mark}{count}{code}")
        self._need(layout.size)
        values = layout.unpack_from(self._buffer, self._at)
        self._at += layout.size
        return values

    def text(self, what: str, errors: Literal["strict", "replace"] = "strict") -> str:
        length = self.number("Q")
        if length > _LONGEST_NAME:
            raise self.wrong(f"{what} of {length} bytes")
        self.keep(length)
        self._need(length)
        raw = self._buffer[self._at : self._at + length]
        self._at += length
        try:
            return raw.decode(errors=errors)
        except UnicodeDecodeError:
            raise self.wrong(f"{what} that is not UTF-8: {shown(repr(raw))}") from None

    def next_length(self) -> int:
        """The length of the string that comes next, without passing over it."""
        (length,) = self.numbers("Q", 1)
        self._at -= 8
        return int(length)

    def keep(self, n_bytes: int) -> None:
        """Count what stays in memory."""
        self._n_kept += n_bytes
        if self._n_kept > _MOST_KEPT:
            raise self.wrong(f"more than {_MOST_KEPT} bytes of names and values")

    def skip(self, n_bytes: int) -> None:
        self._require(n_bytes)
        self._at += n_bytes

    def skip_strings(self, count: int) -> None:
        """Pass over strings; the tight loop that makes a vocabulary of 150,000 cost a few hundredths of a second."""
        self._n_strings += count
        if self._n_strings > _MOST_STRINGS:
            raise self.wrong(f"more than {_MOST_STRINGS} strings in its metadata")
        self._require(8 * count)
        length = struct.Struct(f"{self._mark}Q").unpack_from
        while count:
            self._need(8)
            buffer, at, last = self._buffer, self._at, len(self._buffer) - 8
            while count and at <= last:
                at += 8 + length(buffer, at)[0]
                count -= 1
            self._at = at
            self._require(0)

    def _need(self, n_bytes: int) -> None:
        """Have so many bytes in the buffer, from the present position on."""
        if self._at + n_bytes <= len(self._buffer):
            return
        self._require(n_bytes)
        position = self.position
        self._file.seek(position)
        self._buffer, self._base, self._at = self._file.read(max(n_bytes, _PIECE)), position, 0
        if len(self._buffer) < n_bytes:
            raise self.wrong("it ended while it was read")

    def _require(self, n_bytes: int) -> None:
        end = self.position + n_bytes
        if end > self.size:
            raise self.wrong(f"its header needs {shown(str(end))} bytes and the file has {self.size}")
        if end > _MOST_HEADER:
            raise self.wrong(f"its header takes more than {_MOST_HEADER} bytes")


def _metadata(header: _Header, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = header.text("a metadata key")
        if key in metadata:
            raise header.wrong(f"two metadata entries '{shown(key)}'")
        kind = header.number("I")
        if key == "general.alignment" and kind != _UINT32:
            raise header.wrong("general.alignment is no number of 32 bits")
        metadata[key] = _value(header, key, kind)
    return metadata


def _value(header: _Header, key: str, kind: int) -> Any:
    if kind in _NUMBERS:
        return header.number(_NUMBERS[kind])
    if kind == _STRING:
        if header.next_length() <= _LONGEST_TEXT:
            return header.text(f"a value of {shown(key)}", errors="replace")
        header.skip_strings(1)
        return None
    if kind == _ARRAY:
        return _array(header, key)
    raise header.wrong(f"{shown(key)} is of the unknown type {kind}")


def _array(header: _Header, key: str) -> tuple[Any, ...] | None:
    kind, count = header.number("I"), header.number("Q")
    if kind == _STRING:
        header.skip_strings(count)
        return None
    if kind not in _NUMBERS:
        raise header.wrong(f"{shown(key)} is an array of the unknown type {kind}")
    n_bytes = count * struct.calcsize(f"<{_NUMBERS[kind]}")
    if count > _LONGEST_ARRAY:
        header.skip(n_bytes)
        return None
    header.keep(8 * count)  # each becomes an object
    return header.numbers(_NUMBERS[kind], count)


def _tensors(
    header: _Header, count: int, metadata: Mapping[str, Any], types: Mapping[int, GgufType]
) -> dict[str, GgufTensor]:
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if alignment < 1 or alignment & (alignment - 1):
        raise header.wrong(f"an alignment of {alignment}, which is no power of two")
    found: dict[str, GgufTensor] = {}
    for _ in range(count):
        name = header.text("a tensor's name")
        if name in found:
            raise header.wrong(f"two tensors named '{shown(name)}'")
        found[name] = _tensor(header, name, alignment, types)
    first = -(-header.position // alignment) * alignment  # offsets count from here
    placed = {name: GgufTensor(one.shape, one.type, first + one.start, one.n_bytes) for name, one in found.items()}
    _require_apart(header, placed)
    return placed


def _tensor(header: _Header, name: str, alignment: int, types: Mapping[int, GgufType]) -> GgufTensor:
    """One entry of the list of tensors; `start` is as yet its offset."""
    n_sides = header.number("I")
    if n_sides > _MOST_SIDES:
        raise header.wrong(f"{shown(name)} has {n_sides} dimensions")
    sides = header.numbers("Q", n_sides)
    number, offset = header.number("I"), header.number("Q")
    if number not in types:
        raise WeightsError(
            f"{header.path}: {shown(name)} is stored as {_retired(number)}, which the installed gguf package does not "
            "know; update it (pip install -U gguf), or convert the model again"
        )
    stored = types[number]
    if math.prod(max(side, 1) for side in sides) > _MOST_VALUES:
        raise header.wrong(f"{shown(name)} claims the shape {shown(str(sides[::-1]))}")
    row = sides[0] if sides else 1
    if row % stored.block:
        raise header.wrong(f"{shown(name)} has rows of {row} values, not of whole blocks of {stored.name}")
    if offset % alignment:
        raise header.wrong(f"{shown(name)} begins at {offset}, between the multiples of {alignment}")
    return GgufTensor(sides[::-1], number, offset, math.prod(sides) // stored.block * stored.n_bytes)


def _require_apart(header: _Header, tensors: Mapping[str, GgufTensor]) -> None:
    """Tensors lie inside the file, one after the other."""
    before, end = "", 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].start):
        if not tensor.n_bytes:
            continue
        if tensor.start < end:
            raise header.wrong(f"{shown(name)} overlaps {shown(before)}")
        before, end = name, tensor.start + tensor.n_bytes
        if end > header.size:
            raise header.wrong(f"{shown(name)} ends at {end} and the file at {header.size}")


def _retired(number: int) -> str:
    """The type by its name where llama.cpp once had it and took it back, else by its number."""
    gone = {4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4"}
    gone |= {37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8"}
    return gone.get(number, f"GGML type {number}")
