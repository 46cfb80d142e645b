"""What makes no chain is refused in one line that says what, where and what to do; never a silent wrong number."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from spinspectra import IsingChain, open_weights
from spinspectra.errors import ChainError, NonFiniteError, OptionError, UnknownFamilyError
from tests.layers.models import (
    BLOCKS,
    ENCODER,
    bert,
    build,
    disk_arrays,
    memory_arrays,
    randomised,
    renamed,
    save,
)
from tests.layers.refusing import arrays_of, refusal

SIZES = {**ENCODER, "num_hidden_layers": 2}
TOKENS = {"vocab_size": 29, "bos_token_id": 1, "eos_token_id": 2}


def test_a_matrix_that_the_family_has_no_place_for() -> None:
    arrays = arrays_of("BERT") | {"encoder.layer.1.attention.self.distance.weight": np.ones((12, 12), np.float32)}
    text = refusal(ChainError, arrays)
    assert "encoder.layer.1.attention.self.distance.weight has no place in a BERT block" in text
    assert "IsingChain.from_matrices" in text


def test_cross_attention_is_left_out(tmp_path: Path) -> None:
    model = randomised(transformers.BertModel(bert(is_decoder=True, add_cross_attention=True)))
    alone = {name: value for name, value in memory_arrays(model).items() if "crossattention" not in name}
    expected = IsingChain.from_weights(alone)
    for source in (save(model, tmp_path), model, memory_arrays(model)):
        np.testing.assert_array_equal(IsingChain.from_weights(source).flat, expected.flat)


@pytest.mark.parametrize("block", [0, 1])
def test_missing_block(block: int) -> None:
    arrays = {name: value for name, value in arrays_of("GPT-2").items() if not name.startswith(f"h.{block}.")}
    assert f"block {block} is missing" in refusal(ChainError, arrays)


@pytest.mark.parametrize("with_config", [False, True], ids=["names alone", "config"])
@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("GPT-2", "h.1.attn.c_attn.weight"),
        ("GPT-2", "h.2.mlp.c_proj.weight"),
        ("OPT", "decoder.layers.0.self_attn.q_proj.weight"),
        ("OPT", "decoder.layers.2.self_attn.k_proj.weight"),
        ("BLOOM", "h.1.mlp.dense_h_to_4h.weight"),
        ("BERT", "encoder.layer.2.attention.output.dense.weight"),
        ("BEiT", "layers.1.attention.v_proj.weight"),
        ("DeiT", "layers.1.mlp.fc1.weight"),
        ("ViT", "layers.0.attention.o_proj.weight"),
    ],
)
def test_missing_tensor(name: str, tensor: str, with_config: bool) -> None:
    arrays = arrays_of(name)
    del arrays[tensor]
    config = build(name).config.to_dict() if with_config else None
    text = refusal(ChainError, open_weights(arrays, config=config))
    assert f"{tensor} is missing; {name} needs it" in text


def test_missing_in_every_block_is_named_where_the_config_tells_the_family() -> None:
    arrays = {name: value for name, value in arrays_of("OPT").items() if ".fc2." not in name}
    text = refusal(ChainError, open_weights(arrays, config={"model_type": "opt"}))
    assert "decoder.layers.0.fc2.weight is missing; OPT needs it" in text
    assert "no known architecture family" in refusal(UnknownFamilyError, arrays)


def test_query_and_key_of_different_shapes() -> None:
    arrays = arrays_of("BERT")
    key = "encoder.layer.1.attention.self.key.weight"
    arrays[key] = arrays[key][:6]
    text = refusal(ChainError, arrays)
    assert f"{key} (6, 12)" in text
    assert "query.weight (12, 12)" in text
    assert "differ in shape" in text


def test_fused_columns_that_are_no_three_matrices() -> None:
    arrays = arrays_of("GPT-2")
    arrays["h.1.attn.c_attn.weight"] = arrays["h.1.attn.c_attn.weight"][:, :35]
    text = refusal(ChainError, arrays)
    assert "h.1.attn.c_attn.weight (12, 35) cannot be [q | k | v], its 35 outputs are no 12 and two alike" in text


@pytest.mark.parametrize(
    ("name", "fc1", "fc2"),
    [
        ("GPT-2", "h.1.mlp.c_fc.weight", "h.1.mlp.c_proj.weight"),
        ("OPT", "decoder.layers.1.fc1.weight", "decoder.layers.1.fc2.weight"),
    ],
)
def test_mlp_matrices_that_do_not_meet(name: str, fc1: str, fc2: str) -> None:
    arrays = arrays_of(name)
    arrays[fc1] = arrays[fc1][:, :18] if name == "GPT-2" else arrays[fc1][:18]
    text = refusal(ChainError, arrays)
    assert f"{fc1} ends in 18 nodes and {fc2} starts from 20" in text


def test_blocks_that_do_not_meet() -> None:
    arrays = arrays_of("GPT-2")
    arrays["h.0.mlp.c_proj.weight"] = arrays["h.0.mlp.c_proj.weight"][:, :11]
    text = refusal(ChainError, arrays)
    assert "h.0.mlp.c_proj.weight ends in 11 nodes and h.1.attn.c_attn.weight starts from 12" in text


@pytest.mark.parametrize("values", [np.ones(12), np.ones((2, 12, 20)), np.ones((12, 0))], ids=lambda v: str(v.shape))
def test_a_tensor_that_is_no_matrix(values: Any) -> None:
    arrays = arrays_of("GPT-2")
    arrays["h.0.mlp.c_fc.weight"] = values.astype(np.float32)
    text = refusal(ChainError, arrays)
    assert f"h.0.mlp.c_fc.weight has shape {values.shape}" in text


@pytest.mark.parametrize("blocks", [0, -1, 4, True, 2.0, "2"])
def test_blocks_out_of_range(blocks: Any, tmp_path: Path) -> None:
    text = refusal(OptionError, save(build("GPT-2"), tmp_path), blocks=blocks)
    assert f"blocks={blocks}: " in text
    assert "has 3 blocks; give 1 to 3" in text


def test_bloom_without_its_head_count(tmp_path: Path) -> None:
    folder = save(build("BLOOM"), tmp_path)
    (folder / "config.json").unlink()
    no_count: list[Any] = [folder, memory_arrays(build("BLOOM"))]
    no_count += [open_weights(no_count[1], config={"model_type": "bloom", "n_head": odd}) for odd in (None, True, "3")]
    for source in no_count:
        text = refusal(ChainError, source)
        assert "h.0.self_attention.query_key_value.weight (36, 12) is fused per head" in text
        assert "the number of heads is in no tensor" in text
        assert "config.json" in text
        assert "n_head" in text


@pytest.mark.parametrize("n_head", [0, -3, 5])
def test_bloom_with_an_impossible_head_count(n_head: int) -> None:
    weights = open_weights(arrays_of("BLOOM"), config={"model_type": "bloom", "n_head": n_head})
    assert f"[head, (q, k, v), head_dim] with {n_head} heads" in refusal(ChainError, weights)


def test_a_stack_of_another_architecture_is_taken_as_such_by_its_prefix(tmp_path: Path) -> None:
    """Longformer's blocks are BERT's, and have queries, keys and values of their own for some tokens."""
    sizes = {"attention_window": 4, "vocab_size": 29, "max_position_embeddings": 10}
    model = randomised(transformers.LongformerModel(transformers.LongformerConfig(**SIZES, **sizes)))
    folder = save(model, tmp_path)
    text = refusal(UnknownFamilyError, folder)
    assert "config.json says 'longformer'" in text
    assert "'' (BERT): prefix= takes one of these stacks as such" in text
    assert "self.key_global.weight has no place in a BERT block" in refusal(ChainError, folder, prefix="")


def test_encoder_and_decoder_are_two_stacks(tmp_path: Path) -> None:
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(bert(2), bert(2))
    model = randomised(transformers.EncoderDecoderModel(config))
    folder = save(model, tmp_path)
    for source in (folder, model):
        text = refusal(ChainError, source)
        assert "holds 2 stacks of blocks" in text
        assert "'encoder.'" in text
        assert "'decoder.bert.'" in text
        assert "choose one with prefix=" in text
        for prefix, alone in (("encoder.", model.encoder), ("decoder.bert.", model.decoder.bert)):
            chain = IsingChain.from_weights(source, prefix=prefix)
            np.testing.assert_array_equal(chain.flat, IsingChain.from_weights(alone).flat)


def test_prefix_chooses_among_stacks(tmp_path: Path) -> None:
    one, two = disk_arrays(build("BERT"), tmp_path / "one"), disk_arrays(build("BERT", n_blocks=2), tmp_path / "two")
    two = {name: 2 * value for name, value in two.items()}
    both = renamed(one, "", "query_model.") | renamed(two, "", "passage_model.")
    for prefix, alone in (("query_model.", one), ("passage_model.", two)):
        chain = IsingChain.from_weights(both, prefix=prefix)
        np.testing.assert_array_equal(chain.flat, IsingChain.from_weights(alone).flat)
    text = refusal(OptionError, both, prefix="model.")
    assert "prefix='model.'" in text
    assert "'query_model.', 'passage_model.'" in text


@pytest.mark.parametrize(("value", "said"), [(np.nan, "1 NaN"), (-np.inf, "1 infinite")], ids=["nan", "inf"])
@pytest.mark.parametrize("tensor", ["h.1.attn.c_attn.weight", "h.1.mlp.c_fc.weight"])
def test_non_finite_weights(tensor: str, value: float, said: str) -> None:
    arrays = arrays_of("GPT-2")
    arrays[tensor][3, 5] = value
    text = refusal(NonFiniteError, arrays)
    assert tensor in text
    assert said in text
    assert IsingChain.from_weights(arrays, blocks=1).n_bonds == 768


def test_a_sum_beyond_float32_is_not_passed_on_as_infinity() -> None:
    arrays = arrays_of("BERT")
    for part in ("query", "key", "value"):
        arrays[f"encoder.layer.0.attention.self.{part}.weight"][0, 0] = 3e38
    assert "the sum of encoder.layer.0.attention.self.query.weight" in refusal(NonFiniteError, arrays)


def test_a_missing_last_block_is_noticed_by_the_count_in_the_config() -> None:
    tensors = {name: array for name, array in plain_opt(3).items() if ".layers.2." not in name}
    config = {"model_type": "opt", "num_hidden_layers": 3}
    with pytest.raises(ChainError, match=r"holds 2 blocks and config\.json says 3; is a shard left out\?"):
        IsingChain.from_weights(open_weights(tensors, config=config))


@pytest.mark.parametrize("suffix", ["_scale", "_scale_inv", ".absmax"])
def test_codes_with_their_scale_elsewhere_are_refused(suffix: str) -> None:
    name = "model.decoder.layers.0.fc1.weight"
    with pytest.raises(ChainError, match=rf"fc1\.weight is stored as float32, with its scale in .*{suffix}"):
        IsingChain.from_weights(plain_opt(1) | {name + suffix: np.ones(())})


def test_integer_codes_are_refused() -> None:
    name = "model.decoder.layers.0.fc2.weight"
    tensors = plain_opt(1)
    with pytest.raises(ChainError, match=r"fc2\.weight is stored as int8, which are codes, not weights"):
        IsingChain.from_weights(tensors | {name: tensors[name].astype(np.int8)})


def plain_opt(n_blocks: int, d: int = 6) -> dict[str, np.ndarray]:
    """The block matrices of an OPT by name, all ones."""
    shapes = {f"self_attn.{part}": (d, d) for part in ("q_proj", "k_proj", "v_proj", "out_proj")}
    shapes |= {"fc1": (4 * d, d), "fc2": (d, 4 * d)}
    return {
        f"model.decoder.layers.{block}.{part}.weight": np.ones(shape, np.float32)
        for block in range(n_blocks)
        for part, shape in shapes.items()
    }


def test_two_networks_of_different_families_are_not_one_chain(tmp_path: Path) -> None:
    text, vision = disk_arrays(build("BERT"), tmp_path / "text"), disk_arrays(build("ViT"), tmp_path / "vision")
    both = renamed(text, "", "text_model.") | renamed(vision, "", "vision_model.")
    assert "holds 2 stacks of blocks, under 'text_model.', 'vision_model.'" in refusal(ChainError, both)
    chain = IsingChain.from_weights(both, prefix="vision_model.")
    np.testing.assert_array_equal(chain.flat, IsingChain.from_weights(vision).flat)


def test_roberta_with_its_last_block_missing_is_noticed(tmp_path: Path) -> None:
    arrays = arrays_of("BERT")
    config = {"model_type": "roberta", "num_hidden_layers": BLOCKS + 1}
    text = refusal(ChainError, open_weights(arrays, config=config))
    assert f"holds {BLOCKS} blocks and config.json says {BLOCKS + 1}" in text


def test_a_great_many_stacks_are_still_one_short_line() -> None:
    arrays = {f"net_{i}.{name}": value for i in range(40) for name, value in plain_opt(1).items()}
    text = refusal(ChainError, arrays)
    assert "holds 40 stacks of blocks" in text
    assert " and 28 more; choose one with prefix=" in text
    assert len(text) < 1000
