"""Reader of one `.safetensors` file: the header at once, each tensor straight from the file when asked."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, missing
from spinspectra.weights.dtypes import PACKED, SAFETENSORS, to_float


class SafetensorsFile:
    """Weights of one `.safetensors` file. Raises WeightsError if the file is empty, cut short or malformed."""

    def __init__(self, path: Path, config: Mapping[str, Any] | None = None) -> None:
        self.source = str(path)
        self.config = config
        self._path = path
        header, self._data_start = _read_header(path)
        self.metadata: dict[str, str] = header.pop("__metadata__", None) or {}
        if not header:
            raise WeightsError(f"{path}: holds no tensors")
        self._entries: dict[str, dict[str, Any]] = dict(
            sorted(header.items(), key=lambda item: item[1]["data_offsets"][0])
        )

    def names(self) -> list[str]:
        return list(self._entries)

    def info(self, name: str) -> TensorInfo:
        entry = self._entry(name)
        code = entry["dtype"]
        dtype = SAFETENSORS.get(code, PACKED.get(code))
        if dtype is None:
            raise WeightsError(f"{self.source}: {shown(name)} is stored as {code}, a format this version does not know")
        return TensorInfo(tuple(entry["shape"]), dtype, self.source)

    def read(self, name: str) -> NDArray[np.floating]:
        info = self.info(name)
        if info.dtype in PACKED.values():
            raise WeightsError(
                f"{self.source}: {shown(name)} is stored as {info.dtype}, a packed format whose scale lives elsewhere; "
                "dequantise the checkpoint first"
            )
        begin, _end = self._entry(name)["data_offsets"]
        try:
            with self._path.open("rb") as file:
                file.seek(self._data_start + begin)
                values = np.fromfile(file, dtype=info.dtype, count=info.size)
        except OSError as error:
            raise WeightsError(f"{self.source}: {shown(name)} cannot be read ({error.strerror or error})") from None
        if values.size != info.size:
            raise WeightsError(
                f"{self.source}: {shown(name)} ends after {values.size} of {info.size} values; the file changed "
                "while it was read, fetch it again"
            )
        return to_float(values.reshape(info.shape), f"{self.source}: {shown(name)}")

    def _entry(self, name: str) -> dict[str, Any]:
        try:
            return self._entries[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header's entries and where the data begin, once the format's own library has judged the file.

    safetensors checks what could hurt: header length, overlaps and gaps, offsets against shapes and against
    the length of the file. Only the byte offsets are taken here, since its numpy face knows no float8.
    """
    try:
        if path.stat().st_size == 0:
            raise WeightsError(f"{path}: the file is empty; fetch it again")
        with safe_open(path, framework="numpy"):
            pass
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(length))
            return header, 8 + length
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise WeightsError(f"{path}: not a whole safetensors file ({shown(reason)}); fetch it again") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from None
