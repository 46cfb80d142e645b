"""`open_weights`: from whatever names a checkpoint to the reader of its format."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import Weights
from spinspectra.weights.folder import INDEX_FILES, Opener, Shards, find_weights, read_config
from spinspectra.weights.quantised import dequantised


def _safetensors(path: Path, config: Mapping[str, Any] | None) -> Weights:
    from spinspectra.weights.safetensors_file import SafetensorsFile

    return SafetensorsFile(path, config)


def _torch(path: Path, config: Mapping[str, Any] | None) -> Weights:
    from spinspectra.weights.torch_file import open_torch_file

    return open_torch_file(path, config)


def _npz(path: Path, config: Mapping[str, Any] | None) -> Weights:
    from spinspectra.weights.npz import NpzFile

    return NpzFile(path, config)


def _gguf(path: Path, config: Mapping[str, Any] | None) -> Weights:
    from spinspectra.weights.gguf.file import GgufFile

    return GgufFile(path, config)


def _onnx(path: Path, config: Mapping[str, Any] | None) -> Weights:
    from spinspectra.weights.onnx.file import open_onnx_file

    return open_onnx_file(path, config)


def _keras(path: Path, config: Mapping[str, Any] | None) -> Weights:
    from spinspectra.weights.keras.file import open_keras_file

    return open_keras_file(path, config)


# One reader a format, in the order in which a folder is searched. A new format is registered here.
READERS: dict[str, Opener] = {
    ".safetensors": _safetensors,
    ".bin": _torch,
    ".pt": _torch,
    ".pth": _torch,
    ".npz": _npz,
    ".gguf": _gguf,
    ".onnx": _onnx,
    ".keras": _keras,
    ".h5": _keras,
}


def open_weights(source: Any, config: Mapping[str, Any] | None = None) -> Weights:
    """Open a checkpoint without reading its tensors.

    source: the path of a weight file, of an index of shards, or of a folder with either; a hub id `org/name` or
    `org/name@revision`, `org/name:file` for one file there; a torch module, a Keras model or an ONNX model in memory;
    a mapping from names to arrays; or Weights already open, which are returned. config: the model's configuration
    where none lies beside the file, as its config.json would hold it (`{"model_type": "bloom", "n_head": 16}`).
    Quantised weights are read as the numbers they stand for (`quantised.dequantised`).

    Raises WeightsError for anything missing, malformed or unsafe, MissingExtraError where a format needs a
    package that is not installed.
    """
    if isinstance(source, str | PathLike):
        return dequantised(_open_path(str(source), config))
    if isinstance(source, Mapping):
        from spinspectra.weights.arrays import MappingWeights

        return dequantised(MappingWeights(source, "mapping of arrays", config))
    # before torch: on the torch backend a Keras model is a module too
    if _is_from(source, "keras", "tf_keras") and hasattr(source, "weights"):
        from spinspectra.weights.keras.model import open_keras_model

        return open_keras_model(source, config)
    if _is_from(source, "onnx") and hasattr(source, "graph") and hasattr(source, "SerializeToString"):
        from spinspectra.weights.onnx.file import open_onnx_model

        return open_onnx_model(source, config)
    if hasattr(source, "state_dict") and not isinstance(source, type):
        from spinspectra.weights.torch_file import open_module

        return dequantised(open_module(source, config))
    if not isinstance(source, type) and all(hasattr(source, method) for method in ("names", "info", "read")):
        opened: Weights = source
        return opened
    raise WeightsError(
        f"cannot open a {type(source).__name__} as weights; give a path, a hub id, a torch module or a "
        "mapping from names to arrays"
    )


def _is_from(source: Any, *libraries: str) -> bool:
    """Whether this is an object of a class of one of these libraries, or of one derived; none of them is imported."""
    return not isinstance(source, type) and any(
        one.__module__.partition(".")[0] in libraries for one in type(source).__mro__
    )


def _open_path(source: str, config: Mapping[str, Any] | None) -> Weights:
    path = Path(source)
    try:
        found = path.exists()
    except OSError:  # longer than any file name
        found = False
    if not found:
        from spinspectra.weights.hub import fetch, is_hub_id

        if not is_hub_id(source) or (path.suffix in READERS and ":" not in source):
            raise WeightsError(f"{shown(source)}: no such file or folder")
        path = fetch(source)
    try:
        if path.is_dir():
            path = find_weights(path, tuple(READERS))
        config = config if config is not None else read_config(path.parent)
        if path.name.endswith(".index.json"):
            return Shards(path, _shard_opener(path), config)
        if path.suffix not in READERS:
            raise WeightsError(f"{path}: no reader for {path.suffix or 'this name'}; known: {', '.join(READERS)}")
        if not path.is_file():
            raise WeightsError(f"{path}: not a regular file; give a file or a folder")
        return READERS[path.suffix](path, config)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from None


def _shard_opener(index: Path) -> Opener:
    """Shards are of the format in the index's name, `model.safetensors.index.json`."""
    suffix = Path(index.name.removesuffix(".index.json")).suffix
    if suffix not in READERS:
        raise WeightsError(f"{index}: an index is named like {INDEX_FILES[0]} or {INDEX_FILES[1]}")
    return READERS[suffix]
