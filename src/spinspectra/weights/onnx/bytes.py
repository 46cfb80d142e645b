"""The bytes behind an ONNX model: a file read piece by piece, or a message already in memory."""

from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError

Octets = NDArray[np.uint8]


class Bytes(Protocol):
    """A source of bytes. source: for messages. size: how many there are."""

    @property
    def source(self) -> str: ...

    @property
    def size(self) -> int: ...

    def read(self, begin: int, length: int) -> bytes:
        """So many bytes from there. Raises WeightsError if they are not there (any more)."""
        ...

    def array(self, begin: int, length: int) -> Octets:
        """The same as an array of its own."""
        ...


class MemoryBytes:
    """A message in memory."""

    def __init__(self, content: bytes, source: str) -> None:
        self.source, self.size, self._content = source, len(content), content

    def read(self, begin: int, length: int) -> bytes:
        return self._content[begin : begin + length]

    def array(self, begin: int, length: int) -> Octets:
        return np.frombuffer(self._content, np.uint8, length, begin).copy()


class FileBytes:
    """A file as it was when this was made; a file that has changed since is not read on.

    In a `with` block it stays open, which many small reads need; otherwise each read opens it anew.
    """

    def __init__(self, path: Path) -> None:
        self.source, self._path = str(path), path
        self._file: BinaryIO | None = None
        try:
            self._stamp = self._stamp_now()
        except OSError as error:
            raise self._unreadable(error) from None
        self.size = self._stamp[0]

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("rb")
        except OSError as error:
            raise self._unreadable(error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def read(self, begin: int, length: int) -> bytes:
        return self.array(begin, length).tobytes() if self._file is None else self._read_open(self._file, begin, length)

    def array(self, begin: int, length: int) -> Octets:
        try:
            changed = self._stamp_now() != self._stamp
            with self._path.open("rb") as file:
                file.seek(begin)
                values = np.fromfile(file, np.uint8, length)
        except OSError as error:
            raise self._unreadable(error) from None
        if changed or values.size != length:
            raise self._changed()
        return values

    def _read_open(self, file: BinaryIO, begin: int, length: int) -> bytes:
        try:
            file.seek(begin)
            content = file.read(length)
        except OSError as error:
            raise self._unreadable(error) from None
        if len(content) != length:
            raise self._changed()
        return content

    def _stamp_now(self) -> tuple[int, int]:
        now = self._path.stat()
        return now.st_size, now.st_mtime_ns

    def _unreadable(self, error: OSError) -> WeightsError:
        return WeightsError(f"{self.source}: cannot be read ({error.strerror or error})")

    def _changed(self) -> WeightsError:
        return WeightsError(f"{self.source}: changed while it was read; open it again")
