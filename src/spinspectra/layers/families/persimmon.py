"""Persimmon: BLOOM's way of fusing under Llama's names."""

from spinspectra.layers.families.base import Family, Layout
from spinspectra.layers.families.bloom import DENSE_4H

PERSIMMON = Family(
    name="Persimmon",
    model_types=("persimmon",),
    layouts=(
        Layout(
            block="layers.{i}.",
            qkv=("self_attn.query_key_value.weight",),
            proj="self_attn.dense.weight",
            mlps=(DENSE_4H,),
            fusion="groups",
        ),
    ),
)
