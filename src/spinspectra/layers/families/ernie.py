"""ERNIE: BERT's names."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.bert import LAYOUTS

ERNIE = Family(name="ERNIE", model_types=("ernie",), layouts=LAYOUTS, signs=("ernie.",))
