"""ViT and its kin DeiT and BEiT, which share their names: one set on disk, another in memory since transformers 5."""

from spinspectra.layers.families.base import Family, Layout

LAYOUTS = (
    Layout(
        block="encoder.layer.{i}.",
        qkv=("attention.attention.query", "attention.attention.key", "attention.attention.value"),
        proj="attention.output.dense",
        fc1="intermediate.dense",
        fc2="output.dense",
    ),
    Layout(
        block="layers.{i}.",
        qkv=("attention.q_proj", "attention.k_proj", "attention.v_proj"),
        proj="attention.o_proj",
        fc1="mlp.fc1",
        fc2="mlp.fc2",
    ),
)

VIT = Family(name="ViT", model_types=("vit", "vit_msn"), layouts=LAYOUTS)
