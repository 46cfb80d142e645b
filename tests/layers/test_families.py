"""Couplings of every family against q, k, v and the outputs that the model itself computes, however it is opened."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from spinspectra import IsingChain, open_weights
from spinspectra.layers import recognise
from tests.layers.models import (
    BLOCKS,
    CASES,
    NAMES,
    VISION,
    WIDTH,
    Passage,
    assert_couplings_act_as_the_model,
    build,
    disk_arrays,
    forward_pass,
    memory_arrays,
    randomised,
    renamed,
    save,
    vit,
)

HEADED = pytest.mark.parametrize("headed", [False, True], ids=["bare", "headed"])
EVERY_FAMILY = pytest.mark.parametrize("name", NAMES)
BLOOM_CONFIG = {"model_type": "bloom", "n_head": 3}


@cache
def passage_of(name: str, headed: bool = False, n_blocks: int = BLOCKS) -> Passage:
    return forward_pass(CASES[name], build(name, headed, n_blocks))


def single_file(model: Any, folder: Path) -> Path:
    return save(model, folder) / "model.safetensors"


def shards(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder, max_shard_size="3KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


def pickled(model: Any, folder: Path) -> Path:
    """A .bin with the names of memory, as a training script writes it."""
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def module(model: Any, folder: Path) -> Any:
    return model


def disk_names(model: Any, folder: Path) -> Any:
    return open_weights(disk_arrays(model, folder), config=model.config.to_dict())


def memory_names(model: Any, folder: Path) -> Any:
    return open_weights(memory_arrays(model), config=model.config.to_dict())


SOURCES = (save, single_file, shards, pickled, module, disk_names, memory_names)


@EVERY_FAMILY
@HEADED
@pytest.mark.parametrize("source", SOURCES, ids=[source.__name__ for source in SOURCES])
def test_couplings_are_what_the_model_computes(
    name: str, headed: bool, source: Callable[[Any, Path], Any], tmp_path: Path
) -> None:
    chain = IsingChain.from_weights(source(build(name, headed), tmp_path))
    assert chain.flat.dtype == np.float32
    assert_couplings_act_as_the_model(chain, passage_of(name, headed))


@EVERY_FAMILY
def test_spins_and_bonds_by_formula(name: str, tmp_path: Path) -> None:
    d, m = WIDTH, CASES[name].mlp
    chain = IsingChain.from_weights(save(build(name), tmp_path))
    assert chain.nodes == (d, d, d, m) * BLOCKS + (d,)
    assert chain.n_spins == BLOCKS * (3 * d + m) + d
    assert chain.n_bonds == BLOCKS * (2 * d * d + 2 * d * m)
    assert chain.labels == tuple(f"{block}.{role}" for block in range(BLOCKS) for role in ("qkv", "proj", "fc1", "fc2"))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "BLOOM"])
@HEADED
@pytest.mark.parametrize("names", ["disk", "memory"])
def test_names_alone_suffice(name: str, headed: bool, names: str, tmp_path: Path) -> None:
    model = build(name, headed)
    arrays = disk_arrays(model, tmp_path) if names == "disk" else memory_arrays(model)
    assert_couplings_act_as_the_model(IsingChain.from_weights(arrays), passage_of(name, headed))


@EVERY_FAMILY
@pytest.mark.parametrize("names", ["disk", "memory"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.module.0."])
def test_any_prefix_or_none(name: str, names: str, prefix: str, tmp_path: Path) -> None:
    model = build(name, headed=True)
    arrays = disk_arrays(model, tmp_path) if names == "disk" else memory_arrays(model)
    config = BLOOM_CONFIG if name == "BLOOM" else None
    stripped = open_weights(renamed(arrays, CASES[name].prefix, prefix), config=config)
    added = open_weights(renamed(arrays, "", prefix), config=config)
    assert_couplings_act_as_the_model(IsingChain.from_weights(stripped), passage_of(name, headed=True))
    assert_couplings_act_as_the_model(IsingChain.from_weights(added), passage_of(name, headed=True))


@pytest.mark.parametrize("config", [BLOOM_CONFIG, {"n_head": 3}, {"model_type": "bloom", "num_attention_heads": 3}])
def test_bloom_takes_its_head_count_from_the_config_given(config: dict[str, Any], tmp_path: Path) -> None:
    weights = open_weights(disk_arrays(build("BLOOM"), tmp_path), config=config)
    assert_couplings_act_as_the_model(IsingChain.from_weights(weights), passage_of("BLOOM"))


@pytest.mark.parametrize("name", ["GPT-2", "OPT", "ViT"])
def test_block_10_follows_block_9(name: str, tmp_path: Path) -> None:
    chain = IsingChain.from_weights(save(build(name, n_blocks=11), tmp_path))
    assert chain.labels[-1] == "10.fc2"
    assert_couplings_act_as_the_model(chain, passage_of(name, n_blocks=11))


def test_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    arrays = disk_arrays(build("GPT-2"), tmp_path)
    backwards = dict(reversed(arrays.items()))
    assert_couplings_act_as_the_model(IsingChain.from_weights(backwards), passage_of("GPT-2"))


@EVERY_FAMILY
@pytest.mark.parametrize("blocks", [1, 2, np.int64(2), 3])
def test_blocks_takes_the_first_ones(name: str, blocks: int, tmp_path: Path) -> None:
    folder = save(build(name), tmp_path)
    chain, whole = IsingChain.from_weights(folder, blocks=blocks), IsingChain.from_weights(folder)
    assert len(chain.couplings) == 4 * blocks
    for part, same in zip(chain.couplings, whole.couplings[: 4 * blocks], strict=True):
        np.testing.assert_array_equal(part, same)


def test_heads_need_not_fill_the_width(tmp_path: Path) -> None:
    model = randomised(transformers.ViTModel(vit(head_dim=5)))
    chain = IsingChain.from_weights(save(model, tmp_path))
    assert chain.nodes[:5] == (12, 15, 12, 20, 12)
    assert_couplings_act_as_the_model(chain, forward_pass(CASES["ViT"], model))


def test_gpt2_with_square_matrices_only(tmp_path: Path) -> None:
    """No size can tell that its matrices are stored input x output."""
    config = transformers.GPT2Config(n_embd=12, n_head=3, n_inner=12, n_layer=3, n_positions=10, vocab_size=29)
    config.bos_token_id = config.eos_token_id = 1
    model = randomised(transformers.GPT2Model(config))
    chain = IsingChain.from_weights(save(model, tmp_path))
    assert_couplings_act_as_the_model(chain, forward_pass(CASES["GPT-2"], model))


@EVERY_FAMILY
@pytest.mark.parametrize("names", ["disk", "memory"])
@HEADED
def test_names_tell_the_family(name: str, names: str, headed: bool, tmp_path: Path) -> None:
    model = build(name, headed)
    arrays = disk_arrays(model, tmp_path) if names == "disk" else memory_arrays(model)
    found = recognise(open_weights(arrays))
    assert found.family.name == name
    assert found.n_blocks == BLOCKS


@EVERY_FAMILY
def test_prefix_is_reported(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    bare, headed = (recognise(open_weights(disk_arrays(build(name, flag), tmp_path))) for flag in (False, True))
    assert headed.prefix.removeprefix(case.prefix) in ("", "encoder.")
    assert bare.prefix == case.bare_prefix


@EVERY_FAMILY
def test_prefix_with_a_known_sign_tells_kin_apart(name: str, tmp_path: Path) -> None:
    """Only the layers kept, as in a stripped file: `deit.` and `beit.` still say what they are."""
    arrays = disk_arrays(build(name, headed=True), tmp_path)
    blocks = {key: value for key, value in arrays.items() if key.startswith(CASES[name].prefix) and ".0." in key}
    assert recognise(open_weights(blocks)).family.name == name


@pytest.mark.parametrize("said", VISION)
@pytest.mark.parametrize("name", VISION)
def test_model_type_wins_over_signs(name: str, said: str, tmp_path: Path) -> None:
    weights = open_weights(disk_arrays(build(name, headed=True), tmp_path), config={"model_type": said.lower()})
    assert recognise(weights).family.name == said


@pytest.mark.parametrize("config", [{}, {"model_type": None}, {"model_type": ""}, {"model_type": ["bert"]}])
def test_names_decide_where_the_config_says_nothing_known(config: dict[str, Any], tmp_path: Path) -> None:
    weights = open_weights(disk_arrays(build("BERT"), tmp_path), config=config)
    assert recognise(weights).family.name == "BERT"


@EVERY_FAMILY
def test_float64_stays_float64(name: str, tmp_path: Path) -> None:
    model = randomised(deepcopy(build(name)).double(), seed=2)
    chain = IsingChain.from_weights(save(model, tmp_path))
    assert chain.flat.dtype == np.float64
    assert_couplings_act_as_the_model(chain, forward_pass(CASES[name], model))


@EVERY_FAMILY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_is_widened_before_it_is_added(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model = deepcopy(build(name)).to(dtype)
    chain = IsingChain.from_weights(save(model, tmp_path))
    assert chain.flat.dtype == np.float32
    assert_couplings_act_as_the_model(chain, forward_pass(CASES[name], model))


def test_bfloat16_sum_is_the_float64_sum_rounded_once(tmp_path: Path) -> None:
    bert, gpt2, bloom = (deepcopy(build(name)).to(torch.bfloat16) for name in ("BERT", "GPT-2", "BLOOM"))
    self_attention = bert.encoder.layer[1].attention.self
    parts = (self_attention.query, self_attention.key, self_attention.value)
    assert_first_of_block_1(save(bert, tmp_path / "bert"), sum(part.weight.double() for part in parts).T)
    fused = gpt2.h[1].attn.c_attn.weight.double()
    assert_first_of_block_1(save(gpt2, tmp_path / "gpt2"), fused.reshape(12, 3, 12).sum(1))
    fused = bloom.h[1].self_attention.query_key_value.weight.double()
    assert_first_of_block_1(save(bloom, tmp_path / "bloom"), fused.reshape(3, 3, 4, 12).sum(1).reshape(12, 12).T)


def assert_first_of_block_1(folder: Path, expected: torch.Tensor) -> None:
    chain = IsingChain.from_weights(folder)
    np.testing.assert_array_equal(chain.couplings[4], expected.detach().numpy().astype(np.float32))


@pytest.mark.parametrize("name", ["GPT-2", "OPT", "BLOOM", "BERT"])
def test_a_tied_head_changes_nothing(name: str, tmp_path: Path) -> None:
    model = build(name, headed=True)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    on_disk, in_memory = IsingChain.from_weights(save(model, tmp_path)), IsingChain.from_weights(model)
    np.testing.assert_array_equal(on_disk.flat, in_memory.flat)
    torch.save(model.state_dict(), tmp_path / "tied.pt")
    np.testing.assert_array_equal(IsingChain.from_weights(tmp_path / "tied.pt").flat, in_memory.flat)


def test_blocks_that_share_their_weights_are_each_in_the_chain() -> None:
    model = deepcopy(build("BERT"))
    model.encoder.layer[2] = model.encoder.layer[0]
    chain = IsingChain.from_weights(model)
    assert len(chain.couplings) == 4 * BLOCKS
    np.testing.assert_array_equal(chain.flat[:1536], IsingChain.from_weights(build("BERT")).flat[:1536])
    for first, third in zip(chain.couplings[:4], chain.couplings[8:], strict=True):
        np.testing.assert_array_equal(first, third)


def test_old_buffers_of_gpt2_are_not_couplings(tmp_path: Path) -> None:
    arrays = disk_arrays(build("GPT-2"), tmp_path)
    for block in range(BLOCKS):
        arrays[f"h.{block}.attn.bias"] = np.tril(np.ones((1, 1, 8, 8), np.float32))
        arrays[f"h.{block}.attn.masked_bias"] = np.array(-1e4, np.float32)
    assert_couplings_act_as_the_model(IsingChain.from_weights(arrays), passage_of("GPT-2"))
