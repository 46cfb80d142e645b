"""The bytes of an HDF5 file: every read is held against the file's end and against a budget.

HDF5's own library is not used on files of strangers: garbled headers make it crash, hang or ask for gigabytes. What is
read here is the part of the format that h5py and Keras write by default (HDF5 File Format Specification 3.0).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

UNDEFINED = 2**64 - 1  # the address of what has never been written

# What headers may take to read, so that those that point in circles come to an end: all of a small file twice over.
_LEAST_BUDGET, _MOST_BUDGET = 1 << 20, 64 << 20
_LEAST_COST = 64


class MalformedError(Exception):
    """The bytes do not follow the format; the text says how, for a WeightsError that names the file."""


class RefusedError(Exception):
    """The file asks for something that is not done; the text is a whole sentence without the file's name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an HDF5 file lies: `size` bytes from byte `start` of a file, which may be an archive around it."""

    path: Path
    start: int
    size: int


class Window:
    """The bytes of a place, at addresses that count from its start."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        self.file = file
        self.start = place.start
        self.size = place.size
        self._budget = min(max(2 * place.size, _LEAST_BUDGET), _MOST_BUDGET)

    def read(self, address: int, n_bytes: int) -> bytes:
        """Bytes of a header. Raises MalformedError if they are not all there, or if too many were asked for."""
        self.require(address, n_bytes)
        self._budget -= max(n_bytes, _LEAST_COST)
        if self._budget < 0:
            raise MalformedError("headers that refer to one another without end")
        return self.read_data(address, n_bytes)

    def read_data(self, address: int, n_bytes: int) -> bytes:
        """Bytes of a tensor. Raises MalformedError if they are not all there."""
        self.require(address, n_bytes)
        self.file.seek(self.start + address)
        data = self.file.read(n_bytes)
        if len(data) != n_bytes:
            raise MalformedError(f"ends before byte {address + n_bytes}")
        return data

    def require(self, address: int, n_bytes: int) -> None:
        """Raises MalformedError unless these bytes are inside the window."""
        if address + n_bytes > self.size:
            raise MalformedError(f"{n_bytes} bytes at {address} of {self.size}")


@contextmanager
def opened(place: Place) -> Iterator[Window]:
    """The window on a place, open as long as the `with` block runs."""
    with place.path.open("rb") as file:
        yield Window(file, place)


class Cursor:
    """Reads bytes one field after another; numbers are little-endian and unsigned. Raises MalformedError at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self.position

    def take(self, n_bytes: int) -> bytes:
        if n_bytes > self.left:
            raise MalformedError(f"a field of {n_bytes} bytes where {self.left} are left")
        self.position += n_bytes
        return self._data[self.position - n_bytes : self.position]

    def number(self, n_bytes: int) -> int:
        return int.from_bytes(self.take(n_bytes), "little")

    def expect(self, signature: bytes) -> None:
        if self.take(len(signature)) != signature:
            raise MalformedError(f"no {signature.decode()} where one is referred to")


def text(data: bytes) -> str:
    """A name or a string up to its first zero byte; what is no UTF-8 is spelled out."""
    return data.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
