"""Quantised checkpoints read as the weights they stand for, and codes that are not read named."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from spinspectra import open_weights
from tests.weights.quantised_files import (
    awq,
    config,
    draw_codes,
    draw_scales,
    fp8,
    gptq,
    named,
    nf4,
    nf4_weight,
    packed_rows,
    stream,
    weight_of,
)

# bitsandbytes


@pytest.fixture(scope="module")
def bnb():
    return pytest.importorskip("bitsandbytes")


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("opened", ["file", "module"])
def test_bitsandbytes_4_bit_is_what_bitsandbytes_makes_of_it(bnb, tmp_path, kind, nested, opened):
    torch.manual_seed(0)
    layer = bnb.nn.Linear4bit(128, 320, quant_type=kind, compress_statistics=nested)
    module = torch.nn.Sequential(layer).to("cpu")
    exact = bnb.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).numpy()
    if opened == "file":
        save_torch(module.state_dict(), tmp_path / "model.safetensors")
    weights = open_weights(module if opened == "module" else tmp_path)
    assert sorted(weights.names()) == ["0.bias", "0.weight"]
    info = weights.info("0.weight")
    assert (info.shape, info.dtype, info.scheme, info.stored_as) == ((320, 128), np.float32, kind, kind)
    assert info.n_bytes == sum(t.nbytes for name, t in module.state_dict().items() if name != "0.bias")
    assert info.module == ("Linear" if opened == "module" else "")
    np.testing.assert_allclose(weights.read("0.weight"), exact, rtol=3e-7, atol=1e-7)


def test_bitsandbytes_8_bit_is_what_bitsandbytes_makes_of_it(bnb, tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(bnb.nn.Linear8bitLt(96, 48, has_fp16_weights=False)).to("cpu")
    state = module.state_dict()
    exact = bnb.functional.int8_vectorwise_dequant(state["0.weight"], state["0.SCB"]).numpy()
    torch.save(state, tmp_path / "model.bin")
    for weights in (open_weights(tmp_path / "model.bin"), open_weights(module)):
        assert sorted(weights.names()) == ["0.bias", "0.weight"]
        assert weights.info("0.weight").scheme == "int8 (bitsandbytes)"
        np.testing.assert_allclose(weights.read("0.weight"), exact, rtol=3e-7)


@pytest.mark.parametrize(
    ("shape", "block", "nested"), [((4, 16), 16, 0), ((3, 5), 4, 0), ((7, 33), 8, 5), ((9,), 64, 1)]
)
def test_4_bit_codes_value_by_value(shape, block, nested):
    """Odd sizes too, of which bitsandbytes' own CPU kernel takes blocks row by row."""
    tensors = nf4(shape, block, nested)
    weights = open_weights(named("a.b", tensors))
    assert weights.names() == ["a.b.weight"]
    np.testing.assert_allclose(weights.read("a.b.weight"), nf4_weight(tensors), rtol=2e-6)


# GPTQ and AWQ


def test_three_bits_are_packed_as_autogptq_packs_them():
    """What its `pack` makes of 0, 1, ..., 7, four times over: value 10 and value 21 lie across two words."""
    assert [word & 0xFFFFFFFF for word in stream([at % 8 for at in range(32)], 3)] == THREE_BITS


THREE_BITS = [0x88FAC688, 0xC688FAC6, 0xFAC688FA]


def test_awq_orders_outputs_as_autoawq_does():
    """What its `from_linear` makes of the codes 0 to 7 in the outputs 0 to 7."""
    packed = awq(np.arange(8)[None], np.arange(8)[None], np.ones((1, 8), np.float16))
    assert packed["qweight"].tolist() == [[0x75316420]]


