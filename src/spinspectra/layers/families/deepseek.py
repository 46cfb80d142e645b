"""DeepSeek's first models, MoE among them; later ones have latent attention, which makes no chain (`refused`)."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.experts import EXPERTS
from spinspectra.layers.families.gguf_names import GGUF_GATED

DEEPSEEK = Family(name="DeepSeek", model_types=("deepseek", "dots1"), layouts=(EXPERTS, GGUF_GATED))
