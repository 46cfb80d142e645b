"""LoRA adapters as checkpoints: the change they make to each weight, and the weights after it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, Weights, missing
from spinspectra.weights.dtypes import is_real
from spinspectra.weights.folder import read_json_object
from spinspectra.weights.lora import Adapter, LoraPair, find_adapter
from spinspectra.weights.lora_config import LoraConfig, parse_config
from spinspectra.weights.matching import NameMatch, match_names
from spinspectra.weights.opening import open_weights

_CONFIG = "adapter_config.json"
_FILES = ("adapter_model.safetensors", "adapter_model.bin")  # in the order of preference, as peft loads them


def is_adapter(source: Any) -> bool:
    """Whether a path is an adapter as PEFT saves it: a folder with adapter_config.json, or its adapter_model file.

    Opens nothing. `open_weights` gives the raw tensors of such a folder, halves of pairs; `adapter_products` and
    `merge_adapter` give matrices that mean something.
    """
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source)
    try:
        return path.name in _FILES or (path / _CONFIG).is_file()
    except OSError:  # longer than any file name
        return False


def adapter_products(adapter: Any, config: Mapping[str, Any] | None = None) -> "AdapterProducts":
    """The change factor * B A that a LoRA adapter makes to each weight, one tensor a pair, in the weight's shape.

    adapter: as for `open_weights`, a folder as PEFT saves it, a live PEFT model, or any checkpoint with pairs named as
    PEFT names them, base weights beside them or not (see `weights.lora`). config: what adapter_config.json holds, for
    adapters without one beside them: `{"r": 8, "lora_alpha": 16}`. The factor is alpha / r, or alpha / sqrt(r) with
    use_rslora, by rank_pattern and alpha_pattern; 1 where there is no configuration at all, as names and shapes cannot
    tell alpha.

    Names are those of the weights, `<module>.weight`, without PEFT's `base_model.model.`. Values are computed in
    float64 and left so, so that a spectrum has the r eigenvalues of the pair, for any r, and zeros. Weights that were
    trained as a whole are left out. Raises WeightsError, from headers alone, for half a pair, ranks or a configuration
    that do not fit, no pair at all, and adapters other than plain LoRA (DoRA, IA3, ...).
    """
    found, settings = _open(adapter, config)
    shapes = {name: found.weights.info(stored).shape for name, stored in found.full.items()}
    pairs = [(pair, pair.name, shapes.get(pair.name, pair.shape)) for pair in found.pairs.values()]
    fitted = _fit(pairs, settings, found.weights.source, "its base")
    return AdapterProducts(found.weights, {pair.name: pair for pair in fitted.values()})


def merge_adapter(base: Any, adapter: Any = None, config: Mapping[str, Any] | None = None) -> "MergedWeights":
    """A base checkpoint after a LoRA adapter: base + factor * B A, rounded once to the base's stored dtype.

    base, adapter, config: as for `adapter_products`. adapter: None where `base` holds the pairs too, as a live PEFT
    model does. Weights of the base belong to pairs by their full names, but for one prefix as in `difference`. What the
    adapter trained as a whole (modules_to_save, biases, resized embeddings) replaces the base's tensor, or is added
    where the base has none, as a new classifier's. A weight is taken as stored (in, out) if only so it fits its pair.

    Raises WeightsError, from headers alone, if a pair has no weight in the base or does not fit its shape, if the
    weight is no float of 16 bits or more, if a separate adapter belongs to a base changed by the way its training began
    (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) or if it replaces single tokens; and what `adapter_products` raises.
    """
    found, settings = _open(base if adapter is None else adapter, config)
    source = found.weights.source
    if settings.changed_base and adapter is not None:  # base weights beside the pairs are the changed ones
        raise WeightsError(
            f"{settings.source}: init_lora_weights={shown(settings.changed_base)} changed the base before training, so "
            "that base + B A is not the model; convert the adapter with peft (path_initial_model_for_weight_conversion)"
        )
    if settings.trains_tokens or any(".token_adapter." in f".{name}" for name in found.full):
        raise WeightsError(f"{source}: replaces single tokens of an embedding (trainable_token_indices); use peft")
    weights: Weights = Renamed(found.weights, found.full) if adapter is None else open_weights(base)
    whole = {} if adapter is None else found.full
    match = match_names(list(found.pairs), weights.names(), f"{source} on {weights.source}") or NameMatch()
    held = set(weights.names())

    def in_base(name: str) -> str:
        other = match.base_name(name)
        return other if other in held else name

    replaced = {in_base(name): stored for name, stored in whole.items()}
    pairs = []
    for pair in found.pairs.values():
        name = in_base(pair.name)
        if name not in replaced and name not in held:
            raise WeightsError(f"{source}: {shown(pair.a)} adapts {shown(name)}, which is not in {weights.source}")
        info = found.weights.info(replaced[name]) if name in replaced else weights.info(name)
        _check_dtype(name, info)
        pairs.append((pair, name, info.shape))
    fitted = _fit(pairs, settings, source, weights.source)
    return MergedWeights(weights, found.weights, replaced, fitted)


class AdapterProducts:
    """Weights of the products alone; made by `adapter_products`."""

    def __init__(self, weights: Weights, pairs: Mapping[str, LoraPair]) -> None:
        self.source = weights.source
        self.config = weights.config
        self._weights = weights
        self._pairs = pairs

    def names(self) -> list[str]:
        return list(self._pairs)

    def info(self, name: str) -> TensorInfo:
        pair = self._pair(name)
        return TensorInfo(shape=pair.shape, dtype=np.dtype(np.float64), file=self._weights.info(pair.a).file)

    def read(self, name: str) -> NDArray[np.floating]:
        return self._pair(name).product(self._weights)

    def _pair(self, name: str) -> LoraPair:
        try:
            return self._pairs[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None


class MergedWeights:
    """Weights after an adapter; made by `merge_adapter`. Names and order are the base's, then those it lacks."""

    def __init__(
        self, base: Weights, adapter: Weights, replaced: Mapping[str, str], pairs: Mapping[str, LoraPair]
    ) -> None:
        self.source = base.source if base.source == adapter.source else f"{base.source} + {adapter.source}"
        self.config = base.config
        self._base = base
        self._adapter = adapter
        self._replaced = replaced
        self._pairs = pairs

    def names(self) -> list[str]:
        return list(dict.fromkeys([*self._base.names(), *self._replaced]))

    def info(self, name: str) -> TensorInfo:
        if name in self._replaced:
            return replace(self._adapter.info(self._replaced[name]), same_as="")
        info = self._base.info(name)
        changed = {name, info.same_as} & {*self._pairs, *self._replaced}
        if not changed:
            return info
        # what was one memory is no longer equal, and merged values are nobody's codes
        return replace(info, same_as="", scheme="", stored_bytes=None)

    def read(self, name: str) -> NDArray[np.floating]:
        whole = self._replaced.get(name)
        values = self._base.read(name) if whole is None else self._adapter.read(whole)
        if name not in self._pairs:
            return values
        merged = self._pairs[name].product(self._adapter)
        with np.errstate(invalid="ignore", over="ignore"):
            merged += values
        return _rounded(merged, self.info(name).dtype, values.dtype, f"{self.source}: {shown(name)}")


