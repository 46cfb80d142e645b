"""Hostile .keras and .h5 files: one line, nothing run, no other file opened, little time and little memory."""

import io
import json
import struct
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spinspectra import describe, open_weights
from spinspectra.errors import WeightsError
from tests.attacks.build import BROKEN_NAME, LONG_NAME, MARKER, PETABYTES, empty_file, pipe, text_file
from tests.attacks.cost import measured
from tests.attacks.test_attacks import assert_one_line, caught, read_all

Change = Callable[[h5py.File], Any]


def h5(change: Change, name: str = "x.h5", **options: Any) -> Callable[[Path], Path]:
    """A file of h5py's with one good matrix and whatever `change` makes of it."""

    def build(folder: Path) -> Path:
        with h5py.File(folder / "outside.h5", "w") as file:
            file["a"] = np.ones((2, 2), "f4")
        with h5py.File(folder / name, "w", **options) as file:
            file["good"] = np.ones((2, 2), "f4")
            change(file)
        return folder / name

    return build


def keras3(file: h5py.File) -> None:
    """One dense layer as Keras 3 stores it."""
    group = file.create_group("layers/dense/vars")
    group["0"], group["1"] = np.arange(12, dtype="f4").reshape(4, 3), np.ones(3, "f4")
    group.attrs["name"] = "dense"


def legacy(layers: list[str], weights: list[str]) -> Change:
    def change(file: h5py.File) -> None:
        file.attrs["layer_names"] = np.array([name.encode() for name in layers])
        group = file.create_group("dense")
        group["dense/kernel:0"] = np.ones((4, 3), "f4")
        group.attrs["weight_names"] = np.array([name.encode() for name in weights])

    return change


def weights_bytes(change: Change = keras3) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        change(file)
    return buffer.getvalue()


def archive(
    weights: bytes | None = None,
    config: bytes = b"{}",
    compression: int = zipfile.ZIP_STORED,
    name: str = "model.weights.h5",
) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "x.keras", "w") as file:
            file.writestr("config.json", config, zipfile.ZIP_DEFLATED if len(config) > 1000 else zipfile.ZIP_STORED)
            file.writestr(name, weights_bytes() if weights is None else weights, compression)
        return folder / "x.keras"

    return build


def patched(change: Change, old: bytes, new: bytes, at: int = 0, **options: Any) -> Callable[[Path], Path]:
    """The same, with bytes replaced: the first `old` from byte `at` on."""

    def build(folder: Path) -> Path:
        path = h5(change, **options)(folder)
        raw = path.read_bytes()
        where = raw.index(old, at)
        path.write_bytes(raw[:where] + new + raw[where + len(old) :])
        return path

    return build


def cut(suffix: str, share: float) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = archive()(folder) if suffix == ".keras" else h5(keras3)(folder)
        raw = path.read_bytes()
        path.write_bytes(raw[: int(len(raw) * share)])
        return path

    return build


def claims(shape: tuple[int, ...], **options: Any) -> Change:
    """A dataset of which nothing is written."""
    return lambda file: file.create_dataset("bomb", shape=shape, dtype="f8", **options)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(2, 2), dtype="f4")
    layout[:] = h5py.VirtualSource("outside.h5", "a", shape=(2, 2))
    file.create_virtual_dataset("elsewhere", layout)


def lying_archive(folder: Path) -> Path:
    """Its directory claims that the weights take 3 GB."""
    path = archive()(folder)
    size = len(weights_bytes())
    true, false = struct.pack("<II", size, size), struct.pack("<II", *[3_000_000_000] * 2)
    path.write_bytes(path.read_bytes().replace(true, false))
    return path


def cycle(file: h5py.File) -> None:
    file.create_group("a/b")
    file["a/b/c"] = file["a"]


def tower(file: h5py.File) -> None:
    """Groups of two links each to the next: 2^60 paths."""
    for i in range(60, 0, -1):
        group = file.create_group(f"g{i}", track_order=False)
        if i < 60:
            group["left"] = group["right"] = file[f"g{i + 1}"]


