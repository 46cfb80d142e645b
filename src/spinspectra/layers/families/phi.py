"""Phi 1 to 2: attention and MLP side by side on one input, which follow one another in the chain all the same."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_PLAIN, GGUF_ROWS
from spinspectra.layers.families.llama import QKV

PHI = Family(
    name="Phi",
    model_types=("phi",),
    layouts=(
        Layout(
            block="layers.{i}.",
            qkv=QKV,
            proj="self_attn.dense.weight",
            mlps=(Mlp(("mlp.fc1.weight",), "mlp.fc2.weight"),),
            left_out=("self_attn.*_layernorm.weight",),
        ),
        GGUF_PLAIN,
        GGUF_ROWS,
    ),
)
