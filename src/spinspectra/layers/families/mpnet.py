"""MPNet: BERT with short names in its attention."""

from dataclasses import replace

from spinspectra.layers.families import bert
from spinspectra.layers.families.base import Family

MPNET = Family(
    name="MPNet",
    model_types=("mpnet",),
    layouts=(
        replace(
            bert.LAYOUT,
            qkv=tuple(f"attention.attn.{part}.weight" for part in "qkv"),
            proj="attention.attn.o.weight",
        ),
    ),
)
