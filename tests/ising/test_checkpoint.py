"""Checkpoints: what is written is read, from a whole file or not at all, whenever the writer is killed."""

import errno
import json
import math
import os
import pickle
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from spinspectra.errors import OptionError
from spinspectra.ising import IsingChain
from spinspectra.ising import checkpoint as module
from spinspectra.ising.checkpoint import CheckpointError, chain_digest, read_checkpoint, write_checkpoint

posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")

ARRAYS = {"spins": np.ones((3, 4), np.int8), "ln_g": np.linspace(0.0, 1.0, 1000), "round": np.array(7)}
IDENTITY = {"method": "tempering", "seed": ["17", 2], "sizes": {"sweeps": 100, "runs": 4}, "betas": None}


def same(a, b):
    """The same names, shapes, formats and bits."""
    return a.keys() == b.keys() and all(
        a[name].shape == b[name].shape and a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes()
        for name in a
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


@pytest.fixture
def written(path):
    write_checkpoint(path, IDENTITY, ARRAYS)
    return path


# What is written is read


DTYPES = st.sampled_from(["?", "i1", "u1", "<i8", ">i4", "<f4", "<f8", ">f8", "<c16", "S3", "<U5", "<M8[s]"])
SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["identity", "array.", "file", "allow_pickle", "a/b", "../up", "x.npy", "self", "args"]
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(NAMES, DTYPES.flatmap(lambda dtype: npst.arrays(dtype, SHAPES)), max_size=4))
def test_arrays_come_back_bit_for_bit(arrays):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        write_checkpoint(path, IDENTITY, arrays, fsync=False)
        assert same(read_checkpoint(path, IDENTITY), arrays)
        assert os.listdir(folder) == ["run"]  # noqa: PTH208


@pytest.mark.parametrize("view", [np.asfortranarray(np.arange(12.0).reshape(3, 4)), np.arange(24.0)[::-2]])
def test_arrays_of_any_memory_order(path, view):
    write_checkpoint(path, {}, {"x": view})
    np.testing.assert_array_equal(read_checkpoint(path, {})["x"], view)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_another_identity_is_refused_and_the_same_is_not(identity, other):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        write_checkpoint(path, identity, {}, fsync=False)
        assert read_checkpoint(path, json.loads(json.dumps(identity))) == {}
        if identity != other:
            with pytest.raises(CheckpointError, match="a checkpoint of another run") as caught:
                read_checkpoint(path, other)
            assert str(caught.value).isprintable()


def test_numpy_numbers_tuples_and_paths_are_numbers_lists_and_text(path):
    ours = {"n": np.int64(3), "t": np.float32(0.5), "nodes": (2, 3), "where": Path("a"), "betas": np.array([0.0, 1.0])}
    write_checkpoint(path, ours, {})
    assert read_checkpoint(path, {"n": 3, "t": 0.5, "nodes": [2, 3], "where": "a", "betas": [0.0, 1.0]}) == {}
    assert read_checkpoint(path, ours) == {}


def test_nan_is_no_difference(path):
    write_checkpoint(path, {"t": math.nan, "runs": [math.nan, 1.0]}, {})
    assert read_checkpoint(path, {"t": math.nan, "runs": [math.nan, 1.0]}) == {}


def test_no_file_is_no_checkpoint(path):
    assert read_checkpoint(path, IDENTITY) is None


def test_no_folder_is_found_out_before_the_run(tmp_path):
    with pytest.raises(OptionError, match=r"new/run\.ckpt: there is no folder .*new; make it first$"):
        read_checkpoint(tmp_path / "new" / "run.ckpt", IDENTITY)


# Another run


