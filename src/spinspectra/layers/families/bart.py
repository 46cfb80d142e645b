"""BART and its kin: encoder and decoder, one chain each; the cross-attention that couples the two is left out."""

from dataclasses import replace

from spinspectra.layers.families import opt
from spinspectra.layers.families.base import Family

LAYOUT = replace(opt.LAYOUT, left_out=("encoder_attn.*",))

BART = Family(
    name="BART",
    model_types=(
        "bart",
        "mbart",
        "pegasus",
        "marian",
        "m2m_100",
        "blenderbot",
        "blenderbot-small",
        "plbart",
    ),
    layouts=(LAYOUT,),
    signs=("encoder_attn.",),
)
