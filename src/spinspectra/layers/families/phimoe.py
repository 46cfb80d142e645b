"""Phi-3.5-MoE: Mixtral's names."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.mixtral import LAYOUTS

PHIMOE = Family(name="PhiMoE", model_types=("phimoe",), layouts=LAYOUTS)
