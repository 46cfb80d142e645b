"""What config.json says that no tensor tells: numbers of heads and of blocks, for one stack of a model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# How the parts of composite models are called: in config.json, and in the names of their tensors.
_PARTS = {
    "text": ("text", "language"),
    "vision": ("vision", "visual"),
    "audio": ("audio",),
    "encoder": ("encoder",),
    "decoder": ("decoder",),
}
_HEADS = ("n_head", "num_attention_heads", "n_heads", "num_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads")
_BLOCKS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


@dataclass(frozen=True, slots=True)
class Heads:
    """Query heads, key and value heads, and the dimension of a head; None where config.json does not say."""

    n_heads: int | None = None
    n_kv_heads: int | None = None
    head_dim: int | None = None


def settings_of(config: Mapping[str, Any] | None, prefix: str) -> Mapping[str, Any]:
    """What config.json says of the stack under a prefix: of a composite model its own part, over what all share."""
    config = config or {}
    for name, words in _PARTS.items():
        below = config.get(f"{name}_config", config.get(name))
        if isinstance(below, Mapping) and any(word in prefix for word in words):
            return {**config, **below}
    return config


def model_types(config: Mapping[str, Any] | None) -> list[str]:
    """What config.json calls the model, and the parts of a composite one, the whole first."""
    return list(dict.fromkeys(_types(config or {})))


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
    """How many blocks config.json says the stack under a prefix has; encoder and decoder may differ."""
    for side in ("decoder", "encoder"):
        if side in prefix and (own := _count(settings, (f"{side}_layers", f"num_{side}_layers"))) is not None:
            return own
    return _count(settings, _BLOCKS)


def count_of(settings: Mapping[str, Any], name: str) -> int | None:
    """A whole number by its name; None for anything else."""
    return _count(settings, (name,))


def _types(config: Mapping[str, Any]) -> Iterator[str]:
    named = config.get("model_type")
    if isinstance(named, str) and named:
        yield named
    for name in _PARTS:
        below = config.get(f"{name}_config", config.get(name))
        if isinstance(below, Mapping):
            yield from _types(below)


def _count(settings: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = settings.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
