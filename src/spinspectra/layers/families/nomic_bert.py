"""Nomic BERT: query, key and value fused by rows on disk, Llama's names in memory."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_ROWS_GATED
from spinspectra.layers.families.llama import LAYOUT

NOMIC_BERT = Family(
    name="Nomic BERT",
    model_types=("nomic_bert",),
    layouts=(
        Layout(
            block="encoder.layers.{i}.",
            qkv=("attn.Wqkv.weight",),
            proj="attn.out_proj.weight",
            mlps=(Mlp(("mlp.fc11.weight", "mlp.fc12.weight"), "mlp.fc2.weight"),),
            fusion="rows",
        ),
        LAYOUT,
        GGUF_ROWS_GATED,
    ),
)
