"""Attributes of an HDF5 file that are text."""

from spinspectra.weights.hdf5.bytes import Cursor, MalformedError, Window, text
from spinspectra.weights.hdf5.tree import Attribute


class Strings:
    """Reads attributes that are text, of which HDF5 keeps those of variable length in heaps of the whole file."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def read(self, attribute: Attribute | None, most: int) -> list[str] | None:
        """Its strings, one where it is a single value, none where it is no text; None if they take more than `most`
        bytes.
        """
        if attribute is None or attribute.datatype.strings is None:
            return []
        size = attribute.datatype.dtype.itemsize
        values = [attribute.data[at : at + size] for at in range(0, len(attribute.data), size)]
        if attribute.datatype.strings == "fixed":
            return [text(value) for value in values] if len(attribute.data) <= most else None
        places = [self._place(Cursor(value)) for value in values]
        if sum(length for _, length in places) > most:
            return None
        return [text(self._window.read(*place)) if place[1] else "" for place in places]

    def one(self, attribute: Attribute | None, most: int) -> str:
        """The single string of an attribute; empty if it is not there, no text, or longer than `most` bytes."""
        return next(iter(self.read(attribute, most) or []), "")

    def _place(self, cursor: Cursor) -> tuple[int, int]:
        """Address and length of a string in a heap."""
        length, heap, index = cursor.number(4), cursor.number(8), cursor.number(4)
        if length == 0:
            return 0, 0
        if heap not in self._heaps:
            self._heaps[heap] = self._objects(heap)
        address, stored = self._heaps[heap].get(index, (0, 0))
        if stored < length:
            raise MalformedError(f"a string of {length} bytes of which {stored} are stored")
        return address, length

    def _objects(self, address: int) -> dict[int, tuple[int, int]]:
        head = Cursor(self._window.read(address, 16))
        head.expect(b"GCOL")
        head.take(4)
        size = head.number(8)
        cursor = Cursor(self._window.read(address, size))
        cursor.take(16)
        found = {}
        while cursor.left >= 16:
            index = cursor.number(2)
            cursor.take(6)
            length = cursor.number(8)
            if index == 0:  # what is left is free
                break
            found[index] = address + cursor.position, length
            cursor.take(length + -length % 8)
        return found