def inflating_chunk(file: h5py.File) -> None:
    """A chunk of 16 values whose compressed bytes become 100 MB."""
    import zlib

    data = file.create_dataset("bomb", shape=(16,), dtype="f8", chunks=(16,), compression="gzip")
    data.id.write_direct_chunk((0,), zlib.compress(bytes(100_000_000), 1))


def empty_chunk(file: h5py.File) -> None:
    """A few bytes that stand for a chunk of 2 GB in a dataset that may grow."""
    data = file.create_dataset("bomb", shape=(1,), dtype="f8", chunks=(2**28,), maxshape=(None,), compression="gzip")
    data.id.write_direct_chunk((0,), b"\x78\x9c\x03\x00\x00\x00\x00\x01")


def wrong_chunk(file: h5py.File) -> None:
    data = file.create_dataset("bomb", shape=(16,), dtype="f8", chunks=(16,), compression="gzip")
    data.id.write_direct_chunk((0,), b"not compressed")


def named_in_two_lines(file: h5py.File) -> None:
    file["a\nspinspectra: all is well\x1b[2J"] = h5py.SoftLink("/good")


def int8_with_a_scale_of_text(file: h5py.File) -> None:
    policy = {"class_name": "DTypePolicy", "config": {"mode": "int8"}}
    layer = {"class_name": "Dense", "config": {"name": "dense", "dtype": policy}}
    file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
    weights = file.create_group("model_weights")
    weights.attrs["layer_names"] = ["dense"]
    group = weights.create_group("dense")
    group["dense/kernel"], group["dense/kernel_scale"] = np.ones((4, 3), "i1"), np.array([b"a", b"b", b"c"])
    group.attrs["weight_names"] = ["dense/kernel", "dense/kernel_scale"]


@dataclass(frozen=True)
class Attack:
    build: Callable[[Path], Any]
    message: str


NOT_HDF5 = "not a whole HDF5 file"
NO_ARCHIVE = "x.keras: not a whole .keras archive"
AGAIN = "save it again"
NUMBER = struct.pack("<Q", PETABYTES)

