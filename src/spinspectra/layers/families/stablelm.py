"""StableLM: Llama's names."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.llama import LAYOUTS

STABLELM = Family(name="StableLM", model_types=("stablelm",), layouts=LAYOUTS)
