"""GPT-Neo: GPT-2 with torch.nn.Linear and separate query, key and value."""

from spinspectra.layers.families.base import Family, Layout, Mlp

GPT_NEO = Family(
    name="GPT-Neo",
    model_types=("gpt_neo",),
    layouts=(
        Layout(
            block="h.{i}.",
            qkv=("attn.attention.q_proj.weight", "attn.attention.k_proj.weight", "attn.attention.v_proj.weight"),
            proj="attn.attention.out_proj.weight",
            mlps=(Mlp(("mlp.c_fc.weight",), "mlp.c_proj.weight"),),
        ),
    ),
)
