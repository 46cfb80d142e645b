"""ViT and its kin DeiT and BEiT, which share their names: one set on disk, another in memory since transformers 5."""

from spinspectra.layers.families.base import Family, Layout, Mlp

LAYOUTS = (
    Layout(
        block="encoder.layer.{i}.",
        qkv=("attention.attention.query.weight", "attention.attention.key.weight", "attention.attention.value.weight"),
        proj="attention.output.dense.weight",
        mlps=(Mlp(("intermediate.dense.weight",), "output.dense.weight"),),
    ),
    Layout(
        block="layers.{i}.",
        qkv=("attention.q_proj.weight", "attention.k_proj.weight", "attention.v_proj.weight"),
        proj="attention.o_proj.weight",
        mlps=(Mlp(("mlp.fc1.weight",), "mlp.fc2.weight"),),
    ),
)

VIT = Family(name="ViT", model_types=("vit", "vit_msn"), layouts=LAYOUTS)
