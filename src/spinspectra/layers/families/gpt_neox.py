"""GPT-NeoX and Pythia: BLOOM's way of fusing; attention and MLP side by side on one input."""

from spinspectra.layers.families.base import Family, Layout
from spinspectra.layers.families.bloom import DENSE_4H
from spinspectra.layers.families.gguf_names import GGUF_GROUPS

GPT_NEOX = Family(
    name="GPT-NeoX",
    model_types=("gpt_neox", "gpt_neox_japanese"),
    layouts=(
        Layout(
            block="layers.{i}.",
            qkv=("attention.query_key_value.weight",),
            proj="attention.dense.weight",
            mlps=(DENSE_4H,),
            fusion="groups",
        ),
        GGUF_GROUPS,
    ),
)