ATTACKS = {
    # plain files
    "empty-h5": Attack(empty_file(".h5"), "x.h5: the file is empty; save it again"),
    "empty-keras": Attack(empty_file(".keras"), "x.keras: the file is empty; save it again"),
    "web-page-h5": Attack(text_file(".h5", "<html>\n" * 40), f"x.h5: {NOT_HDF5} (no HDF5 signature at its start)"),
    "web-page-keras": Attack(text_file(".keras", "<html>\n" * 40), f"{NOT_HDF5} (no HDF5 signature"),
    "short-h5": Attack(text_file(".h5", "x"), NOT_HDF5),
    "zip-in-name-only": Attack(text_file(".keras", "PK\3\4"), NO_ARCHIVE),
    "pipe-h5": Attack(pipe(".h5"), "not a regular file"),
    "pipe-keras": Attack(pipe(".keras"), "not a regular file"),
    **{f"cut-h5-{share}": Attack(cut(".h5", share), NOT_HDF5) for share in (0.001, 0.01, 0.1, 0.5, 0.9, 0.999)},
    **{f"cut-keras-{share}": Attack(cut(".keras", share), NO_ARCHIVE) for share in (0.01, 0.1, 0.5, 0.9, 0.999)},
    # ways out of the file
    "external-link": Attack(
        h5(lambda file: file.__setitem__("out", h5py.ExternalLink("outside.h5", "/a"))),
        "x.h5: has a link to another file, 'out'; refused",
    ),
    "external-link-within": Attack(
        h5(lambda file: file.create_group("g/h").__setitem__("out", h5py.ExternalLink("/etc/passwd", "/a"))),
        "has a link to another file, 'g/h/out'; refused",
    ),
    "external-storage": Attack(
        h5(lambda file: file.create_dataset("a", (2, 2), "f4", external=[("outside.h5", 0, 16)])),
        "x.h5: keeps 'a' in another file (external storage); refused",
    ),
    "virtual": Attack(h5(virtual, libver="latest"), "has a virtual dataset, 'elsewhere', whose values are in other"),
    "virtual-older": Attack(h5(virtual), "refused"),
    "soft-link": Attack(
        h5(lambda file: file.__setitem__("a", h5py.SoftLink("/good"))), "has a soft link, 'a'; refused"
    ),
    "soft-link-newer": Attack(
        h5(lambda file: file.__setitem__("a", h5py.SoftLink("/good")), libver="latest"), "has a soft link, 'a'; refused"
    ),
    "soft-link-circle": Attack(
        h5(lambda file: (file.__setitem__("a", h5py.SoftLink("/b")), file.__setitem__("b", h5py.SoftLink("/a")))),
        "has a soft link, 'a'; refused",
    ),
    "soft-link-of-two-lines": Attack(h5(named_in_two_lines), r"has a soft link, 'a\nspinspectra: all is well\x1b[2J'"),
    "circle": Attack(h5(cycle), "links the group 'a/b/c' twice, which Keras never does; refused"),
    "root-in-itself": Attack(h5(lambda file: file.__setitem__("a", file["/"])), "links the group 'a' twice"),
    "tower": Attack(h5(tower), "twice, which Keras never does; refused"),
    "too-deep": Attack(h5(lambda file: file.create_group("/".join("x" * 100))), "groups nested deeper than 64"),
    # claims
    "unwritten": Attack(h5(claims((PETABYTES,))), f"bomb claims {8 * PETABYTES} bytes and stores 0"),
    "unwritten-chunks": Attack(
        h5(claims((PETABYTES,), chunks=(1000,))), "bytes in 1000000000000 chunks and stores 0 in 0"
    ),
    "unwritten-gzip": Attack(h5(claims((10**6, 10**9), chunks=(100, 100), compression="gzip")), "and stores 0 in 0"),
    "sides-beyond-64-bits": Attack(
        patched(claims((7, 11, 13)), struct.pack("<QQQ", 7, 11, 13), struct.pack("<QQQ", *[2**40] * 3)),
        "(an array of shape (1099511627776, 1099511627776, 1099511627776))",
    ),
    "sides-that-wrap-to-few": Attack(
        patched(
            lambda file: file.__setitem__("a", np.ones((7, 9))),
            struct.pack("<QQ", 7, 9),
            struct.pack("<QQ", 2**32, 2**32),
        ),
        "(an array of shape (4294967296, 4294967296))",
    ),
    "sides-of-nothing": Attack(
        patched(claims((7, 11, 13)), struct.pack("<QQQ", 7, 11, 13), struct.pack("<QQQ", 0, 2**40, 2**40)),
        "(an array of shape (0, ",
    ),
    "more-than-stored": Attack(
        patched(
            lambda file: file.__setitem__("a", np.ones((7, 9))), struct.pack("<QQ", 7, 9), struct.pack("<QQ", 7, 8)
        ),
        "a claims 448 bytes and stores 504",
    ),
    "inflating-chunk": Attack(h5(inflating_chunk), "x.h5: bomb cannot be read (a chunk of more than 132 bytes)"),
    "empty-chunk": Attack(h5(empty_chunk), "bomb claims 8 bytes in 1 chunks and stores 8 in 1"),
    "wrong-chunk": Attack(h5(wrong_chunk), "x.h5: bomb cannot be read (Error -3 while decompressing data"),
    "lzf": Attack(
        h5(lambda file: file.create_dataset("a", data=np.ones(9), compression="lzf")),
        "compresses 'a' with lzf; save it again with gzip",
    ),
    # pointers
    "no-tree": Attack(
        patched(lambda file: None, b"TREE\0\0", b"THEE\0\0"), f"{NOT_HDF5} (no TREE where one is referred to)"
    ),
    "no-leaves": Attack(patched(lambda file: None, b"TREE\0\0", b"TREE\0\1"), f"{NOT_HDF5} (no TREE where one is"),
    "tree-of-chunks-for-names": Attack(patched(lambda file: None, b"TREE\0\0", b"TREE\1\0"), "a B-tree node of kind 1"),
    "tree-too-high": Attack(
        patched(lambda file: None, b"TREE\0\0", b"TREE\0\xff"), "a B-tree node of kind 0 and level 255"
    ),
    "names-beyond-the-file": Attack(
        patched(lambda file: None, b"HEAP\0\0\0\0\x58\0", b"HEAP\0\0\0\0" + b"\xff\xff"), f"{NOT_HDF5} (65535 bytes at"
    ),
    "file-ends-early": Attack(
        lambda folder: (path := h5(keras3)(folder)).write_bytes(path.read_bytes()[:-8]) and path, f"{NOT_HDF5} ("
    ),
    "superblock-9": Attack(
        patched(lambda file: None, b"\n\0\0\0\0\0\x08\x08", b"\n\x09\0\0\0\0\x08\x08"), "superblock version 9"
    ),
    "small-addresses": Attack(
        patched(lambda file: None, b"\0\x08\x08\0", b"\0\x04\x04\0"), "addresses that are not of 8"
    ),
    "user-block": Attack(h5(lambda file: None, userblock_size=512), "no HDF5 signature at its start"),
    # lists of names
    "layer-not-there": Attack(h5(legacy(["dense", "b\nc"], [])), r"lists the layer 'b\nc', which is not in it"),
    "weights-not-there": Attack(h5(legacy(["dense"], ["x"])), "lists the weights 'x', which are not in it"),
    "weights-above": Attack(h5(legacy(["dense"], ["../good"])), "lists the weights '../good', which are not in it"),
    "weights-from-the-root": Attack(h5(legacy(["dense"], ["/good"])), "lists the weights '/good', which are not in it"),
    "weights-a-group": Attack(h5(legacy(["dense"], ["dense"])), "lists the weights 'dense', which are not in it"),
    "weights-twice": Attack(h5(legacy(["dense"] * 2, ["dense/kernel:0"])), "lists the weights 'dense/kernel:0' twice"),
    "weights-of-long-names": Attack(h5(legacy(["dense"], [LONG_NAME])), "(10000 characters)', which are not in it"),
    "layers-without-end": Attack(
        h5(lambda file: [file.attrs.__setitem__(f"layer_names{i}", np.zeros(60_000, "S1")) for i in range(4)]),
        "lists more than 200000 names in layer_names",
    ),
    "no-layers": Attack(h5(legacy([], [])), "x.h5: holds no weights"),
    "no-floats": Attack(lambda folder: h5(lambda file: file.__delitem__("good"))(folder), "x.h5: holds no weights"),
    # values
    "text-for-a-matrix": Attack(
        h5(lambda file: file.create_group("layers/dense/vars").__setitem__("0", np.array([b"text", b"more"]))),
        "layers.dense.vars.0 holds |S4 values, which are not real numbers",
    ),
    "strings-for-a-matrix": Attack(
        h5(lambda file: file.create_group("layers/dense/vars").__setitem__("0", ["text", "more"])),
        "layers.dense.vars.0 holds |V16 values, which are not real numbers",
    ),
    "references-for-a-matrix": Attack(
        h5(lambda file: file.create_dataset("layers/dense/vars/0", data=file["good"].ref, dtype=h5py.ref_dtype)),
        "layers.dense.vars.0 holds |V8 values, which are not real numbers",
    ),
    "complex": Attack(
        h5(lambda file: file.create_dataset("layers/dense/vars/0", data=np.ones((2, 2), "c8"))),
        "holds |V8 values, which",
    ),
    "int8-with-a-scale-of-text": Attack(
        h5(int8_with_a_scale_of_text), "dense.kernel holds |S1 values, which are not real"
    ),
    # archives
    "compressed-weights": Attack(
        archive(compression=zipfile.ZIP_DEFLATED), "compressed inside, as Keras never writes it"
    ),
    "bomb-for-weights": Attack(
        archive(bytes(30_000_000), compression=zipfile.ZIP_DEFLATED), "compressed inside, as Keras never writes it"
    ),
    "without-weights": Attack(
        archive(name="a\nb"), r"an archive without model.weights.h5 (it holds config.json, a\nb)"
    ),
    "weights-that-are-none": Attack(archive(b"nothing"), f"x.keras: {NOT_HDF5} (no HDF5 signature"),
    "weights-that-are-empty": Attack(archive(b""), f"x.keras: {NOT_HDF5}"),
    "lying-directory": Attack(lying_archive, "model.weights.h5 claims 3000000000 bytes, more than are there"),
    "link-in-an-archive": Attack(
        archive(weights_bytes(lambda file: file.__setitem__("out", h5py.ExternalLink("outside.h5", "/a")))),
        "x.keras: has a link to another file, 'out'; refused",
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_meets_its_error(attack: Attack, folder: Path) -> None:
    source = attack.build(folder)
    error, cost = caught(read_all, source)
    assert type(error) is WeightsError
    assert attack.message in str(error)
    assert_one_line(error)
    assert cost.seconds < 5
    assert cost.traced_bytes < 32e6
    assert cost.resident_bytes < 100e6


def nested(depth: int) -> bytes:
    return b'{"class_name": "Functional", "config": {"layers": [' * depth + b"]}}" * depth


CONFIGS = {
    "not json": b"<html>",
    "not utf-8": b'{"class_name": "\xff"}',
    "a list": b"[]",
    "lists in lists": b"[" * 100_000,
    "models in models": nested(20_000),
    "digits": b'{"class_name": "Dense", "config": {"name": ' + b"9" * 5000 + b"}}",
    "zeros": bytes(50_000_000),
    "many small": b"[" + b"{}," * 699_000 + b"1]",
    "wrong types": json.dumps(
        {"class_name": "Functional", "config": {"layers": [3, None, {"class_name": 1}, {}]}}
    ).encode(),
    "names of anything": json.dumps(
        {"class_name": "Functional", "config": {"layers": [{"class_name": "Dense", "config": {"name": {"a": 1}}}]}}
    ).encode(),
    "half a character": b'{"class_name": "Functional", "config": {"layers": [{"class_name": "Dense", "config": '
    b'{"name": "\\ud800", "units": 3}}]}}',
    "code": json.dumps(
        {
            "class_name": "Functional",
            "module": "os",
            "registered_name": "os>system",
            "config": {
                "layers": [
                    {
                        "module": "keras.layers",
                        "class_name": "Lambda",
                        "config": {
                            "name": "dense",
                            "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAA=="}},
                            "arguments": {"open": MARKER},
                        },
                    },
                    {"module": "builtins", "class_name": "exec", "config": {"name": f"open('{MARKER}', 'w')"}},
                ]
            },
        }
    ).encode(),
}


