"""Checkpoints under llama.cpp's names: the chain is that of the model whose tensors they are.

The names are those of the package's own map, `gguf.get_tensor_name_map`; what its converter does beyond naming (experts
stacked, gate and values apart, GPT-2's matrices turned) is done here by hand. Rows are in the model's order, as the
reader gives them.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from spinspectra import IsingChain, open_weights
from spinspectra.errors import UnknownFamilyError
from spinspectra.layers import recognise
from tests.layers.models import disk_arrays
from tests.layers.zoo import ENTRIES, Entry, model_of
from tests.layers.zoo.entry import HEADS
from tests.weights import gguf_models

# The architectures that the converter knows and families have a layout for, by model_type, as llama.cpp calls them.
ARCHITECTURES = {
    "gpt2": "GPT2",
    "bloom": "BLOOM",
    "bert": "BERT",
    "roberta": "BERT",
    "nomic_bert": "NOMIC_BERT",
    "t5": "T5",
    "t5 1.1": "T5",
    "llama": "LLAMA",
    "mistral": "LLAMA",
    "mixtral": "LLAMA",
    "smollm3": "SMOLLM3",
    "exaone4": "EXAONE4",
    "seed_oss": "SEED_OSS",
    "qwen2": "QWEN2",
    "qwen3": "QWEN3",
    "qwen2_moe": "QWEN2MOE",
    "qwen3_moe": "QWEN3MOE",
    "gemma": "GEMMA",
    "gemma2": "GEMMA2",
    "gemma3_text": "GEMMA3",
    "phi": "PHI2",
    "phi3": "PHI3",
    "phimoe": "PHIMOE",
    "falcon 7b": "FALCON",
    "falcon 40b": "FALCON",
    "falcon rw": "FALCON",
    "mpt": "MPT",
    "gpt_neox": "GPTNEOX",
    "gptj": "GPTJ",
    "gpt_bigcode one key": "STARCODER",
    "gpt_bigcode all keys": "STARCODER",
    "starcoder2": "STARCODER2",
    "stablelm": "STABLELM",
    "cohere": "COMMAND_R",
    "cohere2": "COHERE2",
    "olmo": "OLMO",
    "olmo2": "OLMO2",
    "olmoe": "OLMOE",
    "granite": "GRANITE",
    "granitemoe": "GRANITE_MOE",
    "granitemoeshared": "GRANITE_MOE",
    "gpt_oss": "GPT_OSS",
    "glm4": "GLM4",
    "glm4_moe": "GLM4_MOE",
    "dots1": "DOTS1",
    "nemotron": "NEMOTRON",
    "arcee": "ARCEE",
    "ernie4_5": "ERNIE4_5",
    "ernie4_5_moe": "ERNIE4_5_MOE",
    "hunyuan_v1_dense": "HUNYUAN_DENSE",
    "hunyuan_v1_moe": "HUNYUAN_MOE",
}
CASES = [entry for entry in ENTRIES if str(entry) in ARCHITECTURES]


def test_every_architecture_has_its_entry() -> None:
    assert set(map(str, CASES)) == set(ARCHITECTURES)


def converted(entry: Entry, folder: Path) -> dict[str, Any]:
    """The tensors of the blocks under their names in a GGUF file."""
    kinds = (ARCHITECTURES[str(entry)], "LLAMA")  # the second for what llama.cpp has not met: dense blocks in a MoE
    names = [gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, kind), 4) for kind in kinds]
    tensors = stacked(disk_arrays(model_of(entry), folder))
    return {gguf_name(names, name): turned(entry, value) for name, value in tensors.items() if value.ndim > 1}


def gguf_name(maps: list[Any], name: str) -> str:
    """By the name in the model with its head, whatever the prefix there."""
    stem = name.removesuffix(".weight")
    for names in maps:
        for prefix in ("", "model.", "transformer.", "bert.", "gpt_neox."):
            if found := names.get_name(prefix + stem):
                return f"{found}.weight"
    return f"unnamed.{name}"


def turned(entry: Entry, value: Any) -> Any:
    return value.T if entry.model_type == "gpt2" else value


def stacked(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Experts of numbers of their own in one tensor; gate and values in tensors of their own, outputs x inputs."""
    made: dict[str, Any] = {}
    numbered: dict[str, list[Any]] = {}
    for name, value in sorted(tensors.items()):
        if re.search(r"experts\.\d+\.", name):
            numbered.setdefault(re.sub(r"experts\.\d+\.", "experts.", name), []).append(value)
        elif re.search(r"experts\.(gate_up|down)_proj$", name):
            out_in = value.swapaxes(1, 2)
            if name.endswith("down_proj"):
                made[name] = out_in
            else:
                stem = name.removesuffix("gate_up_proj")
                made |= {f"{stem}gate_proj": out_in[:, ::2], f"{stem}up_proj": out_in[:, 1::2]}
        elif name.endswith("input_linear.weight"):
            gate, up = np.split(value, 2, axis=-2)
            stem = name.removesuffix("input_linear.weight")
            made |= granite(stem, gate, up, tensors[f"{stem}output_linear.weight"])
        else:
            made[name] = value
    return made | {name: np.stack(experts) for name, experts in numbered.items()}


