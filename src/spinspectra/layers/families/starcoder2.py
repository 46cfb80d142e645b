"""StarCoder 2: grouped queries, an MLP without a gate."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_PLAIN
from spinspectra.layers.families.llama import PROJ, QKV

STARCODER2 = Family(
    name="StarCoder2",
    model_types=("starcoder2",),
    layouts=(
        Layout(block="layers.{i}.", qkv=QKV, proj=PROJ, mlps=(Mlp(("mlp.c_fc.weight",), "mlp.c_proj.weight"),)),
        GGUF_PLAIN,
    ),
)
