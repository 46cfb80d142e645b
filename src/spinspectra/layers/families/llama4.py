"""Llama 4, its text model: dense blocks, or experts stored input x output beside one that all share."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Mlp
from spinspectra.layers.families.gguf_names import GGUF_GATED
from spinspectra.layers.families.llama import LAYOUT


def _gated(module: str, beside: bool = False) -> Mlp:
    return Mlp((f"{module}.gate_proj.weight", f"{module}.up_proj.weight"), f"{module}.down_proj.weight", beside=beside)


_EXPERTS = Mlp(
    ("feed_forward.experts.gate_up_proj",),
    "feed_forward.experts.down_proj",
    gate="halves",
    stored="in_out",
    stacked=True,
)
_SHARED = _gated("feed_forward.shared_expert", beside=True)

LLAMA4 = Family(
    name="Llama 4",
    model_types=("llama4_text",),
    layouts=(
        replace(LAYOUT, mlps=(_gated("feed_forward"), _EXPERTS, _SHARED), left_out=("feed_forward.router.weight",)),
        GGUF_GATED,
    ),
)