@pytest.mark.parametrize("labelled", [True, False], ids=["names", "no names"])
@pytest.mark.parametrize("case", CONFIGS)
def test_no_config_does_more_than_name_layers(folder: Path, case: str, labelled: bool) -> None:
    """Weights are read whatever the config says; where it says nothing, the file's own names stand."""

    def change(file: h5py.File) -> None:
        keras3(file)
        if not labelled:
            del file["layers/dense/vars"].attrs["name"]

    path = archive(weights_bytes(change), CONFIGS[case])(folder)
    with measured() as cost:
        weights = open_weights(path)
        (kernel,) = (name for name in weights.names() if weights.info(name).size == 12)
        values = weights.read(kernel)
    np.testing.assert_array_equal(values, np.arange(12).reshape(4, 3))
    known = ("dense.kernel", "layers.dense.kernel", r"\ud800.kernel", "dense.vars.0")
    assert kernel in known
    assert kernel.isprintable()
    assert len(describe(path)) == 2
    assert not (folder / MARKER).exists()
    assert cost.seconds < 10
    assert cost.resident_bytes < 100e6


def test_a_config_of_many_members_for_many_groups_is_looked_up_once(folder: Path) -> None:
    """Hundreds of groups that all say to be one layer, which has tens of thousands in it."""
    dense = {"class_name": "Dense", "config": {}}
    inner = {"class_name": "Functional", "config": {"name": "inner", "layers": [dense] * 40_000}}
    config = json.dumps({"class_name": "Functional", "config": {"layers": [inner]}}).encode()

    def change(file: h5py.File) -> None:
        for i in range(400):
            group = file.create_group(f"layers/functional_{i}/vars")
            group.attrs["name"] = "inner"
            group["0"] = np.ones(2, "f4")

    path = archive(weights_bytes(change), config)(folder)
    start = time.perf_counter()
    assert len(open_weights(path).names()) == 400
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "name", [LONG_NAME, BROKEN_NAME, "", "../..", "a/b"], ids=["long", "lines", "none", "up", "a/b"]
)
def test_names_of_any_kind_are_described_and_read(folder: Path, name: str) -> None:
    def change(file: h5py.File) -> None:
        keras3(file)
        file["layers/dense/vars"].attrs["name"] = name

    path = archive(weights_bytes(change))(folder)
    weights = open_weights(path)
    assert len(describe(path)) == 2
    for tensor in weights.names():
        weights.read(tensor)
        assert_one_line(caught(weights.read, f"{tensor}?")[0])