CHANGES = {
    "value": (IDENTITY | {"method": "wang-landau"}, ["method: tempering in the file, wang-landau asked for"]),
    "nested": (
        IDENTITY | {"sizes": {"sweeps": 100, "runs": 8}},
        ["sizes.runs: 4 in the file, 8 asked for"],
    ),
    "several": (
        IDENTITY | {"seed": ["17", 3], "sizes": {"sweeps": 50, "runs": 8}},
        [
            'seed: ["17", 2] in the file, ["17", 3] asked for',
            "sizes.sweeps: 100 in the file, 50 asked for",
            "sizes.runs: 4 in the file, 8 asked for",
        ],
    ),
    "more": (
        IDENTITY | {"device": "cuda", "sizes": {"sweeps": 100, "runs": 4, "walkers": 2}},
        ["device: nothing in the file, cuda asked for", "sizes.walkers: nothing in the file, 2 asked for"],
    ),
    "less": (
        {"method": "tempering", "sizes": {"sweeps": 100}, "betas": None},
        ["seed: [\"17\", 2] in the file, nothing asked for", "sizes.runs: 4 in the file, nothing asked for"],
    ),
    "null is not nothing": (
        {name: value for name, value in IDENTITY.items() if name != "betas"},
        ["betas: null in the file, nothing asked for"],
    ),
    "another shape": (IDENTITY | {"sizes": [100, 4]}, ["sizes: {", "[100, 4] asked for"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_every_difference_is_named_and_nothing_else(written, name):
    identity, lines = CHANGES[name]
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(written, identity)
    text = str(caught.value)
    assert text.startswith(f"{written}: a checkpoint of another run: ")
    assert all(line in text for line in lines)
    assert text.count("asked for") == max(1, sum("asked for" in line for line in lines))


def test_a_value_called_nothing_is_not_a_missing_one(path):
    write_checkpoint(path, {"start": "nothing"}, {})
    with pytest.raises(CheckpointError, match="start"):
        read_checkpoint(path, {})


def test_a_number_is_not_its_text(path):
    write_checkpoint(path, {"seed": "17"}, {})
    with pytest.raises(CheckpointError, match="seed"):
        read_checkpoint(path, {"seed": 17})


def test_long_and_unprintable_values_are_cut(path):
    write_checkpoint(path, {"k\n" * 10_000: "\x1b[2J" * 10_000}, {})
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, {"seed": list(range(10_000))})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2_000


# Damage


def assert_refused(path):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, IDENTITY)
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith(f"{path}: no checkpoint, or a damaged one (")
    assert text.endswith("); remove it to begin anew")
    assert len(text) < len(str(path)) + 400


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.3, 0.9, 0.99, 0.999])
def test_a_file_cut_short(written, share):
    whole = written.read_bytes()
    written.write_bytes(whole[: int(share * len(whole))])
    assert_refused(written)


def test_a_changed_bit_is_found_wherever_it_is(path):
    """Each byte of the beginnings and of the end, where names, shapes and places are, and some of the numbers."""
    arrays = {"ln_g": ARRAYS["ln_g"]}
    write_checkpoint(path, {}, arrays)
    whole = path.read_bytes()
    heads = [at for at in range(len(whole)) if whole.startswith(b"PK\3\4", at)]
    places = {at + i for at in heads for i in range(220)} | set(range(len(whole) - 250, len(whole)))
    places |= set(range(0, len(whole), 101))
    rng = np.random.default_rng(0)
    found = 0
    for place in sorted(places):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            kept = read_checkpoint(path, {})
        except CheckpointError:
            found += 1
        else:
            assert same(kept, arrays), place  # it was a date, say
    assert found > 0.7 * len(places)


@pytest.mark.parametrize("shape", [b"(0999,)", b"(900, )", b"(0,   )", b"(1001,)", b"(1e3, )"])
def test_a_header_that_claims_another_shape(written, shape):
    whole = written.read_bytes()
    assert whole.count(b"(1000,)") == 1
    written.write_bytes(whole.replace(b"(1000,)", shape))
    assert_refused(written)


def test_a_file_that_was_overwritten_by_something_else(written):
    for other in (
        b"",
        b"\0",
        b"PK\3\4",
        b"hello\n" * 1000,
        b"\x93NUMPY\1\0",
        pickle.dumps(ARRAYS),
        np.random.default_rng(0).bytes(5000),
    ):
        written.write_bytes(other)
        assert_refused(written)


def test_archives_that_are_no_checkpoints(path):
    with path.open("wb") as stream:
        np.save(stream, np.arange(3))
    assert_refused(path)
    with path.open("wb") as stream:
        np.savez(stream, weight=np.ones(3))
    assert_refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("identity", b"{}")
    assert_refused(path)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b'{"n": ' + b"9" * 5000 + b"}"])
def test_an_identity_that_is_no_json(path, text):
    with path.open("wb") as stream:
        np.savez(stream, identity=np.frombuffer(text, np.uint8))
    assert_refused(path)


