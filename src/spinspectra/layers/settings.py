"""What config.json says that no tensor tells: numbers of heads, blocks and experts, for one stack of a model."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# How the parts of composite models are called in the names of their tensors, where it is not as in config.json.
_WORDS = {"text": ("text", "language"), "vision": ("vision", "visual")}
_HEADS = ("n_head", "num_attention_heads", "n_heads", "num_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads")
_BLOCKS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


@dataclass(frozen=True, slots=True)
class Heads:
    """Query heads, key and value heads, and the dimension of a head; None where config.json does not say."""

    n_heads: int | None = None
    n_kv_heads: int | None = None
    head_dim: int | None = None


def model_types(config: Mapping[str, Any] | None) -> list[str]:
    """What config.json calls the model, and the parts of a composite one, the whole first."""
    named = [(config or {}).get("model_type"), *(part.get("model_type") for _name, part in _parts(config or {}))]
    return list(dict.fromkeys(one for one in named if isinstance(one, str) and one))


def settings_of(config: Mapping[str, Any] | None, prefix: str, types: tuple[str, ...]) -> Mapping[str, Any]:
    """What config.json says of the stack under a prefix: of a composite model the part that it belongs to.

    types: the model_types of its family. It belongs to the part whose name is in the prefix. If the prefix does not
    say, and the whole has no numbers of its own, it belongs to the only part of its family, or to the text.
    """
    config = config or {}
    parts = [(name, part) for name, part in _parts(config) if isinstance(part.get("model_type"), str)]
    named = [part for name, part in parts if any(word in prefix for word in _WORDS.get(name, (name,)))]
    if named:
        return named[-1]  # of parts in one another the inner one
    if _count(config, _HEADS + _BLOCKS) is not None:
        return config
    kin = [part for _name, part in parts if part["model_type"] in types]
    text = [part for name, part in parts if name == "text"]
    return next(iter(kin if len(kin) == 1 else text), config)


def heads_of(settings: Mapping[str, Any]) -> Heads:
    """The numbers of heads, under the names that families give them.

    Falcon and GPT-BigCode say `multi_query` for one key and one value; MPT has its own part, `attn_config`.
    """
    own = settings.get("attn_config")
    settings = {**settings, **own} if isinstance(own, Mapping) else settings
    n_kv = _count(settings, _KV_HEADS)
    if settings.get("multi_query") is True and settings.get("new_decoder_architecture") is not True:
        n_kv = 1
    n_heads = _count(settings, _HEADS)
    return Heads(n_heads, n_heads if n_kv is None else n_kv, _count(settings, ("head_dim", "d_kv")))


def n_blocks_of(settings: Mapping[str, Any], prefix: str) -> int | None:
    """How many blocks config.json says the stack under a prefix has.

    Encoder and decoder may differ, and so may the stages of a Swin, whose number is the last one in the prefix.
    """
    depths, numbers = settings.get("depths"), re.findall(r"\d{1,9}", prefix)
    if isinstance(depths, list) and numbers:
        stage = int(numbers[-1])
        return _count({"depth": depths[stage]}, ("depth",)) if stage < len(depths) else None
    for side, word in (("decoder", r"(^|\.)dec(oder)?\."), ("encoder", r"(^|\.)enc(oder)?\.")):
        names = f"{side}_layers", f"num_{side}_layers", f"{side}_num_hidden_layers"
        if re.search(word, prefix) and (own := _count(settings, names)) is not None:
            return own
    return _count(settings, _BLOCKS)


def n_experts_of(settings: Mapping[str, Any]) -> int | None:
    """How many experts config.json says a block of experts has, without those that all inputs share."""
    return _count(settings, _EXPERTS)


def n_predicting_of(settings: Mapping[str, Any]) -> int:
    """How many blocks stand behind the last one for predicting further tokens, which the model itself does not use."""
    return _count(settings, ("num_nextn_predict_layers",)) or 0


def _parts(config: Mapping[str, Any], deep: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The parts of a composite model by name, `text` for `text_config`, each before the parts in it."""
    for key, below in config.items():
        if isinstance(key, str) and isinstance(below, Mapping) and deep < 3:  # a stranger's file may go deeper
            yield key.removesuffix("_config"), below
            yield from _parts(below, deep + 1)


def _count(settings: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = settings.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
