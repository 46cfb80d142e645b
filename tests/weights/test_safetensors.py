"""One safetensors file: what its header says, what its bytes hold, whatever the order they lie in."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from spinspectra import open_weights
from spinspectra.errors import WeightsError

TENSORS = {
    "h.10.weight": np.arange(12, dtype=np.float32).reshape(3, 4) - 5,
    "h.2.weight": np.linspace(-1, 1, 6, dtype=np.float64).reshape(2, 3),
    "scalar": np.array(2.5, dtype=np.float32),
    "empty": np.zeros((0, 7), dtype=np.float32),
}


@pytest.fixture
def path(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors", metadata={"format": "np"})
    return tmp_path / "model.safetensors"


def test_lists_every_tensor_and_not_the_metadata(path):
    assert sorted(open_weights(path).names()) == sorted(TENSORS)


@pytest.mark.parametrize("name", TENSORS)
def test_header_and_values_are_those_that_were_saved(path, name):
    weights = open_weights(str(path))
    info, values = weights.info(name), weights.read(name)
    assert (info.shape, info.dtype, info.file) == (TENSORS[name].shape, TENSORS[name].dtype, str(path))
    assert values.dtype == TENSORS[name].dtype
    assert values.shape == TENSORS[name].shape
    np.testing.assert_array_equal(values, TENSORS[name])


def test_size_and_bytes_come_from_the_shape(path):
    info = open_weights(path).info("h.2.weight")
    assert (info.size, info.n_bytes) == (6, 48)
    assert open_weights(path).info("scalar").size == 1
    assert open_weights(path).info("empty").n_bytes == 0


def test_names_follow_the_bytes_when_the_header_lists_them_otherwise(tmp_path):
    entry = {"dtype": "F32", "shape": [1]}
    header = {"late": entry | {"data_offsets": [4, 8]}, "early": entry | {"data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    path = tmp_path / "swapped.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<ff", 1.0, 2.0))
    weights = open_weights(path)
    assert weights.names() == ["early", "late"]
    assert [float(weights.read(name)[0]) for name in weights.names()] == [1.0, 2.0]


def test_values_read_belong_to_the_caller(path):
    weights = open_weights(path)
    weights.read("h.10.weight")[:] = 99
    np.testing.assert_array_equal(weights.read("h.10.weight"), TENSORS["h.10.weight"])


@pytest.mark.parametrize("method", ["info", "read"])
def test_a_name_that_is_not_there_is_told_with_some_that_are(path, method):
    with pytest.raises(WeightsError, match=r"no tensor named 'h\.3\.weight'; there are 4: .*, \.\.\."):
        getattr(open_weights(path), method)("h.3.weight")


def test_a_file_cut_after_it_was_opened_is_noticed(path):
    weights = open_weights(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4)
    with pytest.raises(WeightsError, match=r"ends after \d+ of \d+ values; the file changed"):
        [weights.read(name) for name in weights.names()]


def test_a_file_removed_after_it_was_opened_is_noticed(path):
    weights = open_weights(path)
    path.unlink()
    with pytest.raises(WeightsError, match=r"h\.10\.weight cannot be read"):
        weights.read("h.10.weight")


def test_weights_already_open_are_taken_as_they_are(path):
    weights = open_weights(path)
    assert open_weights(weights) is weights


def test_packed_formats_are_described_and_not_read(tmp_path):
    header = b'{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}'
    path = tmp_path / "packed.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    weights = open_weights(path)
    info = weights.info("a")
    assert (info.shape, info.dtype, info.n_bytes) == ((4,), "float4_e2m1fn", 2)
    with pytest.raises(WeightsError, match="dequantise the checkpoint first"):
        weights.read("a")
