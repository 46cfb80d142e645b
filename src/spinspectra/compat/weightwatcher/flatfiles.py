"""Folders as `extract_pytorch_bins` writes them: one .npy a tensor, and `ww_config.json` that names them."""

import json
import tempfile
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from spinspectra.compat.weightwatcher.constants import PYTORCH, UNKNOWN, WW_CONFIG_FILENAME
from spinspectra.compat.weightwatcher.folders import file_format, open_path
from spinspectra.errors import OptionError, WeightsError
from spinspectra.weights import Weights
from spinspectra.weights.arrays import MappingWeights
from spinspectra.weights.folder import read_config, read_json_object

_TYPES = {1: "norm", 2: "dense", 4: "conv2d"}


def model_name_of(model_dir: Any) -> str:
    """`model_type` of config.json, else the folder's name."""
    config = read_config(Path(model_dir)) or {}
    return str(config.get("model_type") or Path(model_dir).resolve().name)


def extract(model_dir: Any, model_name: str | None, tmp_dir: Any, file_kind: str | None) -> dict[str, Any]:
    """Write every weight and its bias as .npy to a fresh folder `ww_*` below tmp_dir; returns the configuration."""
    if model_dir is None:
        raise OptionError("extract_pytorch_bins: give model_dir, a folder with weights")
    weights = open_path(model_dir)
    stem = PurePath(model_name or model_name_of(model_dir)).name
    kind = file_kind or file_format(model_dir)[0]
    folder = Path(tempfile.mkdtemp(prefix="ww_", dir=tmp_dir))
    layers: dict[str, Any] = {}
    names = dict.fromkeys(weights.names())
    own = (name for name in names if name.endswith(".weight"))
    for i, key in enumerate(own):
        bias = f"{key.removesuffix('weight')}bias"
        files = {"weight": f"{stem}.{i}.weight.npy", "bias": f"{stem}.{i}.bias.npy" if bias in names else None}
        np.save(folder / str(files["weight"]), weights.read(key))
        if files["bias"]:
            np.save(folder / files["bias"], weights.read(bias))
        shape = weights.info(key).shape
        layers[str(i)] = {
            "key": key,
            "name": f"{stem}.{i}",
            "longname": key.removesuffix(".weight"),
            "weightfile": files["weight"],
            "biasfile": files["bias"],
            "type": _TYPES.get(len(shape), UNKNOWN),
            "dims": str(list(shape)),
        }
    config = {"framework": PYTORCH, "weights_dir": str(folder), "format": kind, "model_name": stem, "layers": layers}
    (folder / WW_CONFIG_FILENAME).write_text(json.dumps(config, indent=4), encoding="utf-8")
    return config


def open_flatfiles(folder: Path) -> tuple[Weights, dict[int, tuple[str, str, str]]]:
    """The tensors of such a folder, memory-mapped, and of each layer's number its key, name and longname."""
    layers = read_json_object(folder / WW_CONFIG_FILENAME).get("layers")
    if not isinstance(layers, dict) or not layers:
        raise WeightsError(f"{folder / WW_CONFIG_FILENAME}: lists no layers; extract the checkpoint again")
    tensors, names = {}, {}
    for number, about in layers.items():
        try:
            key, index = str(about["key"]), int(number)
            tensors[key] = _load(folder, about["weightfile"])
            if about.get("biasfile"):
                tensors[f"{key.removesuffix('weight')}bias"] = _load(folder, about["biasfile"])
            names[index] = (key, str(about["name"]), str(about["longname"]))
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise WeightsError(f"{folder}: layer {number} cannot be read ({error}); extract it again") from None
    return MappingWeights(tensors, str(folder)), names


def _load(folder: Path, name: str) -> Any:
    if PurePath(name).name != name:
        raise ValueError(f"{name} is outside the folder")
    return np.load(folder / name, mmap_mode="r", allow_pickle=False)