class Payload:
    def __reduce__(self):
        return Path.touch, (Path(os.environ["SPINSPECTRA_PAYLOAD"]),)


def test_pickled_objects_are_not_run(path, tmp_path, monkeypatch):
    monkeypatch.setenv("SPINSPECTRA_PAYLOAD", str(tmp_path / "executed"))
    with path.open("wb") as stream:
        np.savez(stream, identity=np.frombuffer(b"{}", np.uint8), x=np.array([Payload()], object))
    assert_refused(path)
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Payload()))
    assert (tmp_path / "executed").exists()  # it would have


def test_a_folder_in_its_place(path):
    path.mkdir()
    assert_refused(path)


@contextmanager
def pipe(path):
    """A pipe that nobody writes to: who waits for it gets nothing after five seconds."""
    os.mkfifo(path)
    end = threading.Timer(5.0, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))
    end.start()
    yield
    end.cancel()


@posix
def test_a_pipe_in_its_place_is_not_waited_for(path):
    with pipe(path), pytest.raises(CheckpointError, match="not a regular file"):
        read_checkpoint(path, IDENTITY)


# What cannot be written


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([{}], object), "checkpoint: x holds object; give arrays of numbers or text"),
        (np.ones(3, ml_dtypes.bfloat16), "checkpoint: x holds bfloat16; give"),
        (np.zeros(2, [("a", "f8"), ("b", "O")]), "checkpoint: x holds "),
    ],
)
def test_arrays_that_would_come_back_as_something_else(written, array, text):
    with pytest.raises(OptionError, match=text):
        write_checkpoint(written, IDENTITY, {"x": array})
    assert same(read_checkpoint(written, IDENTITY), ARRAYS)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", 1j, np.complex128(1j), object(), {(1, 2): 3}])
def test_identities_that_json_does_not_know(written, value):
    with pytest.raises(OptionError, match="checkpoint: an identity that JSON does not know"):
        write_checkpoint(written, {"value": value}, ARRAYS)
    assert same(read_checkpoint(written, IDENTITY), ARRAYS)


# Failures and kills


def half_written(stream, **_arrays):
    stream.write(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(stream, **_arrays):
    stream.write(b"half of it")
    raise KeyboardInterrupt


def failing(*_args):
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    ("owner", "name", "replacement", "error"),
    [
        (np, "savez", half_written, OSError),
        (np, "savez", interrupted, KeyboardInterrupt),
        (os, "fsync", failing, OSError),
        (os, "replace", failing, OSError),
    ],
    ids=["disk full", "interrupted", "not on the disk", "not renamed"],
)
def test_a_failed_write_leaves_the_old_file_and_no_other(written, monkeypatch, owner, name, replacement, error):
    before = written.read_bytes()
    monkeypatch.setattr(owner, name, replacement)
    with pytest.raises(error):
        write_checkpoint(written, IDENTITY, {"x": np.zeros(100)})
    monkeypatch.undo()
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


