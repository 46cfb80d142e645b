"""Qwen 2 and 3: dense blocks, or experts with or without one that all share; VL models see with a ViT of their own."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.experts import EXPERTS, ROUTERS, SHARED, STACKED_TURNED
from spinspectra.layers.families.gguf_names import GGUF_GATED
from spinspectra.layers.families.llama import GATED

_VISION = Layout(
    block="blocks.{i}.",
    qkv=("attn.qkv.weight",),
    proj="attn.proj.weight",
    mlps=(Mlp(("mlp.fc1.weight",), "mlp.fc2.weight"),),
    fusion="rows",
)

QWEN = Family(
    name="Qwen",
    model_types=(
        "qwen2",
        "qwen3",
        "qwen2_moe",
        "qwen3_moe",
        "qwen2_vl",
        "qwen2_5_vl",
        "qwen3_vl",
        "qwen3_vl_moe",
    ),
    layouts=(
        EXPERTS,
        replace(EXPERTS, mlps=(GATED, STACKED_TURNED, *SHARED), left_out=ROUTERS),
        _VISION,
        replace(_VISION, mlps=(Mlp(("mlp.linear_fc1.weight",), "mlp.linear_fc2.weight"),)),
        replace(_VISION, mlps=(GATED,)),
        GGUF_GATED,
    ),
)
