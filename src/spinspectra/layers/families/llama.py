"""Llama: grouped queries, an MLP with a gate. Many families keep its names."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_GATED

QKV = ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight")
PROJ = "self_attn.o_proj.weight"
GATED = Mlp(("mlp.gate_proj.weight", "mlp.up_proj.weight"), "mlp.down_proj.weight")

LAYOUT = Layout(block="layers.{i}.", qkv=QKV, proj=PROJ, mlps=(GATED,))
LAYOUTS = (LAYOUT, GGUF_GATED)

LLAMA = Family(
    name="Llama",
    model_types=("llama", "cwm", "eurobert", "exaone4", "helium", "seed_oss"),
    layouts=LAYOUTS,
)
