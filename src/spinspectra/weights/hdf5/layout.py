"""Where the values of an HDF5 dataset lie, held against what its header claims, and reading them from there."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.text import shown
from spinspectra.weights.hdf5.bytes import UNDEFINED, Cursor, MalformedError, RefusedError, Window

_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = 0, 1, 2, 3
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3
_FILTERS = {_DEFLATE: "gzip", _SHUFFLE: "shuffle", _CHECKSUM: "fletcher32", 4: "szip", 32000: "lzf", 32001: "blosc"}

_MOST_EXPANSION = 1032  # bytes that deflate can make of one
_FREE_CHUNK = 16 << 20  # bytes that a chunk may have however small its dataset is
_DEEPEST = 16  # levels of a B-tree


@dataclass(frozen=True, slots=True)
class Layout:
    """Where values lie.

    data: the values themselves, of small arrays kept in the header. address: of the values, or
    of the index of chunks. chunk: sides of a chunk, none if the values lie in one piece. filters: what was done to
    the bytes of each chunk, in order, by HDF5's numbers.
    """

    data: bytes | None = None
    address: int = UNDEFINED
    chunk: tuple[int, ...] = ()
    filters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Chunk:
    n_bytes: int
    skipped: int  # bits of the filters that were left out
    start: tuple[int, ...]
    address: int


def read_layout(
    window: Window, body: bytes, filters: bytes | None, shape: tuple[int, ...], itemsize: int, name: str
) -> Layout:
    """The layout that a message describes. Raises MalformedError if it claims more values than are stored."""
    cursor = Cursor(body)
    version, kind, claimed = cursor.number(1), cursor.number(1), prod(shape) * itemsize
    if version == 4 and kind == _VIRTUAL:
        raise RefusedError(f"has a virtual dataset, '{shown(name)}', whose values are in other files; refused")
    if version not in (3, 4) or (version == 4 and kind == _CHUNKED) or kind > _CHUNKED:
        raise RefusedError(
            f"stores '{shown(name)}' in a layout (version {version}, class {kind}) that this version does not read; "
            "save it again with h5py's default settings"
        )
    if kind == _COMPACT:
        layout = Layout(data=cursor.take(cursor.number(2)))
        stored = len(layout.data or b"")
    elif kind == _CONTIGUOUS:
        layout = Layout(address=cursor.number(8))
        stored = 0 if layout.address == UNDEFINED else cursor.number(8)
        window.require(layout.address if stored else 0, stored)
    else:
        return _chunked(window, cursor, filters, shape, itemsize, name)
    if stored != claimed:
        raise MalformedError(f"{shown(name)} claims {claimed} bytes and stores {stored}")
    return layout


def _chunked(
    window: Window, cursor: Cursor, filters: bytes | None, shape: tuple[int, ...], itemsize: int, name: str
) -> Layout:
    n_sides, address = cursor.number(1) - 1, cursor.number(8)
    chunk = tuple(cursor.number(4) for _ in range(max(n_sides, 0)))
    if n_sides != len(shape) or not chunk or 0 in chunk or cursor.number(4) != itemsize:
        raise MalformedError(f"{shown(name)} has chunks of shape {chunk} in a shape {shape}")
    layout = Layout(None, address, chunk, _filters(filters, name))
    expansion = _MOST_EXPANSION if _DEFLATE in layout.filters else 1
    size, claimed = prod(chunk) * itemsize, prod(shape) * itemsize
    found = stored = 0
    for one in _chunks(window, layout):
        window.require(one.address, one.n_bytes)
        found, stored = found + 1, stored + one.n_bytes
    n_chunks = prod(-(-side // step) for side, step in zip(shape, chunk, strict=True))
    if found != n_chunks or size > max(claimed, _FREE_CHUNK) or n_chunks * size > stored * expansion:
        raise MalformedError(
            f"{shown(name)} claims {claimed} bytes in {n_chunks} chunks and stores {stored} in {found}"
        )
    return layout


def _filters(body: bytes | None, name: str) -> tuple[int, ...]:
    """The filters of a pipeline message, in the order in which they were applied."""
    if body is None:
        return ()
    cursor = Cursor(body)
    version, n_filters = cursor.number(1), cursor.number(1)
    cursor.take(6 if version == 1 else 0)
    found = []
    for _ in range(n_filters):
        number = cursor.number(2)
        length = cursor.number(2) if version == 1 or number >= 256 else 0
        cursor.take(2)
        n_values = cursor.number(2)
        cursor.take(length + (-length % 8 if version == 1 else 0) + 4 * n_values)
        cursor.take(4 if version == 1 and n_values % 2 else 0)
        found.append(number)
    unknown = [number for number in found if number not in (_DEFLATE, _SHUFFLE, _CHECKSUM)]
    if unknown:
        said = _FILTERS.get(unknown[0], f"filter {unknown[0]}")
        raise RefusedError(f"compresses '{shown(name)}' with {said}; save it again with gzip or without compression")
    return tuple(found)


def leaves(
    window: Window, address: int, kind: int, key_bytes: int, level: int | None = None
) -> Iterator[tuple[bytes, int]]:
    """The keys and addresses at the lowest level of a B-tree of version 1; each node is one level below its own.

    kind: 0 for the names of a group, 1 for the chunks of a dataset.
    """
    cursor = Cursor(window.read(address, 24))
    cursor.expect(b"TREE")
    found, here, n_entries = cursor.number(1), cursor.number(1), cursor.number(2)
    if found != kind or here > _DEEPEST or (level is not None and here != level):
        raise MalformedError(f"a B-tree node of kind {found} and level {here} at {address}")
    entries = Cursor(window.read(address + 24, n_entries * (key_bytes + 8)))
    for _ in range(n_entries):
        key, child = entries.take(key_bytes), entries.number(8)
        if here:
            yield from leaves(window, child, kind, key_bytes, here - 1)
        else:
            yield key, child


def _chunks(window: Window, layout: Layout) -> Iterator[_Chunk]:
    if layout.address == UNDEFINED:  # nothing was ever written
        return
    n_sides = len(layout.chunk)
    for key, address in leaves(window, layout.address, 1, 8 + 8 * (n_sides + 1)):
        cursor = Cursor(key)
        n_bytes, skipped = cursor.number(4), cursor.number(4)
        yield _Chunk(n_bytes, skipped, tuple(cursor.number(8) for _ in range(n_sides)), address)


def read_values(window: Window, layout: Layout, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """All values of a dataset whose layout was found sound. Raises MalformedError if they are no longer there."""
    if layout.data is not None:
        return np.frombuffer(layout.data, dtype).reshape(shape)
    if not layout.chunk:
        n_bytes = prod(shape) * dtype.itemsize
        if n_bytes == 0:
            return np.empty(shape, dtype)
        window.file.seek(window.start + layout.address)
        values: NDArray[Any] = np.fromfile(window.file, dtype, prod(shape))
        if values.nbytes != n_bytes:
            raise MalformedError(f"ends after {values.size} of {prod(shape)} values")
        return values.reshape(shape)
    return _read_chunks(window, layout, shape, dtype)


def _read_chunks(window: Window, layout: Layout, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    values = np.empty(shape, dtype)
    left = prod(-(-side // step) for side, step in zip(shape, layout.chunk, strict=True))
    seen = set()
    for one in _chunks(window, layout):
        raw = _unfiltered(window.read_data(one.address, one.n_bytes), one, layout, dtype.itemsize)
        inside = all(s % c == 0 and s < n for s, c, n in zip(one.start, layout.chunk, shape, strict=True))
        if not inside or one.start in seen:
            raise MalformedError(f"a chunk at {one.start} of {shape}")
        seen.add(one.start)
        box = tuple(slice(s, min(s + c, n)) for s, c, n in zip(one.start, layout.chunk, shape, strict=True))
        part = np.frombuffer(raw, dtype).reshape(layout.chunk)
        values[box] = part[tuple(slice(0, side.stop - side.start) for side in box)]
    if len(seen) != left:
        raise MalformedError(f"{len(seen)} of {left} chunks")
    return values


def _unfiltered(data: bytes, chunk: _Chunk, layout: Layout, itemsize: int) -> bytes:
    """The values of one chunk: what was done to them undone, last step first, and never more than they are."""
    size = prod(layout.chunk) * itemsize
    for index, number in reversed(list(enumerate(layout.filters))):
        if chunk.skipped >> index & 1:
            continue
        if number == _DEFLATE:
            data = _inflated(data, size + 4)  # checksums may follow the values
        elif number == _CHECKSUM:
            data = data[:-4]
        elif len(data) >= size:  # bytes were put together by their place in a value
            data = np.frombuffer(data, np.uint8, size).reshape(itemsize, -1).T.tobytes() + data[size:]
    if len(data) != size:
        raise MalformedError(f"a chunk of {len(data)} bytes in place of {size}")
    return data


def _inflated(data: bytes, most: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        made = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise MalformedError(str(error)) from None
    if len(made) > most:
        raise MalformedError(f"a chunk of more than {most} bytes")
    return made
