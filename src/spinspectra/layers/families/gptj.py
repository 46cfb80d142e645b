"""GPT-J: attention and MLP side by side on one input, which follow one another in the chain all the same."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_PLAIN

GPTJ = Family(
    name="GPT-J",
    model_types=("gptj",),
    layouts=(
        Layout(
            block="h.{i}.",
            qkv=("attn.q_proj.weight", "attn.k_proj.weight", "attn.v_proj.weight"),
            proj="attn.out_proj.weight",
            mlps=(Mlp(("mlp.fc_in.weight",), "mlp.fc_out.weight"),),
        ),
        GGUF_PLAIN,
    ),
)
