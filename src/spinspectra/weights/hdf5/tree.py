"""The groups, datasets and attributes of an HDF5 file, from its headers alone; links out of it are refused."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from spinspectra.text import shown
from spinspectra.weights.hdf5.bytes import UNDEFINED, Cursor, MalformedError, RefusedError, Window, text
from spinspectra.weights.hdf5.dense import heap_objects
from spinspectra.weights.hdf5.layout import Layout, leaves, read_layout
from spinspectra.weights.hdf5.types import Datatype, read_datatype, read_shape

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

# Kinds of header messages.
_SPACE, _LINK_INFO, _TYPE, _LINK, _EXTERNAL, _LAYOUT, _GROUP_INFO = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08, 0x0A
_FILTERS, _ATTRIBUTE, _CONTINUATION, _SYMBOLS, _ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x15
_SHARED = 2  # flag of a message that is kept elsewhere
_HARD, _SOFT, _OUTSIDE = 0, 1, 64

_DEEPEST = 64  # groups within groups
_LONGEST_NAME = 1 << 16
_NEWER = "save it again with h5py's default settings"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value beside a group or a dataset: its type, its shape, and its bytes as stored."""

    datatype: Datatype
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Dataset:
    """An array in the file. path: the names of the groups down to it. address: of its header, the same for two links
    to one array.
    """

    path: tuple[str, ...]
    address: int
    datatype: Datatype
    shape: tuple[int, ...]
    layout: Layout
    attributes: dict[str, Attribute]


@dataclass(frozen=True, slots=True)
class Group:
    """A group and everything under it."""

    path: tuple[str, ...]
    attributes: dict[str, Attribute]
    groups: dict[str, "Group"] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)

    def every(self) -> Iterator[Dataset]:
        """All datasets in it and in its groups, in the order of the file."""
        yield from self.datasets.values()
        for group in self.groups.values():
            yield from group.every()

    def every_group(self) -> Iterator["Group"]:
        """All groups in it, those in them included."""
        for group in self.groups.values():
            yield group
            yield from group.every_group()


def read_tree(window: Window) -> Group:
    """Everything in the file. Raises MalformedError, or RefusedError for links, shared headers and the like."""
    root = _Reader(window).read(_root(window), ())
    if not isinstance(root, Group):
        raise MalformedError("a root that is no group")
    return root


def is_hdf5(window: Window) -> bool:
    return window.size >= len(_SIGNATURE) and window.read(0, len(_SIGNATURE)) == _SIGNATURE


def _root(window: Window) -> int:
    """The address of the root group's header, from the superblock."""
    if not is_hdf5(window):
        raise MalformedError("no HDF5 signature at its start")
    version = window.read(8, 1)[0]
    if version > 3:
        raise RefusedError(f"is HDF5 of superblock version {version}, which this version does not know; {_NEWER}")
    sizes, base_at = ((13, 24 + 4 * version)) if version < 2 else (9, 12)
    if window.read(sizes, 2) != b"\x08\x08":
        raise RefusedError(f"is HDF5 with addresses that are not of 8 bytes; {_NEWER}")
    cursor = Cursor(window.read(base_at, 48))
    base, _extension, end, newer, _name, older = (cursor.number(8) for _ in range(6))
    if base:
        raise RefusedError(f"is HDF5 after a user block; {_NEWER}")
    if end > window.size:
        raise MalformedError(f"{window.size} bytes of {end}")
    return older if version < 2 else newer


class _Reader:
    """Reads objects once each: a group that is linked twice would be a circle or a tree without end."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.seen: set[int] = set()

    def read(self, address: int, path: tuple[str, ...]) -> Group | Dataset | None:
        """The object of that header; None for what is neither group nor dataset, such as a type with a name."""
        messages = list(_messages(self.window, address))
        kinds = {kind for kind, _ in messages}
        if _LAYOUT in kinds:
            return self._dataset(address, path, messages)
        if not kinds & {_SYMBOLS, _LINK, _LINK_INFO, _GROUP_INFO}:
            return None
        if address in self.seen:
            raise RefusedError(f"links the group '{shown('/'.join(path))}' twice, which Keras never does; refused")
        if len(path) > _DEEPEST:
            raise MalformedError(f"groups nested deeper than {_DEEPEST}")
        self.seen.add(address)
        group = Group(path, _attributes(self.window, messages))
        for name, child in _links(self.window, messages, path):
            made = self.read(child, (*path, name))
            if isinstance(made, Group):
                group.groups[name] = made
            elif made is not None:
                group.datasets[name] = made
        return group

    def _dataset(self, address: int, path: tuple[str, ...], messages: list[tuple[int, bytes]]) -> Dataset:
        parts = dict(messages)
        if _EXTERNAL in parts:
            raise RefusedError(f"keeps '{shown('/'.join(path))}' in another file (external storage); refused")
        if _SPACE not in parts or _TYPE not in parts:
            raise MalformedError(f"{shown('/'.join(path))} has no shape or no type")
        shape, datatype = read_shape(Cursor(parts[_SPACE])), read_datatype(Cursor(parts[_TYPE]))
        where = "/".join(path)
        layout = read_layout(self.window, parts[_LAYOUT], parts.get(_FILTERS), shape, datatype.dtype.itemsize, where)
        return Dataset(path, address, datatype, shape, layout, _attributes(self.window, messages))


def _messages(window: Window, address: int) -> Iterator[tuple[int, bytes]]:
    """The header messages of an object, kind and body, those in continuation blocks with them."""
    is_newer = window.read(address, 4) == b"OHDR"
    blocks, envelope = _first_newer(window, address) if is_newer else _first_older(window, address)
    while blocks:
        cursor = Cursor(window.read(*blocks.pop(0)))
        while cursor.left >= envelope:
            kind, size = (cursor.number(1), cursor.number(2)) if is_newer else (cursor.number(2), cursor.number(2))
            flags = cursor.number(1)
            cursor.take(envelope - (4 if is_newer else 5))
            body = cursor.take(size)
            if flags & _SHARED and kind in (_SPACE, _TYPE, _LAYOUT, _FILTERS, _ATTRIBUTE):
                raise RefusedError(f"keeps types apart from the arrays that have them; {_NEWER}")
            if kind == _CONTINUATION:
                where = Cursor(body)
                start, length = where.number(8), where.number(8)
                # newer ones begin with a signature and end with a checksum, both of 4 bytes
                blocks.append((start + 4, length - 8) if is_newer and length >= 8 else (start, length))
            else:
                yield kind, body


def _first_older(window: Window, address: int) -> tuple[list[tuple[int, int]], int]:
    """The first block of a header of version 1, and the bytes before each message's body."""
    cursor = Cursor(window.read(address, 16))
    if cursor.number(1) != 1:
        raise MalformedError(f"no object header at {address}")
    cursor.take(7)
    return [(address + 16, cursor.number(4))], 8


