"""Phi 3 and 4: query, key and value in one tensor, gate and values in another, each by rows."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_ROWS_HALVES
from spinspectra.layers.families.llama import PROJ

HALVES = Mlp(("mlp.gate_up_proj.weight",), "mlp.down_proj.weight", gate="halves")

PHI3 = Family(
    name="Phi-3",
    model_types=("phi3",),
    layouts=(
        Layout(block="layers.{i}.", qkv=("self_attn.qkv_proj.weight",), proj=PROJ, mlps=(HALVES,), fusion="rows"),
        GGUF_ROWS_HALVES,
    ),
)
