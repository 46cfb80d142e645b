"""BERT, and the encoders that keep its names."""

from spinspectra.layers.families.base import Family, Layout

BERT = Family(
    name="BERT",
    model_types=("bert", "roberta", "xlm-roberta", "camembert", "electra", "ernie"),
    layouts=(
        Layout(
            block="encoder.layer.{i}.",
            qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
            proj="attention.output.dense",
            fc1="intermediate.dense",
            fc2="output.dense",
        ),
    ),
)
