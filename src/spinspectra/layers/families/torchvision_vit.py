"""torchvision's ViT, whose blocks are named `encoder_layer_0`."""

from spinspectra.layers.families.base import Family, Layout, Mlp

TORCHVISION_VIT = Family(
    name="torchvision ViT",
    model_types=(),
    layouts=(
        Layout(
            block="encoder_layer_{i}.",
            qkv=("self_attention.in_proj_weight",),
            proj="self_attention.out_proj.weight",
            mlps=(
                Mlp(("mlp.0.weight",), "mlp.3.weight"),
                Mlp(("mlp.linear_1.weight",), "mlp.linear_2.weight"),  # before version 0.13
            ),
            fusion="rows",
        ),
    ),
)
