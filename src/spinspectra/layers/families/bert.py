"""BERT, and the encoders that keep its names."""

from spinspectra.layers.families.base import Family, Layout, Mlp

BERT = Family(
    name="BERT",
    model_types=("bert", "roberta", "xlm-roberta", "camembert", "electra", "ernie"),
    layouts=(
        Layout(
            block="encoder.layer.{i}.",
            qkv=("attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight"),
            proj="attention.output.dense.weight",
            left_out=("crossattention.*",),
            mlps=(Mlp(("intermediate.dense.weight",), "output.dense.weight"),),
        ),
    ),
)
