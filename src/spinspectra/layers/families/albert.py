"""ALBERT: one block, or a few, used at every depth; how often is in config.json."""

from spinspectra.layers.families.base import Family, Layout, Mlp

ALBERT = Family(
    name="ALBERT",
    model_types=("albert",),
    layouts=(
        Layout(
            block="encoder.albert_layer_groups.{i}.albert_layers.0.",
            qkv=("attention.query.weight", "attention.key.weight", "attention.value.weight"),
            proj="attention.dense.weight",
            mlps=(Mlp(("ffn.weight",), "ffn_output.weight"),),
            shared=True,
        ),
    ),
)