@posix
def test_a_disk_that_is_really_full(written):
    """As near as a process can come to it by itself: no file may grow beyond 64 KiB."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_checkpoint(written, IDENTITY, {"x": np.zeros(1 << 16)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert same(read_checkpoint(written, IDENTITY), ARRAYS)
    assert list(written.parent.iterdir()) == [written]


def test_the_data_are_on_the_disk_before_the_name_points_to_them(path, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append("sync") or fsync(handle))
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("rename") or rename(*names))
    write_checkpoint(path, IDENTITY, ARRAYS)
    assert calls[:2] == ["sync", "rename"]
    calls.clear()
    write_checkpoint(path, IDENTITY, ARRAYS, fsync=False)
    assert calls == ["rename"]


@posix
def test_a_folder_that_cannot_be_synced_costs_nothing(path, monkeypatch):
    """Some network file systems refuse it; the file is whole by then."""
    fsync = os.fsync

    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_checkpoint(path, IDENTITY, ARRAYS)
    assert same(read_checkpoint(path, IDENTITY), ARRAYS)


def test_what_a_kill_left_beside_it_is_swept_up(written):
    left = written.with_name(f".{written.name}.part")
    left.write_bytes(b"x" * 100_000)
    assert same(read_checkpoint(written, IDENTITY), ARRAYS)
    write_checkpoint(written, IDENTITY, {"x": np.zeros(3)})
    assert same(read_checkpoint(written, IDENTITY), {"x": np.zeros(3)})
    assert list(written.parent.iterdir()) == [written]


@posix
def test_it_can_be_read_by_whom_the_folder_allows(written):
    (written.parent / "plain").write_text("")
    assert written.stat().st_mode == (written.parent / "plain").stat().st_mode


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from spinspectra.ising.checkpoint import read_checkpoint, write_checkpoint

path, identity, rng = Path(sys.argv[1]), {"method": "test"}, random.Random(0)

def state(number):
    return {"round": np.array(number), "data": np.full(50_000, number), "odd": np.full((3, 777), float(number))}

def go_on(told):
    kept = read_checkpoint(path, identity)
    number = 0 if kept is None else int(kept["round"])
    while True:
        number += 1
        write_checkpoint(path, identity, state(number), fsync=number % 4 == 0)
        os.write(told, number.to_bytes(8, "little"))

left = last = 0
for kill in range(30):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        go_on(writer)
    os.close(writer)
    first = os.read(reader, 8)
    time.sleep(rng.random() * 0.04)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said = first
    while more := os.read(reader, 1 << 16):
        said += more
    os.close(reader)
    kept = read_checkpoint(path, identity)
    number = int(kept["round"])
    acknowledged = int.from_bytes(said[-8:], "little")
    assert acknowledged <= number <= acknowledged + 1, (acknowledged, number)
    assert number > last, (number, last)
    assert all(np.array_equal(kept[name], array) for name, array in state(number).items())
    beside = {entry.name for entry in path.parent.iterdir()} - {path.name}
    assert beside <= {f".{path.name}.part"}, beside
    left, last = left + len(beside), number
print(left, last)
"""


@posix
def test_a_process_killed_at_any_moment_leaves_a_whole_checkpoint(path):
    """Thirty kills of one that does nothing but write: never an older state than the last it had written, or half."""
    done = subprocess.run([sys.executable, "-c", KILLS, path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    left, last = map(int, done.stdout.split())
    assert left > 0  # some kills fell into a write
    assert last > 30


# Digests


MATRICES = [np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4) - 5.0]


def digest(matrices, source="matrices"):
    return chain_digest(IsingChain.from_matrices(matrices, source))


def test_equal_chains_have_equal_digests_whatever_they_are_called_and_however_they_lie_in_memory():
    assert digest(MATRICES, "elsewhere") == digest(MATRICES)
    assert digest([np.asfortranarray(matrix).astype(">f8") for matrix in MATRICES]) == digest(MATRICES)


@settings(deadline=None)
@given(st.data())
def test_any_coupling_changes_it(data):
    changed = [matrix.copy() for matrix in MATRICES]
    matrix = data.draw(st.sampled_from(changed))
    place = tuple(data.draw(st.integers(0, n - 1)) for n in matrix.shape)
    value = matrix[place]
    matrix[place] = data.draw(st.sampled_from([value + 1.0, -value - 1.0, np.nextafter(value, 1e3)]))
    assert digest(changed) != digest(MATRICES)


def test_shape_order_and_number_format_change_it():
    flat = np.arange(1.0, 13.0)
    chains = [
        [flat.reshape(1, 12)],
        [flat.reshape(12, 1)],
        [flat.reshape(3, 4)],
        [flat.reshape(4, 3)],
        [flat.reshape(3, 4).astype(np.float32)],
        [flat[:4].reshape(1, 4), flat[4:].reshape(4, 2)],
        [flat[:8].reshape(2, 4), flat[8:].reshape(4, 1)],
        [flat[:6].reshape(2, 3), flat[6:].reshape(3, 2)],
        [flat[6:].reshape(2, 3), flat[:6].reshape(3, 2)],
        [np.zeros((3, 4))],
        [np.zeros((3, 5))],
    ]
    assert len({digest(chain) for chain in chains}) == len(chains)


def test_couplings_of_the_last_part_of_a_large_chain_count(monkeypatch):
    whole = digest(MATRICES)
    monkeypatch.setattr(module, "_CHUNK", 5)
    assert digest(MATRICES) == whole
    for place in range(12):
        changed = MATRICES[1].copy()
        changed.flat[place] += 1.0
        assert digest([MATRICES[0], changed]) != whole