def granite(stem: str, gate: Any, up: Any, down: Any) -> dict[str, Any]:
    """Its converter's names: those of Mixtral's experts, and of an MLP beside them."""
    inside = stem.replace("block_sparse_moe.", "block_sparse_moe.experts.")
    if stem.endswith("shared_mlp."):
        inside = stem.replace("shared_mlp.", "mlp.shared_expert.")
        return {f"{inside}gate_proj": gate, f"{inside}up_proj": up, f"{inside}down_proj": down}
    return {f"{inside}w1": gate, f"{inside}w3": up, f"{inside}w2": down}


def config_of(entry: Entry) -> dict[str, Any]:
    """What the reader says: the model_type, heads, and blocks."""
    config = model_of(entry).config
    one_key = getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", False)
    n_kv = getattr(config, "num_kv_heads", None) or getattr(config, "num_key_value_heads", None) or HEADS
    kind = entry.model_type if entry.model_type != "roberta" else "bert"
    return {"model_type": kind, "num_attention_heads": HEADS, "num_key_value_heads": 1 if one_key else n_kv}


@pytest.mark.parametrize("entry", CASES, ids=str)
def test_chain_is_that_of_the_model(entry: Entry, tmp_path: Path) -> None:
    tensors = converted(entry, tmp_path)
    for prefix in entry.stacks:
        alone = IsingChain.from_weights(tmp_path, prefix=prefix or None)
        there = {"encoder.": "enc.", "decoder.": "dec."}.get(prefix)
        weights = open_weights(tensors, config=config_of(entry))
        chain = IsingChain.from_weights(weights, prefix=there)
        assert chain.labels == alone.labels
        assert chain.nodes == alone.nodes
        np.testing.assert_array_equal(chain.flat, alone.flat)
        if entry.model_type != "roberta":
            assert recognise(weights, there).name == entry.family


@pytest.mark.parametrize("key", gguf_models.CONFIGS)
def test_a_whole_file_makes_the_chain_of_the_model(key: str, tmp_path: Path) -> None:
    """Written in the converter's order of rows; the reader undoes it, and says the numbers of heads."""
    tensors = {name: pair.written for name, pair in gguf_models.pairs(key).items()}
    path = tmp_path / "model.gguf"
    gguf_models.write(path, gguf_models.architecture(key), tensors, gguf_models.metadata(key))
    model = gguf_models.random_model(key)
    np.testing.assert_array_equal(IsingChain.from_weights(path).flat, IsingChain.from_weights(model).flat)


def test_experts_of_the_first_files(tmp_path: Path) -> None:
    """Mixtral's, until April 2024, had a tensor an expert."""
    entry = next(entry for entry in CASES if entry.model_type == "mixtral")
    tensors = converted(entry, tmp_path)
    old = {}
    for name, value in tensors.items():
        if name.endswith("_exps.weight"):
            stem = name.removesuffix("_exps.weight")
            old |= {f"{stem}.{number}.weight": one for number, one in enumerate(value)}
        else:
            old[name] = value
    chain = IsingChain.from_weights(open_weights(old, config=config_of(entry)))
    np.testing.assert_array_equal(chain.flat, IsingChain.from_weights(tmp_path).flat)


def test_names_alone_suffice_where_heads_play_no_part(tmp_path: Path) -> None:
    for kind in ("bert", "gpt2", "mpt", "gptj", "nomic_bert"):
        entry = next(entry for entry in CASES if entry.model_type == kind)
        tensors = converted(entry, tmp_path / kind)
        np.testing.assert_array_equal(
            IsingChain.from_weights(tensors).flat, IsingChain.from_weights(tmp_path / kind).flat
        )


def test_latent_attention_is_refused_by_its_name() -> None:
    names = [f"blk.0.{part}.weight" for part in ("attn_q", "attn_kv_a_mqa", "attn_kv_b", "attn_output", "ffn_down")]
    tensors = {name: np.ones((4, 4), np.float32) for name in names}  # whose sizes meet, as a plain MLP's do
    weights = open_weights(tensors, config={"gguf_architecture": "deepseek2"})
    with pytest.raises(UnknownFamilyError, match=r"latent attention \(MLA\)"):
        IsingChain.from_weights(weights)
