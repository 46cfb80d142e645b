"""torch.nn.TransformerEncoder, TransformerDecoder and Transformer; attention to the other side is left out."""

from spinspectra.layers.families.base import Family, Layout, Mlp

TORCH_TRANSFORMER = Family(
    name="torch.nn.Transformer",
    model_types=(),
    layouts=(
        Layout(
            block="layers.{i}.",
            qkv=("self_attn.in_proj_weight",),
            proj="self_attn.out_proj.weight",
            mlps=(Mlp(("linear1.weight",), "linear2.weight"),),
            fusion="rows",
            left_out=("multihead_attn.*",),
        ),
    ),
)
