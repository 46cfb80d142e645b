"""LoRA pairs as the peer shows them: a row `lora_BA` for the product, a row `lora_W_plus_AB` for weight and product."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from spinspectra.compat.weightwatcher.joined import JoinedWeights
from spinspectra.compat.weightwatcher.models import Entry, Model, Numbered, entries_of, open_source
from spinspectra.layers import Channels
from spinspectra.weights import Weights, adapter_products, is_adapter, merge_adapter

_PREFIX = "base_model.model."  # PEFT's, before the names of the model it wraps


def open_adapters(source: Any, with_base: bool, start_ids: int = 0, channels: Channels | None = None) -> Model:
    """The pairs of an adapter, one layer each; with_base: also the plain layers, and each adapted weight after it.

    Ids are those of lora_A for the product, of lora_B for the weight after it, as the peer has them. Raises
    WeightsError where there are no pairs, or with_base where a pair has no weight beside it.
    """
    opened = open_source(source, start_ids)
    own = source if is_adapter(source) or hasattr(source, "peft_config") else opened.weights
    products = adapter_products(own)
    merged = merge_adapter(own) if with_base else None
    by_tensor = {one.tensor: one for one in opened.numbered}
    parts: dict[str, tuple[Weights, str]] = {}
    numbered: list[Numbered] = []
    peft: dict[str, bool] = {}

    def add(one: Numbered, weights: Weights, stored: str, is_pair: bool) -> None:
        parts[one.tensor] = weights, stored
        numbered.append(one)
        peft[one.tensor] = is_pair

    for one in opened.numbered:
        if ".lora_" not in f".{one.tensor}":
            if with_base:
                add(one, opened.weights, one.tensor, False)
            continue
        a = one.tensor.replace("lora_B", "lora_A").replace("lora_embedding_B", "lora_embedding_A")
        if a == one.tensor:
            continue  # the pair is shown once, where its B stands
        weight = next(name for name in _weight_names(one.tensor) if name in products.names())
        if merged is not None:
            add(_renamed(one, "lora_B", "lora_W_plus_AB"), merged, weight, True)
        add(_renamed(by_tensor[a], "lora_A", "lora_BA"), products, weight, True)
    weights = JoinedWeights(parts, opened.weights.source, opened.weights.config)
    entries = entries_of(weights, numbered, channels)
    return Model(weights, opened.framework, None, tuple(_marked(entry, peft) for entry in entries))


def _marked(entry: Entry, peft: dict[str, bool]) -> Entry:
    return replace(entry, peft=peft[entry.layer.name])


def _weight_names(tensor: str) -> Iterator[str]:
    """What a pair's weight may be called: below its own module, with PEFT's prefix or without."""
    module = f".{tensor}".partition(".lora_")[0][1:]
    for name in (module, module.removeprefix(_PREFIX)):
        yield f"{name}.weight" if name else "weight"


def _renamed(one: Numbered, old: str, new: str) -> Numbered:
    """The pair's entry under the peer's name; of a module the last part is the adapter's, `default`, and stays."""
    embedding = old.replace("lora_", "lora_embedding_")
    name, longname, tensor = (
        text.replace(embedding, new).replace(old, new) for text in (one.name, one.longname, one.tensor)
    )
    return replace(one, name=name, longname=longname, tensor=tensor)