@pytest.mark.parametrize("version", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("order", ["none", "plain", "act", "zeros"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq(tmp_path, bits, order, version):
    n_in, out, groups = 96, 64, 3
    codes, zeros = draw_codes((n_in, out), bits), draw_codes((groups, out), bits, seed=2)
    zeros[zeros == 0] = 1  # as stored less one it would borrow from its neighbour
    scales = draw_scales((groups, out))
    plain = np.arange(n_in) // 32
    act = np.random.default_rng(3).permutation(plain)
    stored = {"none": None, "plain": plain, "act": act, "zeros": np.zeros(n_in)}[order]
    tensors = gptq(codes, zeros, scales, bits, stored, less_one=version == "gptq")
    save_file(named("x", tensors) | {"x.bias": np.ones(out, np.float16)}, tmp_path / "model.safetensors")
    said = config("gptq", bits=bits, group_size=32, checkpoint_format=version, sym=False)
    (tmp_path / "config.json").write_text(json.dumps(said))
    weights = open_weights(tmp_path)
    assert sorted(weights.names()) == ["x.bias", "x.weight"]
    info = weights.info("x.weight")
    assert (info.shape, info.scheme, info.dtype) == ((out, n_in), f"GPTQ {bits} bit", np.float32)
    assert info.n_bytes == sum(array.nbytes for array in tensors.values())
    np.testing.assert_array_equal(
        weights.read("x.weight"), weight_of(codes, zeros, scales, act if order == "act" else plain)
    )


@pytest.mark.parametrize("sym", [None, True, False])
@pytest.mark.parametrize("less_one", [True, False])
def test_gptq_that_says_nothing_of_its_zero_points(less_one, sym):
    """A symmetric one holds 8 where zero points are stored as they are, 7 where less one, whatever it is called."""
    codes, scales, middle = draw_codes((32, 8), 4), draw_scales((1, 8)), np.full((1, 8), 8)
    tensors = named("x", gptq(codes, middle, scales, 4, np.zeros(32), less_one))
    said = None if sym is None else config("gptq", bits=4, sym=sym, checkpoint_format="gptq")
    values = open_weights(tensors, said).read("x.weight")
    zeros = middle if less_one or sym is not False else middle + 1
    np.testing.assert_array_equal(values, weight_of(codes, zeros, scales, [0] * 32))


def test_gptq_zero_points_that_borrowed_from_their_neighbours():
    """GPTQModel subtracts one from every field of a word at once: 0x...05 00 -> 0x...03 ff."""
    zeros, scales, codes = np.array([[0, 5, 0, 0, 3, 1, 0, 2]]), draw_scales((1, 8)), draw_codes((32, 8), 4)
    tensors = gptq(codes, zeros, scales, 4, np.zeros(32))
    word = sum(int(zero) << (4 * at) for at, zero in enumerate(zeros[0])) - 0x11111111
    tensors["qzeros"] = np.array([[word]]).astype(np.uint32).astype(np.int32)
    values = open_weights(named("x", tensors), config("gptq", bits=4, sym=False)).read("x.weight")
    np.testing.assert_array_equal(values, weight_of(codes, zeros, scales, [0] * 32))


@pytest.mark.parametrize("said", [None, config("awq", bits=4, group_size=32, version="gemm"), config("awq", w_bit=4)])
@pytest.mark.parametrize("groups", [1, 3])
def test_awq(tmp_path, groups, said):
    n_in, out = 96, 40
    codes, zeros = draw_codes((n_in, out), 4), draw_codes((groups, out), 4, seed=2)
    scales = draw_scales((groups, out))
    np.savez(tmp_path / "x.npz", **named("x", awq(codes, zeros, scales)))
    weights = open_weights(tmp_path / "x.npz", said)
    assert (weights.names(), weights.info("x.weight").scheme) == (["x.weight"], "AWQ 4 bit")
    expected = weight_of(codes, zeros, scales, np.arange(n_in) // (n_in // groups))
    np.testing.assert_array_equal(weights.read("x.weight"), expected)


@pytest.mark.parametrize("packing", ["auto_round:auto_gptq", "auto_round:gptqmodel", "auto_round:auto_awq"])
def test_autoround(packing):
    codes, zeros, scales = draw_codes((32, 8), 4), np.full((1, 8), 5), draw_scales((1, 8))
    made = awq(codes, zeros, scales) if "awq" in packing else gptq(codes, zeros, scales, 4, None, "auto_g" in packing)
    weights = open_weights(named("x", made), config("auto-round", bits=4, packing_format=packing))
    np.testing.assert_array_equal(weights.read("x.weight"), weight_of(codes, zeros, scales, [0] * 32))


# Eight bits and a scale

SHARED = {
    "one": ((), (40, 96), "one scale"),
    "one-of-one": ((1, 1), (40, 96), "one scale"),
    "rows": ((40, 1), (1, 96), "row scales"),
    "rows-flat": ((40,), (1, 96), "row scales"),
    "groups": ((40, 3), (1, 32), "group scales"),
    "columns": ((1, 96), (40, 1), "column scales"),
    "grid": ((5, 3), (8, 32), "block scales"),
}


@pytest.mark.parametrize("stored", ["fp8", "int8"])
@pytest.mark.parametrize("case", SHARED)
def test_scales_of_tensors_rows_groups_and_blocks(tmp_path, case, stored):
    grid, block, said = SHARED[case]
    codes = fp8((40, 96)) if stored == "fp8" else (10 * fp8((40, 96)).float()).to(torch.int8)
    scales = torch.from_numpy(draw_scales(grid).astype(np.float32)).to(torch.bfloat16)
    save_torch(
        {"x.weight": codes, "x.weight_scale": scales, "x.input_scale": torch.ones(1)}, tmp_path / "a.safetensors"
    )
    weights = open_weights(tmp_path / "a.safetensors")
    assert sorted(weights.names()) == ["x.input_scale", "x.weight"]
    assert weights.info("x.weight").scheme == f"{stored} ({said})"
    full = np.kron(scales.float().numpy().reshape(-1, grid[-1] if len(grid) > 1 else 1), np.ones(block))
    np.testing.assert_array_equal(weights.read("x.weight"), codes.float().numpy() * full.astype(np.float32))


def test_zero_points_of_int8():
    codes, scales = draw_codes((6, 8), 7).astype(np.int8), draw_scales((6, 1)).astype(np.float32)
    zeros = draw_codes((6, 1), 4, seed=5).astype(np.int8)
    tensors = named("x", {"weight": codes, "weight_scale": scales, "weight_zero_point": zeros})
    weights = open_weights(tensors)
    assert weights.names() == ["x.weight"]
    np.testing.assert_array_equal(weights.read("x.weight"), (codes.astype(np.float32) - zeros) * scales)


@pytest.mark.parametrize(
    ("shape", "grid", "said", "side"),
    [
        ((200, 300), (2, 3), None, 128),
        ((200, 300), (4, 5), [64, 64], 64),
        ((576, 130), (5, 2), [128, 128], 128),
        ((192, 128), (2, 1), None, 128),
        ((2, 200, 300), (2, 2, 3), None, 128),
    ],
)
def test_blocks_cut_by_the_edge(shape, grid, said, side):
    codes, scales = fp8(shape), torch.from_numpy(draw_scales(grid).astype(np.float32))
    given = config("fp8", **({} if said is None else {"weight_block_size": said}))
    weights = open_weights({"x.weight": codes, "x.weight_scale_inv": scales}, given)
    assert weights.info("x.weight").scheme == "fp8 (block scales)"
    exact = codes.float().numpy()
    for place in np.ndindex(*shape):
        at = (*place[:-2], place[-2] // side, place[-1] // side)
        exact[place] *= scales.numpy()[at]
    np.testing.assert_array_equal(weights.read("x.weight"), exact)


@pytest.mark.parametrize("power", [torch.float8_e8m0fnu, torch.uint8, torch.float32])
@pytest.mark.parametrize("block", [(128, 128), (1, 32)])
def test_fp8_is_what_transformers_makes_of_it(power, block):
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    codes = fp8((256, 384))
    exponents = torch.from_numpy(draw_codes((256 // block[0], 384 // block[1]), 4).astype(np.uint8)) + 120
    scales = exponents if power == torch.uint8 else exponents.view(torch.float8_e8m0fnu).to(power)
    exact = Fp8Dequantize(None)._dequantize_one(codes, scales, output_dtype=torch.float32).numpy()
    weights = open_weights({"x.weight": codes, "x.weight_scale_inv": scales})
    np.testing.assert_array_equal(weights.read("x.weight"), exact)


def test_the_names_of_deepseeks_own_files():
    codes, scales = fp8((130, 256)), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    weights = open_weights({"w1.weight": codes, "w1.scale": scales, "norm.weight": torch.ones(4)})
    assert weights.names() == ["w1.weight", "norm.weight"]
    exact = codes.float() * torch.kron(scales, torch.ones(128, 128))[:130]
    np.testing.assert_array_equal(weights.read("w1.weight"), exact.numpy())


# Packed rows and four-bit floats


@pytest.mark.parametrize("zeros", ["none", "packed", "int8"])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_packed_rows(bits, groups, zeros):
    out, n_in, middle = 20, 51, 1 << (bits - 1)  # neither is a whole number of words
    codes, shifts = draw_codes((out, n_in), bits) - middle, draw_codes((out, groups), bits, seed=4) - middle
    scales = draw_scales((out, groups))
    tensors = packed_rows(codes, bits, scales, shifts if zeros == "packed" else None)
    if zeros == "int8":
        tensors["weight_zero_point"] = shifts.astype(np.int8)
    weights = open_weights(named("x", tensors))
    assert (weights.names(), weights.info("x.weight").scheme) == (["x.weight"], f"int{bits} (compressed-tensors)")
    group = np.arange(n_in) // (n_in // groups)
    lifted = codes - (0 if zeros == "none" else shifts[:, group])
    np.testing.assert_array_equal(weights.read("x.weight"), lifted * scales.astype(np.float32)[:, group])


def test_packed_rows_with_an_order_of_columns():
    codes, scales, order = draw_codes((4, 16), 4) - 8, draw_scales((4, 2)), np.arange(16, dtype=np.int32) % 2
    tensors = packed_rows(codes, 4, scales)
    by_order = open_weights(named("x", tensors | {"weight_g_idx": order}))
    np.testing.assert_array_equal(by_order.read("x.weight"), codes * scales.astype(np.float32)[:, order])
    without = open_weights(named("x", tensors | {"weight_g_idx": np.full(16, -1, np.int32)}))
    np.testing.assert_array_equal(without.read("x.weight"), codes * scales.astype(np.float32)[:, np.arange(16) // 8])


def test_the_experts_of_gpt_oss_are_what_transformers_makes_of_them():
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks = torch.from_numpy(draw_codes((2, 6, 3, 16), 8).astype(np.uint8))
    scales = torch.from_numpy(draw_codes((2, 6, 3), 5).astype(np.uint8) + 110)
    exact = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32).numpy()
    tensors = {
        "e.gate_up_proj_blocks": blocks,
        "e.gate_up_proj_scales": scales,
        "e.gate_up_proj_bias": torch.ones(2, 6),
    }
    weights = open_weights(tensors, config("mxfp4"))
    assert weights.names() == ["e.gate_up_proj", "e.gate_up_proj_bias"]
    assert (weights.info("e.gate_up_proj").shape, weights.info("e.gate_up_proj").scheme) == ((2, 96, 6), "MXFP4")
    np.testing.assert_array_equal(weights.read("e.gate_up_proj"), exact)


E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


@pytest.mark.parametrize("writer", ["modelopt", "compressed-tensors", "powers"])
def test_four_bit_floats_in_groups_of_a_row(writer):
    size = 32 if writer == "powers" else 16
    codes = draw_codes((6, 64), 4)
    stored = (codes[:, ::2] | codes[:, 1::2] << 4).astype(np.uint8)
    scales = fp8((6, 64 // size)).float().abs().to(torch.float8_e4m3fn)
    factors = scales.float().numpy()
    if writer == "powers":
        exponents = draw_codes((6, 2), 3, seed=6).astype(np.uint8) + 124
        tensors = {"weight_packed": stored, "weight_scale": exponents}
        factors = 2.0 ** (exponents.astype(np.float64) - 127)
    elif writer == "modelopt":
        tensors = {"weight": stored, "weight_scale": scales, "weight_scale_2": torch.tensor(0.25)}
        factors = factors * 0.25
    else:
        tensors = {"weight_packed": stored, "weight_scale": scales, "weight_global_scale": torch.tensor([4.0])}
        factors = factors / 4.0
    weights = open_weights(named("x", tensors))
    assert (weights.names(), weights.info("x.weight").shape) == (["x.weight"], (6, 64))
    assert weights.info("x.weight").scheme == ("MXFP4" if writer == "powers" else "NVFP4")
    exact = np.empty((6, 64))
    for row, column in np.ndindex(6, 64):
        code = codes[row, column]
        exact[row, column] = (-1) ** (code >> 3) * E2M1[code & 7] * factors[row, column // size]
    np.testing.assert_array_equal(weights.read("x.weight"), exact)
