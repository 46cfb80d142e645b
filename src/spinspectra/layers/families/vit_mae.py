"""ViT-MAE: a ViT, and where it was saved with its decoder, that as a chain of its own."""

from spinspectra.layers.families.base import Family, with_block
from spinspectra.layers.families.vit import IN_MEMORY, LAYOUTS, ON_DISK

VIT_MAE = Family(
    name="ViT-MAE",
    model_types=("vit_mae",),
    layouts=(
        *LAYOUTS,
        with_block(ON_DISK, "decoder_layers.{i}."),
        with_block(ON_DISK, "decoder_encoder.layer.{i}."),  # as transformers 5 writes it
        with_block(IN_MEMORY, "decoder_layers.{i}."),
    ),
    signs=("decoder_layers.", "decoder_encoder."),
)
