"""What makes no chain is refused in one line that says what, where and what to do; never a silent wrong number."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from spinspectra import IsingChain, open_weights
from spinspectra.errors import ChainError, NonFiniteError, OptionError, SpinSpectraError, UnknownFamilyError
from tests.layers.models import (
    BLOCKS,
    ENCODER,
    NAMES,
    bert,
    build,
    disk_arrays,
    memory_arrays,
    randomised,
    renamed,
    save,
)

SIZES = {**ENCODER, "num_hidden_layers": 2}
TOKENS = {"vocab_size": 29, "bos_token_id": 1, "eos_token_id": 2}


def refusal(kind: type[SpinSpectraError], source: Any, **options: Any) -> str:
    """The text of the error that `from_weights` raises: of just this kind, in one line."""
    with pytest.raises(SpinSpectraError) as caught:
        IsingChain.from_weights(source, **options)
    text = str(caught.value)
    assert type(caught.value) is kind, text
    assert "\n" not in text
    return text


def arrays_of(name: str) -> dict[str, Any]:
    """A copy of a bare model's tensors that a test may damage."""
    return {key: value.copy() for key, value in memory_arrays(build(name)).items()}


def llama() -> Any:
    return transformers.LlamaModel(transformers.LlamaConfig(**SIZES, **TOKENS))


def t5() -> Any:
    sizes = {"d_model": 12, "d_kv": 4, "d_ff": 20, "num_layers": 2, "num_heads": 3, "vocab_size": 29}
    return transformers.T5Model(transformers.T5Config(**sizes))


def clip() -> Any:
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(**SIZES, **TOKENS))


def dinov2() -> Any:
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 6, "patch_size": 2}
    return transformers.Dinov2Model(transformers.Dinov2Config(**sizes))


def mlp() -> dict[str, Any]:
    return {"0.weight": np.ones((5, 3), np.float32), "2.weight": np.ones((2, 5), np.float32)}


def of_unknown_family(text: str) -> bool:
    return f"known: {', '.join(NAMES)}." in text and "IsingChain.from_matrices" in text


@pytest.mark.parametrize("make", [llama, t5, clip, dinov2], ids=lambda make: make.__name__)
def test_unknown_family(make: Any, tmp_path: Path) -> None:
    model = make()
    text = refusal(UnknownFamilyError, save(model, tmp_path))
    assert of_unknown_family(text)
    assert str(tmp_path) in text
    assert f"config.json says {model.config.model_type!r}" in text
    assert of_unknown_family(refusal(UnknownFamilyError, model))
    assert of_unknown_family(refusal(UnknownFamilyError, memory_arrays(model)))


def test_plain_mlp_is_of_no_family() -> None:
    text = refusal(UnknownFamilyError, mlp())
    assert of_unknown_family(text)
    assert "config.json" not in text


def test_order_of_families_is_that_of_the_paper() -> None:
    assert "GPT-2, OPT, BLOOM, BERT, BEiT, DeiT, ViT" in refusal(UnknownFamilyError, mlp())


def test_cross_attention_has_no_place_in_a_chain(tmp_path: Path) -> None:
    model = transformers.BertModel(bert(is_decoder=True, add_cross_attention=True))
    for source in (save(model, tmp_path), model, memory_arrays(model)):
        text = refusal(ChainError, source)
        assert "encoder.layer.0.crossattention." in text
        assert "has no place in a BERT block" in text
        assert "IsingChain.from_matrices" in text


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
    assert of_unknown_family(refusal(UnknownFamilyError, arrays))


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
    assert "h.1.attn.c_attn.weight (12, 35) cannot be [q | k | v], its columns do not divide by 3" in text


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


def test_falcon_does_not_pass_for_bloom(tmp_path: Path) -> None:
    """Falcon has the names of BLOOM, but one key and one value for all heads."""
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, **TOKENS}
    folder = save(transformers.FalconModel(transformers.FalconConfig(**sizes)), tmp_path)
    text = refusal(UnknownFamilyError, folder)
    assert "config.json says 'falcon'" in text
    assert "'' (BLOOM): prefix= takes one of these stacks as such" in text
    assert "h.0.self_attention.query_key_value.weight (20, 12)" in refusal(ChainError, folder, prefix="")


def test_encoder_and_decoder_are_two_stacks(tmp_path: Path) -> None:
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(bert(2), bert(2))
    model = randomised(transformers.EncoderDecoderModel(config))
    folder = save(model, tmp_path)
    for source in (folder, model):
        text = refusal(UnknownFamilyError, source)
        assert "config.json says 'encoder-decoder'" in text
        assert "'encoder.' (BERT)" in text
        assert "'decoder.bert.' (BERT)" in text
        assert "prefix=" in text
        chain = IsingChain.from_weights(source, prefix="encoder.")
        np.testing.assert_array_equal(chain.flat, IsingChain.from_weights(model.encoder).flat)
        text = refusal(ChainError, source, prefix="decoder.bert.")
        assert "decoder.bert.encoder.layer.0.crossattention." in text


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
