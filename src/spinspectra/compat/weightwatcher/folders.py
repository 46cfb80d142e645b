"""Folders of weight files as the peer takes them: all shards, with an index or without."""

import logging
from pathlib import Path
from typing import Any

from spinspectra.compat.weightwatcher.constants import PYTORCH, SAFETENSORS, UNKNOWN, WW_FLATFILES, WW_NAME
from spinspectra.compat.weightwatcher.joined import JoinedWeights
from spinspectra.errors import WeightsError
from spinspectra.weights import Weights, open_weights
from spinspectra.weights.folder import INDEX_FILES, WHOLE_FILES

_LOGGER = logging.getLogger(WW_NAME)

# In the order in which a folder is searched.
_PATTERNS = {
    "model*safetensors": SAFETENSORS,
    "adapter_model*safetensors": SAFETENSORS,
    "pytorch_model*bin": PYTORCH,
    "adapter_model*bin": PYTORCH,
    "*weight*npy": WW_FLATFILES,
    "*h5": "keras_h5_file",
}


def file_format(model_dir: Any) -> tuple[str, str]:
    """The format of a folder's weight files, and the pattern they fit below it; ("unknown", "unknown") if none do."""
    folder = Path(model_dir)
    for pattern, name in _PATTERNS.items():
        if any(folder.glob(pattern)):
            return name, f"{folder}/{pattern}"
    return UNKNOWN, UNKNOWN


def open_path(source: Any) -> Weights:
    """A file, a folder or a hub id as weights; shards without an index are joined, in order of their names.

    Files of a folder that look like weights of the same format and are not read are logged. Raises WeightsError if two
    shards hold tensors of one name, and what `open_weights` raises.
    """
    path = Path(source)
    if not path.is_dir():
        return open_weights(source)
    kind, pattern = file_format(path)
    files = sorted(path.glob(Path(pattern).name)) if kind in (SAFETENSORS, PYTORCH) else []
    marked = any((path / name).is_file() for name in (*WHOLE_FILES, *INDEX_FILES))
    if len(files) > 1 and not marked:
        return _join(files, str(path))
    weights = open_weights(source)
    opened = {Path(weights.info(name).file).name for name in weights.names()}
    if unread := [one.name for one in files if one.name not in opened]:
        _LOGGER.warning("%s: not read, as no index names them: %s", path, ", ".join(unread))
    return weights


def _join(files: list[Path], source: str) -> Weights:
    parts: dict[str, tuple[Weights, str]] = {}
    for path in files:
        weights = open_weights(path)
        names = weights.names()
        for name in sorted(names) if path.suffix == ".safetensors" else names:
            if name in parts:
                raise WeightsError(
                    f"{source}: {name} is in {path.name} and in another file; name the file to read, or add an index"
                )
            parts[name] = weights, name
    return JoinedWeights(parts, source)
