"""ViTs as timm and the first releases of DINO, MAE and DINOv2 name them, and timm's Swin stage by stage."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Layout, Mlp

_FC = ("mlp.fc1.weight",), "mlp.fc2.weight"
_GATED = (
    Mlp(("mlp.fc1_g.weight", "mlp.fc1_x.weight"), "mlp.fc2.weight"),
    Mlp(("mlp.w12.weight",), "mlp.w3.weight", gate="halves"),
)

LAYOUT = Layout(
    block="blocks.{i}.",
    qkv=("attn.qkv.weight",),
    proj="attn.proj.weight",
    mlps=(Mlp(*_FC), *_GATED),
    fusion="rows",
    left_out=("attn.rel_pos.*", "attn.cpb_mlp.*"),
)

TIMM_VIT = Family(
    name="timm ViT",
    model_types=(),
    layouts=(
        LAYOUT,
        replace(LAYOUT, mlps=(Mlp(*_FC, gate="halves"),)),
        replace(LAYOUT, qkv=tuple(f"attn.{part}_proj.weight" for part in "qkv"), fusion="separate"),  # EVA
    ),
)
