"""OLMo 1 to 3, and OLMoE and FlexOlmo with experts."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.experts import EXPERTS
from spinspectra.layers.families.gguf_names import GGUF_GATED

OLMO = Family(name="OLMo", model_types=("olmo", "olmo2", "olmo3", "olmoe", "flex_olmo"), layouts=(EXPERTS, GGUF_GATED))
