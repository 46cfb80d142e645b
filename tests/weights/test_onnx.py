"""ONNX files: every format and every place of numbers, graphs within graphs, and what is listed under which name.

What a real exporter writes is in test_onnx_exports; quantised models are in test_onnx_quantised.
"""

import struct

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from spinspectra import describe, open_weights
from spinspectra.errors import WeightsError
from spinspectra.weights.onnx.file import open_onnx_file, open_onnx_model
from tests.attacks.cost import measured

MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4) - 5.5
FORMATS = [
    *("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2"),
    *("float8_e5m2fnuz", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"),
]
PACKED = ["int4", "uint4", "float4_e2m1fn", "int2", "uint2"]


def save(path, initialisers, nodes=(), functions=(), **options):
    graph = helper.make_graph(nodes, "g", [], [], initialisers, **options)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, functions=functions, opset_imports=opsets), path)
    return path


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def values_of(name, rng):
    """Values of any bits but those of NaN, negative ones among them."""
    dtype = dtype_of(name)
    if dtype.kind == "b":
        return rng.random((3, 5)) > 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, (3, 5), dtype, endpoint=True)
    return (4 * rng.normal(size=(3, 5))).astype(dtype)


def typed(name, values):
    """The same tensor with its numbers in the fields by type, as `onnx.helper.make_tensor` writes without raw=True."""
    data_type = helper.np_dtype_to_tensor_dtype(values.dtype)
    return helper.make_tensor(name, data_type, values.shape, values.flatten())


@pytest.mark.parametrize(
    "make", [numpy_helper.from_array, lambda values, name: typed(name, values)], ids=["raw", "typed"]
)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_exactly(tmp_path, name, make):
    values = values_of(name, np.random.default_rng(0))
    weights = open_weights(save(tmp_path / "x.onnx", [make(values, "a")]))
    assert (weights.info("a").shape, weights.info("a").dtype) == (values.shape, values.dtype)
    read = weights.read("a")
    assert read.dtype == (np.float64 if values.dtype.itemsize >= 8 or name in ("int32", "uint32") else np.float32)
    np.testing.assert_array_equal(read, values.astype(np.float64))
    their = numpy_helper.to_array(onnx.load(tmp_path / "x.onnx").graph.initializer[0])
    np.testing.assert_array_equal(read, their.astype(np.float64))


@pytest.mark.parametrize("name", PACKED)
def test_packed_values_are_described_and_not_read(tmp_path, name):
    tensor = helper.make_tensor("a", helper.np_dtype_to_tensor_dtype(dtype_of(name)), (3, 5), [1] * 15)
    weights = open_weights(save(tmp_path / "x.onnx", [tensor]))
    bits = 2 if name.endswith("2") else 4
    assert (weights.info("a").dtype, weights.info("a").n_bytes) == (dtype_of(name), -(-15 * bits // 8))
    assert "dequantise the checkpoint first" in describe(weights)["skipped"][0]
    with pytest.raises(WeightsError, match=f"a is stored as {name}, a packed format"):
        weights.read("a")


def test_complex_numbers_and_strings_are_described_and_not_read(tmp_path):
    text = helper.make_tensor("b", TensorProto.STRING, (2,), ["one", "two"])
    weights = open_weights(save(tmp_path / "x.onnx", [numpy_helper.from_array(MATRIX.astype(complex), "a"), text]))
    assert describe(weights)["dtype"].to_list() == ["complex128", "string"]
    with pytest.raises(WeightsError, match="a holds complex128 values, which are not real numbers"):
        weights.read("a")
    with pytest.raises(WeightsError, match="b is stored as string"):
        weights.read("b")


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 2, 1, 2, 1, 2)])
@pytest.mark.parametrize(
    "make", [numpy_helper.from_array, lambda values, name: typed(name, values)], ids=["raw", "typed"]
)
def test_odd_shapes(tmp_path, shape, make):
    values = np.full(shape, 1.5, np.float32)
    weights = open_weights(save(tmp_path / "x.onnx", [make(values, "a")]))
    assert describe(weights)["shape"].to_list() == [shape]
    np.testing.assert_array_equal(weights.read("a"), values)


def test_numbers_may_be_written_one_field_each(tmp_path):
    """Packed is a choice of the writer; the format's readers take both."""
    floats = b"".join(b"\x25" + struct.pack("<f", value) for value in (1.5, -2.0))
    ints = b"".join(b"\x38" + number for number in (b"\x05", b"\xff" * 9 + b"\x01", b"\x80\x00"))  # 5, -1, a long 0
    tensors = [b"\x08\x02\x10\x01\x42\x01a" + floats, b"\x08\x03\x10\x07\x42\x01b" + ints]
    graph = b"".join(b"\x2a" + bytes([len(tensor)]) + tensor for tensor in tensors)
    (tmp_path / "x.onnx").write_bytes(b"\x3a" + bytes([len(graph)]) + graph)
    weights = open_weights(tmp_path / "x.onnx")
    assert weights.read("a").tolist() == [1.5, -2.0]
    assert weights.read("b").tolist() == [5, -1, 0]


