"""A model as WeightWatcher numbers and names its layers, over the weights that spinspectra reads.

Ids and names are the peer's. Of a torch module every entry of `named_modules()` takes an id, the root and containers
too; `name` is the last part of the dotted `longname`. Of a state dict, a file or a folder every key that ends in
`.weight` takes one; both names are the key without it. Tensors to which the peer gives no id, an LSTM's matrices,
bare parameters, keys with another ending, are numbered on after those, in their own order.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinspectra.compat.weightwatcher.constants import FRAMEWORK, WW_CONFIG_FILENAME, WW_NAME
from spinspectra.compat.weightwatcher.flatfiles import open_flatfiles
from spinspectra.compat.weightwatcher.folders import open_path
from spinspectra.compat.weightwatcher.joined import JoinedWeights
from spinspectra.errors import OptionError, WeightsError
from spinspectra.layers import Channels, Layer, read_layers
from spinspectra.weights import Weights, difference, open_weights
from spinspectra.weights.arrays import MappingWeights
from spinspectra.weights.folder import Shards

_LOGGER = logging.getLogger(WW_NAME)
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")  # keys of training checkpoints
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Numbered:
    """A tensor's id and names. class_name: of the module that holds it, where there is one."""

    layer_id: int
    name: str
    longname: str
    tensor: str
    class_name: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A numbered tensor and the layer it is. peft: whether a LoRA pair is in it, None where nobody asked."""

    layer_id: int
    name: str
    longname: str
    layer_type: str
    layer: Layer
    peft: bool | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A model without its numbers. holder: the module or dict itself, to be edited in place; None for a file.

    first_id: of its first layer if the caller names none.
    """

    weights: Weights
    framework: str
    holder: Any
    numbered: tuple[Numbered, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """What is analysed: weights, and the entries in the peer's order."""

    weights: Weights
    framework: str
    holder: Any
    entries: tuple[Entry, ...]


def open_model(source: Any, start_ids: int = 0, channels: Channels | None = None, base: Any = None) -> Model:
    """A model by its layers; with `base`, of each tensor what is left after that of the base is taken away.

    source, base: a torch module, a state dict (also one below `state_dict` or `model`), a file, a folder, a hub id, a
    single matrix. start_ids: id of the first layer; 0 means 1 for state dicts, as the peer has it. Raises WeightsError.
    """
    opened = open_source(source, start_ids)
    weights = opened.weights if base is None else difference(opened.weights, open_source(base).weights)
    return Model(weights, opened.framework, opened.holder, entries_of(weights, opened.numbered, channels))


def open_source(source: Any, start_ids: int = 0) -> Opened:
    """The weights behind a source, with the ids and names of its tensors."""
    framework = framework_of(source)
    if framework == FRAMEWORK.PYTORCH:
        weights, tensors = _open_module(source)
        return Opened(weights, framework, source, tuple(_number_modules(source, tensors, start_ids)))
    if framework == FRAMEWORK.WW_FLATFILES:
        weights, names = open_flatfiles(Path(source))
        numbered = [Numbered(start_ids + i, name, longname, key) for i, (key, name, longname) in names.items()]
        return Opened(weights, framework, None, tuple(numbered))
    if framework == FRAMEWORK.PYSTATEDICT:
        state, holder = _state_dict(source)
        weights = MappingWeights(state, "state dict")
        return Opened(weights, framework, holder, tuple(_number_keys(weights.names(), start_ids or 1)))
    if source is None:
        raise OptionError("no model: give one to WeightWatcher(model=...) or to this call")
    weights = open_path(source) if isinstance(source, str | os.PathLike) else open_weights(source)
    return Opened(weights, framework, None, tuple(_number_keys(_peer_order(weights), start_ids)))


def entries_of(weights: Weights, numbered: Iterable[Numbered], channels: Channels | None) -> tuple[Entry, ...]:
    """The layers of weights under the peer's ids and names, in that order."""
    layers = {layer.name: layer for layer in read_layers(weights, channels)}
    return tuple(
        Entry(one.layer_id, one.name, one.longname, layer_type(layers[one.tensor], one.class_name), layers[one.tensor])
        for one in numbered
        if one.tensor in layers
    )


def layer_type(layer: Layer, class_name: str) -> str:
    """The peer's word for a layer: GPT-2's Conv1D, a matrix, is conv1d; without modules every matrix is dense."""
    if layer.kind in ("dense", "embedding") and not class_name:
        return "dense"
    return "conv1d" if layer.kind == "dense" and "conv1d" in class_name.lower() else layer.kind


def framework_of(source: Any) -> str:
    """The peer's word for the sort of model that this is."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if (path / WW_CONFIG_FILENAME).is_file():
            return FRAMEWORK.WW_FLATFILES
        return FRAMEWORK.PYSTATEDICT_DIR if path.exists() else FRAMEWORK.UNKNOWN
    if isinstance(source, Mapping) or (hasattr(source, "shape") and hasattr(source, "dtype")):
        return FRAMEWORK.PYSTATEDICT
    if hasattr(source, "named_modules") and hasattr(source, "state_dict"):
        return FRAMEWORK.PYTORCH
    classes = " ".join(f"{one.__module__}.{one.__name__}" for one in type(source).__mro__).lower()
    return next((name for name in (FRAMEWORK.KERAS, FRAMEWORK.ONNX) if name in classes), FRAMEWORK.UNKNOWN)


def _open_module(module: Any) -> tuple[Weights, list[str]]:
    """Its weights and their names; a weight that is computed takes the place of the parameters it is made of."""
    weights = open_weights(module)
    held = set(weights.names())
    made, classes = {}, {}
    for path, part in module.named_modules():
        name = f"{path}.weight" if path else "weight"
        if name not in held and hasattr(part, "weight") and hasattr(part.weight, "detach"):
            made[name] = part.weight.detach()
            own = (one.__name__ for one in type(part).__mro__ if one.__module__.startswith("torch.nn.modules."))
            classes[name] = next(own, type(part).__name__)
    if not made:
        return weights, weights.names()
    behind = tuple(f"{name}_" for name in made) + tuple(
        f"{name.removesuffix('weight')}parametrizations.weight." for name in made
    )
    kept = {name: (weights, name) for name in weights.names() if not name.startswith(behind)}
    computed = MappingWeights(made, weights.source, modules=classes)
    joined = JoinedWeights(kept | {name: (computed, name) for name in made}, weights.source, weights.config)
    return joined, joined.names()


def _state_dict(source: Any) -> tuple[dict[str, Any], Any]:
    """The tensors of a state dict and the dict that holds them, below the keys of a training checkpoint if need be."""
    if not isinstance(source, Mapping):
        return {"tensor.weight": source}, None
    holder: Any = source
    for _depth in range(_DEEPEST):
        below = next((holder[key] for key in _WRAPPERS if isinstance(holder.get(key), Mapping)), None)
        if below is None:
            break
        holder = below
    tensors = {
        str(name): value for name, value in holder.items() if hasattr(value, "shape") and hasattr(value, "dtype")
    }
    if not tensors:
        raise WeightsError("the model is a dict without tensors; give a state dict, name to tensor")
    if others := [str(name) for name in holder if str(name) not in tensors]:
        _LOGGER.info("not tensors, left out: %s", ", ".join(others[:8]))
    return tensors, holder


def _peer_order(weights: Weights) -> list[str]:
    """Shards in the order of their index, one safetensors file by name, others as they are stored."""
    names = weights.names()
    one_file = not isinstance(weights, Shards | JoinedWeights) and all(
        weights.info(name).file.endswith(".safetensors") for name in names
    )
    return sorted(names) if one_file else names


def _number_modules(module: Any, tensors: list[str], start: int) -> Iterator[Numbered]:
    rest = dict.fromkeys(tensors)
    next_id = start
    for path, part in module.named_modules():
        class_name = type(part).__name__
        tensor = f"{path}.weight" if path else "weight"
        if tensor in rest:
            del rest[tensor]
            longname = path or class_name
            yield Numbered(next_id, longname.rpartition(".")[2], longname, tensor, class_name)
        next_id += 1
    for i, tensor in enumerate(rest):
        longname = tensor.removesuffix(".weight")
        yield Numbered(next_id + i, longname.rpartition(".")[2], longname, tensor, "module")


def _number_keys(names: list[str], start: int) -> Iterator[Numbered]:
    own = [name for name in names if name == "weight" or name.endswith(".weight")]
    rest = [name for name in names if not (name == "weight" or name.endswith(".weight"))]
    for i, name in enumerate((*own, *rest)):
        longname = name.removesuffix(".weight")
        yield Numbered(start + i, longname, longname, name)
