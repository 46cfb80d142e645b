"""Hostile ONNX files: each meets one clear line, in little time and memory, and nothing outside its folder is read."""

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from spinspectra import open_weights
from spinspectra.errors import WeightsError
from tests.attacks.build import BROKEN_NAME, LONG_NAME, empty_file, pipe, text_file
from tests.attacks.cost import measured, peak_resident_bytes
from tests.attacks.test_attacks import assert_one_line, caught, read_all

MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4)
FOLDER = "model"  # the model's own, so that there is an outside
NOT_WHOLE = "x.onnx: not a whole ONNX file"
TOO_LARGE = "x.onnx: its graph, weights aside, is larger than 64 MiB, and refused"
TOO_LONG = "x.onnx: its graph, weights aside, is larger than 1000000 fields, and refused"
OUTSIDE = "which is outside its folder; refused"


# Messages by hand, for what the format's own package would not write


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, content):
    """A field of bytes, or of an integer."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content & 2**64 - 1)
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(dims=(), raw=b"", name="a", kind=1, rest=b""):
    sides = b"".join(field(1, side) for side in dims)
    return sides + field(2, kind) + field(8, name.encode()) + (field(9, raw) if raw else b"") + rest


def file(content):
    """A file of these bytes."""

    def build(folder):
        inside = folder / FOLDER
        inside.mkdir(exist_ok=True)
        (inside / "x.onnx").write_bytes(content)
        return inside / "x.onnx"

    return build


def graph(*fields):
    return file(field(7, b"".join(fields)))


def initialiser(*args, **options):
    return graph(field(5, tensor(*args, **options)))


def cut(share):
    whole = field(7, field(5, tensor((3, 4), MATRIX.tobytes())) * 3)
    return file(whole[: int(len(whole) * share)])


def nested(depth):
    """If in If in If, as deep as that."""
    content = field(5, tensor((1,), bytes(4)))
    for _ in range(depth):
        content = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, content)))
    return file(field(7, content))


# Data in other files


def external(location, offset=None, length=None, dims=(3, 4), prepare=None, name="a"):
    """A tensor whose numbers are said to be there. Beside the model is a good `data`, outside a file of its size."""

    def build(folder):
        inside = folder / FOLDER
        inside.mkdir()
        for place in (inside / "data", folder / "outside"):
            place.write_bytes(MATRIX.tobytes())
        if prepare is not None:
            prepare(inside)
        said = location(folder) if callable(location) else location
        entries = {"location": said, "offset": offset, "length": length}
        rest = b"".join(
            field(13, field(1, key.encode()) + field(2, str(value).encode()))
            for key, value in entries.items()
            if value is not None
        )
        return initialiser(dims, name=name, rest=rest + field(14, 1))(folder)

    return build


def link(target):
    return lambda inside: (inside / "link").symlink_to(target)


def linked_folder(inside):
    (inside / "link").symlink_to("..")


def circle(inside):
    (inside / "link").symlink_to("other")
    (inside / "other").symlink_to("link")


def waiting_pipe(inside):
    os.mkfifo(inside / "pipe")


@dataclass(frozen=True)
class Attack:
    build: Any
    message: str


ATTACKS = {
    # no such file
    "empty": Attack(empty_file(".onnx"), "the file is empty; fetch it again"),
    "lfs-pointer": Attack(text_file(".onnx", "version https://git-lfs\n" * 4), f"{NOT_WHOLE} (wire type"),
    "web-page": Attack(text_file(".onnx", "<!doctype html>\n" * 40), NOT_WHOLE),
    "another-archive": Attack(file(b"PK\x03\x04" + bytes(400)), NOT_WHOLE),
    "pickle": Attack(file(b"\x80\x04\x95" + bytes(400)), NOT_WHOLE),
    "zeros": Attack(file(bytes(400)), f"{NOT_WHOLE} (a field without number"),
    "pipe": Attack(pipe(".onnx"), "not a regular file"),
    **{f"cut-at-{share}": Attack(cut(share), NOT_WHOLE) for share in (0.02, 0.3, 0.5, 0.99)},
    "no-graph": Attack(file(field(1, 9) + field(2, b"pytorch")), f"{NOT_WHOLE} (no graph in it)"),
    "two-graphs": Attack(file(2 * field(7, field(5, tensor((1,), bytes(4))))), f"{NOT_WHOLE} (several graphs in it)"),
    "no-tensors": Attack(graph(field(2, b"main")), "x.onnx: holds no tensors"),
    # the message
    "number-without-end": Attack(file(b"\xff" * 400), f"{NOT_WHOLE} (a number without end)"),
    "number-cut": Attack(file(b"\x3a\xff"), f"{NOT_WHOLE} (a number without end)"),
    "length-beyond-file": Attack(file(b"\x3a\xff\x7f" + bytes(9)), f"{NOT_WHOLE} (a field that ends after what holds"),
    "length-2^63": Attack(file(b"\x3a" + varint(2**63) + bytes(9)), f"{NOT_WHOLE} (a field that ends after what holds"),
    "length-beyond-graph": Attack(graph(b"\x2a\x7f" + bytes(9)), f"{NOT_WHOLE} (a field that ends after what holds"),
    "group": Attack(graph(b"\x0b" + bytes(9)), f"{NOT_WHOLE} (wire type 3)"),
    "name-not-text": Attack(graph(field(5, field(8, b"\xff"))), f"{NOT_WHOLE} (a name that is no text)"),
    "name-of-a-megabyte": Attack(initialiser(name="x" * 2**20), f"{NOT_WHOLE} (1048576 bytes are no name)"),
    "names-alike": Attack(graph(field(5, tensor((1,), bytes(4))) * 2), f"{NOT_WHOLE} (two tensors of one name)"),
    "segments": Attack(initialiser((1,), bytes(4), rest=field(3, b"")), f"{NOT_WHOLE} (a tensor in segments"),
    "node-without-operation": Attack(graph(field(1, b"")), f"{NOT_WHOLE} (a node without an operation)"),
    "graphs-in-graphs": Attack(nested(500), f"{NOT_WHOLE} (more than 32 graphs within graphs)"),
    # shapes
    "negative-side": Attack(initialiser((-1, -4), bytes(16)), "a claims the shape (-1, -4), which no tensor has"),
    "overflow": Attack(initialiser((2**62, 2**62), bytes(16)), "which no tensor has; fetch it again"),
    "wraps-to-16": Attack(initialiser((2**62 + 1, 4), bytes(64)), "which no tensor has; fetch it again"),
    "nothing-times-much": Attack(initialiser((0, 2**62)), "which no tensor has; fetch it again"),
    "forty-sides": Attack(initialiser([1] * 40, bytes(4)), "a claims the shape 40 sides, which no tensor has"),
    "petabyte": Attack(initialiser((10**6, 10**6), bytes(16)), "needs 4000000000000 bytes and has 16; fetch it again"),
    "petabyte-of-integers": Attack(
        initialiser((10**6, 10**6), kind=6, rest=field(5, b"\x01" * 9)), "needs 4000000000000 bytes and has 9"
    ),
    "too-many-bytes": Attack(initialiser((1,), bytes(8)), "a of shape (1,) needs 4 bytes and has 8"),
    "no-bytes": Attack(initialiser((3,)), "a of shape (3,) needs 12 bytes and has 0"),
    "floats-in-the-wrong-field": Attack(initialiser((1,), rest=field(10, bytes(8))), "needs 4 bytes and has 0"),
    "fewer-integers": Attack(
        initialiser((4,), kind=7, rest=field(7, b"\x80\x01" * 3)), "a does not hold the 4 values of its shape"
    ),
    "more-integers": Attack(
        initialiser((4,), kind=7, rest=field(7, b"\x01" * 5)), "a does not hold the 4 values of its shape"
    ),
    "integer-without-end": Attack(
        initialiser((1,), kind=7, rest=field(7, b"\xff" * 9)), "a does not hold the 1 values of its shape"
    ),
    "integer-too-long": Attack(
        initialiser((2,), kind=7, rest=field(7, b"\xff" * 11 + b"\x01")), "a does not hold the 2 values of its shape"
    ),
    "unknown-format": Attack(initialiser((1,), bytes(4), kind=99), "a is stored as ONNX's data type 99"),
    "no-format": Attack(initialiser((1,), bytes(4), kind=0), "a is stored as ONNX's data type 0"),
    "shape-of-two-lines": Attack(initialiser((3,), name=BROKEN_NAME), r"layer\nspinspectra"),
    "shape-of-a-long-name": Attack(initialiser((3,), name=LONG_NAME), "needs 12 bytes and has 0"),
    # data elsewhere
    "absolute": Attack(external(lambda folder: str(folder / "outside")), OUTSIDE),
    "above": Attack(external("../outside"), f"a is in '../outside', {OUTSIDE}"),
    "down-and-up": Attack(external("a/../../outside"), OUTSIDE),
    "backslashes": Attack(external("..\\outside"), OUTSIDE),
    "drive": Attack(external("C:outside"), OUTSIDE),
    "share": Attack(external("\\\\host\\share\\x"), OUTSIDE),
    "link-outside": Attack(external("link", prepare=link("../outside")), "a link to outside its folder; refused"),
    "folder-link-outside": Attack(
        external("link/outside", prepare=linked_folder), "a link to outside its folder; refused"
    ),
    "links-in-a-circle": Attack(external("link", prepare=circle), "a is in 'link', which cannot be read ("),
    "link-to-nothing": Attack(external("link", prepare=link("nothing")), "which is not in the folder; fetch it too"),
    "absent": Attack(external("nothing"), "a is in 'nothing', which is not in the folder; fetch it too"),
    "memory-address": Attack(external("*/_ORT_MEM_ADDR_/*", 140737488355328, 48), "which is not in the folder"),
    "a-folder": Attack(external("."), "which is not a regular file; refused"),
    "a-file-as-folder": Attack(external("data/x"), "a is in 'data/x', which cannot be read (Not a directory)"),
    "a-pipe": Attack(external("pipe", prepare=waiting_pipe), "which is not a regular file; refused"),
    "a-device": Attack(external("link", prepare=link("/dev/zero")), "a link to outside its folder; refused"),
    "itself": Attack(external("x.onnx"), "which is the model itself; export it again"),
    "itself-by-a-link": Attack(external("link", prepare=link("x.onnx")), "which is the model itself"),
    "without-location": Attack(external(None), "a is in '', which is no name of a file"),
    "location-with-zero": Attack(external("da\0ta"), "which is no name of a file"),
    "location-of-two-lines": Attack(external(BROKEN_NAME), r"a is in 'layer\nspinspectra"),
    "location-too-long": Attack(external(LONG_NAME), "which cannot be read (File name too long)"),
    "offset-beyond": Attack(external("data", 4), "a is to end at byte 52 of data, which has 48; fetch that file"),
    "offset-2^64": Attack(external("data", 2**64), "which is no number of bytes; export it again"),
    "offset-2^63": Attack(external("data", 2**63), "a is to end at byte 9223372036854775856 of data"),
    "offset-negative": Attack(external("data", -4), "a has the offset '-4', which is no number of bytes"),
    "offset-not-ascii": Attack(external("data", "٣"), "which is no number of bytes"),
    "length-other": Attack(external("data", 0, 44), "a needs 48 bytes and claims 44 in data; export it again"),
    "length-negative": Attack(external("data", 0, -1), "a has the length '-1', which is no number of bytes"),
    "shape-beyond": Attack(external("data", dims=(10**6, 10**6)), "a is to end at byte 4000000000000 of data"),
    "name-of-two-lines": Attack(external("nothing", name=BROKEN_NAME), r"layer\nspinspectra"),
}


# Small files that would become large structures, or take long to walk through.
LARGE = {
    "million-nodes": Attack(graph(field(1, field(4, b"A")) * 10**6), TOO_LARGE),
    "million-attributes": Attack(graph(field(1, field(4, b"A") + field(5, b"") * 10**6)), TOO_LARGE),
    "million-tensors": Attack(graph(field(5, b"") * 10**6), TOO_LARGE),
    "million-inputs": Attack(graph(field(1, field(1, b"") * 10**6)), TOO_LARGE),
    "million-sides": Attack(initialiser([2] * 10**6), "its graph, weights aside, is larger than"),
    "million-packed-sides": Attack(graph(field(5, field(1, b"\x02" * 4 * 10**6))), TOO_LARGE),
    "million-numbers": Attack(initialiser((1,), kind=6, rest=field(5, 1) * 10**6), TOO_LARGE),
    "long-walk": Attack(file(field(3, b"") * 2 * 10**6), TOO_LONG),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_meets_its_error(attack, tmp_path):
    error, cost = caught(read_all, attack.build(tmp_path))
    assert type(error) is WeightsError
    assert attack.message in str(error)
    assert_one_line(error)
    assert cost.seconds < 5
    assert cost.traced_bytes < 32e6
    assert cost.resident_bytes < 100e6


@pytest.mark.parametrize("attack", LARGE.values(), ids=LARGE)
def test_a_file_that_would_become_large_is_refused_in_time(attack, tmp_path):
    source = attack.build(tmp_path)
    resident, start = peak_resident_bytes(), time.perf_counter()
    with pytest.raises(WeightsError) as info:
        read_all(source)
    assert time.perf_counter() - start < 5
    assert peak_resident_bytes() - resident < 100e6
    assert attack.message in str(info.value)
    assert_one_line(info.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["million-nodes", "million-numbers"])
def test_a_file_that_would_become_large_takes_bounded_memory(name, tmp_path):
    """The two that get furthest. To watch every allocation takes ten times the time, and memory of its own."""
    _, cost = caught(read_all, LARGE[name].build(tmp_path))
    assert cost.traced_bytes < 100e6


def test_the_file_outside_would_do(tmp_path):
    """What is refused above is refused for its place: the same bytes inside the folder are read."""
    weights = open_weights(external("data", 0, 48)(tmp_path))
    np.testing.assert_array_equal(weights.read("a"), MATRIX)


def weighty(name):
    return numpy_helper.from_array(MATRIX, name)


def node(op, inputs, name="", **attributes):
    return helper.make_node(op, inputs, ["y"], name, **attributes)


# Graphs that make no sense, or make names hard to read; the tensors are all there.
ODD_GRAPHS = {
    "slashes": ([node("MatMul", ["x", "onnx::MatMul_1"], "/" * 60_000)], ["onnx::MatMul_1"]),
    "deep": ([node("MatMul", ["x", "onnx::MatMul_1"], "/a" * 30_000 + "/MatMul")], ["onnx::MatMul_1"]),
    "name-that-backtracks": ([], ["onnx::A" + "_1_Q1" * 12_000 + "!"]),
    "dots": ([node("Add", ["x", "onnx::MatMul_1"], "/a/b")], ["onnx::MatMul_1", "a." * 30_000 + "bias"]),
    "circle": ([helper.make_node("Identity", ["w"], ["b"]), helper.make_node("Identity", ["b"], ["w"])], ["w"]),
    "made-twice": ([node("Identity", ["w"]), node("Transpose", ["w"]), node("MatMul", ["x", "y"])], ["w"]),
    "many-takers": ([node("MatMul", ["x", "w"], f"/a{i}/MatMul") for i in range(20_000)], ["w"]),
    "axis-beyond": ([node("DequantizeLinear", ["w", "s"], axis=99)], ["w", "s"]),
    "block-negative": ([node("DequantizeLinear", ["w", "s"], block_size=-2**63)], ["w", "s"]),
    "n-bits-overflow": ([node("MatMulNBits", ["x", "w", "s"], N=2**62, K=2**62, block_size=8)], ["w", "s"]),
    "lstm-without-gates": ([node("LSTM", ["x", *(LSTM := ["onnx::LSTM_1", "onnx::LSTM_2"])], "/a/LSTM")], LSTM),
    "lstm-number": ([node("LSTM", ["x", "onnx::LSTM_1"], "/a/LSTM_" + "9" * 5000)], ["onnx::LSTM_1"]),
    "no-outputs": ([helper.make_node("Gather", ["w"], []), helper.make_node("Constant", [], [])], ["w"]),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "names"), ODD_GRAPHS.values(), ids=ODD_GRAPHS)
def test_odd_graphs_are_read_without_harm(nodes, names, tmp_path):
    made = helper.make_model(helper.make_graph(nodes, "g", [], [], [weighty(name) for name in names]))
    onnx.save(made, tmp_path / "x.onnx")
    start = time.perf_counter()
    weights = open_weights(tmp_path / "x.onnx")
    assert weights.names() == names
    for name in names:
        np.testing.assert_array_equal(weights.read(name), MATRIX)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("name", [LONG_NAME, BROKEN_NAME, ""], ids=["10,000-characters", "line-breaks", "empty"])
def test_names_of_any_kind_are_described_and_read(tmp_path, name):
    weights = open_weights(initialiser((3, 4), MATRIX.tobytes(), name=name)(tmp_path))
    assert weights.names() == [name]
    np.testing.assert_array_equal(weights.read(name), MATRIX)
    error, _ = caught(lambda absent: weights.read(absent), name + "?")
    assert_one_line(error)


def test_notes_of_an_exporter_are_no_code(tmp_path):
    """They are lists in Python's notation; they are looked through, never run or parsed."""
    marker = tmp_path / "EXECUTED"
    text = f"[__import__('pathlib').Path('{marker}').touch(), 'a', 'b']"
    product = node("MatMul", ["x", "val_0"])
    for key in ("name_scopes", "class_hierarchy", "fx_node"):
        product.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=text if key != "fx_node" else "[" * 100_000)
    onnx.save(helper.make_model(helper.make_graph([product], "g", [], [], [weighty("val_0")])), tmp_path / "x.onnx")
    np.testing.assert_array_equal(open_weights(tmp_path / "x.onnx").read("val_0"), MATRIX)
    assert not marker.exists()