def test_names_are_the_initialisers_in_their_order(tmp_path):
    names = ["z", "a", "layer/0", "b:0", "ü"]
    weights = open_weights(save(tmp_path / "x.onnx", [numpy_helper.from_array(MATRIX, name) for name in names]))
    assert weights.names() == names


@pytest.fixture
def beside(tmp_path):
    """Two tensors in one file of data and one in another, and one inline."""
    arrays = {name: MATRIX + i for i, name in enumerate("abcd")}
    model = helper.make_model(
        helper.make_graph([], "g", [], [], [numpy_helper.from_array(v, k) for k, v in arrays.items()])
    )
    for tensor, location in zip(model.graph.initializer, ("one", "deep/er/two", "one", ""), strict=True):
        if location:
            onnx.external_data_helper.set_external_data(tensor, location)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    onnx.save(model, tmp_path / "x.onnx")
    return tmp_path / "x.onnx", arrays


def test_external_data_are_read_from_their_files(beside):
    path, arrays = beside
    weights = open_weights(path)
    assert [weights.info(name).file.removeprefix(str(path.parent)) for name in "abcd"] == [
        *("/one", "/deep/er/two", "/one", "/x.onnx")
    ]
    for name, values in arrays.items():
        np.testing.assert_array_equal(weights.read(name), values)


def test_one_place_in_a_file_under_two_names_is_one_tensor(beside):
    path, _ = beside
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[2].external_data[1].value = model.graph.initializer[0].external_data[1].value
    onnx.save(model, path)
    weights = open_weights(path)
    assert [weights.info(name).same_as for name in "abcd"] == ["", "", "a", ""]
    np.testing.assert_array_equal(weights.read("c"), MATRIX)


def test_links_within_the_folder_and_the_hubs_cache_are_followed(beside, tmp_path):
    """There, the model and its data are links out of a snapshot into one folder of blobs."""
    path, arrays = beside
    (tmp_path / "one").rename(tmp_path / "blob")
    (tmp_path / "one").symlink_to("blob")
    np.testing.assert_array_equal(open_weights(path).read("a"), arrays["a"])
    snapshot = tmp_path / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "deep").symlink_to("../../deep")
    for name in ("x.onnx", "one"):
        (snapshot / name).symlink_to(f"../../{name}")
    np.testing.assert_array_equal(open_weights(snapshot / "x.onnx").read("c"), arrays["c"])


def test_opening_reads_no_numbers(tmp_path):
    """A gibibyte inline, which `onnx.load` would hold twice; all of it is a hole in the file."""
    n = 1 << 28
    tensor = numpy_helper.from_array(np.zeros(0, np.float32), "a")
    tensor.dims[:] = [n // 64, 64]
    small = numpy_helper.from_array(MATRIX, "b").SerializeToString()
    length = (4 * n).to_bytes(5, "little")
    encoded = bytes((int.from_bytes(length, "little") >> 7 * i & 127) | (128 if i < 4 else 0) for i in range(5))
    head = tensor.SerializeToString() + b"\x4a" + encoded
    body = len(head) + 4 * n
    fields = [b"\x2a" + varint(len(small)) + small, b"\x2a" + varint(body) + head]
    graph = b"\x3a" + varint(sum(map(len, fields)) + 4 * n)
    path = tmp_path / "x.onnx"
    path.write_bytes(graph + b"".join(fields))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 4 * n)
    with measured() as cost:
        weights = open_weights(path)
        assert weights.info("a").shape == (n // 64, 64)
        np.testing.assert_array_equal(weights.read("b"), MATRIX)
    assert cost.traced_bytes < 1e6
    assert cost.resident_bytes < 20e6


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def test_constants_that_hold_weights_are_listed_and_others_are_not(tmp_path):
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(MATRIX, "")),
        helper.make_node("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([3, 4]), "")),
        helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.float32(1), "")),
        helper.make_node("Constant", [], ["number"], value_float=1.0),
        helper.make_node("Gemm", ["x", "w"], ["y"], transB=1),
    ]
    weights = open_weights(save(tmp_path / "x.onnx", [], nodes))
    assert weights.names() == ["w"]
    assert weights.info("w").module == "Linear"
    np.testing.assert_array_equal(weights.read("w"), MATRIX)


def test_graphs_within_nodes_and_functions_are_looked_into(tmp_path):
    def branch(shift):
        return helper.make_graph([], "branch", [], [], [numpy_helper.from_array(MATRIX + shift, "w")])

    inner = helper.make_node("If", ["c"], ["y"], "choice", then_branch=branch(1), else_branch=branch(2))
    outer = helper.make_node("Loop", [], ["z"], "loop", body=helper.make_graph([inner], "body", [], []))
    constant = helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(MATRIX + 3, ""))
    function = helper.make_function("own", "F", [], ["k"], [constant], [helper.make_opsetid("", 21)])
    weights = open_weights(save(tmp_path / "x.onnx", [numpy_helper.from_array(MATRIX, "a")], [outer], [function]))
    assert weights.names() == ["a", "w", "choice/then_branch/w", "k"]
    for name, shift in zip(weights.names(), (0, 2, 1, 3), strict=True):
        np.testing.assert_array_equal(weights.read(name), MATRIX + shift)


