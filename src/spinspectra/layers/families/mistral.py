"""Mistral: Llama's names; Mistral 3 has the image encoder of Pixtral beside it."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.llama import LAYOUTS

MISTRAL = Family(name="Mistral", model_types=("mistral", "ministral", "ministral3"), layouts=LAYOUTS)
