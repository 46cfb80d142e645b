"""GPT-BigCode, StarCoder: GPT-2's names with torch.nn.Linear; one key and value for all heads, or fused per head."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_GROUPS

GPT_BIGCODE = Family(
    name="GPT-BigCode",
    model_types=("gpt_bigcode",),
    layouts=(
        Layout(
            block="h.{i}.",
            qkv=("attn.c_attn.weight",),
            proj="attn.c_proj.weight",
            mlps=(Mlp(("mlp.c_fc.weight",), "mlp.c_proj.weight"),),
            fusion="groups",
        ),
        GGUF_GROUPS,
    ),
)
