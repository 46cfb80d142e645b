"""Spin files: what is written is read back, whole or not at all, and nothing stale is read."""

import os

import numpy as np
import pytest

from spinspectra.errors import SpinsError
from spinspectra.ising import load_spins, quench, save_spins
from spinspectra.ising.spins import join, random_spins, split
from tests.ising.helpers import random_system

NODES = (3, 4, 2, 1)


def spins_of(nodes, seed=0):
    return random_spins(nodes, np.random.default_rng(seed))


def assert_equal(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert y.dtype == np.int8
        np.testing.assert_array_equal(x, y)


def test_saved_spins_are_loaded_again(tmp_path):
    spins = spins_of(NODES)
    save_spins(spins, tmp_path / "new" / "folder")
    assert_equal(load_spins(tmp_path / "new" / "folder"), spins)


def test_more_than_ten_layers_keep_their_order(tmp_path):
    spins = spins_of(range(1, 26))
    save_spins(spins, str(tmp_path))
    assert_equal(load_spins(str(tmp_path)), spins)


def test_ground_state_survives_a_round_trip(tmp_path):
    chain = random_system((30, 40, 20)).chain()
    found = quench(chain)
    save_spins(found.spins, tmp_path)
    assert chain.energy(load_spins(tmp_path)) == found.energy


def test_files_are_one_spin_a_line(tmp_path):
    save_spins([np.array([1, -1, 1], np.int8), np.array([-1], np.int8)], tmp_path)
    assert (tmp_path / "l0.dat").read_bytes() == b"1\n-1\n1\n"
    assert (tmp_path / "l1.dat").read_bytes() == b"-1\n"


def test_files_of_a_deeper_chain_are_removed_and_no_others(tmp_path):
    save_spins(spins_of([2] * 12), tmp_path)
    for name in ("notes.txt", "l3.data", "layer4.dat", "l.dat"):
        (tmp_path / name).write_text("kept")
    save_spins(spins_of(NODES), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"l{i}.dat" for i in range(4)),
        "notes.txt",
        "l3.data",
        "layer4.dat",
        "l.dat",
    }
    assert_equal(load_spins(tmp_path), spins_of(NODES))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    save_spins(spins_of(NODES), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_spins(spins_of(NODES, seed=1), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_saving_leaves_no_temporary_file(tmp_path):
    save_spins(spins_of(NODES), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["l0.dat", "l1.dat", "l2.dat", "l3.dat"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX systems")
def test_files_can_be_read_by_whom_the_folder_allows(tmp_path):
    (tmp_path / "plain.txt").write_text("")
    save_spins(spins_of(NODES), tmp_path)
    assert (tmp_path / "l0.dat").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"1\n0\n", "values besides -1 and \\+1"),
        (b"1\n-3\n", "values besides -1 and \\+1"),
        (b"1\nup\n", r"l1\.dat: not a file of one -1 or 1 a line"),
        (b"1\n1.5\n", r"l1\.dat: not a file of one -1 or 1 a line"),
        (b"1\n300\n", r"l1\.dat: not a file of one -1 or 1 a line"),
        (b"\xff\xfe\x00", r"l1\.dat: not a file of one -1 or 1 a line"),
        (b"", r"l1\.dat: .*empty"),
        (b"\n \n", r"l1\.dat: .*empty"),
        (None, r"l1\.dat: not a file of one -1 or 1 a line"),
    ],
    ids=["zero", "three", "word", "half", "too large", "binary", "empty", "blank", "missing"],
)
def test_malformed_files_are_refused(tmp_path, content, text):
    save_spins(spins_of((2, 2, 2)), tmp_path)
    (tmp_path / "l1.dat").unlink()
    if content is not None:
        (tmp_path / "l1.dat").write_bytes(content)
    with pytest.raises(SpinsError, match=text):
        load_spins(tmp_path)


def test_a_folder_without_spins_is_refused(tmp_path):
    with pytest.raises(SpinsError, match=r"no spin files l0\.dat, l1\.dat, \.\.\. in this folder"):
        load_spins(tmp_path)


def test_split_undoes_join():
    spins = spins_of(NODES)
    assert_equal(split(join(spins), NODES), spins)


def test_random_spins_are_even_and_independent():
    spins = join(spins_of((500,) * 200)).astype(np.float64)
    assert set(spins) == {-1.0, 1.0}
    assert abs(spins.mean()) < 4 / np.sqrt(spins.size)
    assert abs(np.mean(spins[1:] * spins[:-1])) < 4 / np.sqrt(spins.size)
