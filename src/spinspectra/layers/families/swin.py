"""Swin: each stage is a stack of its own, `encoder.layers.0.` and so on, since the width changes between them."""

from dataclasses import replace

from spinspectra.layers.families import bert, vit
from spinspectra.layers.families.base import Family, with_block

SWIN = Family(
    name="Swin",
    model_types=("swin", "swinv2"),
    layouts=(
        replace(with_block(bert.LAYOUT, "blocks.{i}."), left_out=("attention.self.continuous_position_bias_mlp.*",)),
        replace(with_block(vit.IN_MEMORY, "blocks.{i}."), left_out=("attention.continuous_position_bias_mlp.*",)),
    ),
)
