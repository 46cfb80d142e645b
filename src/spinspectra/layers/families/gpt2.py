"""GPT-2: Conv1D keeps input x output, and one matrix holds [q | k | v] by columns."""

from spinspectra.layers.families.base import Family, Layout

GPT2 = Family(
    name="GPT-2",
    model_types=("gpt2",),
    layouts=(
        Layout(
            block="h.{i}.",
            qkv=("attn.c_attn",),
            proj="attn.c_proj",
            fc1="mlp.c_fc",
            fc2="mlp.c_proj",
            fusion="columns",
            stored="in_out",
        ),
    ),
)
