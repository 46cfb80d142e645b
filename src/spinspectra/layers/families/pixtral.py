"""Pixtral: the image encoder of Mistral's models, gated as they are."""

from spinspectra.layers.families.base import Family, Layout, Mlp

PIXTRAL = Family(
    name="Pixtral",
    model_types=("pixtral",),
    layouts=(
        Layout(
            block="layers.{i}.",
            qkv=("attention.q_proj.weight", "attention.k_proj.weight", "attention.v_proj.weight"),
            proj="attention.o_proj.weight",
            mlps=(
                Mlp(("feed_forward.gate_proj.weight", "feed_forward.up_proj.weight"), "feed_forward.down_proj.weight"),
            ),
        ),
    ),
)
