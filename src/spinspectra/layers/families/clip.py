"""CLIP: a text encoder and an image encoder, one chain each."""

from spinspectra.layers.families.base import Family, Layout, Mlp

LAYOUT = Layout(
    block="layers.{i}.",
    qkv=("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    proj="self_attn.out_proj.weight",
    mlps=(Mlp(("mlp.fc1.weight",), "mlp.fc2.weight"),),
)

CLIP = Family(
    name="CLIP",
    model_types=("clip", "clip_text_model", "clip_vision_model"),
    layouts=(LAYOUT,),
)
