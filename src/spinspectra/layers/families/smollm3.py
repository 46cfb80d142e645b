"""SmolLM3: Llama's names."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.llama import LAYOUTS

SMOLLM3 = Family(name="SmolLM3", model_types=("smollm3",), layouts=LAYOUTS)