def test_sparse_initialisers_are_described_and_not_read(tmp_path):
    values = numpy_helper.from_array(np.array([1.5, 2.5], np.float32), "a")
    indices = numpy_helper.from_array(np.array([1, 7], np.int64), "")
    sparse = helper.make_sparse_tensor(values, indices, [1000, 1000])
    weights = open_weights(save(tmp_path / "x.onnx", [], sparse_initializer=[sparse]))
    row = describe(weights).iloc[0]
    assert (row["name"], row["shape"], row["dtype"], row["bytes"]) == (
        "a",
        (1000, 1000),
        "sparse float32",
        2 * 4 + 2 * 8,
    )
    with pytest.raises(WeightsError, match="a is stored sparse; save it dense"):
        weights.read("a")


@pytest.mark.parametrize(
    ("op", "slot", "shape", "attributes", "module"),
    [
        ("Gemm", 1, (3, 4), {"transB": 1}, "Linear"),
        ("Gemm", 1, (3, 4), {}, ""),
        ("Gemm", 0, (3, 4), {"transB": 1}, ""),
        ("MatMul", 1, (3, 4), {}, ""),
        ("MatMul", 1, (2, 3, 4), {}, ""),
        ("Gather", 0, (3, 4), {}, "Embedding"),
        ("Gather", 0, (3, 4), {"axis": 1}, ""),
        ("Gather", 0, (3, 4, 5), {}, ""),
        ("Conv", 1, (3, 4, 5), {}, "Conv1d"),
        ("Conv", 1, (3, 4, 5, 6), {}, "Conv2d"),
        ("Conv", 1, (2, 3, 2, 3, 2), {}, "Conv3d"),
        ("ConvTranspose", 1, (3, 4, 5, 6), {}, "ConvTranspose2d"),
        ("LayerNormalization", 1, (3, 4), {}, "LayerNorm"),
        ("LSTM", 1, (1, 8, 3), {}, "LSTM"),
        ("Add", 1, (1, 3, 4), {}, "Constant"),
        ("Add", 1, (3, 4), {}, ""),
    ],
)
def test_the_operation_that_takes_a_tensor_tells_its_class(tmp_path, op, slot, shape, attributes, module):
    inputs = ["x"] * slot + ["w"] + ["x"] * (op == "Gemm" and slot == 0)
    node = helper.make_node(op, inputs, ["y"], **attributes)
    tensor = numpy_helper.from_array(np.zeros(shape, np.float32), "w")
    assert open_weights(save(tmp_path / "x.onnx", [tensor], [node])).info("w").module == module


def test_a_matrix_taken_both_ways_round_keeps_its_name_and_way(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_1"], ["y"], "/a/MatMul"),
        helper.make_node("Gemm", ["y", "onnx::MatMul_1"], ["z"], "/b/Gemm", transB=1),
    ]
    weights = open_weights(save(tmp_path / "x.onnx", [numpy_helper.from_array(MATRIX, "onnx::MatMul_1")], nodes))
    assert weights.names() == ["onnx::MatMul_1"]
    np.testing.assert_array_equal(weights.read("onnx::MatMul_1"), MATRIX)


def test_two_weights_of_one_module_keep_their_names(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", f"onnx::MatMul_{i}"], [f"y{i}"], "/a/MatMul") for i in (1, 2)]
    tensors = [numpy_helper.from_array(MATRIX, f"onnx::MatMul_{i}") for i in (1, 2)]
    assert open_weights(save(tmp_path / "x.onnx", tensors, nodes)).names() == ["onnx::MatMul_1", "onnx::MatMul_2"]


def test_a_model_in_memory(beside):
    path, arrays = beside
    weights = open_onnx_model(onnx.load(path), {"model_type": "own"})
    assert (weights.names(), weights.source, weights.config) == (list("abcd"), "ModelProto", {"model_type": "own"})
    for name, values in arrays.items():
        np.testing.assert_array_equal(weights.read(name), values)
    with pytest.raises(WeightsError, match="a is in 'one', and a model in memory has no folder"):
        open_onnx_model(onnx.load(path, load_external_data=False))


def test_a_file_that_changes_is_not_read_on(beside):
    path, arrays = beside
    weights = open_onnx_file(path)
    for changed, name in ((path, "d"), (path.parent / "one", "a")):
        np.testing.assert_array_equal(weights.read(name), arrays[name])
        changed.write_bytes(changed.read_bytes()[:-1])
        with pytest.raises(WeightsError, match=f"{changed.name}: changed while it was read; open it again"):
            weights.read(name)
    (path.parent / "deep" / "er" / "two").unlink()
    with pytest.raises(WeightsError, match=r"two: cannot be read \(No such file or directory\)"):
        weights.read("b")


def test_the_package_onnx_is_not_needed(beside, monkeypatch):
    path, arrays = beside
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    np.testing.assert_array_equal(open_weights(path).read("a"), arrays["a"])
