"""Hunyuan 1: Llama's names, or experts beside one that all share."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.experts import EXPERTS
from spinspectra.layers.families.gguf_names import GGUF_GATED

HUNYUAN = Family(name="Hunyuan", model_types=("hunyuan_v1_dense", "hunyuan_v1_moe"), layouts=(EXPERTS, GGUF_GATED))