def _first_newer(window: Window, address: int) -> tuple[list[tuple[int, int]], int]:
    """The same of a header of version 2."""
    version, flags = window.read(address + 4, 2)
    if version != 2:
        raise MalformedError(f"an object header of version {version}")
    start = address + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = Cursor(window.read(start, width)).number(width)
    return [(start + width, length)], 6 if flags & 4 else 4


def _links(window: Window, messages: list[tuple[int, bytes]], path: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """The names in a group and the headers that they link to."""
    for kind, body in messages:
        cursor = Cursor(body)
        if kind == _SYMBOLS:
            tree, heap = cursor.number(8), cursor.number(8)
            yield from _symbols(window, tree, _heap(window, heap), path)
        elif kind == _LINK:
            yield _link(cursor, path)
        elif kind == _LINK_INFO:
            cursor.take(1)
            cursor.take(8 if cursor.number(1) & 1 else 0)
            heap, tree = cursor.number(8), cursor.number(8)
            if heap != UNDEFINED:
                for link in heap_objects(window, heap, tree, 4):  # after a hash of the name
                    yield _link(Cursor(link), path)


def _link(cursor: Cursor, path: tuple[str, ...]) -> tuple[str, int]:
    version, flags = cursor.number(1), cursor.number(1)
    if version != 1:
        raise MalformedError(f"a link of version {version}")
    kind = cursor.number(1) if flags & 8 else _HARD
    cursor.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = text(cursor.take(cursor.number(1 << (flags & 3))))
    _require_hard(kind, (*path, name))
    return name, cursor.number(8)


def _require_hard(kind: int, path: tuple[str, ...]) -> None:
    if kind == _HARD:
        return
    said = {_SOFT: "a soft link", _OUTSIDE: "a link to another file"}.get(kind, "a link of an unknown kind")
    raise RefusedError(f"has {said}, '{shown('/'.join(path))}'; refused")


def _heap(window: Window, address: int) -> bytes:
    """The names of a group, one after another."""
    cursor = Cursor(window.read(address, 32))
    cursor.expect(b"HEAP")
    cursor.take(4)
    size, _free, start = (cursor.number(8) for _ in range(3))
    return window.read(start, size)


def _symbols(window: Window, tree: int, names: bytes, path: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """The entries of a group's symbol table, which hangs on a B-tree."""
    for _key, node in leaves(window, tree, 0, 8):
        head = Cursor(window.read(node, 8))
        head.expect(b"SNOD")
        head.take(2)
        cursor = Cursor(window.read(node + 8, 40 * head.number(2)))
        while cursor.left:
            at, header, cached = cursor.number(8), cursor.number(8), cursor.number(4)
            cursor.take(20)
            name = text(names[at : at + _LONGEST_NAME])
            if not name:
                raise MalformedError("a link without a name")
            _require_hard(_SOFT if cached == 2 else _HARD, (*path, name))
            yield name, header


def _attributes(window: Window, messages: list[tuple[int, bytes]]) -> dict[str, Attribute]:
    bodies = [body for kind, body in messages if kind == _ATTRIBUTE]
    for cursor in [Cursor(body) for kind, body in messages if kind == _ATTRIBUTE_INFO]:
        cursor.take(1)
        cursor.take(2 if cursor.number(1) & 1 else 0)
        heap, tree = cursor.number(8), cursor.number(8)
        if heap != UNDEFINED:
            bodies += heap_objects(window, heap, tree, 0)
    return dict(_attribute(Cursor(body)) for body in bodies)


def _attribute(cursor: Cursor) -> tuple[str, Attribute]:
    version, flags = cursor.number(1), cursor.number(1)
    if not 1 <= version <= 3:
        raise MalformedError(f"an attribute of version {version}")
    if version > 1 and flags & 3:
        raise RefusedError(f"keeps types apart from the attributes that have them; {_NEWER}")
    sizes = [cursor.number(2) for _ in range(3)]
    cursor.take(1 if version == 3 else 0)
    name, datatype, space = (_padded(cursor, size, version == 1) for size in sizes)
    made = read_datatype(Cursor(datatype))
    shape = read_shape(Cursor(space))
    return text(name), Attribute(made, shape, cursor.take(prod(shape) * made.dtype.itemsize))


def _padded(cursor: Cursor, size: int, to_eight: bool) -> bytes:
    data = cursor.take(size)
    cursor.take(-size % 8 if to_eight else 0)
    return data
