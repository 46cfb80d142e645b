"""The reader of HDF5 against h5py: every type, layout and filter that it takes, and names for what it does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinspectra.weights.hdf5.bytes import Place, RefusedError, Window, opened
from spinspectra.weights.hdf5.layout import read_values
from spinspectra.weights.hdf5.strings import Strings
from spinspectra.weights.hdf5.tree import Group, read_tree

TYPES = ["f2", "f4", "f8", ">f2", ">f4", ">f8", "i1", "u1", "i2", ">u2", "i4", ">i4", "i8", "u8"]


@contextmanager
def parsed(path: Path, start: int = 0) -> Iterator[tuple[Window, Group]]:
    with opened(Place(path, start, path.stat().st_size - start)) as window:
        yield window, read_tree(window)


def read(path: Path) -> dict[str, np.ndarray]:
    with parsed(path) as (window, tree):
        return {
            "/".join(data.path): read_values(window, data.layout, data.shape, data.datatype.dtype)
            for data in tree.every()
        }


def assert_read_as_h5py_does(path: Path) -> None:
    found = read(path)
    with h5py.File(path) as file:
        names: list[str] = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        assert sorted(found) == sorted(names)
        for name in names:
            expected = file[name][()]
            assert found[name].dtype == file[name].dtype
            np.testing.assert_array_equal(found[name], expected)


def random(*shape: int, dtype: Any = "f4") -> np.ndarray:
    return (100 * np.random.default_rng(len(shape)).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("libver", [None, ("v108", "v108"), ("v110", "v110"), "latest"])
@pytest.mark.parametrize("sides", [(), (0,), (0, 3), (7,), (3, 4), (2, 1, 3, 2)])
def test_types_and_shapes(tmp_path: Path, libver: Any, sides: tuple[int, ...]) -> None:
    for dtype in TYPES:
        with h5py.File(tmp_path / "x.h5", "w", libver=libver) as file:
            file["a/b"] = random(*sides, dtype=dtype)
            file["c"] = random(*sides, dtype=dtype)
        assert_read_as_h5py_does(tmp_path / "x.h5")


@pytest.mark.parametrize("n", [1, 8, 9, 1500])
def test_groups_of_any_size(tmp_path: Path, n: int) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i in range(n):
            file[f"g/layer_{i}"] = np.full(2, i, "f4")
        for name in ("ünï", "x" * 3000):
            file.create_group(name)["w"] = np.ones(1)
    assert_read_as_h5py_does(tmp_path / "x.h5")


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}], ids=str)
@pytest.mark.parametrize("more", [{}, {"shuffle": True, "compression": 9, "fletcher32": True}], ids=["one", "all"])
@pytest.mark.parametrize("chunk", [(7, 8), (20, 30), (1, 30), (64, 64)], ids=str)
def test_chunks_and_filters(tmp_path: Path, options: dict[str, Any], more: dict[str, Any], chunk: Any) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for dtype in ("f4", ">f8", "i2"):
            shape = (20, 30)
            values = random(*shape, dtype=dtype)
            file.create_dataset(dtype, data=values, chunks=chunk, maxshape=(None, None), **{**options, **more})
    assert_read_as_h5py_does(tmp_path / "x.h5")


def test_many_chunks(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a", data=random(90, 70), chunks=(2, 3), compression="gzip")
    assert_read_as_h5py_does(tmp_path / "x.h5")


def test_small_arrays_in_the_header(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((3, 4))
        data = h5py.h5d.create(file.id, b"small", h5py.h5t.IEEE_F64LE, space, plist)
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, random(3, 4, dtype="f8"))
    assert_read_as_h5py_does(tmp_path / "x.h5")


def test_bfloat16_as_a_float_of_hdf5_and_as_raw_bytes(tmp_path: Path) -> None:
    bits = random(3, 5).astype(ml_dtypes.bfloat16)
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        data = h5py.h5d.create(file.id, b"float", kind, h5py.h5s.create_simple((3, 5)))
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, bits.astype("f4"))
        file["raw"] = bits
    found = read(tmp_path / "x.h5")
    assert (found["float"].dtype, found["raw"].dtype) == (ml_dtypes.bfloat16, np.dtype("V2"))
    np.testing.assert_array_equal(found["float"], bits)
    np.testing.assert_array_equal(found["raw"].view(ml_dtypes.bfloat16), bits)


def test_what_numpy_has_no_type_for_is_raw_bytes(tmp_path: Path) -> None:
    odd = h5py.h5t.IEEE_F32LE.copy()
    odd.set_ebias(100)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        h5py.h5d.create(file.id, b"bias", odd, h5py.h5s.create_simple((2,))).write(
            h5py.h5s.ALL, h5py.h5s.ALL, np.ones(2, "f4")
        )
        file["record"] = np.zeros(2, [("a", "f4"), ("b", "i8")])
        file["complex"] = np.ones(2, "c8")
        file["text"] = np.array([b"one", b"three"])
        file["strings"] = ["one", "two"]
        file["true"] = np.array([True, False])
    found = read(tmp_path / "x.h5")
    kinds = {name: (values.dtype.kind, values.dtype.itemsize) for name, values in found.items()}
    assert kinds["true"] == ("i", 1)
    assert kinds["text"] == ("S", 5)
    assert {name: kinds[name] for name in ("bias", "record", "complex", "strings")} == {
        "bias": ("V", 4),
        "record": ("V", 12),
        "complex": ("V", 8),
        "strings": ("V", 16),
    }


@pytest.mark.parametrize("libver", [None, "latest"])
def test_attributes_that_are_text(tmp_path: Path, libver: Any) -> None:
    expected = {
        "one": ["hello"],
        "bytes": ["abc", "d"],
        "strings": ["é", "", "x" * 1000],
        "number": [],
        "empty": [],
    }
    with h5py.File(tmp_path / "x.h5", "w", libver=libver) as file:
        file.attrs["one"], file.attrs["strings"], file.attrs["number"] = "hello", expected["strings"], 3.0
        file.attrs["bytes"], file.attrs["empty"] = np.array([b"abc", b"d"]), []
        file["a"] = np.ones(1)
        file["a"].attrs["note"] = "of a dataset"
    with parsed(tmp_path / "x.h5") as (window, tree):
        strings = Strings(window)
        assert {name: strings.read(value, 10_000) for name, value in tree.attributes.items()} == expected
        assert strings.read(tree.attributes["strings"], 1000) is None
        assert strings.read(tree.attributes["bytes"], 5) is None
        assert strings.one(tree.datasets["a"].attributes["note"], 100) == "of a dataset"
        assert strings.one(tree.attributes.get("absent"), 100) == ""


def test_many_and_long_attributes_in_continued_headers(tmp_path: Path) -> None:
    names = [f"layer_{i}/kernel:0" * 20 for i in range(150)]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i in range(5):
            file.attrs[f"weight_names{i}"] = np.array([name.encode() for name in names])
        file["a"] = np.ones(2)
    with parsed(tmp_path / "x.h5") as (window, tree):
        assert all(Strings(window).read(value, 1 << 20) == names for value in tree.attributes.values())


@pytest.mark.parametrize("start", [1, 37, 4096])
def test_a_file_within_a_file(tmp_path: Path, start: int) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = random(6, 7)
        file.create_dataset("b", data=random(6, 7), chunks=(2, 3))
    inner = (tmp_path / "x.h5").read_bytes()
    (tmp_path / "outer").write_bytes(b"\xff" * start + inner)
    with parsed(tmp_path / "outer", start) as (window, tree):
        for data in tree.every():
            values = read_values(window, data.layout, data.shape, data.datatype.dtype)
            np.testing.assert_array_equal(values, random(6, 7))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tensors=st.dictionaries(
        st.text("abc_/:0é", min_size=1, max_size=9).map(lambda name: f"t{name.replace('/', '_')}"),
        arrays(st.sampled_from([np.dtype(t) for t in ("f4", ">f8", "i4")]), st.tuples(*[st.integers(0, 5)] * 2)),
        min_size=1,
        max_size=20,
    )
)
def test_any_tensors_come_back(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, values in tensors.items():
            file[f"g/{name}"] = values
    found = read(tmp_path / "x.h5")
    assert found.keys() == {f"g/{name}" for name in tensors}
    for name, values in tensors.items():
        np.testing.assert_array_equal(found[f"g/{name}"], values)


@pytest.mark.parametrize(
    "options", [{"libver": "latest"}, {"libver": ("v108", "v108")}, {"track_order": True}], ids=str
)
@pytest.mark.parametrize("n", [8, 9, 46, 200, 1300])
def test_large_groups_of_newer_files(tmp_path: Path, options: dict[str, Any], n: int) -> None:
    """Names go to a heap of one block, of several, of rows of growing blocks; the tree gets one level, then two."""
    with h5py.File(tmp_path / "x.h5", "w", **options) as file:
        for i in range(n):
            file[f"g/{i}{'x' * (i % 90)}"] = np.float32(i)
        for i in range(10):
            file["g"].attrs[f"a{i}"] = "x" * i * 400
    assert_read_as_h5py_does(tmp_path / "x.h5")
    with parsed(tmp_path / "x.h5") as (window, tree):
        values = {name: Strings(window).one(value, 10_000) for name, value in tree.groups["g"].attributes.items()}
    assert values == {f"a{i}": "x" * i * 400 for i in range(10)}


def test_a_name_that_is_not_ascii_makes_a_group_a_newer_one(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i in range(50):
            file[f"g/gewicht_{i}_ü"] = random(2, i)
        for i in range(0, 50, 3):
            del file[f"g/gewicht_{i}_ü"]
    assert b"FRHP" in (tmp_path / "x.h5").read_bytes()
    assert_read_as_h5py_does(tmp_path / "x.h5")


def test_a_heap_of_blocks_within_blocks(tmp_path: Path) -> None:
    """Names of more than half a megabyte, for which the root of a heap has rows of indirect blocks."""
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        for i in range(600):
            file[f"g/{i}{'x' * 3000}"] = np.float32(i)
    assert_read_as_h5py_does(tmp_path / "x.h5")


NEWER = {
    "large attribute": lambda file: file.attrs.__setitem__("a", np.zeros(20_000)),
    "chunks": lambda file: file.create_dataset("a", data=np.ones((4, 4)), chunks=(2, 2)),
}


@pytest.mark.parametrize("case", NEWER)
def test_what_is_not_read_of_newer_files_has_a_name(tmp_path: Path, case: str) -> None:
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        NEWER[case](file)
    with pytest.raises(RefusedError, match="save it again with h5py's default settings"):
        read(tmp_path / "x.h5")