def test_a_file_that_ends_or_goes_while_it_is_open(folder: Path) -> None:
    for build in (h5(keras3), archive()):
        path = build(folder)
        weights = open_weights(path)
        kernel = weights.names()[0]
        path.write_bytes(path.read_bytes()[:100])
        error, _ = caught(weights.read, kernel)
        assert "cannot be read (" in str(error)
        assert_one_line(error)
        path.unlink()
        error, _ = caught(weights.read, kernel)
        assert "cannot be read (No such file or directory)" in str(error)


def legacy_int8(file: h5py.File) -> None:
    int8_with_a_scale_of_text(file)
    del file["model_weights/dense/dense/kernel_scale"]
    file["model_weights/dense/dense/kernel_scale"] = np.ones(3, "f4")


def chunked(file: h5py.File) -> None:
    rng = np.random.default_rng(0)
    file.create_dataset("g/a", data=rng.normal(size=(20, 30)), chunks=(7, 8), compression="gzip", shuffle=True)
    file.create_dataset("g/b", data=rng.normal(size=(20, 30)), chunks=(7, 8), fletcher32=True)


def large_group(file: h5py.File) -> None:
    for i in range(60):
        file[f"layers/dense_{i}/vars/0"] = np.ones((2, 3), "f4")


FUZZED = {
    "keras": archive(config=nested(3)),
    "keras3": h5(keras3),
    "legacy": h5(legacy(["dense"], ["dense/kernel:0"])),
    "int8": h5(legacy_int8),
    "chunked": h5(chunked),
    "newer": h5(large_group, libver="latest"),
}


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("case", FUZZED)
def test_garbled_files_give_weights_or_one_line(folder: Path, case: str, seed: int) -> None:
    """Bytes overwritten, addresses bent or the end cut off at random; nothing but a WeightsError may come out."""
    rng, path = np.random.default_rng(seed), FUZZED[case](folder)
    raw = bytearray(path.read_bytes())
    for position in rng.integers(len(raw), size=rng.integers(1, 8)):
        if seed % 2:
            raw[position] = rng.integers(256)
        else:
            bent = int(rng.choice([0, 96, len(raw) - 1, 2**31, 2**62]))
            raw[position : position + 8] = struct.pack("<Q", bent)
    path.write_bytes(raw[: rng.integers(len(raw))] if seed % 5 == 0 else raw)
    with measured() as cost:
        try:
            read_all(path)
        except WeightsError as error:
            assert_one_line(error)
    assert cost.seconds < 5
    assert cost.traced_bytes < 32e6
