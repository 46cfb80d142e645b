"""DistilBERT: BERT under names of its own."""

from spinspectra.layers.families.base import Family, Layout, Mlp

DISTILBERT = Family(
    name="DistilBERT",
    model_types=("distilbert",),
    layouts=(
        Layout(
            block="transformer.layer.{i}.",
            qkv=("attention.q_lin.weight", "attention.k_lin.weight", "attention.v_lin.weight"),
            proj="attention.out_lin.weight",
            mlps=(Mlp(("ffn.lin1.weight",), "ffn.lin2.weight"),),
        ),
    ),
)
