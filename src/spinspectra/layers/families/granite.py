"""Granite: Llama's names, or experts stacked on disk and in memory, with or without an MLP that all inputs share."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Mlp
from spinspectra.layers.families.gguf_names import GGUF_GATED
from spinspectra.layers.families.llama import LAYOUT

_EXPERTS = tuple(
    Mlp((f"block_sparse_moe.{fc1}",), f"block_sparse_moe.{fc2}", gate="halves", stacked=True)
    for fc1, fc2 in (
        ("input_linear.weight", "output_linear.weight"),
        ("experts.gate_up_proj", "experts.down_proj"),
    )
)
_SHARED = Mlp(("shared_mlp.input_linear.weight",), "shared_mlp.output_linear.weight", gate="halves", beside=True)

GRANITE = Family(
    name="Granite",
    model_types=("granite", "granitemoe", "granitemoeshared"),
    layouts=(
        LAYOUT,
        replace(LAYOUT, mlps=(*_EXPERTS, _SHARED), left_out=("block_sparse_moe.router*.weight",)),
        GGUF_GATED,
    ),
)
