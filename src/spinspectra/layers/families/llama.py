"""Llama: grouped queries, an MLP with a gate. Many families keep its names."""

from spinspectra.layers.families.base import Family, Layout, Mlp

QKV = ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight")
GATED = Mlp(("mlp.gate_proj.weight", "mlp.up_proj.weight"), "mlp.down_proj.weight")

LAYOUT = Layout(block="layers.{i}.", qkv=QKV, proj="self_attn.o_proj.weight", mlps=(GATED,))

LLAMA = Family(name="Llama", model_types=("llama",), layouts=(LAYOUT,))
