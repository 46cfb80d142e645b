"""DeBERTa: version 1 fuses query, key and value per head, versions 2 and 3 do not; maps of positions are left out."""

from dataclasses import replace

from spinspectra.layers.families import bert
from spinspectra.layers.families.base import Family

_POSITIONS = tuple(
    f"attention.self.{name}.weight" for name in ("pos_proj", "pos_q_proj", "pos_key_proj", "pos_query_proj")
)
_MIXING = ("attention.self.head_logits_proj.weight", "attention.self.head_weights_proj.weight")  # of heads

DEBERTA = Family(
    name="DeBERTa",
    model_types=("deberta", "deberta-v2"),
    layouts=(
        replace(
            bert.LAYOUT,
            qkv=("attention.self.in_proj.weight",),
            fusion="groups",
            left_out=(*_POSITIONS, *_MIXING),
        ),
        replace(
            bert.LAYOUT,
            qkv=tuple(f"attention.self.{name}_proj.weight" for name in ("query", "key", "value")),
            left_out=_POSITIONS,
        ),
    ),
)
