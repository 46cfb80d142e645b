"""GLM 4: gate and values in one tensor; its MoE models keep the names of Qwen's."""

from dataclasses import replace

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.experts import EXPERTS
from spinspectra.layers.families.gguf_names import GGUF_GATED, GGUF_HALVES
from spinspectra.layers.families.llama import LAYOUT
from spinspectra.layers.families.phi3 import HALVES

GLM = Family(
    name="GLM",
    model_types=("glm", "glm4", "glm4_moe"),
    layouts=(replace(LAYOUT, mlps=(HALVES,)), EXPERTS, GGUF_HALVES, GGUF_GATED),
)
