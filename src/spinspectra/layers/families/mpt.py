"""MPT: query, key and value in one tensor by rows."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_ROWS

MPT = Family(
    name="MPT",
    model_types=("mpt",),
    layouts=(
        Layout(
            block="blocks.{i}.",
            qkv=("attn.Wqkv.weight",),
            proj="attn.out_proj.weight",
            mlps=(Mlp(("ffn.up_proj.weight",), "ffn.down_proj.weight"),),
            fusion="rows",
        ),
        GGUF_ROWS,
    ),
)
