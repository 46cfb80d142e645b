"""ELECTRA: BERT's names; the map from narrow embeddings to the width is no part of the chain."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.bert import LAYOUTS

ELECTRA = Family(name="ELECTRA", model_types=("electra",), layouts=LAYOUTS, signs=("electra.",))
