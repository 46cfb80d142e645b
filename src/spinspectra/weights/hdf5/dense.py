"""Names of large groups as HDF5 keeps them since 1.8: in a fractal heap, which a B-tree of version 2 leads through.

h5py's default settings still come to it, where a group has a name that is not ASCII and more than eight members.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from spinspectra.weights.hdf5.bytes import UNDEFINED, Cursor, MalformedError, RefusedError, Window

_NODE_ENDS = 10  # bytes of a node that are no records: signature, version, kind, checksum
_DEEPEST = 8  # levels of a tree, or of blocks of a heap
_MANAGED = 0  # the kind of an object that lies in a block of the heap


@dataclass(frozen=True, slots=True)
class _Heap:
    """A fractal heap. width: blocks a row. first, largest: bytes of the smallest and of the largest direct block.

    n_rows: rows of its root, 0 if that is a direct block. offset_bytes, length_bytes: of an object's address.
    """

    width: int
    first: int
    largest: int
    root: int
    n_rows: int
    offset_bytes: int
    length_bytes: int

    def block_bytes(self, row: int) -> int:
        return self.first << max(row - 1, 0)

    @property
    def direct_rows(self) -> int:
        return self.largest.bit_length() - self.first.bit_length() + 2


def heap_objects(window: Window, heap: int, tree: int, id_at: int) -> Iterator[bytes]:
    """The objects of a heap, in the order of the tree. id_at: where in a record of the tree an object's id begins."""
    opened = _heap(window, heap)
    for record in _records(window, tree):
        cursor = Cursor(record[id_at:])
        if cursor.number(1) >> 4 != _MANAGED:
            raise RefusedError("keeps a large attribute by itself; save it again with h5py's default settings")
        offset, length = cursor.number(opened.offset_bytes), cursor.number(opened.length_bytes)
        address, left = _block(window, opened, opened.root, opened.n_rows, offset)
        if length > left:
            raise MalformedError(f"an object of {length} bytes in a block of {left}")
        yield window.read(address, length)


def _heap(window: Window, address: int) -> _Heap:
    cursor = Cursor(window.read(address, 142))
    cursor.expect(b"FRHP")
    cursor.take(3)
    if cursor.number(2):
        raise RefusedError("compresses its names; save it again with h5py's default settings")
    cursor.take(1)
    most = cursor.number(4)
    cursor.take(96)
    width, first, largest, bits = (cursor.number(n) for n in (2, 8, 8, 2))
    cursor.take(2)
    root, n_rows = cursor.number(8), cursor.number(2)
    if not (width and first and largest >= first and bits <= 64 and n_rows <= 64 and largest < 2**32):
        raise MalformedError(f"a heap of {n_rows} rows of {width} blocks of {first} to {largest} bytes")
    return _Heap(width, first, largest, root, n_rows, (bits + 7) // 8, min(_width(largest), _width(most)))


def _width(number: int) -> int:
    """Bytes in which HDF5 writes numbers up to this one."""
    return max(number.bit_length() - 1, 0) // 8 + 1


def _block(window: Window, heap: _Heap, address: int, n_rows: int, offset: int, depth: int = 0) -> tuple[int, int]:
    """The address of what is at an offset from a block, and the bytes from there to the end of its direct block."""
    if address == UNDEFINED or depth > _DEEPEST:
        raise MalformedError("an object outside its heap")
    if n_rows == 0:
        return address + offset, heap.first - offset
    at, start = 0, address + 4 + 1 + 8 + heap.offset_bytes
    for row in range(n_rows):
        size = heap.block_bytes(row)
        if offset < at + size * heap.width:
            column = (offset - at) // size
            child = Cursor(window.read(start + 8 * (row * heap.width + column), 8)).number(8)
            inside = offset - at - column * size
            if row < heap.direct_rows:
                if child == UNDEFINED:
                    raise MalformedError("an object outside its heap")
                return child + inside, size - inside
            rows = size.bit_length() - (heap.first * heap.width).bit_length() + 1
            return _block(window, heap, child, rows, inside, depth + 1) if rows > 0 else (child, 0)
        at += size * heap.width
    raise MalformedError("an object outside its heap")


def _records(window: Window, address: int) -> Iterator[bytes]:
    """The records of a B-tree of version 2."""
    cursor = Cursor(window.read(address, 38))
    cursor.expect(b"BTHD")
    cursor.take(2)
    node, record, depth = cursor.number(4), cursor.number(2), cursor.number(2)
    cursor.take(2)
    root, n_records = cursor.number(8), cursor.number(2)
    if not record or node <= _NODE_ENDS + record or depth > _DEEPEST:
        raise MalformedError(f"a B-tree of depth {depth} with nodes of {node} bytes and records of {record}")
    if n_records:
        yield from _node(window, root, n_records, depth, record, _pointers(node, record, depth))


def _pointers(node: int, record: int, depth: int) -> list[tuple[int, int]]:
    """For each level, in bytes: a child's number of records, and its number with all below it; none at the lowest."""
    most = (node - _NODE_ENDS) // record
    width, total, below = _width(most), most, 0
    found = [(0, 0)]
    for _ in range(depth):
        found.append((width, below))
        pointer = 8 + width + below
        most = (node - _NODE_ENDS - pointer) // (record + pointer)
        total = (most + 1) * total + most
        below = _width(max(total, 1))
    return found


def _node(
    window: Window, address: int, n_records: int, level: int, record: int, pointers: list[tuple[int, int]]
) -> Iterator[bytes]:
    counted, all_below = pointers[level]
    pointer = 8 + counted + all_below
    size = n_records * record + ((n_records + 1) * pointer if level else 0)
    cursor = Cursor(window.read(address, 6 + size))
    cursor.expect(b"BTIN" if level else b"BTLF")
    cursor.take(2)
    for _ in range(n_records):
        yield cursor.take(record)
    for _ in range(n_records + 1 if level else 0):
        child, count = cursor.number(8), cursor.number(counted)
        cursor.take(all_below)
        yield from _node(window, child, count, level - 1, record, pointers)
