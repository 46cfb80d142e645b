"""Heads that no tensor tells, experts and blocks that are missing or too many: one line each, never a silent guess."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from spinspectra import IsingChain, open_weights
from spinspectra.errors import ChainError
from spinspectra.layers import recognise
from tests.layers.models import memory_arrays
from tests.layers.zoo import ENTRIES, model_of

CONFIG = {"num_attention_heads": 6, "num_key_value_heads": 2}


@cache
def _arrays(kind: str) -> dict[str, Any]:
    return memory_arrays(model_of(next(entry for entry in ENTRIES if str(entry) == kind)))


def arrays_of(kind: str) -> dict[str, Any]:
    """By the names of memory; a copy of the dictionary, not of the tensors."""
    return dict(_arrays(kind))


def numbered(kind: str) -> dict[str, Any]:
    """The same with three tensors an expert, as on disk."""
    made = {}
    for name, value in arrays_of(kind).items():
        stem, _, last = name.rpartition(".")
        if last == "gate_up_proj":
            for number, (gate, up) in enumerate(np.split(one, 2) for one in value):
                made |= {f"{stem}.{number}.gate_proj.weight": gate, f"{stem}.{number}.up_proj.weight": up}
        elif last == "down_proj":
            made |= {f"{stem}.{number}.down_proj.weight": one for number, one in enumerate(value)}
        else:
            made[name] = value
    return made


def refusal(source: Any, config: dict[str, Any] | None = None) -> str:
    with pytest.raises(ChainError) as caught:
        IsingChain.from_weights(open_weights(source, config=config))
    text = str(caught.value)
    assert type(caught.value) is ChainError
    assert "\n" not in text
    return text


@pytest.mark.parametrize("config", [None, {"model_type": "mistral"}, {"num_key_value_heads": None}, {"n_head": "6"}])
def test_grouped_queries_without_a_number_of_heads(config: dict[str, Any] | None) -> None:
    text = refusal(arrays_of("mistral"), config)
    assert "layers.0.self_attn.q_proj.weight (36, 24)" in text
    assert "layers.0.self_attn.k_proj.weight (12, 24)" in text
    assert "are grouped: queries share keys and values, the number of heads is in no tensor" in text
    assert "config.json" in text


@pytest.mark.parametrize("config", [CONFIG, {"num_key_value_heads": 2}, {"num_attention_heads": 6}, {"head_dim": 6}])
def test_any_number_that_tells_the_heads_will_do(config: dict[str, int]) -> None:
    chain, expected = (
        IsingChain.from_weights(open_weights(arrays_of("mistral"), config=one)) for one in (config, CONFIG)
    )
    np.testing.assert_array_equal(chain.flat, expected.flat)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_key_value_heads": 5}, "cannot have 5 heads of keys"),
        ({"num_key_value_heads": 0}, "cannot have 0 heads of keys"),
        ({"num_key_value_heads": -2}, "cannot have -2 heads of keys"),
        ({"num_attention_heads": 6, "num_key_value_heads": 4}, "cannot have 4 heads of keys to 6 of queries"),
        ({"num_attention_heads": 8, "num_key_value_heads": 2}, "cannot have 2 heads of keys to 8 of queries"),
    ],
)
def test_heads_that_do_not_fit_the_tensors(config: dict[str, int], said: str) -> None:
    assert said in refusal(arrays_of("mistral"), config)


def test_fused_rows_that_are_no_query_key_and_value() -> None:
    arrays = arrays_of("phi3")
    arrays["layers.0.self_attn.qkv_proj.weight"] = arrays["layers.0.self_attn.qkv_proj.weight"][:39]
    assert "its 39 outputs are no 24 and two alike" in refusal(arrays, CONFIG)


def test_gate_and_values_that_do_not_add() -> None:
    arrays = arrays_of("llama")
    arrays["layers.1.mlp.up_proj.weight"] = arrays["layers.1.mlp.up_proj.weight"][:18]
    assert "gate and values differ in shape, so they do not add" in refusal(arrays, CONFIG)
    arrays = arrays_of("phi3")
    arrays["layers.1.mlp.gate_up_proj.weight"] = arrays["layers.1.mlp.gate_up_proj.weight"][:39]
    assert "(39, 24) cannot be gate and values, its outputs are odd" in refusal(arrays, CONFIG)


@pytest.mark.parametrize("kind", ["llama", "mixtral", "qwen2_moe"])
def test_a_missing_gate_is_named(kind: str) -> None:
    arrays = numbered(kind)
    gate = next(name for name in arrays if "layers.1" in name and "gate_proj" in name)
    del arrays[gate]
    assert f"{gate} is missing" in refusal(arrays, CONFIG)


def test_an_expert_missing_between_others() -> None:
    arrays = {name: value for name, value in numbered("qwen3_moe").items() if "layers.1.mlp.experts.1." not in name}
    assert "layers.1.mlp.experts.1.gate_proj.weight is missing; is a shard left out?" in refusal(arrays, CONFIG)


def test_experts_missing_at_the_end_are_noticed_by_the_count_in_the_config() -> None:
    arrays = {name: value for name, value in numbered("qwen3_moe").items() if "layers.1.mlp.experts.2." not in name}
    config = CONFIG | {"model_type": "qwen3_moe", "num_experts": 3}
    assert "layers.1. holds 2 experts and config.json says 3; is a shard left out?" in refusal(arrays, config)


def test_experts_missing_beside_the_one_that_all_share() -> None:
    arrays = {name: value for name, value in numbered("qwen2_moe").items() if "layers.1.mlp.experts." not in name}
    text = refusal(arrays, CONFIG | {"model_type": "qwen2_moe"})
    assert text.startswith("mapping of arrays: layers.1.mlp.")
    assert "is missing; Qwen needs it" in text


def test_half_of_the_expert_that_all_share() -> None:
    arrays = arrays_of("qwen2_moe")
    del arrays["layers.1.mlp.shared_expert.up_proj.weight"]
    text = refusal(arrays, CONFIG | {"model_type": "qwen2_moe"})
    assert "layers.1.mlp.shared_expert.up_proj.weight is missing; Qwen needs it" in text


def test_a_huge_number_of_an_expert_costs_nothing() -> None:
    arrays = numbered("mixtral") | {"layers.0.mlp.experts.999999999.up_proj.weight": np.ones((20, 24), np.float32)}
    assert "layers.0.mlp.experts.3.gate_proj.weight is missing" in refusal(arrays, CONFIG)


def test_experts_that_are_no_stack() -> None:
    arrays = arrays_of("mixtral")
    arrays["layers.0.mlp.experts.down_proj"] = arrays["layers.0.mlp.experts.down_proj"][0]
    assert "has shape (24, 20), the chain needs a stack of matrices, one an expert" in refusal(arrays, CONFIG)


def test_blocks_that_predict_further_tokens_are_left_out() -> None:
    """GLM 4.5 has one behind its last block, with matrices of its own."""
    arrays = arrays_of("glm4_moe")
    expected = IsingChain.from_weights(open_weights(arrays, config=CONFIG))
    extra = {name.replace("layers.1.", "layers.2."): value for name, value in arrays.items() if "layers.1." in name}
    extra["layers.2.eh_proj.weight"] = np.ones((24, 48), np.float32)
    config = CONFIG | {"model_type": "glm4_moe", "num_hidden_layers": 2, "num_nextn_predict_layers": 1}
    chain = IsingChain.from_weights(open_weights(arrays | extra, config=config))
    np.testing.assert_array_equal(chain.flat, expected.flat)
    del config["num_nextn_predict_layers"]
    assert "layers.2.eh_proj.weight has no place in a GLM block" in refusal(arrays | extra, config)


@pytest.mark.parametrize("depth", [None, 0, 3, "4", True])
def test_a_shared_block_needs_its_depth(depth: Any) -> None:
    said = "is in no tensor" if depth not in (0, 3) else f"cannot be {depth}"
    text = refusal(arrays_of("albert"), {"model_type": "albert", "num_hidden_layers": depth})
    assert f"one block is used again and again, 2 on disk, and how often {said}" in text


def test_a_shared_block_stands_at_every_depth() -> None:
    config = {"model_type": "albert", "num_hidden_layers": 6}
    weights = open_weights(arrays_of("albert"), config=config)
    chain = IsingChain.from_weights(weights)
    assert recognise(weights).n_blocks == 6
    for block in range(6):
        first = 0 if block < 3 else 3
        for J, K in zip(chain.couplings[4 * block : 4 * block + 4], chain.couplings[4 * first :], strict=False):
            np.testing.assert_array_equal(J, K)
