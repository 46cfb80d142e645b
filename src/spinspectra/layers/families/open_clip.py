"""CLIP as OpenAI and OpenCLIP name it: torch.nn.MultiheadAttention, one chain for text and one for images."""

from spinspectra.layers.families.base import Family, Layout, Mlp

OPEN_CLIP = Family(
    name="OpenCLIP",
    model_types=(),
    layouts=(
        Layout(
            block="resblocks.{i}.",
            qkv=("attn.in_proj_weight",),
            proj="attn.out_proj.weight",
            mlps=(Mlp(("mlp.c_fc.weight",), "mlp.c_proj.weight"),),
            fusion="rows",
        ),
    ),
)
