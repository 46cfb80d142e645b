"""Reader of what Keras writes: `.keras` archives, `.weights.h5`, and `.h5` as Keras 2 has them.

Neither Keras nor TensorFlow nor HDF5's library is needed, and nothing in a file is run.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, missing
from spinspectra.weights.dtypes import to_float
from spinspectra.weights.hdf5.bytes import MalformedError, Place, RefusedError, Window, opened
from spinspectra.weights.hdf5.layout import read_values
from spinspectra.weights.hdf5.strings import Strings
from spinspectra.weights.hdf5.tree import read_tree
from spinspectra.weights.keras.archive import open_archive
from spinspectra.weights.keras.classes import Known, matrix_shape
from spinspectra.weights.keras.config import described, parse_config
from spinspectra.weights.keras.int8 import SCHEME, codes, dequantise
from spinspectra.weights.keras.layouts import Entry, read_entries


def open_keras_file(path: Path, config: Mapping[str, Any] | None = None) -> "KerasFile":
    """The weights of a `.keras` archive or of an HDF5 file, told apart by their first bytes.

    config: also Keras's own, as it lies beside the weights of a model that was saved as a folder. Raises WeightsError
    for a file that is empty, cut short, malformed, or leads to other files.
    """
    if path.stat().st_size == 0:
        raise WeightsError(f"{path}: the file is empty; save it again")
    if _is_archive(path):
        place, text = open_archive(path)
        return KerasFile(place, config, parse_config(text))
    return KerasFile(Place(path, 0, path.stat().st_size), config, described(config))


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK" or (path.suffix == ".keras" and zipfile.is_zipfile(path))


class KerasFile:
    """Weights in an HDF5 file. Names are the layers' own, then the variable's: `block.dense_1.kernel`.

    Tensors are as stored, kernels (k..., in, out); those of einsum layers, (d, heads, width) and the like, are the
    matrices that they act as. Raises WeightsError as `open_keras_file` does.
    """

    def __init__(self, place: Place, config: Mapping[str, Any] | None, model: Known) -> None:
        self.source = str(place.path)
        self.config = config
        self._place = place
        with self._window("") as window:
            strings = Strings(window)
            entries = read_entries(read_tree(window), model, strings)
        if not entries:
            raise WeightsError(f"{self.source}: holds no weights")
        self._entries = {entry.name: entry for entry in entries}
        self._infos = _infos(entries, self.source)

    def names(self) -> list[str]:
        return list(self._infos)

    def info(self, name: str) -> TensorInfo:
        try:
            return self._infos[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None

    def read(self, name: str) -> NDArray[np.floating]:
        info = self.info(name)
        entry, where = self._entries[name], f"{self.source}: {shown(name)}"
        with self._window(f" {shown(name)}") as window:
            values = _values(window, entry).reshape(info.shape)
            scale = None if entry.scale is None else to_float(_values(window, entry.scale), where)
        if info.format:
            raise WeightsError(f"{where} is stored as {info.format}, which are not read; save the model unquantised")
        if entry.scale is None or scale is None:
            return to_float(values, where)
        return dequantise(values, scale, entry.divided_by(entry.scale))

    @contextmanager
    def _window(self, name: str) -> Iterator[Window]:
        """The file, open; what is wrong with it becomes one line. name: of the tensor that is read, after a space."""
        try:
            with opened(self._place) as window:
                yield window
        except RefusedError as error:
            raise WeightsError(f"{self.source}: {error}") from None
        except MalformedError as error:
            what = f"{name} cannot be read" if name else " not a whole HDF5 file"
            raise WeightsError(f"{self.source}:{what} ({error}); save it again") from None
        except OSError as error:
            raise WeightsError(f"{self.source}:{name} cannot be read ({error.strerror or error})") from None


def _values(window: Window, entry: Entry) -> NDArray[Any]:
    return read_values(window, entry.dataset.layout, entry.dataset.shape, entry.dtype)


def _infos(entries: list[Entry], source: str) -> dict[str, TensorInfo]:
    owners: dict[int, str] = {}
    infos = {}
    for entry in entries:
        owner = owners.setdefault(entry.dataset.address, entry.name)
        info = TensorInfo(
            matrix_shape(entry.known, entry.leaf, entry.dataset.shape),
            entry.dtype,
            source,
            module=entry.known.kind,
            same_as="" if owner == entry.name else owner,
        )
        infos[entry.name] = _quantised(info, entry)
    return infos


def _quantised(info: TensorInfo, entry: Entry) -> TensorInfo:
    """What is told of codes: those that `read` divides by their scales, and those that it refuses."""
    if entry.scale is None:
        return replace(info, format=codes(entry.known, entry.leaf, entry.dtype))
    n_bytes = info.n_bytes + entry.scale.dtype.itemsize * prod(entry.scale.dataset.shape)
    return replace(info, dtype=np.dtype(np.float32), scheme=SCHEME, stored_bytes=n_bytes)
