"""Reader of numpy's `.npz` archives: member headers at once, each array when asked; pickles are refused."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.weights.base import TensorInfo, missing
from spinspectra.weights.dtypes import to_float

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
        except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
            raise WeightsError(f"{path}: not a whole .npz archive ({error}); write it again") from None
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
        try:
            with np.load(self._path, allow_pickle=False) as archive:
                return to_float(archive[name], f"{self.source}: {name}")
        except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
            raise WeightsError(f"{self.source}: {name} cannot be read ({error}); write it again") from None


def _member_info(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> TensorInfo:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in _HEADER_READERS:
            raise WeightsError(f"{path}: {member.filename} is .npy version {version}; save it again with numpy")
        shape, _fortran, dtype = _HEADER_READERS[version](file)
        header = file.tell()
    info = TensorInfo(shape, dtype, str(path))
    if dtype.hasobject:
        raise WeightsError(f"{path}: {member.filename} holds Python objects, which could run code; save arrays only")
    if header + info.n_bytes != member.file_size:
        raise WeightsError(
            f"{path}: {member.filename} claims {info.n_bytes} bytes of data and has {member.file_size - header}; "
            "write it again"
        )
    return info
