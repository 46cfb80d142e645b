"""Mixtral: a mixture of experts, three tensors an expert on disk."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Mlp
from spinspectra.layers.families.experts import ROUTERS, STACKED
from spinspectra.layers.families.gguf_names import GGUF_GATED
from spinspectra.layers.families.llama import LAYOUT

_EXPERT = "block_sparse_moe.experts.{e}."

LAYOUTS = (
    replace(
        LAYOUT,
        mlps=(Mlp((f"{_EXPERT}w1.weight", f"{_EXPERT}w3.weight"), f"{_EXPERT}w2.weight"), STACKED),
        left_out=("block_sparse_moe.gate.weight", *ROUTERS),
    ),
    GGUF_GATED,
)

MIXTRAL = Family(name="Mixtral", model_types=("mixtral", "minimax_m2"), layouts=LAYOUTS)
