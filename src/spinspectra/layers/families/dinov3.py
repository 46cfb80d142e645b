"""DINOv3, its ViTs: an MLP with or without a gate."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Mlp, with_block
from spinspectra.layers.families.llama import GATED
from spinspectra.layers.families.vit import IN_MEMORY

_LAYOUT = with_block(IN_MEMORY, "layer.{i}.")

DINOV3 = Family(
    name="DINOv3",
    model_types=("dinov3_vit",),
    layouts=(
        replace(_LAYOUT, mlps=(Mlp(("mlp.up_proj.weight",), "mlp.down_proj.weight"),)),
        replace(_LAYOUT, mlps=(GATED,)),
    ),
)
