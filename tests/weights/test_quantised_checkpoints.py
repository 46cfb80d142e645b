"""Quantised checkpoints as a whole: what is shown of them, what is left alone, and which codes are not read."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from spinspectra import IsingChain, analyze, describe, open_weights
from spinspectra.errors import WeightsError
from spinspectra.weights.quantised import dequantised
from tests.attacks.build import gpt2_block
from tests.attacks.cost import measured
from tests.weights.quantised_files import config, draw_codes, draw_scales, fp8, gptq, named, nf4, weight_of


def test_what_is_not_quantised_is_left_as_it_is():
    for tensors in (gpt2_block(), {"a.weight": fp8((8, 8))}, {"a.weight": np.ones((8, 8), np.int8)}):
        weights = open_weights(tensors)
        assert dequantised(weights) is weights
        assert weights.names() == list(tensors)


def test_scales_may_lie_in_another_shard(tmp_path):
    codes, zeros, scales = draw_codes((32, 8), 4), np.full((1, 8), 5), draw_scales((1, 8))
    tensors = gptq(codes, zeros, scales, 4, np.zeros(32))
    weight_map = {}
    for shard, name in enumerate(tensors):
        save_file({f"x.{name}": tensors[name]}, tmp_path / f"{shard}.safetensors")
        weight_map[f"x.{name}"] = f"{shard}.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    weights = open_weights(tmp_path)
    assert weights.names() == ["x.weight"]
    assert weights.info("x.weight").file == str(tmp_path / "0.safetensors")
    np.testing.assert_array_equal(weights.read("x.weight"), weight_of(codes, zeros, scales, [0] * 32))


def test_the_config_of_the_text_model_of_a_multimodal_one():
    codes, zeros, scales = draw_codes((32, 8), 4), np.full((1, 8), 5), draw_scales((1, 8))
    tensors = named("x", gptq(codes, zeros, scales, 4, np.zeros(32), less_one=False))
    weights = open_weights(tensors, {"text_config": config("gptq", checkpoint_format="gptq_v2")})
    np.testing.assert_array_equal(weights.read("x.weight"), weight_of(codes, zeros, scales, [0] * 32))


def test_parts_of_a_weight_are_no_tensors_of_their_own():
    weights = open_weights(named("x", nf4()))
    for name in named("x", nf4()):
        if name != "x.weight":
            for ask in (weights.info, weights.read):
                with pytest.raises(WeightsError, match=r"no tensor named 'x\.weight\..*'; there are 1: x\.weight"):
                    ask(name)


def test_a_tie_of_two_quantised_weights_is_a_tie():
    codes, scales = draw_codes((12, 8), 7).astype(np.int8), np.ones(12, np.float32)
    weights = open_weights({"e.weight": codes, "e.SCB": scales, "h.weight": codes, "h.SCB": scales, "n": scales})
    assert weights.names() == ["e.weight", "h.weight", "n"]
    assert [weights.info(name).same_as for name in weights.names()] == ["", "e.weight", ""]


def test_describe_analyze_and_the_chain_see_weights(tmp_path):
    plain, stored = {}, {}
    for name, value in gpt2_block().items():
        codes, scale = torch.from_numpy(value).to(torch.float8_e4m3fn), torch.tensor(0.5)
        stored |= {name: codes, f"{name}_scale": scale}
        plain[name] = codes.float().numpy() * 0.5
    save_torch(stored, tmp_path / "model.safetensors")
    table = describe(tmp_path).set_index("name")
    assert set(table.index) == set(plain)
    assert set(table["dtype"]) == {"fp8 (one scale)"}
    assert (table.bytes == table.params + 4).all()
    assert (table.chain != "").all()
    made, exact = IsingChain.from_weights(tmp_path).couplings, IsingChain.from_weights(plain).couplings
    assert len(made) == len(exact) == 4
    for one, other in zip(made, exact, strict=True):
        np.testing.assert_array_equal(one, other)
    norms = [analyze(source, min_evals=1).spectral_norm for source in (tmp_path, plain)]
    np.testing.assert_array_equal(norms[0], norms[1])


def test_reading_takes_little_more_than_the_weight_itself():
    n = 2048
    codes = np.zeros((n // 8, n), np.int32)
    zeros = np.full((16, n // 8), 0x77777777, np.int32)
    tensors = named("x", {"qweight": codes, "qzeros": zeros, "scales": np.ones((16, n), np.float16)})
    weights = open_weights(tensors | named("y", nf4((n, n), 64)))
    for name in ("x.weight", "y.weight"):
        with measured() as cost:
            assert weights.read(name).nbytes == 4 * n * n
        assert cost.traced_bytes < 2 * 4 * n * n
        assert cost.seconds < 5


# What is not read

ONES = np.ones((9, 16), np.float16)
CODES = np.ones((9, 16), np.uint8)
UNREAD = {
    "HQQ": (config("hqq"), {"W_q": CODES, "scale": ONES, "zero": ONES, "meta": np.ones(3, np.uint8)}),
    "AQLM": (config("aqlm"), {"codes": np.ones((9, 4, 1), np.int8), "codebooks": np.ones((1, 9, 1, 8), np.float16)}),
    "EETQ": (config("eetq"), {"weight": CODES.astype(np.int8), "weight_scales": np.ones(16, np.float16)}),
    "Quanto": (config("quanto"), {"weight._data": CODES.astype(np.int8), "weight._scale": ONES}),
    "BitNet": (config("bitnet"), {"weight": CODES, "weight_scale": np.ones(1, np.float16)}),
    "VPTQ": (config("vptq"), {"indices": np.ones((1, 9, 4), np.int16), "centroids.weight": ONES}),
    "SpQR": (config("spqr"), {"dense_weights": CODES.astype(np.int32), "row_offsets": np.ones(9, np.int32)}),
    "torchao": (config("torchao"), {"_weight_qdata": CODES.astype(np.int8), "_weight_scale": ONES}),
    "QuIP#": (config("quip"), {"Qidxs": CODES.astype(np.int16), "SU": ONES}),
    "new-one": (config("New-One"), {"weight": CODES, "weight_scale": ONES}),
    "AWQ gemv": (config("awq", version="GEMV"), {"qweight": CODES.astype(np.int32), "scales": ONES}),
    "GPTQ marlin": (config("gptq", checkpoint_format="marlin"), {"B": CODES.astype(np.int32), "s": ONES}),
    "AutoRound fake": (config("auto-round", packing_format="auto_round:fake"), {"qweight": CODES.astype(np.int32)}),
    "compressed-tensors marlin-24": (
        config("compressed-tensors", format="marlin-24"),
        {"weight_packed": CODES.astype(np.int32), "scale_packed": ONES, "meta": CODES.astype(np.int16)},
    ),
    "ModelOpt w4a16_awq": (config("modelopt", quant_algo="W4A16_AWQ"), {"weight": CODES, "weight_scale": ONES}),
}


@pytest.mark.parametrize("called", UNREAD)
def test_codes_that_are_not_read_are_named(called):
    said, module = UNREAD[called]
    module = {name: value.copy() for name, value in module.items()}
    tensors = named("m.0", module | {"bias": np.ones(9)})
    tensors["good.weight"] = np.random.default_rng(0).normal(size=(9, 9))
    weights = open_weights(tensors, said)
    assert weights.names() == list(tensors)
    table = describe(weights).set_index("name")
    reason = f"stored as {called} codes, a quantised or packed format; dequantise the checkpoint first"
    for name, value in named("m.0", module).items():
        assert (table.loc[name, "skipped"], table.loc[name, "shape"]) == (reason, value.shape)
        with pytest.raises(WeightsError, match=rf"^mapping of arrays: {name} is stored as {called} codes or their "):
            weights.read(name)
    assert table.loc["good.weight", "skipped"] == ""
    assert "codes" not in table.loc["m.0.bias", "skipped"]
    np.testing.assert_array_equal(weights.read("m.0.bias"), np.ones(9))
    assert analyze(weights).longname.tolist() == ["good"]


def test_a_scheme_without_codes_changes_nothing():
    """As of a model that was saved whole and is quantised when it is loaded."""
    weights = open_weights(gpt2_block() | {"h.0.attn.bias": np.ones((9, 9), np.uint8)}, config("torchao"))
    assert dequantised(weights) is weights
