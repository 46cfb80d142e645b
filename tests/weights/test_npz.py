"""numpy's archives, plain and compressed, in every memory order and byte order."""

import zipfile

import numpy as np
import pytest

from spinspectra import open_weights
from spinspectra.errors import WeightsError

MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4) - 5
ARRAYS = {
    "c_order": MATRIX,
    "fortran_order": np.asfortranarray(MATRIX),
    "big_endian": MATRIX.astype(">f4"),
    "float64": MATRIX.astype(np.float64) / 3,
    "float16": MATRIX.astype(np.float16),
    "bool": MATRIX > 0,
    "scalar": np.array(1.5),
    "empty": np.zeros((3, 0)),
    "block/0/weight": MATRIX + 1,
}


@pytest.fixture(params=[np.savez, np.savez_compressed], ids=["stored", "deflated"])
def path(request, tmp_path):
    request.param(tmp_path / "x.npz", **ARRAYS)
    return tmp_path / "x.npz"


def test_names_are_the_keywords(path):
    assert open_weights(path).names() == list(ARRAYS)


@pytest.mark.parametrize("name", ARRAYS)
def test_header_and_values_are_those_that_were_saved(path, name):
    weights, array = open_weights(path), ARRAYS[name]
    assert (weights.info(name).shape, weights.info(name).dtype) == (array.shape, array.dtype)
    values = weights.read(name)
    assert values.dtype == (np.float64 if array.dtype == np.float64 else np.float32)
    assert values.dtype.isnative
    assert values.shape == array.shape
    np.testing.assert_array_equal(values, array.astype(np.float64))


def test_a_member_that_is_no_array_neither_shows_nor_shadows(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=MATRIX)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a", b"not an array")
        archive.writestr("notes.txt", b"hello")
    weights = open_weights(path)
    assert weights.names() == ["a"]
    np.testing.assert_array_equal(weights.read("a"), MATRIX)


def test_a_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=MATRIX)
    raw = path.read_bytes()
    assert raw.count(MATRIX.tobytes()) == 1
    path.write_bytes(raw.replace(MATRIX.tobytes(), (MATRIX[::-1] + 0).tobytes()))
    with pytest.raises(WeightsError, match="Bad CRC-32"):
        open_weights(path).read("a")


def test_a_single_array_file_has_no_reader(tmp_path):
    np.save(tmp_path / "x.npy", MATRIX)
    with pytest.raises(WeightsError, match=r"no reader for \.npy; known: \.safetensors, "):
        open_weights(tmp_path / "x.npy")
