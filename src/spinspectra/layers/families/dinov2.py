"""DINOv2: a ViT whose MLP may have a gate; layer scales are left out."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Mlp, with_block
from spinspectra.layers.families.llama import GATED
from spinspectra.layers.families.vit import IN_MEMORY, ON_DISK

_IN_MEMORY = with_block(IN_MEMORY, "encoder.layer.{i}.")
_GATED_ON_DISK = Mlp(("mlp.weights_in.weight",), "mlp.weights_out.weight", gate="halves")

DINOV2 = Family(
    name="DINOv2",
    model_types=("dinov2", "dinov2_with_registers"),
    layouts=(
        replace(ON_DISK, mlps=(*IN_MEMORY.mlps, _GATED_ON_DISK)),
        replace(_IN_MEMORY, mlps=(*IN_MEMORY.mlps, GATED)),
    ),
)
