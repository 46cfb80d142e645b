"""The known architecture families, one file each; a new one is registered here."""

from spinspectra.layers.families.base import Family, Layout
from spinspectra.layers.families.beit import BEIT
from spinspectra.layers.families.bert import BERT
from spinspectra.layers.families.bloom import BLOOM
from spinspectra.layers.families.deit import DEIT
from spinspectra.layers.families.gpt2 import GPT2
from spinspectra.layers.families.opt import OPT
from spinspectra.layers.families.vit import VIT

# Families with signs of their own come before those without (DeiT and BEiT before ViT).
FAMILIES: tuple[Family, ...] = (GPT2, OPT, BLOOM, BERT, BEIT, DEIT, VIT)

__all__ = ["FAMILIES", "Family", "Layout"]
