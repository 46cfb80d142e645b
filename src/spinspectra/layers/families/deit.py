"""DeiT: a ViT with a distillation token."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.vit import LAYOUTS

DEIT = Family(name="DeiT", model_types=("deit",), layouts=LAYOUTS, signs=("deit.", "distillation_token"))
