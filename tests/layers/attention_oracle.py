"""What query, key and value make in an attention, as its module itself splits, repeats and names them.

Three ways: maps of one shape are simply added, since every query has its own key; a fused map is split by the module's
function, or as its forward pass does it; and where heads share keys, the model is run and its attention function
watched. Norms of queries and keys and rotary positions, which act on them afterwards, are switched off for that.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch

from tests.layers.zoo.entry import Modules

ROTARY = ("apply_rotary_pos_emb", "apply_rotary_emb")
NORMS = re.compile(r"(^|[._])(q|k|query|key)_(layer)?norm$")


def attention_sums(model: Any, attentions: list[Any], modules: Modules, x: Any) -> list[Any]:
    """query + key + value of each attention on the points x, (points, in): (points, heads * head_dim)."""
    kind = type(attentions[0]).__name__
    if len(modules.qkv) == 3 and own_keys(attentions[0], modules):
        return [sum(attention.get_submodule(name)(x) for name in modules.qkv) for attention in attentions]
    if kind in SPLITTERS:
        return [sum_of_heads(*SPLITTERS[kind](attention, x)) for attention in attentions]
    return watched_sums(model, attentions, modules, x)


def own_keys(attention: Any, modules: Modules) -> bool:
    """Whether every query has a key of its own, so that the three maps are of one shape and add as they are."""
    return len({attention.get_submodule(name).weight.shape for name in modules.qkv}) == 1


def sum_of_heads(query: Any, key: Any, value: Any) -> Any:
    """(points, heads, head_dim) each; one key and value for all heads count for each of them."""
    return (query + key + value).flatten(-2)


def _bloom(attention: Any, x: Any) -> Any:
    return tuple(one[0].transpose(0, 1) for one in attention._reshape(attention.query_key_value(x)[None]))


def _falcon(attention: Any, x: Any) -> Any:
    return tuple(one[0] for one in attention._split_heads(attention.query_key_value(x)[None]))


def _mpt(attention: Any, x: Any) -> Any:
    return tuple(one[:, None] for one in attention.Wqkv(x).chunk(3, dim=1))


def _deberta(attention: Any, x: Any) -> Any:
    return attention.transpose_for_scores(attention.in_proj(x)[None])[0].transpose(0, 1).chunk(3, dim=-1)


def _conv1d(attention: Any, x: Any) -> Any:
    return tuple(one[:, None] for one in attention.c_attn(x).split(attention.split_size, dim=1))


def _per_head(attention: Any, x: Any) -> Any:
    heads = attention.query_key_value(x).view(len(x), attention.num_attention_heads, 3 * attention.head_size)
    return heads.split(attention.head_size, dim=2)


def _vision(attention: Any, x: Any) -> Any:
    return attention.qkv(x).reshape(len(x), 3, attention.num_heads, -1).unbind(1)


def _packed(attention: Any, x: Any) -> Any:
    parts = torch.nn.functional._in_projection_packed(x, x, x, attention.in_proj_weight, None)
    return tuple(one[:, None] for one in parts)


SPLITTERS: dict[str, Callable[[Any, Any], Any]] = {
    "MultiheadAttention": _packed,
    "BloomAttention": _bloom,
    "FalconAttention": _falcon,
    "MptAttention": _mpt,
    "Attention": _conv1d,
    "ImageGPTAttention": _conv1d,
    "GPTNeoXJapaneseAttention": _per_head,
    "DisentangledSelfAttention": _deberta,
    **dict.fromkeys(("VisionAttention", "Qwen2_5_VLVisionAttention", "Qwen3VLVisionAttention"), _vision),
    "Qwen3VLMoeVisionAttention": _vision,
}


def watched_sums(model: Any, attentions: list[Any], modules: Modules, x: Any) -> list[Any]:
    """Run the model once, every attention on these points, and note what its attention function receives."""
    sums: dict[int, Any] = {}
    source = sys.modules[type(attentions[0]).__module__]
    repeat = getattr(source, "repeat_kv", lambda heads, n: heads)
    attend = source.eager_attention_forward
    batch = x.reshape(8, len(x) // 8, -1)

    def noted(attention: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        n = query.shape[1] // key.shape[1]
        heads = query + repeat(key, n) + repeat(value, n)
        sums[id(attention)] = heads.transpose(1, 2).flatten(2).reshape(len(x), -1)
        return attend(attention, query, key, value, *args, **kwargs)

    tokens = torch.ones(batch.shape[:2], dtype=torch.int64)
    with patch.object(source, "eager_attention_forward", noted), positions_off(source):
        for attention in attentions:
            norms_off(attention)
            for name in modules.qkv:
                attention.get_submodule(name).register_forward_pre_hook(lambda _module, _args: (batch,))
        whole = model.get_submodule(modules.blocks.rpartition(".")[0])
        whole(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    return [sums[id(attention)] for attention in attentions]


@contextmanager
def positions_off(source: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for name in ROTARY:
            if hasattr(source, name):
                stack.enter_context(patch.object(source, name, lambda query, key, *args, **kwargs: (query, key)))
        yield


def norms_off(attention: Any) -> None:
    for name, _module in list(attention.named_children()):
        if NORMS.search(name):
            setattr(attention, name, torch.nn.Identity())
