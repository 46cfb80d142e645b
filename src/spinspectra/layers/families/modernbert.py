"""ModernBERT: one tensor for query, key and value, one for values and gate."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_ROWS_HALVES

MODERNBERT = Family(
    name="ModernBERT",
    model_types=("modernbert",),
    layouts=(
        Layout(
            block="layers.{i}.",
            qkv=("attn.Wqkv.weight",),
            proj="attn.Wo.weight",
            mlps=(Mlp(("mlp.Wi.weight",), "mlp.Wo.weight", gate="halves"),),
            fusion="rows",
        ),
        GGUF_ROWS_HALVES,
    ),
)
