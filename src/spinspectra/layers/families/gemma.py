"""Gemma 1 to 3: Llama's names, heads that do not fill the width; Gemma 3 with images has SigLIP beside it."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.llama import LAYOUTS

GEMMA = Family(name="Gemma", model_types=("gemma", "gemma2", "gemma3_text", "vaultgemma"), layouts=LAYOUTS)
