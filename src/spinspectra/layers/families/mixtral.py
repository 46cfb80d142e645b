"""Mixtral: a mixture of experts; one tensor an expert on disk, all experts in one in memory since transformers 5."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.llama import QKV

ROUTERS = ("*.gate.weight", "*.router.weight")  # which choose among experts, and map to none of the chain's nodes

STACKED = Mlp(("mlp.experts.gate_up_proj",), "mlp.experts.down_proj", gate="halves", stacked=True)

_EXPERT = "block_sparse_moe.experts.{e}."

MIXTRAL = Family(
    name="Mixtral",
    model_types=("mixtral",),
    layouts=(
        Layout(
            block="layers.{i}.",
            qkv=QKV,
            proj="self_attn.o_proj.weight",
            mlps=(Mlp((f"{_EXPERT}w1.weight", f"{_EXPERT}w3.weight"), f"{_EXPERT}w2.weight"), STACKED),
            left_out=ROUTERS,
        ),
    ),
)
