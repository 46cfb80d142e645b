"""A folder as the hub lays it out: one weight file, or shards and the index that names them."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, Weights, missing

Opener = Callable[[Path, Mapping[str, Any] | None], Weights]

# In the order of preference: safetensors before pickles, whole files before shards, as the hub's loaders do.
WHOLE_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")

# One of the files that llama.cpp splits a large model into; the first names no others, it only counts them.
GGUF_PART = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf", re.DOTALL)

_MOST_JSON = 100 << 20  # bytes; the indices of the largest models take a few MB


class Shards:
    """Weights spread over shards by an index. Every shard is opened (headers only) at once.

    Raises WeightsError if the index is malformed, or if a shard it names is absent, lies outside the
    folder, or lacks a tensor that the index places in it.
    """

    def __init__(self, index: Path, opener: Opener, config: Mapping[str, Any] | None = None) -> None:
        self.source = str(index.parent)
        self.config = config
        self._shard_of = read_index(index)
        self._shards: dict[str, Weights] = {}
        for shard in dict.fromkeys(self._shard_of.values()):
            self._shards[shard] = opener(_shard_path(index, shard), config)
        held = {shard: set(weights.names()) for shard, weights in self._shards.items()}
        for name, shard in self._shard_of.items():
            if name not in held[shard]:
                raise WeightsError(
                    f"{index}: {shown(name)} should be in {shown(shard)} and is not; fetch that shard again"
                )

    def names(self) -> list[str]:
        return list(self._shard_of)

    def info(self, name: str) -> TensorInfo:
        return self._weights(name).info(name)

    def read(self, name: str) -> NDArray[np.floating]:
        return self._weights(name).read(name)

    def _weights(self, name: str) -> Weights:
        if name not in self._shard_of:
            raise missing(name, self.source, self.names())
        return self._shards[self._shard_of[name]]


def find_weights(folder: Path, suffixes: tuple[str, ...]) -> Path:
    """The file of a folder to open: a whole weight file, an index of shards, or the only weight file there.

    Of a GGUF model in parts it is the first part, which opens the others. `suffixes` are those that readers exist
    for, in the order of preference. Raises WeightsError if there is none, or if several are there and nothing says
    which one is meant.
    """
    for name in (WHOLE_FILES[0], INDEX_FILES[0], WHOLE_FILES[1], INDEX_FILES[1]):
        if (folder / name).is_file():
            return folder / name
    for suffix in suffixes:
        found = sorted(path for path in folder.iterdir() if path.suffix == suffix and path.is_file())
        if len(found) == 1 or _are_parts(found):
            return found[0]
        if found:
            names = ", ".join(path.name for path in found[:4]) + (", ..." if len(found) > 4 else "")
            raise WeightsError(
                f"{folder}: {len(found)} {suffix} files and no index ({names}); name one, or add {INDEX_FILES[0]}"
            )
    raise WeightsError(f"{folder}: no weights in this folder; looked for {', '.join(suffixes)} files")


def _are_parts(files: list[Path]) -> bool:
    """Whether files are, by their names, parts of one model."""
    matches = [GGUF_PART.fullmatch(path.name) for path in files]
    models = {match and (match["stem"], match["count"]) for match in matches}
    return len(models) == 1 and None not in models


def read_config(folder: Path) -> Mapping[str, Any] | None:
    """The model's config.json, or None if there is none. Raises WeightsError if it is not a JSON object."""
    path = folder / "config.json"
    if not path.is_file():
        return None
    return read_json_object(path)


def read_index(index: Path) -> dict[str, str]:
    """Which shard holds each tensor. Raises WeightsError if malformed, or if a shard lies outside the folder."""
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{index}: has no weight_map; fetch the index again")
    for name, shard in weight_map.items():
        if not isinstance(shard, str):
            raise WeightsError(f"{index}: the shard of {shown(name)} is no file name; fetch the index again")
    for shard in dict.fromkeys(weight_map.values()):
        parts = PurePosixPath(shard.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or PureWindowsPath(shard).drive:
            raise WeightsError(f"{index}: names the shard '{shown(shard)}', which is outside its folder; refused")
    return weight_map


def _shard_path(index: Path, shard: str) -> Path:
    path = index.parent / shard
    if not path.is_file():
        raise WeightsError(f"{index}: names the shard {shown(shard)}, which is not in the folder; fetch it")
    return path


def read_json_object(path: Path) -> dict[str, Any]:
    if (size := path.stat().st_size) > _MOST_JSON:
        raise WeightsError(f"{path}: {size} bytes are no configuration or index; fetch it again")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: not readable as JSON ({shown(str(error))}); fetch it again") from None
    if not isinstance(value, dict):
        raise WeightsError(f"{path}: holds a {type(value).__name__}, not a JSON object; fetch it again")
    return value
