"""Hostile quantised checkpoints: parts that do not fit one another cost one line, little time and little memory."""

import json

import ml_dtypes
import numpy as np
import pytest

from spinspectra import analyze, describe, open_weights
from spinspectra.errors import WeightsError
from tests.attacks.cost import measured
from tests.attacks.test_attacks import assert_one_line
from tests.weights.quantised_files import (
    awq,
    config,
    draw_codes,
    draw_scales,
    gptq,
    named,
    nf4,
    packed_rows,
    text_as_bytes,
)

HUGE = 2**31 - 1
STATE = "weight.quant_state.bitsandbytes__nf4"


def good_gptq(**changes):
    codes, zeros, scales = draw_codes((32, 8), 4), np.full((2, 8), 5), draw_scales((2, 8))
    return gptq(codes, zeros, scales, 4, np.arange(32) // 16) | changes


def good_awq(**changes):
    return awq(draw_codes((32, 8), 4), draw_codes((2, 8), 4), draw_scales((2, 8))) | changes


def good_rows(**changes):
    return packed_rows(draw_codes((4, 24), 4) - 8, 4, draw_scales((4, 3))) | changes


def state(text):
    return nf4() | {STATE: text_as_bytes(text)}


def ints(*shape):
    return np.zeros(shape, np.int32)


def without(tensors, *names):
    return {name: value for name, value in tensors.items() if name not in names}


def fp8(*shape):
    return np.ones(shape).astype(ml_dtypes.float8_e4m3fn)


# What to open, what describe says the codes are stored as, and of what scheme.
MISFITS = {
    "state-not-json": (state("{"), "nf4 codes with a quant_state that is not readable"),
    "state-a-list": (state("[1, 2]"), "nf4 codes with a quant_state that is not readable"),
    "state-nested": (state("[" * 60_000), "nf4 codes with a quant_state that is not readable"),
    "state-of-a-long-number": (state('{"shape": [' + "9" * 5000), "nf4 codes with a quant_state that is not readable"),
    "state-not-utf8": (nf4() | {STATE: np.full(9, 255, np.uint8)}, "nf4 codes with a quant_state that is not readable"),
    "state-too-long": (nf4() | {STATE: np.full(70_000, 32, np.uint8)}, "nf4 codes with 70000 values in bits"),
    "state-of-floats": (nf4() | {STATE: np.ones(9, np.float32)}, "nf4 codes with quant_state stored as float32"),
    "shape-not-whole": (nf4(shape=(4, 16)) | state('{"shape": [4, 16.0], "blocksize": 16}'), "without a shape and"),
    "shape-null": (state('{"shape": null, "blocksize": 16}'), "without a shape and block sizes"),
    "shape-of-truth": (state('{"shape": [true, 64], "blocksize": 16}'), "without a shape and block sizes"),
    "shape-empty": (state('{"shape": [], "blocksize": 16}'), "nf4 codes with a weight of shape ()"),
    "shape-negative": (state('{"shape": [-8, -8], "blocksize": 16}'), "a weight of shape (-8, -8)"),
    "shape-zero": (state(f'{{"shape": [0, {HUGE}], "blocksize": 16}}'), f"a weight of shape (0, {HUGE})"),
    "shape-of-petabytes": (state(f'{{"shape": [{HUGE}, {HUGE}], "blocksize": 16}}'), "32 bytes for a weight of shape"),
    "shape-of-many-sides": (state(f'{{"shape": {[1] * 5000}, "blocksize": 16}}'), "a weight of shape (1, 1"),
    "block-zero": (state('{"shape": [4, 16], "blocksize": 0}'), "block sizes or an offset out of range"),
    "block-negative": (state('{"shape": [4, 16], "blocksize": -16}'), "block sizes or an offset out of range"),
    "block-huge": (state(f'{{"shape": [4, 16], "blocksize": {10**30}}}'), "block sizes or an offset out of range"),
    "offset-nan": (nf4(nested=2, nested_offset=float("nan")), "block sizes or an offset out of range"),
    "offset-text": (nf4(nested=2, nested_offset="x"), "a quant_state that is not readable"),
    "offset-beyond": (nf4(nested=2, nested_offset=10**400), "a quant_state that is not readable"),
    "nested-block-zero": (nf4(nested=2, nested_blocksize=0), "block sizes or an offset out of range"),
    "absmax-short": (nf4() | {"weight.absmax": np.ones(3, np.float32)}, "absmax of shape (3,), not (4,)"),
    "absmax-of-codes": (nf4() | {"weight.absmax": np.ones(4, np.uint8)}, "absmax stored as uint8"),
    "nested-short": (nf4(nested=2) | {"weight.nested_absmax": np.ones(1, np.float32)}, "nested_absmax of shape (1,)"),
    "table-short": (nf4() | {"weight.quant_map": np.ones(15, np.float32)}, "quant_map of shape (15,), not (16,)"),
    "table-absent": (without(nf4(), "weight.quant_map"), "nf4 codes with no quant_map"),
    "codes-absent": (without(nf4(), "weight"), "nf4 codes with no weight"),
    "codes-of-floats": (nf4() | {"weight": np.ones(8, ml_dtypes.bfloat16)}, "nf4 codes with codes stored as bfloat16"),
    "int8-scales": (
        {"weight": np.ones((4, 6), np.int8), "SCB": np.ones(6, np.float32)},
        "int8 (bitsandbytes) codes with SCB of shape (6,), not (4,)",
    ),
    "int8-tiles": (
        {"weight": np.ones((4, 6), np.int8), "SCB": np.ones(4, np.float32), "weight_format": np.uint8([2])},
        "int8 (bitsandbytes) codes with a weight_format other than rows",
    ),
    "int8-empty": (
        {"weight": np.ones((0, 6), np.int8), "SCB": np.ones(0, np.float32)},
        "int8 (bitsandbytes) codes with a weight of shape (0, 6)",
    ),
    "gptq-zeros": (good_gptq(qzeros=ints(3, 1)), "GPTQ codes with qzeros of shape (3, 1), not (2, 1)"),
    "gptq-flat-zeros": (good_gptq(qzeros=ints(2)), "GPTQ codes with qzeros of shape (2,), not (2, 2)"),
    "gptq-scales": (
        good_gptq(scales=np.ones((2, 9), np.float16)),
        "GPTQ codes with qweight of shape (4, 8), not (4, 9)",
    ),
    "gptq-scales-of-codes": (good_gptq(scales=ints(2, 8)), "GPTQ codes with scales stored as int32"),
    "gptq-flat": (good_gptq(qweight=ints(32)), "GPTQ codes with qweight of shape (32,) and scales of shape (2, 8)"),
    "gptq-int64": (good_gptq(qweight=np.zeros((4, 8), np.int64)), "GPTQ codes with qweight stored as int64"),
    "gptq-5-bits": (
        good_gptq(qweight=ints(5, 8), qzeros=ints(2, 2)),
        "GPTQ codes with shapes that fit 0 of the widths",
    ),
    "gptq-order-long": (good_gptq(g_idx=ints(65)), "GPTQ codes with shapes that fit 0 of the widths"),
    "gptq-order-of-floats": (good_gptq(g_idx=np.ones(32, np.float32)), "GPTQ codes with g_idx stored as float32"),
    "gptq-empty": (
        {"qweight": ints(0, 8), "qzeros": ints(1, 1), "scales": np.ones((1, 8), np.float16)},
        "GPTQ codes with shapes that fit 3 of the widths",
    ),
    "gptq-no-groups": (
        good_gptq(qzeros=ints(0, 1), scales=np.ones((0, 8), np.float16)),
        "a weight of shape (8, 32, 0)",
    ),
    "gptq-uneven": (
        {"qweight": ints(4, 16), "qzeros": ints(5, 2), "scales": np.ones((5, 16), np.float16)},
        "GPTQ codes with 5 groups of 32 inputs",
    ),
    "gptq-and-plain": (good_gptq(weight=np.ones((8, 32), np.float32)), "GPTQ codes with the weight itself beside it"),
    "awq-uneven": (good_awq(qzeros=ints(3, 1), scales=np.ones((3, 8), np.float16)), "AWQ codes with 3 groups of 32"),
    "awq-zeros": (good_awq(qzeros=ints(2, 2)), "AWQ codes with qzeros of shape (2, 2), not (2, 1)"),
    "awq-no-groups": (good_awq(qzeros=ints(0, 1), scales=np.ones((0, 8), np.float16)), "a weight of shape (8, 32, 0)"),
    "rows-shape-huge": (good_rows(weight_shape=np.array([4, 2**62])), "compressed-tensors codes with 461168601842738"),
    "rows-shape-negative": (
        good_rows(weight_shape=np.array([4, -1])),
        "compressed-tensors codes with a weight of shape",
    ),
    "rows-shape-of-three": (good_rows(weight_shape=np.array([4, 24, 1])), "weight_shape of shape (3,), not (2,)"),
    "rows-of-another": (good_rows(weight_shape=np.array([5, 24])), "weight_packed of shape (4, 3), not (5, 3)"),
    "rows-scales": (
        good_rows(weight_scale=np.ones((4, 5), np.float32)),
        "scales of shape (4, 5) for a weight of shape",
    ),
    "rows-no-scales": (good_rows(weight_scale=np.ones((4, 0), np.float32)), "scales of shape (4, 0) for a weight"),
    "rows-zeros": (good_rows(weight_zero_point=ints(4, 3)), "zero points of shape (4, 3), not (1, 3)"),
    "rows-zeros-int8": (good_rows(weight_zero_point=np.ones(2, np.int8)), "zero points of shape (2,)"),
    "rows-order-short": (good_rows(weight_g_idx=ints(7)), "g_idx of shape (7,), not (24,)"),
    "rows-order-of-floats": (good_rows(weight_g_idx=np.ones(24, np.float32)), "g_idx stored as float32"),
    "int8-format": (
        {"weight": np.ones((4, 6), np.int8), "SCB": np.ones(4, np.float32), "weight_format": np.ones(1, np.complex64)},
        "int8 (bitsandbytes) codes with weight_format stored as complex64",
    ),
    "int8-grid": (
        {"weight": np.ones((6, 8), np.int8), "weight_scale": np.ones((4, 3), np.float32)},
        "int8 codes with scales of shape (4, 3) for a weight of shape (6, 8)",
    ),
    "int8-no-scales": (
        {"weight": np.ones((6, 8), np.int8), "weight_scale": np.ones((0, 8), np.float32)},
        "int8 codes with scales of shape (0, 8) for a weight of shape (6, 8)",
    ),
    "int8-zeros": (
        {"weight": np.ones((6, 8), np.int8), "weight_scale": np.ones(6, np.float32), "weight_zero_point": ints(5)},
        "int8 codes with zero points of shape (5,), not (6,)",
    ),
    "experts-short": (
        {"w_blocks": np.ones((2, 6, 3, 15), np.uint8), "w_scales": np.ones((2, 6, 3), np.uint8)},
        "MXFP4 codes with blocks of shape (2, 6, 3, 15), not (2, 6, 3, 16)",
    ),
    "experts-scales": (
        {"w_blocks": np.ones((2, 6, 3, 16), np.uint8), "w_scales": np.ones((2, 6, 4), np.uint8)},
        "MXFP4 codes with scales of shape (2, 6, 4), not (2, 6, 3)",
    ),
    "nvfp4-groups": (
        {"weight": np.ones((4, 9), np.uint8), "weight_scale": fp8(4, 1), "weight_scale_2": np.float32([1])},
        "NVFP4 codes with 18 columns in groups of 16",
    ),
    "nvfp4-scales-of-the-tensor": (
        {"weight": np.ones((4, 8), np.uint8), "weight_scale": fp8(4, 1), "weight_scale_2": np.ones(2, np.float32)},
        "NVFP4 codes with more than one scale of the tensor",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def imports():
    """What describe and analyze import is no cost of an attack."""
    analyze({"a.weight": np.random.default_rng(0).normal(size=(9, 9))})


@pytest.mark.parametrize("case", MISFITS)
def test_parts_that_do_not_fit_cost_their_own_rows(case):
    """The other weights are described, analysed and read; the codes stay as they are stored and say why."""
    tensors, said = MISFITS[case]
    held = named("m", tensors)
    good = np.random.default_rng(0).normal(size=(9, 9)).astype(np.float32)
    with measured() as cost:
        weights = open_weights(held | {"good.weight": good})
        assert set(weights.names()) == {*held, "good.weight"}
        rows = describe(weights).set_index("name").skipped
        assert analyze(weights, layers="good.weight").longname.tolist() == ["good"]
        for name in held:
            if name == "m.weight" and case == "gptq-and-plain":
                continue
            with pytest.raises(WeightsError) as info:
                weights.read(name)
            assert said in str(info.value)
            assert_one_line(info.value)
            assert said in rows[name] or rows[name].startswith("no values in a tensor")
    assert all(reason.isprintable() and len(reason) < 400 for reason in rows)
    assert cost.seconds < 5
    assert cost.traced_bytes < 32e6
    assert cost.resident_bytes < 100e6


def test_float8_whose_scales_do_not_fit_is_refused():
    weights = open_weights({"x.weight": fp8(16, 16), "x.weight_scale_inv": np.ones((9, 9), np.float32)})
    assert weights.names() == ["x.weight", "x.weight_scale_inv"]
    with pytest.raises(WeightsError, match=r"x\.weight is stored as codes with scales of shape \(9, 9\) for a weight"):
        weights.read("x.weight")


LATE = {
    "gptq-order-beyond": (
        good_gptq(g_idx=np.full(32, 2, np.int32)),
        r"GPTQ 4 bit with g_idx from 2 to 2 with 2 groups",
    ),
    "gptq-order-negative": (good_gptq(g_idx=np.full(32, -1, np.int32)), r"g_idx from -1 to -1 with 2 groups"),
    "rows-order-beyond": (good_rows(weight_g_idx=np.full(24, 3, np.int32)), r"with g_idx from 3 to 3 with 3 groups"),
    "nvfp4-scale-0": (
        {"weight_packed": np.ones((4, 8), np.uint8), "weight_scale": fp8(4, 1), "weight_global_scale": np.float32([0])},
        "NVFP4 with a scale of the tensor of 0",
    ),
}


@pytest.mark.parametrize("case", LATE)
def test_what_only_the_data_show_is_refused_when_read(case):
    tensors, said = LATE[case]
    weights = open_weights(named("m", tensors))
    assert weights.names() == ["m.weight"]
    with pytest.raises(WeightsError, match=said) as info:
        weights.read("m.weight")
    assert_one_line(info.value)


BAD_CONFIGS = [
    {"quantization_config": []},
    {"quantization_config": {"quant_method": 3}},
    {"quantization_config": {"quant_method": "gptq", "bits": "4", "checkpoint_format": 7, "group_size": -5}},
    {"quantization_config": {"quant_method": "gptq", "bits": 10**40, "group_size": 10**40}},
    {"quantization_config": {"quant_method": "fp8", "weight_block_size": [0, "x"], "config_groups": [1]}},
    {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"a": 1, "b": {"weights": []}}}},
    {"text_config": 4, "quantization_config": None},
]


@pytest.mark.parametrize("said", BAD_CONFIGS)
def test_configurations_of_any_kind(said):
    tensors = named("a", good_gptq()) | named("b", good_rows()) | named("c", nf4())
    weights = open_weights(tensors | {"d.weight": fp8(8, 8), "d.weight_scale": np.ones((8, 1), np.float32)}, said)
    assert sorted(weights.names()) == ["a.weight", "b.weight", "c.weight", "d.weight"]
    for name in weights.names():
        assert np.isfinite(weights.read(name)).all()


@pytest.mark.parametrize("method", ["x" * 10_000, "a\nspinspectra: all is well\x1b[2J"])
def test_a_method_of_any_name(method):
    weights = open_weights(named("a", good_gptq()), config(method))
    with pytest.raises(WeightsError) as info:
        weights.read("a.qweight")
    assert_one_line(info.value)
    assert all(reason.isprintable() for reason in describe(weights).skipped)


EVERY = {
    "nf4": nf4(nested=2),
    "int8": {"weight": np.ones((4, 6), np.int8), "SCB": np.ones(4, np.float32), "weight_format": np.uint8([0])},
    "gptq": good_gptq(),
    "awq": good_awq(),
    "rows": good_rows(weight_zero_point=ints(1, 3), weight_g_idx=np.zeros(24, np.int32)),
    "fp8": {"weight": fp8(8, 16), "weight_scale_inv": np.ones((2, 4), np.float32)},
    "mxfp4": {"w_blocks": np.ones((2, 6, 3, 16), np.uint8), "w_scales": np.full((2, 6, 3), 127, np.uint8)},
    "nvfp4": {"weight": np.ones((4, 8), np.uint8), "weight_scale": fp8(4, 1), "weight_scale_2": np.float32([0.5])},
}


def garbled(seed):
    """One quantised weight of each scheme, some parts dropped, resized, retyped or with bytes changed at random."""
    rng = np.random.default_rng(seed)
    made = {}
    for scheme, parts in EVERY.items():
        for name, value in named(scheme, parts).items():
            kind, array = rng.integers(12), np.array(value)
            if kind == 0:
                continue
            if kind == 1:
                array = np.resize(array, rng.integers(0, 9, size=rng.integers(0, 4)))
            elif kind == 2:
                dtypes = [np.uint8, np.int8, np.int32, np.int64, np.float32, np.float16, np.bool_, np.complex64]
                array = np.zeros(array.shape, dtypes[rng.integers(len(dtypes))])
            elif kind < 7 and array.nbytes:
                raw = np.frombuffer(array.tobytes(), np.uint8).copy()
                raw[rng.integers(raw.size, size=rng.integers(1, 4))] = rng.integers(256)
                array = raw.view(array.dtype).reshape(array.shape)
            made[name] = array
    return made


METHODS = [None, "gptq", "awq", "bitsandbytes", "fp8", "compressed-tensors", "modelopt", "mxfp4", "auto-round", "hqq"]


@pytest.mark.parametrize("seed", range(40))
def test_garbled_checkpoints_give_weights_or_one_line(seed):
    read_garbled(seed)


def read_garbled(seed):
    rng, tensors = np.random.default_rng(seed), garbled(seed)
    method = METHODS[seed % len(METHODS)]
    bits = [None, 2, 3, 4, 8, 5, 0, -4][rng.integers(8)]
    said = None if method is None else config(method, bits=bits, group_size=int(rng.integers(-1, 40)))
    with measured() as cost:
        weights = open_weights(tensors, said)
        describe(weights)
        for name in weights.names():
            try:
                info = weights.info(name)
                values = weights.read(name)
            except WeightsError as error:
                assert_one_line(error)
            else:
                assert (values.shape, values.dtype.kind) == (info.shape, "f")
    assert cost.seconds < 5
    assert cost.traced_bytes < 32e6


def test_a_file_that_is_cut_after_it_was_opened(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "x.safetensors"
    save_file(named("m", good_gptq()), path)
    weights = open_weights(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WeightsError, match=r"ends after .* of .* values; the file changed while it was read"):
        weights.read("m.weight")


def test_a_state_that_claims_more_than_there_is_allocates_nothing(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, **named("m", state(json.dumps({"shape": [HUGE, HUGE], "blocksize": 64}))))
    with measured() as cost, pytest.raises(WeightsError):
        open_weights(path).read("m.weight")
    assert cost.traced_bytes < 4e6
