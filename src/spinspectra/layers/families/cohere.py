"""Cohere's Command: Llama's names; norms of its queries and keys have a row a head and are no matrices."""

from dataclasses import replace

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.gguf_names import GGUF_GATED
from spinspectra.layers.families.llama import LAYOUT

COHERE = Family(
    name="Cohere",
    model_types=("cohere", "cohere2"),
    layouts=(replace(LAYOUT, left_out=("self_attn.q_norm.weight", "self_attn.k_norm.weight")), GGUF_GATED),
)
