"""What a GGUF file's metadata say of its model, and what the conversion to GGUF did to the tensors.

llama.cpp's `convert_hf_to_gguf.py` changes some tensors on the way. What it does by the file's `general.architecture`,
read from its source of October 2024 and of 2026, and what of it is undone here:

- Rows of the query and the key are put in another order in each head, (2, d/2) becoming (d/2, 2), for a rotary
  embedding of neighbours (`_ROTARY`; LLaMA, Mistral, Mixtral and their kin): undone. Models converted from Mistral's or
  Meta's own files are stored so to begin with: they come out in the order of their Hugging Face release.
- The fused query, key and value of BLOOM, GPT-NeoX and Falcon (`_FUSED`), by head [q; k; v] on the hub, become all
  queries, all keys, all values: undone, weights and biases.
- 1 is added to the weights of Gemma's and Nemotron's norms (`_SHIFTED_NORMS`): undone.
- Conv1D weights of GPT-2 and Jais are transposed to (out, in), experts are stacked to (experts, out, in), fused tensors
  of other models are split in parts: left as stored.
- Left as stored too, rare or not invertible: the query and output of PLaMo 13B in another order of heads; the linear
  attention of Qwen3-Next and Qwen3.5; the norms of Qwen3-Next, PLaMo 2 and 3, MiniMax-M3 and Step-3.5, shifted; the
  query and key norms of Chameleon; Mamba's A, which is -exp of the model's; multipliers folded into Jais, Falcon-H1;
  rows of padding and of unused positions cut off; the image and sound encoders of `mmproj` files (Pixtral's among them
  in the rotary order); LoRA adapters.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError

_ROTARY = frozenset(
    (
        "llama",
        "arcee",
        "arctic",
        "baichuan",
        "bailingmoe",
        "chameleon",
        "deci",
        "deepseek",
        "eagle3",
        "granite",
        "granite_swa",
        "granitehybrid",
        "granitemoe",
        "internlm2",
        "llada",
        "llama-embed",
        "minicpm",
        "mistral3",
        "nanbeige",
        "nemotron_h",
        "nemotron_h_moe",
        "olmo",
        "smollm3",
        "xverse",
    )
)
_FUSED = frozenset(("bloom", "falcon", "gptneox"))
_SHIFTED_NORMS = frozenset(("gemma", "gemma2", "gemma3", "gemma-embedding", "nemotron"))

_QUERY_OR_KEY = re.compile(r"blk\.(?P<block>[0-9]{1,9})\.attn_(?P<part>q|k)\.(weight|bias)")
_QKV = re.compile(r"blk\.(?P<block>[0-9]{1,9})\.attn_qkv\.(weight|bias)")
_EMBEDDING = re.compile(r"(.*\.)?(token_embd|position_embd|token_types|attn_rel_b)\.weight", re.DOTALL)

# transformers' model_type by llama.cpp's architecture. Left out: what stands for several models (deepseek2, mistral3)
# and what transformers has no code for.
MODEL_TYPES = {
    "afmoe": "afmoe",
    "apertus": "apertus",
    "arcee": "arcee",
    "bert": "bert",
    "bitnet": "bitnet",
    "bloom": "bloom",
    "chameleon": "chameleon",
    "cohere2": "cohere2",
    "dbrx": "dbrx",
    "dots1": "dots1",
    "ernie4_5": "ernie4_5",
    "eurobert": "eurobert",
    "exaone4": "exaone4",
    "falcon": "falcon",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "glm4": "glm4",
    "gpt2": "gpt2",
    "gptj": "gptj",
    "granite": "granite",
    "granitemoe": "granitemoe",
    "jais2": "jais2",
    "jamba": "jamba",
    "lfm2": "lfm2",
    "llama": "llama",
    "mamba": "mamba",
    "mamba2": "mamba2",
    "mpt": "mpt",
    "nemotron": "nemotron",
    "nemotron_h": "nemotron_h",
    "olmo": "olmo",
    "olmo2": "olmo2",
    "olmoe": "olmoe",
    "phi3": "phi3",
    "phimoe": "phimoe",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "seed_oss": "seed_oss",
    "smollm3": "smollm3",
    "stablelm": "stablelm",
    "starcoder2": "starcoder2",
    "t5": "t5",
    "command-r": "cohere",
    "ernie4_5-moe": "ernie4_5_moe",
    "falcon-h1": "falcon_h1",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "glm4moe": "glm4_moe",
    "gpt-oss": "gpt_oss",
    "gptneox": "gpt_neox",
    "granitehybrid": "granitemoehybrid",
    "hunyuan-dense": "hunyuan_v1_dense",
    "hunyuan-moe": "hunyuan_v1_moe",
    "lfm2moe": "lfm2_moe",
    "llama4": "llama4_text",
    "minimax-m2": "minimax_m2",
    "modern-bert": "modernbert",
    "nomic-bert": "nomic_bert",
    "phi2": "phi",
    "qwen2moe": "qwen2_moe",
    "qwen2vl": "qwen2_vl",
    "qwen3moe": "qwen3_moe",
    "qwen3next": "qwen3_next",
    "qwen3vl": "qwen3_vl",
    "qwen3vlmoe": "qwen3_vl_moe",
    "starcoder": "gpt_bigcode",
    "t5encoder": "t5",
}

# config.json's words for what follows the architecture's name in a metadata key.
_WORDS = {
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
}


def config_of(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metadata in the words of a config.json; None without an architecture.

    `gguf_architecture` is llama.cpp's name of it, `model_type` transformers' where known; a LLaMA with experts is a
    Mixtral. Numbers that differ from layer to layer are left out.
    """
    architecture = architecture_of(metadata)
    if not architecture:
        return None
    config: dict[str, Any] = {"gguf_architecture": architecture}
    if architecture in MODEL_TYPES:
        config["model_type"] = MODEL_TYPES[architecture]
    for key, word in _WORDS.items():
        if number := _count(metadata.get(f"{architecture}.{key}")):
            config[word] = number
    if architecture == "gemma4":
        config.pop("head_dim", None)  # the key length there is that of its global layers alone
    if config.get("model_type") == "llama" and "num_experts" in config:
        config["model_type"] = "mixtral"
        config["num_local_experts"] = config.pop("num_experts")
    return config


