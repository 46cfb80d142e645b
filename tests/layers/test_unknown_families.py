"""Networks of no known family, and those that are known to make no chain: refused in one line that says why."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from spinspectra import open_weights
from spinspectra.errors import ChainError, UnknownFamilyError
from spinspectra.layers.families import FAMILIES
from tests.layers.models import ENCODER, NAMES, memory_arrays, save
from tests.layers.refusing import refusal

SIZES = {**ENCODER, "num_hidden_layers": 2}
TOKENS = {"vocab_size": 29, "bos_token_id": 1, "eos_token_id": 2}


def resnet() -> Any:
    sizes = {"embedding_size": 6, "hidden_sizes": [6, 8], "depths": [1, 1], "layer_type": "basic"}
    return transformers.ResNetModel(transformers.ResNetConfig(**sizes))


def convnext() -> Any:
    return transformers.ConvNextModel(transformers.ConvNextConfig(hidden_sizes=[6, 8], depths=[1, 1], num_stages=2))


def fnet() -> Any:
    """An encoder without attention: BERT's names, but for queries, keys and values."""
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "intermediate_size": 20, "vocab_size": 29}
    return transformers.FNetModel(transformers.FNetConfig(**sizes))


def of_unknown_family(text: str) -> bool:
    return f"known: {', '.join(family.name for family in FAMILIES)}" in text and "IsingChain.from_matrices" in text


@pytest.mark.parametrize("make", [resnet, convnext, fnet], ids=lambda make: make.__name__)
def test_unknown_family(make: Any, tmp_path: Path) -> None:
    model = make()
    text = refusal(UnknownFamilyError, save(model, tmp_path))
    assert of_unknown_family(text)
    assert str(tmp_path) in text
    assert f"config.json says {model.config.model_type!r}" in text
    assert of_unknown_family(refusal(UnknownFamilyError, model))
    assert of_unknown_family(refusal(UnknownFamilyError, memory_arrays(model)))


def test_dense_matrices_whose_sizes_do_not_meet_are_of_no_family() -> None:
    text = refusal(UnknownFamilyError, {"0.weight": np.ones((5, 3)), "2.weight": np.ones((2, 6))})
    assert of_unknown_family(text)
    assert "config.json" not in text


def test_order_of_families_is_that_of_the_paper() -> None:
    assert [family.name for family in FAMILIES][: len(NAMES)] == list(NAMES)


def latent() -> Any:
    ranks = {"q_lora_rank": 8, "kv_lora_rank": 6, "qk_nope_head_dim": 4, "qk_rope_head_dim": 2, "v_head_dim": 4}
    config = transformers.DeepseekV3Config(**SIZES, **TOKENS, **ranks, first_k_dense_replace=2)
    return transformers.DeepseekV3Model(config)


def mamba() -> Any:
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "state_size": 4, "vocab_size": 29}
    return transformers.MambaModel(transformers.MambaConfig(**sizes))


def jamba() -> Any:
    """A block of attention after one of another kind."""
    kinds = {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 1, "use_mamba_kernels": False}
    return transformers.JambaModel(transformers.JambaConfig(**SIZES, **TOKENS, **kinds, pad_token_id=0))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (latent, "multi-head latent attention (MLA)"),
        (mamba, "state-space layers (Mamba)"),
        (jamba, "state-space layers"),
    ],
    ids=["latent", "mamba", "jamba"],
)
def test_what_makes_no_chain_is_refused_by_its_name(make: Any, said: str, tmp_path: Path) -> None:
    model = make()
    text = refusal(UnknownFamilyError, save(model, tmp_path))
    assert said in text
    assert f"config.json says {model.config.model_type!r}" in text
    assert said in refusal(UnknownFamilyError, model)
    assert said in refusal(ChainError if make is jamba else UnknownFamilyError, memory_arrays(model))


def test_latent_attention_is_named_where_config_says_a_known_family() -> None:
    arrays = memory_arrays(transformers.LlamaModel(transformers.LlamaConfig(**SIZES, **TOKENS)))
    extra = {"layers.1.self_attn.kv_a_proj_with_mqa.weight": np.ones((8, 12), np.float32)}
    text = refusal(ChainError, open_weights(arrays | extra, config={"model_type": "llama"}))
    assert "layers.1.self_attn.kv_a_proj_with_mqa.weight has no place in a Llama block" in text
    assert "(MLA)" in text