def everything(folder):
    """A model with a bit of all that is looked at: kinds of numbers, quantised and stacked weights, data elsewhere."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 255, (6, 2, 16)).astype(np.uint8)
    arrays = {
        "w": MATRIX,
        "h": MATRIX.astype(np.float16),
        "onnx::MatMul_1": MATRIX,
        "a.bias": np.ones(4, np.float32),
        "q": codes[:, 0],
        "s": np.ones(6, np.float32),
        "n_Q4": codes,
        "n_s": np.ones((6, 2), np.float32),
        "onnx::LSTM_1": rng.normal(size=(2, 12, 5)).astype(np.float32),
        "onnx::LSTM_2": rng.normal(size=(2, 12, 3)).astype(np.float32),
        "onnx::LSTM_3": rng.normal(size=(2, 24)).astype(np.float32),
        "elsewhere": MATRIX,
    }
    inner = helper.make_graph([], "inner", [], [], [weighty("deep")])
    noted = helper.make_node("MatMul", ["x", "val_0"], ["t"])
    notes = {"name_scopes": "['', 'b', 'linear']", "class_hierarchy": "['N', 'torch.nn.modules.linear.Linear', 'l']"}
    for key, value in {**notes, "fx_node": "aten.linear.default](args = (%x, %p_b_weight))"}.items():
        noted.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=value)
    nodes = [
        noted,
        helper.make_node("MatMul", ["x", "onnx::MatMul_1"], ["/a/m"], "/a/MatMul"),
        helper.make_node("Add", ["a.bias", "/a/m"], ["z"], "/a/Add"),
        helper.make_node("DequantizeLinear", ["q", "s"], ["f"], axis=0),
        helper.make_node("MatMulNBits", ["x", "n_Q4", "n_s"], ["g"], K=64, N=6, bits=4, block_size=32),
        helper.make_node("LSTM", ["x", *(f"onnx::LSTM_{i}" for i in (1, 2, 3))], ["l"], "/r/LSTM", hidden_size=3),
        helper.make_node("If", ["c"], ["i"], "if", then_branch=inner),
        helper.make_node("Constant", [], ["k"], value=weighty("")),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in arrays.items()] + [weighty("val_0")]
    tensors += [
        helper.make_tensor("typed", 10, (4,), [1.0, 2.0, 3.0, 4.0]),
        helper.make_tensor("i", 7, (2,), [300, -1]),
    ]
    sparse = helper.make_sparse_tensor(weighty("sparse"), numpy_helper.from_array(np.arange(12), ""), [100])
    sparse.values.dims[:] = [12]
    model = helper.make_model(helper.make_graph(nodes, "g", [], [], tensors, sparse_initializer=[sparse]))
    onnx.external_data_helper.set_external_data(
        next(one for one in model.graph.initializer if one.name == "elsewhere"), "data", 0, MATRIX.nbytes
    )
    onnx.save(model, folder / "x.onnx")
    (folder / "data").write_bytes(MATRIX.tobytes())
    return folder / "x.onnx"


def test_the_model_that_is_garbled_below_is_whole(tmp_path):
    weights = open_weights(everything(tmp_path))
    unread = {"sparse"}
    assert {"a.weight", "b.weight", "r.weight_ih_l0_reverse", "n", "q", "deep", "k", "elsewhere"} <= {*weights.names()}
    for name in set(weights.names()) - unread:
        assert weights.read(name).shape == weights.info(name).shape


@pytest.mark.parametrize("seed", range(60))
def test_garbled_files_give_weights_or_one_line(tmp_path, seed):
    garble(everything(tmp_path), seed)
    with measured() as cost:
        visit(tmp_path / "x.onnx")
    assert cost.seconds < 5
    assert cost.traced_bytes < 32e6


def garble(path, seed):
    """Bytes overwritten, cut out, put in or cut off at random, in the part before the numbers as often as elsewhere."""
    rng, raw = np.random.default_rng(seed), bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(raw)))
        match rng.integers(8):
            case 0:
                del raw[at : at + int(rng.integers(1, 9))]
            case 1:
                raw[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 2:
                raw[at] ^= 1 << int(rng.integers(8))
            case _:
                raw[at] = int(rng.integers(256))
    path.write_bytes(raw[: rng.integers(len(raw))] if seed % 10 == 0 else raw)


def visit(path):
    """All headers and numbers; nothing but a WeightsError may come out."""
    try:
        weights = open_weights(path)
    except WeightsError as error:
        assert_one_line(error)
        return
    for name in weights.names():
        shape = weights.info(name).shape
        try:
            assert weights.read(name).shape == shape
        except WeightsError as error:
            assert_one_line(error)
