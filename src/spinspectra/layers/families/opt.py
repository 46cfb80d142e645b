"""OPT: separate query, key and value; decoder layers only. XGLM and BioGPT keep its names."""

from spinspectra.layers.families.base import Family, Layout, Mlp

LAYOUT = Layout(
    block="layers.{i}.",
    qkv=("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    proj="self_attn.out_proj.weight",
    mlps=(Mlp(("fc1.weight",), "fc2.weight"),),
)

OPT = Family(name="OPT", model_types=("opt", "xglm", "biogpt"), layouts=(LAYOUT,))
