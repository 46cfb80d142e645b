"""Reader of numpy's `.npz` archives: member headers at once, each array when asked; pickles are refused."""

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, missing
from spinspectra.weights.dtypes import to_float

# Bytes that one stored byte can become: deflate reaches 1032.
_MOST_EXPANSION = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}

_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class NpzFile:
    """Weights of one `.npz` archive. Raises WeightsError if it is malformed or holds Python objects."""

    def __init__(self, path: Path, config: Mapping[str, Any] | None = None) -> None:
        self.source = str(path)
        self.config = config
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._infos = {
                    member.filename.removesuffix(".npy"): _member_info(archive, member, path)
                    for member in archive.infolist()
                    if member.filename.endswith(".npy")
                }
        except WeightsError:
            raise
        except Exception as error:  # zip and header parsers meet malformed bytes with errors of many kinds
            raise WeightsError(f"{path}: not a whole .npz archive ({_reason(error)}); write it again") from None
        if not self._infos:
            raise WeightsError(f"{path}: the archive holds no arrays")

    def names(self) -> list[str]:
        return list(self._infos)

    def info(self, name: str) -> TensorInfo:
        try:
            return self._infos[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None

    def read(self, name: str) -> NDArray[np.floating]:
        self.info(name)
        where = f"{self.source}: {shown(name)}"
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(f"{name}.npy") as file, _quiet():
                values = npy.read_array(file, allow_pickle=False)
        except Exception as error:  # as above
            raise WeightsError(f"{where} cannot be read ({_reason(error)}); write it again") from None
        return to_float(values, where)


def _member_info(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> TensorInfo:
    where = f"{path}: {shown(member.filename)}"
    _check_sizes(member, path, where)
    with archive.open(member) as file, _quiet():
        version = npy.read_magic(file)
        if version not in _HEADER_READERS:
            raise WeightsError(f"{where} is .npy version {version}; save it again with numpy")
        shape, _fortran, dtype = _HEADER_READERS[version](file)
        header = file.tell()
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise WeightsError(f"{where} claims the shape {shape}; write it again")
    info = TensorInfo(shape, dtype, str(path))
    if dtype.hasobject:
        raise WeightsError(f"{where} holds Python objects, which could run code; save arrays only")
    if header + info.n_bytes != member.file_size:
        raise WeightsError(
            f"{where} claims {info.n_bytes} bytes of data and has {member.file_size - header}; write it again"
        )
    return info


def _check_sizes(member: zipfile.ZipInfo, path: Path, where: str) -> None:
    """The directory of an archive can claim any size; hold it against the bytes that are there."""
    if member.compress_type not in _MOST_EXPANSION:
        raise WeightsError(f"{where} is compressed in a way that numpy does not write; save it again with numpy")
    if member.compress_size > path.stat().st_size:
        raise WeightsError(f"{where} claims {member.compress_size} bytes, more than its file; write it again")
    if member.file_size > member.compress_size * _MOST_EXPANSION[member.compress_type]:
        raise WeightsError(
            f"{where} claims {member.file_size} bytes from {member.compress_size} compressed ones; write it again"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without numpy's advice on files written by Python 2, which it reads all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _reason(error: Exception) -> str:
    return shown(str(error) or type(error).__name__)
