"""Quantised ONNX models, against what onnx's reference and ONNX Runtime make of the same integers."""

import logging
import warnings

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime import quantization

from spinspectra import describe, open_weights
from spinspectra.errors import WeightsError
from spinspectra.weights.onnx.file import open_onnx_model
from tests.weights.onnx_models import CASES, export

WEIGHT, ROWS, COLUMNS = "w", 6, 32
RNG = np.random.default_rng(0)


def model_of(nodes, tensors, x_shape, y_shape):
    x, y = (helper.make_tensor_value_info(n, 1, s) for n, s in (("x", x_shape), ("y", y_shape)))
    arrays = [
        value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(value, name)
        for name, value in tensors.items()
    ]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], arrays), opset_imports=opsets, ir_version=10)


def codes_of(name):
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    if name.startswith("float"):
        return RNG.normal(size=(ROWS, COLUMNS)).astype(dtype)
    info = ml_dtypes.iinfo(dtype)
    return RNG.integers(int(info.min), int(info.max) + 1, (ROWS, COLUMNS)).astype(dtype)


@pytest.mark.parametrize("zero", [True, False], ids=["zero", "no-zero"])
@pytest.mark.parametrize(
    ("scale_shape", "attributes"),
    [((), {}), ((ROWS,), {"axis": 0}), ((COLUMNS,), {}), ((ROWS, 4), {"axis": 1, "block_size": 8}),
     ((ROWS, 3), {"axis": -1, "block_size": 13}), ((2, COLUMNS), {"axis": 0, "block_size": 3})],
    ids=["tensor", "rows", "columns", "blocks", "uneven-blocks", "blocks-of-rows"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int4", "uint4", "float8_e4m3fn"])
def test_dequantize_linear(kind, scale_shape, attributes, zero):
    codes, scale = codes_of(kind), RNG.random(scale_shape).astype(np.float32) + 0.1
    tensors = {"w_quantized": codes, "w_scale": scale}
    if zero:
        zeros = np.zeros(scale_shape) if kind.startswith("float8") else RNG.integers(0, 5, scale_shape)
        tensors["w_zero_point"] = zeros.astype(codes.dtype)
    node = helper.make_node("DequantizeLinear", [*tensors], ["w_float"], **attributes)
    product = helper.make_node("Gemm", ["x", "w_float"], ["y"], transB=1)
    weights = open_onnx_model(model_of([node, product], tensors, [1, COLUMNS], [1, ROWS]))
    assert weights.names() == [WEIGHT]
    info = weights.info(WEIGHT)
    assert (info.shape, info.dtype, info.module) == (codes.shape, np.float32, "Linear")
    assert info.scheme == f"{kind} (DequantizeLinear)"
    bits = 4 if kind.endswith("int4") else 8 * codes.dtype.itemsize
    assert info.n_bytes == codes.size * bits // 8 + 4 * scale.size + -(-zero * scale.size * bits // 8)
    np.testing.assert_allclose(weights.read(WEIGHT), reference(codes, scale, tensors, attributes), rtol=1e-6)


def reference(codes, scale, tensors, attributes):
    """onnx's own reference where it divides evenly; its blocks must."""
    block = attributes.get("block_size")
    axis = attributes.get("axis", 1)
    padded = dict(tensors)
    if block and codes.shape[axis] % block:
        width = [(0, 0), (0, 0)]
        width[axis] = (0, -codes.shape[axis] % block)
        padded["w_quantized"] = np.pad(codes, width)
    node = helper.make_node("DequantizeLinear", [*padded], ["y"], **attributes)
    model = model_of([node], padded, [1], padded["w_quantized"].shape)
    return ReferenceEvaluator(model).run(None, {"x": np.zeros(1, np.float32)})[0][: codes.shape[0], : codes.shape[1]]


@pytest.mark.parametrize("inner", [32, 48], ids=["whole-blocks", "cut-block"])
@pytest.mark.parametrize("zero", ["none", "packed", "float"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_matmul_n_bits(bits, zero, inner):
    if (bits, zero) == (8, "float"):
        zero = "packed"  # ONNX Runtime has no such
    blocks = -(-inner // 32)
    tensors = {
        "w_Q4": RNG.integers(0, 256, (ROWS, blocks, 4 * bits), np.uint8),
        "scales": RNG.random((ROWS, blocks)).astype(np.float32),
    }
    if zero == "packed":
        tensors["zeros"] = RNG.integers(0, 256, (ROWS, -(-blocks * bits // 8)), np.uint8)
    elif zero == "float":
        tensors["zeros"] = RNG.random((ROWS, blocks)).astype(np.float32)
    sizes = {"K": inner, "N": ROWS, "bits": bits, "block_size": 32}
    node = helper.make_node("MatMulNBits", ["x", *tensors], ["y"], domain="com.microsoft", **sizes)
    model = model_of([node], tensors, [inner, inner], [inner, ROWS])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"x": np.eye(inner, dtype=np.float32)})[0]
    weights = open_onnx_model(model)
    assert weights.names() == [WEIGHT]
    info = weights.info(WEIGHT)
    assert (info.shape, info.scheme, info.module) == ((ROWS, inner), f"{bits}-bit (MatMulNBits)", "Linear")
    assert info.n_bytes == sum(value.nbytes for value in tensors.values())
    np.testing.assert_allclose(weights.read(WEIGHT), theirs.T, atol=2e-6)


class Samples(quantization.CalibrationDataReader):
    def __init__(self, **inputs):
        self._left = iter([inputs] * 2)

    def get_next(self):
        return next(self._left, None)


def dynamic(source, target, inputs, **options):
    quantization.quantize_dynamic(source, target, **options)


def static(source, target, inputs, **options):
    samples = Samples(**{name: value.numpy() for name, value in inputs.items()})
    quantization.quantize_static(source, target, samples, **options)


# How ONNX Runtime quantises which case; and what is lost on the way: a head tied to a table and a Linear called twice
# have other names then, and the scale of a table is that of all products that its rows go into.
HOWS = {
    "dynamic-int8": ("bert", dynamic, {}, {"cls.predictions.decoder.weight"}),
    "dynamic-uint8-columns": (
        *("bert", dynamic),
        {"per_channel": True, "weight_type": quantization.QuantType.QUInt8},
        {"cls.predictions.decoder.weight"},
    ),
    "static-dequantize": ("vit", static, {"per_channel": True}, set()),
    "static-operators": (
        *("parts", static),
        {"quant_format": quantization.QuantFormat.QOperator},
        {"embed.weight", "tied.weight", "twice.weight"},
    ),
}


@pytest.fixture(scope="module", params=HOWS.values(), ids=HOWS)
def quantised(request, tmp_path_factory):
    """What ONNX Runtime makes of a whole model: (its path, the module, the weights that are lost)."""
    case, how, options, lost = request.param
    folder, inputs = tmp_path_factory.mktemp(case), CASES[case].inputs
    module = export(case, folder / "floats.onnx", newer=False, input_names=list(inputs))
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            how(folder / "floats.onnx", folder / "x.onnx", inputs, **options)
    finally:
        logging.disable(logging.NOTSET)
    return folder / "x.onnx", module, lost


def test_a_quantised_model_has_the_modules_weights_to_half_a_step(quantised):
    """255 steps of at most twice the largest weight."""
    path, module, lost = quantised
    weights, floats = open_weights(path), open_weights(path.with_name("floats.onnx"))
    state = {name: value.numpy() for name, value in module.state_dict().items() if value.ndim > 1}
    found = [name for name in weights.names() if name in state]
    assert set(state) - set(found) == lost
    schemes = [weights.info(name).scheme for name in found]
    assert all(scheme.startswith(("int8 (", "uint8 (")) for scheme in schemes if scheme)
    assert schemes.count("") <= 3  # a transposed convolution, a table of positions and such
    for name in found:
        values, info = weights.read(name), weights.info(name)
        assert (info.shape, info.module) == (state[name].shape, floats.info(name).module), name
        step = 2 * np.abs(state[name]).max() / 254 if info.scheme else 0
        np.testing.assert_allclose(values, state[name], rtol=0, atol=0.51 * step, err_msg=name)


def test_no_scale_passes_for_a_weight(quantised):
    table = describe(quantised[0])
    dense = set(table["name"][table["kind"] == "dense"])
    assert {name for name in dense if not name.startswith("onnx::MatMul_")} <= set(quantised[1].state_dict())


def weight_only(op, slots, tensors, **attributes):
    inputs = ["x"] + [""] * (max(slots.values()))
    for name, slot in slots.items():
        inputs[slot] = name
    node = helper.make_node(op, inputs, ["y"], domain="com.microsoft", **attributes)
    return model_of([node], tensors, [1, COLUMNS], [1, ROWS])


CODES = RNG.integers(0, 256, (ROWS, 2, 8), np.uint8)
SCALES = np.ones((ROWS, 2), np.float32)
N_BITS = {"K": 32, "N": ROWS, "bits": 4, "block_size": 16}
BESIDE = {"w": 1, "s": 2}
UNREAD = {
    "MatMulBnb4": weight_only("MatMulBnb4", BESIDE, {"w": CODES, "s": SCALES}, K=32, N=ROWS),
    "reordered": weight_only(
        "MatMulNBits", {**BESIDE, "g": 4}, {"w": CODES, "s": SCALES, "g": np.arange(32)}, **N_BITS
    ),
    "3-bits": weight_only("MatMulNBits", BESIDE, {"w": CODES, "s": SCALES}, **{**N_BITS, "bits": 3}),
    "other-sizes": weight_only("MatMulNBits", BESIDE, {"w": CODES, "s": SCALES}, **{**N_BITS, "N": 7}),
    "scale-of-another-shape": weight_only("MatMulNBits", BESIDE, {"w": CODES, "s": SCALES[:4]}, **N_BITS),
    "scale-computed": weight_only("MatMulNBits", BESIDE, {"w": CODES}, **N_BITS),
    "QAttention": weight_only("QAttention", {"w": 1, "s": 4}, {"w": CODES, "s": SCALES}),
    "dequantize-other-axis": model_of(
        [helper.make_node("DequantizeLinear", ["w", "s"], ["y"], axis=0)],
        {"w": CODES[:, 0], "s": np.ones(8, np.float32)},
        [1],
        [1],
    ),
}


@pytest.mark.parametrize("model", UNREAD.values(), ids=UNREAD)
def test_what_is_not_read_is_named(model):
    weights, op = open_onnx_model(model), model.graph.node[0].op_type
    row = describe(weights).set_index("name").loc["w"]
    assert (row["dtype"], row["kind"]) == (f"uint8 for {op}", "other")
    assert f"stored as uint8 for {op}, a quantised or packed format" in row["skipped"]
    with pytest.raises(WeightsError, match=f"w is quantised for {op} in a way that this version does not read"):
        weights.read("w")


def test_scales_that_others_take_too_are_listed():
    """As a tensor whose codes are used as they are would be; and integers with two meanings are read in neither."""
    tensors = {"w": CODES[:, 0], "s": np.float32(2), "t": np.float32(3)}
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["y"]), helper.make_node("Exp", ["s"], ["z"])]
    assert open_onnx_model(model_of(nodes, tensors, [1], [1])).names() == ["w", "s", "t"]
    nodes[1] = helper.make_node("DequantizeLinear", ["w", "t"], ["z"])
    assert open_onnx_model(model_of(nodes, tensors, [1], [1])).info("w").format == "uint8 for DequantizeLinear"
    nodes[1] = helper.make_node("Gather", ["w", "i"], ["z"])
    assert open_onnx_model(model_of(nodes, tensors, [1], [1])).info("w").format == "uint8 for DequantizeLinear"
