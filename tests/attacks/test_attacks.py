"""Every attack meets the error due to it: one line, nothing run, little time and little memory."""

import math
import pickle
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spinspectra import IsingChain, describe, open_weights
from spinspectra.errors import NonFiniteError, SpinSpectraError, WeightsError
from tests.attacks import build
from tests.attacks.build import BROKEN_NAME, LONG_NAME, MARKER, entry, npy_header, npz, safetensors
from tests.attacks.cost import measured


def read_all(source):
    weights = open_weights(source)
    for name in weights.names():
        weights.info(name)
        weights.read(name)


@dataclass(frozen=True)
class Attack:
    """What to build, what its error says, of which class it is, and what the victim does."""

    build: Any
    message: str
    error: type[SpinSpectraError] = WeightsError
    victim: Any = read_all


CUT = "not a whole safetensors file"
NOT_TORCH = "x.bin: not a whole PyTorch file"
NO_ARCHIVE = "x.npz: not a whole .npz archive"
REFUSED = "refused, opening it would run code"
OUTSIDE = "which is outside its folder; refused"

ATTACKS = {
    # plain files
    "missing": Attack(build.missing_path, "absent.safetensors: no such file or folder"),
    "path-too-long": Attack(build.endless_path, "no such file or folder"),
    "path-of-two-lines": Attack(build.path_with_a_line_break, r"a\nb.bin: no such file or folder"),
    "empty-safetensors": Attack(build.empty_file(".safetensors"), "the file is empty; fetch it again"),
    "empty-bin": Attack(build.empty_file(".bin"), "the file is empty; fetch it again"),
    "empty-npz": Attack(build.empty_file(".npz"), NO_ARCHIVE),
    "lfs-pointer-safetensors": Attack(build.text_file(".safetensors", "version https://git-lfs\n" * 4), CUT),
    "lfs-pointer-bin": Attack(build.text_file(".bin", "version https://git-lfs\n" * 4), "x.bin: not a PyTorch file"),
    "web-page-npz": Attack(build.text_file(".npz", "<html>\n" * 40), NO_ARCHIVE),
    "unknown-suffix": Attack(build.text_file(".exe", "MZ"), "no reader for .exe; known: .safetensors"),
    "pipe-safetensors": Attack(build.pipe(".safetensors"), "not a regular file"),
    "pipe-bin": Attack(build.pipe(".bin"), "not a regular file"),
    "pipe-npz": Attack(build.pipe(".npz"), "not a regular file"),
    # safetensors
    "cut-in-length": Attack(build.safetensors_cut(lambda size, header: 5), f"{CUT} (header too small"),
    "cut-in-header": Attack(build.safetensors_cut(lambda size, header: 8 + header // 2), f"{CUT} (invalid header len"),
    "cut-before-data": Attack(build.safetensors_cut(lambda size, header: 8 + header), f"{CUT} (incomplete metadata"),
    "cut-in-data": Attack(build.safetensors_cut(lambda size, header: size - 1), f"{CUT} (incomplete metadata"),
    "header-beyond-file": Attack(safetensors({}, 0, length=1000), f"{CUT} (invalid header length"),
    "header-of-100-MB": Attack(safetensors({}, 0, length=10**8), CUT),
    "header-2^63": Attack(safetensors({}, 0, length=2**63), f"{CUT} (header too large"),
    "header-2^64-1": Attack(safetensors({}, 0, length=2**64 - 1), f"{CUT} (header too large"),
    "header-not-json": Attack(safetensors(b"hello\nworld", 4), f"{CUT} (invalid JSON in header"),
    "header-not-utf8": Attack(safetensors(b'{"\xff": 1}', 4), f"{CUT} (invalid UTF-8 in header"),
    "header-a-list": Attack(safetensors([1, 2], 4), CUT),
    "header-nested": Attack(safetensors(b'{"a":' + b"[" * 100_000, 4), f"{CUT} (invalid JSON in header"),
    "header-without-tensors": Attack(safetensors({}, 0), "x.safetensors: holds no tensors"),
    "metadata-alone": Attack(safetensors({"__metadata__": {"format": "pt"}}, 0), "holds no tensors"),
    "overlap": Attack(safetensors({"a": entry([1], 0, 4), "b": entry([1], 2, 6)}, 6), "invalid offset for tensor `b`"),
    "same-bytes": Attack(safetensors({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, 4), "invalid offset for tensor"),
    "gap": Attack(safetensors({"a": entry([1], 4, 8)}, 8), "invalid offset for tensor `a`"),
    "backwards": Attack(safetensors({"a": entry([1], 4, 0)}, 8), CUT),
    "beyond-file": Attack(safetensors({"a": entry([1000], 0, 4000)}, 4), f"{CUT} (incomplete metadata"),
    "data-left-over": Attack(safetensors({"a": entry([1], 0, 4)}, 9), f"{CUT} (incomplete metadata"),
    "shape-against-bytes": Attack(safetensors({"a": entry([3], 0, 4)}, 4), f"{CUT} (invalid shape"),
    "shape-overflow": Attack(safetensors({"a": entry([2**32, 2**32], 0, 4)}, 4), f"{CUT} (overflow computing"),
    "shape-wraps-to-4": Attack(safetensors({"a": entry([2**62 + 1, 4], 0, 16)}, 16), f"{CUT} (overflow computing"),
    "shape-negative": Attack(safetensors({"a": entry([-1, -1], 0, 4)}, 4), f"{CUT} (invalid JSON in header"),
    "unknown-dtype": Attack(safetensors({"a": entry([1], 0, 4, "Z9\n")}, 4), r"unknown variant `Z9\n`"),
    "packed-dtype": Attack(safetensors({"a": entry([2], 0, 1, "F4")}, 1), "stored as float4_e2m1fn, a packed format"),
    "complex-dtype": Attack(safetensors({"a": entry([1], 0, 8, "C64")}, 8), "a holds complex64 values, which are not"),
    # folders and indices
    "shard-absent": Attack(build.weight_map("b.safetensors"), "names the shard b.safetensors, which is not in"),
    "shard-above": Attack(build.weight_map("../outside.safetensors"), f"'../outside.safetensors', {OUTSIDE}"),
    "shard-down-and-up": Attack(build.weight_map("a/../../outside.safetensors"), OUTSIDE),
    "shard-absolute": Attack(build.absolute_shard, f"outside.safetensors', {OUTSIDE}"),
    "shard-backslashes": Attack(build.weight_map("..\\outside.safetensors"), OUTSIDE),
    "shard-drive": Attack(build.weight_map("C:outside.safetensors"), OUTSIDE),
    "shard-share": Attack(build.weight_map("\\\\host\\share\\x.safetensors"), OUTSIDE),
    "shard-a-folder": Attack(build.weight_map("."), "names the shard ., which is not in the folder"),
    "shard-without-name": Attack(build.weight_map(""), "which is not in the folder"),
    "shard-of-two-lines": Attack(build.weight_map(BROKEN_NAME), r"names the shard layer\nspinspectra"),
    "shard-too-long": Attack(build.weight_map(LONG_NAME), "cannot be read (File name too long)"),
    "shard-a-number": Attack(build.index({"weight_map": {"a": 3}}), "the shard of a is no file name"),
    "shard-null": Attack(build.index({"weight_map": {BROKEN_NAME: None}}), r"the shard of layer\nspin"),
    "shard-lacks-tensor": Attack(build.weight_map("a.safetensors", "b"), "b should be in a.safetensors and is not"),
    "shard-lacks-two-lines": Attack(build.weight_map("a.safetensors", BROKEN_NAME), "should be in a.safetensors"),
    "index-not-json": Attack(build.index("<html>\n"), "index.json: not readable as JSON"),
    "index-empty": Attack(build.index(""), "index.json: not readable as JSON"),
    "index-nested": Attack(build.index("[" * 100_000), "index.json: not readable as JSON"),
    "index-a-list": Attack(build.index([1]), "index.json: holds a list, not a JSON object"),
    "index-without-map": Attack(build.index({"metadata": {}}), "index.json: has no weight_map"),
    "index-map-empty": Attack(build.index({"weight_map": {}}), "index.json: has no weight_map"),
    "index-map-a-list": Attack(build.index({"weight_map": ["a"]}), "index.json: has no weight_map"),
    "several-files": Attack(build.several_files, "2 .safetensors files and no index (a.safetensors, b.safetensors)"),
    "config-not-json": Attack(build.config(b'{"n_head": '), "config.json: not readable as JSON"),
    "config-not-utf8": Attack(build.config(b'{"\xff": 1}'), "config.json: not readable as JSON"),
    "config-a-list": Attack(build.config(b"[]"), "config.json: holds a list, not a JSON object"),
    "config-nested": Attack(build.config(b"[" * 100_000), "config.json: not readable as JSON"),
    "config-number": Attack(build.config(b'{"n_head": ' + b"9" * 5000 + b"}"), "config.json: not readable as JSON"),
    "config-of-64-GiB": Attack(build.huge_config, "config.json: 68719476736 bytes are no configuration"),
    # PyTorch
    "payload-zip": Attack(build.torch_payload(zipped=True), f"{REFUSED} or build objects besides tensors"),
    "payload-raw": Attack(build.torch_payload(zipped=False), f"{REFUSED} or build objects besides tensors"),
    "payload-pickle-2": Attack(build.raw_pickle(2), REFUSED),
    "payload-pickle-4": Attack(build.raw_pickle(4), "pickled with a protocol above 3, which cannot be read safely"),
    "pickled-module": Attack(build.torch_file({"m": torch.nn.Linear(2, 2)}), "(torch.nn.modules.linear.Linear)"),
    "cut-zip": Attack(build.torch_cut(0.5, zipped=True), NOT_TORCH),
    "cut-zip-at-its-end": Attack(build.torch_cut(0.999, zipped=True), NOT_TORCH),
    "cut-raw": Attack(build.torch_cut(0.5, zipped=False), NOT_TORCH),
    "cut-raw-early": Attack(build.torch_cut(0.005, zipped=False), "x.bin: not a "),
    "deflated": Attack(build.torch_deflated, "compressed inside, as PyTorch never writes it"),
    "no-tensors": Attack(build.torch_file({"epoch": 3}), "holds no tensors by name; save model.state_dict()"),
    "no-names": Attack(build.torch_file([torch.ones(2)]), "holds no tensors by name"),
    "stride-0": Attack(
        build.torch_file({"a": torch.ones(1).expand(10**6, 10**6)}), "a claims 4000000000000 bytes, more than the whole"
    ),
    "sparse": Attack(build.torch_sparse, "a claims 4000000000000 bytes, more than the whole file"),
    "meta": Attack(build.torch_file({"a": torch.ones(2, device="meta")}), "x.bin: a is on the meta device"),
    # npz
    "objects": Attack(build.npz_of_objects, "a.npy holds Python objects, which could run code"),
    "objects-in-header": Attack(npz(npy_header((1,), "|O"), 8), "a.npy holds Python objects"),
    "header-claims-more": Attack(npz(npy_header((4,)), 24), "a.npy claims 32 bytes of data and has 24"),
    "header-claims-less": Attack(npz(npy_header((2,)), 24), "a.npy claims 16 bytes of data and has 24"),
    "bomb": Attack(npz(npy_header((build.PETABYTES,))), "a.npy claims 8000000000000000 bytes of data and has 0"),
    "bomb-beyond-64-bits": Attack(npz(npy_header((10**30,))), "bytes of data and has 0"),
    "bomb-wraps": Attack(npz(npy_header((2**32, 2**32))), "bytes of data and has 0"),
    "lying-directory": Attack(build.npz_lying_directory, "claims 3200000"),
    "lying-twice": Attack(build.npz_lying_twice, "more than its file"),
    "negative-shape": Attack(npz(npy_header((-2, -2)), 32), "a.npy claims the shape (-2, -2)"),
    "boolean-shape": Attack(npz(npy_header((True,)), 8), "a.npy claims the shape (True,)"),
    "header-runs-code": Attack(npz("__import__('os').system('touch EXECUTED')"), NO_ARCHIVE),
    "header-of-brackets": Attack(npz("[" * 9000), NO_ARCHIVE),
    "header-of-signs": Attack(npz("-" * 9000 + "1"), NO_ARCHIVE),
    "header-too-long": Attack(npz(npy_header((1,)) + " " * 60_000, 8), NO_ARCHIVE),
    "header-bad-dtype": Attack(npz(npy_header((1,), "zz\n"), 8), NO_ARCHIVE),
    "npy-version-9": Attack(npz(npy_header((1,)), 8, version=9), "a.npy is .npy version (9, 0)"),
    "npy-version-3": Attack(npz(npy_header((1,)), 8, version=3), "a.npy is .npy version (3, 0)"),
    "void-dtype": Attack(npz(npy_header((1,), "|V2"), 2), "a holds |V2 values, which are not real numbers"),
    "member-of-two-lines": Attack(npz(npy_header((4,)), 0, member="a\nb.npy"), r"a\nb.npy claims 32 bytes"),
    "bzip2": Attack(npz(npy_header((1,)), 8, zipfile.ZIP_BZIP2), "compressed in a way that numpy does not write"),
    "no-arrays": Attack(npz("", member="notes.txt"), "x.npz: the archive holds no arrays"),
    "npz-cut": Attack(build.npz_cut(0.9), NO_ARCHIVE),
    "npz-garbled": Attack(build.npz_garbled, "a cannot be read"),
    # chains
    **{
        f"{value}-in-{part}": Attack(
            build.chain_with(part, value),
            f"model.safetensors: h.0.{part}.weight has 1 {kind} values in {math.prod(shape)}",
            NonFiniteError,
            IsingChain.from_weights,
        )
        for part, shape in build.GPT2_BLOCK.items()
        for value, kind in ((math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite"))
    },
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_meets_its_error(attack, folder):
    source = attack.build(folder)
    error, cost = caught(attack.victim, source)
    assert type(error) is attack.error
    assert attack.message in str(error)
    assert_one_line(error)
    assert not (folder / MARKER).exists()
    assert cost.seconds < 5
    assert cost.traced_bytes < 32e6
    assert cost.resident_bytes < 100e6


def caught(victim, source):
    """The error that the victim raises on that source, and what it took to find out."""
    with measured() as cost, pytest.raises(SpinSpectraError) as info:
        victim(source)
    return info.value, cost


def assert_one_line(error):
    text = str(error)
    assert text
    assert text.isprintable(), repr(text)
    assert len(text) < 1000


def test_the_payload_is_armed(folder):
    """The marker appears where a careless reader opens the very file that is refused above."""
    path = build.torch_payload(zipped=True)(folder)
    torch.load(path, weights_only=False)
    assert (folder / MARKER).exists()
    (folder / MARKER).unlink()
    pickle.loads(build.raw_pickle(4)(folder).read_bytes())
    assert (folder / MARKER).exists()


ODD = {
    "scalar": np.array(3.0, np.float32),
    "empty": np.zeros(0, np.float32),
    "empty.matrix.weight": np.zeros((0, 5), np.float32),
    "no.columns.weight": np.zeros((5, 0), np.float32),
    "six.dimensions": np.ones((1, 2, 1, 2, 1, 2), np.float32),
}


def save_npz(tensors, path):
    np.savez(path, **tensors)


def save_torch(tensors, path):
    torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, path)


@pytest.mark.parametrize(
    ("save", "suffix"),
    [(save_file, ".safetensors"), (save_torch, ".bin"), (save_npz, ".npz")],
    ids=["safe", "torch", "npz"],
)
def test_scalars_and_empty_tensors_are_described_and_read(folder, save, suffix):
    save(ODD, folder / f"x{suffix}")
    table = describe(folder / f"x{suffix}").set_index("name")
    assert table["shape"].to_dict() == {name: array.shape for name, array in ODD.items()}
    assert table["params"].to_dict() == {name: array.size for name, array in ODD.items()}
    weights = open_weights(folder / f"x{suffix}")
    for name, array in ODD.items():
        np.testing.assert_array_equal(weights.read(name), array)


@pytest.mark.parametrize("name", [LONG_NAME, BROKEN_NAME, ""], ids=["10,000-characters", "line-breaks", "empty"])
@pytest.mark.parametrize(("save", "suffix"), [(save_file, ".safetensors"), (save_torch, ".bin")], ids=["safe", "torch"])
def test_names_of_any_kind_are_described_and_read(folder, save, suffix, name):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    save({name: array}, folder / f"x{suffix}")
    assert describe(folder / f"x{suffix}")["name"].tolist() == [name]
    np.testing.assert_array_equal(open_weights(folder / f"x{suffix}").read(name), array)


NAMED_ERRORS = {
    "missing-tensor": lambda name: open_weights({name: np.ones(2)}).read("other"),
    "asked-for": lambda name: open_weights({"other": np.ones(2)}).read(name),
    "not-an-array": lambda name: open_weights({name: 3}),
    "not-numbers": lambda name: open_weights({name: np.array(["x"])}).read(name),
    "fields-of-a-record": lambda name: open_weights({"a": np.zeros(1, [(name, "f4")])}).read("a"),
    "meta": lambda name: open_weights({name: torch.ones(2, device="meta")}).read(name),
}


@pytest.mark.parametrize("name", [LONG_NAME, BROKEN_NAME], ids=["10,000-characters", "line-breaks"])
@pytest.mark.parametrize("victim", NAMED_ERRORS.values(), ids=NAMED_ERRORS)
def test_errors_stay_one_line_whatever_the_tensor_is_called(victim, name):
    error, _ = caught(victim, name)
    assert_one_line(error)


@pytest.mark.parametrize("name", [LONG_NAME, BROKEN_NAME], ids=["10,000-characters", "line-breaks"])
@pytest.mark.parametrize(
    ("shape", "end", "n_bytes", "dtype"),
    [([1], 8, 8, "F32"), ([1], 4, 8, "F32"), ([2], 1, 1, "F4"), ([1], 8, 8, "C64")],
    ids=["shape", "left-over", "packed", "complex"],
)
def test_errors_of_a_file_stay_one_line_whatever_its_tensor_is_called(folder, name, shape, end, n_bytes, dtype):
    error, _ = caught(read_all, safetensors({name: entry(shape, 0, end, dtype)}, n_bytes)(folder))
    assert_one_line(error)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".npz", ".raw.bin", ".deflated.npz"])
def test_garbled_files_give_weights_or_one_line(folder, suffix, seed):
    """Bytes overwritten or cut off at random; nothing but a WeightsError may come out."""
    rng, path = np.random.default_rng(seed), folder / f"x{suffix}"
    SAVERS[suffix]({"a": rng.normal(size=(8, 8)), "b": np.arange(5)}, path)
    raw = bytearray(path.read_bytes())
    for position in rng.integers(len(raw), size=rng.integers(1, 6)):
        raw[position] = rng.integers(256)
    path.write_bytes(raw[: rng.integers(len(raw))] if seed % 3 == 0 else raw)
    try:
        read_all(path)
    except WeightsError as error:
        assert_one_line(error)


SAVERS = {
    ".safetensors": save_file,
    ".bin": save_torch,
    ".npz": save_npz,
    ".raw.bin": lambda tensors, path: torch.save(
        {name: torch.from_numpy(array) for name, array in tensors.items()}, path, _use_new_zipfile_serialization=False
    ),
    ".deflated.npz": lambda tensors, path: np.savez_compressed(path, **tensors),
}
