"""ERNIE 4.5: Llama's names, or experts beside one that all share."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.experts import EXPERTS
from spinspectra.layers.families.gguf_names import GGUF_GATED

ERNIE4_5 = Family(name="ERNIE 4.5", model_types=("ernie4_5", "ernie4_5_moe"), layouts=(EXPERTS, GGUF_GATED))