class Renamed:
    """The tensors of a checkpoint under other names; stored_name_of says which, in the order to show."""

    def __init__(self, weights: Weights, stored_name_of: Mapping[str, str]) -> None:
        self.source = weights.source
        self.config = weights.config
        self._weights = weights
        self._stored_name_of = stored_name_of
        self._name_of = {stored: name for name, stored in stored_name_of.items()}

    def names(self) -> list[str]:
        return list(self._stored_name_of)

    def info(self, name: str) -> TensorInfo:
        info = self._weights.info(self._stored(name))
        return replace(info, same_as=self._name_of.get(info.same_as, ""))

    def read(self, name: str) -> NDArray[np.floating]:
        return self._weights.read(self._stored(name))

    def _stored(self, name: str) -> str:
        try:
            return self._stored_name_of[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None


def _open(source: Any, given: Mapping[str, Any] | None) -> tuple[Adapter, LoraConfig]:
    """The adapter's tensors by role, and the settings: those given, or beside the file, or of the live model."""
    beside: Mapping[str, Any] | None = None
    settings_source = f"config of {type(source).__name__}"
    if isinstance(source, str | os.PathLike) and is_adapter(source):
        path = Path(source)
        folder = path if path.is_dir() else path.parent
        if path.is_dir():
            source = next((path / name for name in _FILES if (path / name).is_file()), path)
        if (folder / _CONFIG).is_file():
            beside, settings_source = read_json_object(folder / _CONFIG), str(folder / _CONFIG)
    elif isinstance(live := getattr(source, "peft_config", None), Mapping) and len(live) == 1:
        beside = next(iter(live.values())).to_dict()
    if given is not None:
        beside, settings_source = given, "config"
    settings = LoraConfig("") if beside is None else parse_config(beside, settings_source)
    return find_adapter(open_weights(source), settings), settings


def _fit(
    pairs: Sequence[tuple[LoraPair, str, tuple[int, ...]]], settings: LoraConfig, source: str, base: str
) -> dict[str, LoraPair]:
    """Each pair, by the name of the weight it adapts, turned the way in which the weight is stored.

    PEFT turns a product by the kind of module, whatever fan_in_fan_out says. A shape tells the kind but for square
    weights: these follow the setting, and nothing does if other weights contradict it.
    """
    fitted, square, turned = {}, "", ""
    for pair, name, shape in pairs:
        embedding = "lora_embedding_" in pair.a
        if pair.shape != shape and (len(shape) != 2 or embedding or pair.shape != shape[::-1]):
            raise WeightsError(
                f"{source}: {shown(pair.a)} and {shown(pair.b)} make {pair.shape}, {shown(name)} in {base} is {shape}"
            )
        if pair.shape != shape:
            turned = name
            pair = replace(pair, shape=shape, transposed=not pair.transposed)
        elif len(shape) == 2 and shape[0] == shape[1] and not embedding:
            square = name
        fitted[name] = pair
    if square and turned:
        raise WeightsError(
            f"{source}: {shown(turned)} is stored as fan_in_fan_out={not settings.fan_in_fan_out} has it, so how the "
            f"square {shown(square)} is stored is not known; correct the setting, or merge the adapter with peft"
        )
    return fitted


def _check_dtype(name: str, info: TensorInfo) -> None:
    if info.dtype.itemsize < 2 or info.dtype.kind in "iub" or not is_real(info.dtype):
        raise WeightsError(f"{info.file}: {shown(name)} is stored as {info.stored_as}; dequantise the base, then merge")


def _rounded(
    values: NDArray[np.float64], stored: np.dtype[Any], read: np.dtype[Any], where: str
) -> NDArray[np.floating]:
    """The values rounded to the stored dtype, in the dtype that its reader gives."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = values.astype(stored).astype(read)
    if lost := int(np.count_nonzero(np.isfinite(values) & ~np.isfinite(rounded))):
        raise WeightsError(f"{where}: {lost} merged values are beyond the range of {stored}")
    return rounded
