"""GPT-OSS: experts stored input x output, gate and values in turn; its attention sinks are vectors and left out."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Mlp
from spinspectra.layers.families.experts import ROUTERS
from spinspectra.layers.families.gguf_names import GGUF_GATED
from spinspectra.layers.families.llama import LAYOUT

_EXPERTS = Mlp(
    ("mlp.experts.gate_up_proj",), "mlp.experts.down_proj", gate="alternating", stored="in_out", stacked=True
)

GPT_OSS = Family(
    name="GPT-OSS",
    model_types=("gpt_oss",),
    layouts=(replace(LAYOUT, mlps=(_EXPERTS,), left_out=ROUTERS), GGUF_GATED),
)
