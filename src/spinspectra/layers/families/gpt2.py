"""GPT-2: Conv1D keeps input x output, and one matrix holds [q | k | v] by columns; GPT-1 and ImageGPT alike."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_ROWS

GPT2 = Family(
    name="GPT-2",
    model_types=("gpt2", "openai-gpt", "imagegpt"),
    layouts=(
        Layout(
            block="h.{i}.",
            qkv=("attn.c_attn.weight",),
            proj="attn.c_proj.weight",
            mlps=(Mlp(("mlp.c_fc.weight",), "mlp.c_proj.weight", stored="in_out"),),
            fusion="rows",
            stored="in_out",
            left_out=("crossattention.*",),
        ),
        GGUF_ROWS,
    ),
)
