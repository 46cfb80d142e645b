"""BERT, and the encoders that keep its names."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_PLAIN, GGUF_ROWS

LAYOUT = Layout(
    block="encoder.layer.{i}.",
    qkv=("attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight"),
    proj="attention.output.dense.weight",
    left_out=("crossattention.*",),
    mlps=(Mlp(("intermediate.dense.weight",), "output.dense.weight"),),
)
LAYOUTS = (LAYOUT, GGUF_PLAIN, GGUF_ROWS)

BERT = Family(
    name="BERT",
    model_types=(
        "bert",
        "bert-generation",
        "big_bird",
        "esm",
        "layoutlm",
        "megatron-bert",
        "rembert",
        "roformer",
        "splinter",
    ),
    layouts=LAYOUTS,
)
