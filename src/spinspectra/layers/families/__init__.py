"""The known architecture families, one file each; a new one is registered here."""

from spinspectra.layers.families.albert import ALBERT
from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.beit import BEIT
from spinspectra.layers.families.bert import BERT
from spinspectra.layers.families.bloom import BLOOM
from spinspectra.layers.families.deit import DEIT
from spinspectra.layers.families.gpt2 import GPT2
from spinspectra.layers.families.llama import LLAMA
from spinspectra.layers.families.mixtral import MIXTRAL
from spinspectra.layers.families.opt import OPT
from spinspectra.layers.families.t5 import T5
from spinspectra.layers.families.vit import VIT

# Families with signs of their own come before those without (DeiT and BEiT before ViT).
FAMILIES: tuple[Family, ...] = (GPT2, OPT, BLOOM, BERT, BEIT, DEIT, VIT, LLAMA, MIXTRAL, T5, ALBERT)

__all__ = ["FAMILIES", "Family", "Layout", "Mlp"]
