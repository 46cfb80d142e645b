"""Nemotron, Arcee, Apertus and Jais 2: Llama without a gate."""

from dataclasses import replace

from spinspectra.layers.families.base import Family, Mlp
from spinspectra.layers.families.gguf_names import GGUF_PLAIN
from spinspectra.layers.families.llama import LAYOUT

NEMOTRON = Family(
    name="Nemotron",
    model_types=("nemotron", "arcee", "apertus", "jais2"),
    layouts=(replace(LAYOUT, mlps=(Mlp(("mlp.up_proj.weight",), "mlp.down_proj.weight"),)), GGUF_PLAIN),
)
