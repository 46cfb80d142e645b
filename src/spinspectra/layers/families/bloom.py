"""BLOOM: query, key and value fused per head, rows [head, (q, k, v), head_dim]; the head count is in config.json."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_GROUPS

DENSE_4H = Mlp(("mlp.dense_h_to_4h.weight",), "mlp.dense_4h_to_h.weight")

LAYOUTS = (
    Layout(
        block="h.{i}.",
        qkv=("self_attention.query_key_value.weight",),
        proj="self_attention.dense.weight",
        mlps=(DENSE_4H,),
        fusion="groups",
    ),
    GGUF_GROUPS,
)

BLOOM = Family(name="BLOOM", model_types=("bloom",), layouts=LAYOUTS)
