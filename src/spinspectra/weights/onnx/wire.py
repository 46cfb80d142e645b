"""The wire format of protocol buffers, which ONNX is written in: fields of a message, one after the other.

Each field is a number and a wire type, and then an integer of variable length, four bytes, eight bytes, or a length
and so many bytes: text, numbers without gaps, or a message in turn.
"""

from collections.abc import Iterator

from spinspectra.errors import WeightsError
from spinspectra.weights.onnx.bytes import Bytes

INT, EIGHT, BYTES, FOUR = 0, 1, 2, 5  # wire types

# These keep a small file from becoming a large structure, or a long walk. Graphs of some 10,000 nodes are common; one
# of 30,000 stays below them.
_MOST_FIELDS = 1_000_000
_MOST_MEMORY = 64 << 20
_NAME, _NUMBER = 150, 80  # bytes of memory that a name and an integer take
_LONGEST_NAME = 1 << 16
_WINDOW = 1 << 14  # bytes read at a time
_HEAD = 20  # bytes that number, wire type and length of a field take at most


def key_of(number: int, wire: int) -> int:
    """Number and wire type as the format joins them."""
    return number << 3 | wire


class Wire:
    """Walks through messages. Raises WeightsError, naming `source`, for anything malformed.

    value_at: where the integer begins that `walk` has just given.
    """

    def __init__(self, data: Bytes, source: str) -> None:
        self.data, self.value_at = data, 0
        self._source = source
        self._window, self._base = b"", 0
        self._fields = self._memory = 0
        self._names: dict[str, str] = {}

    def walk(self, begin: int, end: int, wanted: frozenset[int]) -> Iterator[tuple[int, int, int]]:
        """The wanted fields of a message: key, and where the value begins and ends.

        An integer's own value stands in place of its beginning, which is noted in `value_at`.
        """
        position, n_fields = begin, 0
        while position < end:
            n_fields += 1
            if n_fields > 200:
                self._count(n_fields)
                n_fields = 0
            window, base = self._window, self._base
            at = position - base
            if at < 0 or at + _HEAD > len(window):
                window, base, at = self._load(position), position, 0
            key, at = self.varint(window, at)
            wire = key & 7
            if wire == INT:
                value_at = base + at
                value, at = self.varint(window, at)
                position = base + at
            else:
                if wire == BYTES:
                    length, at = self.varint(window, at)
                elif wire in (FOUR, EIGHT):
                    length = 4 if wire == FOUR else 8
                else:
                    raise self.malformed(f"wire type {wire}")
                value = base + at
                position = value + length
            if position > end or key < 8:
                raise self.malformed("a field that ends after what holds it" if key >= 8 else "a field without number")
            if key in wanted:
                if wire == INT:
                    self.value_at = value_at
                yield key, value, position
        self._count(n_fields)

    def _load(self, position: int) -> bytes:
        self._window = self.data.read(position, min(_WINDOW, self.data.size - position))
        self._base = position
        return self._window

    def varint(self, raw: bytes, at: int) -> tuple[int, int]:
        """An integer of 7 bits a byte, the lowest first, and where it ends."""
        try:
            byte = raw[at]
            if byte < 0x80:
                return byte, at + 1
            value, shift = byte & 0x7F, 7
            while byte >= 0x80 and shift < 70:
                at += 1
                byte = raw[at]
                value |= (byte & 0x7F) << shift
                shift += 7
        except IndexError:
            byte = 0x80
        if byte >= 0x80:
            raise self.malformed("a number without end")
        return value & 0xFFFF_FFFF_FFFF_FFFF, at + 1

    def text_of(self, begin: int, end: int) -> str:
        """A name."""
        if end - begin > _LONGEST_NAME:
            raise self.malformed(f"{end - begin} bytes are no name")
        self.charge(_NAME)
        at = begin - self._base
        inside = at >= 0 and at + end - begin <= len(self._window)
        raw = self._window[at : at + end - begin] if inside else self.data.read(begin, end - begin)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise self.malformed("a name that is no text") from None
        if text not in self._names:  # names return as inputs and outputs; one of each is kept
            self.charge(4 * len(text))
            self._names[text] = text
        return self._names[text]

    def integer(self, value: int) -> int:
        """An integer as it was meant: negative ones are written as the pattern of their 64 bits."""
        self.charge(_NUMBER)
        return _signed(value)

    def packed(self, begin: int, end: int) -> list[int]:
        """Integers that follow each other, one byte each at least."""
        self.charge((end - begin) * _NUMBER)
        raw, at, values = self.data.read(begin, end - begin), 0, []
        while at < len(raw):
            value, at = self.varint(raw, at)
            values.append(_signed(value))
        return values

    def _count(self, n_fields: int) -> None:
        self._fields += n_fields
        if self._fields > _MOST_FIELDS:
            raise self._too_large(f"{_MOST_FIELDS} fields")

    def charge(self, n_bytes: int) -> None:
        """Note that something takes so many bytes of memory; too many are refused."""
        self._memory += n_bytes
        if self._memory > _MOST_MEMORY:
            raise self._too_large(f"{_MOST_MEMORY >> 20} MiB")

    def malformed(self, reason: str) -> WeightsError:
        """The error for a file that is no such message."""
        return WeightsError(f"{self._source}: not a whole ONNX file ({reason}); fetch it again")

    def _too_large(self, limit: str) -> WeightsError:
        return WeightsError(
            f"{self._source}: its graph, weights aside, is larger than {limit}, and refused; save its weights as .npz"
        )


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
