"""OPT: separate query, key and value; decoder layers only."""

from spinspectra.layers.families.base import Family, Layout

OPT = Family(
    name="OPT",
    model_types=("opt",),
    layouts=(
        Layout(
            block="layers.{i}.",
            qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            proj="self_attn.out_proj",
            fc1="fc1",
            fc2="fc2",
        ),
    ),
)
