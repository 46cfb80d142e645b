"""Which layers of a live network are watched, and a copy of their weights that stays while the training goes on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.layers import Layer, read_layers
from spinspectra.layers.selection import MIN_EVALS, Choice, choose, why_skipped
from spinspectra.text import shown
from spinspectra.weights import TensorInfo, open_weights
from spinspectra.weights.base import missing
from spinspectra.weights.dtypes import to_float

# A network or its weights, as for `open_weights`; or a function that gives them, called when they are needed.
Source = Any


@dataclass(frozen=True, slots=True)
class Watched:
    """The layers to watch, in natural order of names, and the headers of all tensors of their network."""

    source: str
    layers: tuple[Layer, ...]
    infos: Mapping[str, TensorInfo]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Weights with the headers of all tensors, so that each is taken for what it was, and values of those watched."""

    source: str
    infos: Mapping[str, TensorInfo]
    values: dict[str, NDArray[Any]]
    config: Mapping[str, Any] | None = None

    def names(self) -> list[str]:
        return list(self.infos)

    def info(self, name: str) -> TensorInfo:
        return self.infos[name]

    def read(self, name: str) -> NDArray[np.floating]:
        try:
            value = self.values[name]
        except KeyError:
            raise missing(name, self.source, list(self.values)) from None
        return to_float(value, f"{self.source}: {shown(name)}")


def choose_layers(source: Source, layers: Choice) -> Watched:
    """The layers asked for that have a spectrum; by default those that are trained.

    Of a torch module, trained means parameters that require a gradient, or all tensors if none does.

    Raises OptionError if `layers` names what is not there, if none of them has a spectrum, or if the module is sharded
    over processes and holds no whole matrices (FSDP, DeepSpeed ZeRO-3); and what `open_weights` raises.
    """
    source = _given(source)
    if _is_sharded(source):
        raise OptionError(
            "its weights are sharded over processes (FSDP, ZeRO-3); analyze the saved checkpoints instead"
        )
    weights = open_weights(source)
    chosen = choose(list(read_layers(weights)), layers)
    taken = [layer for layer in chosen if not why_skipped(layer, MIN_EVALS, None)]
    if layers is None and (trained := _trained(source)):
        taken = [layer for layer in taken if layer.name in trained]
    if not taken:
        raise OptionError(f"no layer to measure among {len(chosen)} tensors; describe says why each is left out")
    return Watched(weights.source, tuple(taken), {name: weights.info(name) for name in weights.names()})


def take_snapshot(source: Source, watched: Watched) -> Snapshot:
    """Copy the values of the layers, as they are now and in the dtype that they are in, to ordinary memory."""
    source = _given(source)
    live, opened = _live_tensors(source), None
    values = {}
    for name in (layer.name for layer in watched.layers):
        info = watched.infos[name]
        if name in live and not info.scheme:
            values[name] = _same_bits(live[name], info)
            continue
        opened = opened or open_weights(source)
        read = opened.read(name)
        values[name] = np.array(read, dtype=read.dtype if info.scheme else info.dtype)
    return Snapshot(watched.source, watched.infos, values)


def _same_bits(tensor: Any, info: TensorInfo) -> NDArray[Any]:
    """A torch tensor's values as they are stored: bfloat16 takes no more room, and torch does no arithmetic later."""
    import torch

    held = tensor.detach().to("cpu", copy=True).contiguous()
    return np.asarray(held.view(torch.uint8).numpy().view(info.dtype).reshape(info.shape))


def _given(source: Source) -> Any:
    """The network or its weights; modules and models can be called too, and are not."""
    is_one = isinstance(source, Mapping) or any(hasattr(source, name) for name in ("state_dict", "names"))
    return source() if callable(source) and not is_one and not _is_keras(source) else source


def _is_keras(source: Any) -> bool:
    """On the torch backend a Keras model is a torch module too, and better known by its own names."""
    roots = {one.__module__.partition(".")[0] for one in type(source).__mro__}
    return not roots.isdisjoint(("keras", "tf_keras"))


def _live_tensors(source: Any) -> Mapping[str, Any]:
    """The plain torch tensors behind a module or a mapping, by name; none where the source is of another kind."""
    if _is_keras(source):
        return {}
    held = source.state_dict() if hasattr(source, "state_dict") else source
    if not isinstance(held, Mapping):
        return {}
    return {name: one for name, one in held.items() if str(getattr(one, "layout", "")) == "torch.strided"}


def _trained(source: Any) -> Collection[str]:
    if _is_keras(source) or not hasattr(source, "named_parameters"):
        return ()
    return {name for name, value in source.named_parameters(remove_duplicate=False) if value.requires_grad}


def _is_sharded(source: Any) -> bool:
    if _is_keras(source) or not hasattr(source, "named_parameters"):
        return False
    if any(type(part).__name__ == "FullyShardedDataParallel" for part in source.modules()):
        return True
    return any(type(one).__name__ == "DTensor" or hasattr(one, "ds_id") for one in source.parameters())
