"""BLOOM: query, key and value fused per head, rows [head, (q, k, v), head_dim]; the head count is in config.json."""

from spinspectra.layers.families.base import Family, Layout

BLOOM = Family(
    name="BLOOM",
    model_types=("bloom",),
    layouts=(
        Layout(
            block="h.{i}.",
            qkv=("self_attention.query_key_value",),
            proj="self_attention.dense",
            fc1="mlp.dense_h_to_4h",
            fc2="mlp.dense_4h_to_h",
            fusion="heads",
        ),
    ),
)