def architecture_of(metadata: Mapping[str, Any]) -> str:
    """What llama.cpp calls the architecture; empty where the file does not say."""
    value = metadata.get("general.architecture")
    return value if isinstance(value, str) else ""


def module_of(name: str) -> str:
    """`Embedding` for the tables that are looked up, whose names tell no stranger so; else empty."""
    return "Embedding" if _EMBEDDING.fullmatch(name) else ""


def norm_shift(metadata: Mapping[str, Any], name: str) -> float:
    """What the conversion added to all values of a tensor."""
    return 1.0 if name.endswith("norm.weight") and architecture_of(metadata) in _SHIFTED_NORMS else 0.0


def row_order(metadata: Mapping[str, Any], name: str, n_rows: int, where: str) -> NDArray[np.intp] | None:
    """For each stored row its place in the model's own tensor; None where the conversion moved none.

    where: the tensor, for messages. Raises WeightsError if the file does not say how many heads there are, or if its
    rows do not divide among them.
    """
    architecture = architecture_of(metadata)
    if architecture in _ROTARY and (match := _QUERY_OR_KEY.fullmatch(name)):
        n_heads, n_kv = _heads(metadata, int(match["block"]), where)
        return _rotary_order(n_rows, n_heads if match["part"] == "q" else n_kv, where)
    if architecture in _FUSED and (match := _QKV.fullmatch(name)):
        return _fused_order(n_rows, *_heads(metadata, int(match["block"]), where), where)
    return None


def _rotary_order(n_rows: int, n_heads: int, where: str) -> NDArray[np.intp]:
    """Stored: of each head rows 0, d/2, 1, d/2 + 1, ..."""
    if n_rows % (2 * n_heads):
        raise _unequal(n_rows, n_heads, where)
    return np.arange(n_rows).reshape(n_heads, 2, -1).swapaxes(1, 2).ravel()


def _fused_order(n_rows: int, n_heads: int, n_kv: int, where: str) -> NDArray[np.intp]:
    """Stored: all queries, all keys, all values. The model: by key, its queries, itself, its value."""
    if n_heads % n_kv or n_rows % (n_heads + 2 * n_kv):
        raise _unequal(n_rows, n_heads, where)
    groups = np.arange(n_rows).reshape(n_kv, n_heads // n_kv + 2, -1)
    return np.concatenate([groups[:, :-2].ravel(), groups[:, -2].ravel(), groups[:, -1].ravel()])


def _unequal(n_rows: int, n_heads: int, where: str) -> WeightsError:
    return WeightsError(f"{where} has {n_rows} rows, which do not divide among {n_heads} heads; fetch the file again")


def _heads(metadata: Mapping[str, Any], block: int, where: str) -> tuple[int, int]:
    """Heads of the queries, and of keys and values, in a block; some models have other numbers in each."""
    architecture = architecture_of(metadata)
    n_heads = _of_block(metadata.get(f"{architecture}.attention.head_count"), block)
    n_kv = _of_block(metadata.get(f"{architecture}.attention.head_count_kv", n_heads), block)
    if not n_heads or not n_kv:
        raise WeightsError(
            f"{where} has its rows in llama.cpp's order, and the file does not say how many heads there are "
            f"({architecture}.attention.head_count); convert the model again"
        )
    return n_heads, n_kv


def _of_block(value: Any, block: int) -> int:
    """The number of one block, where there may be one a block; 0 if there is none."""
    if isinstance(value, tuple):
        value = value[block] if block < len(value) else 0
    return _count(value)


def _count(value: Any) -> int:
    """A whole number above 0; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
