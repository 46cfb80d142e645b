"""Opening reads headers only, one tensor is read at a time, and heavy libraries stay out until they are needed."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spinspectra import open_weights, read_layers
from tests.attacks.cost import measured

GIB = 1 << 30


def sparse_safetensors(path):
    """An 8 GiB file with 16 real bytes at its end; the rest is a hole."""
    entry = {"dtype": "F32"}
    header = {
        "big.weight": entry | {"shape": [2**16, 2**15], "data_offsets": [0, 8 * GIB]},
        "last.weight": entry | {"shape": [2, 2], "data_offsets": [8 * GIB, 8 * GIB + 16]},
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + 8 * GIB)
        file.seek(0, 2)
        file.write(struct.pack("<4f", 1, 2, 3, 4))
    return path


def sparse_torch_file(path):
    """A 4 GiB file whose large tensor is a hole; its small one is zero, as holes are."""
    tensors = {"big.weight": torch.empty(2**15, 2**15), "last.weight": torch.empty(2, 2)}
    with torch.serialization.skip_data():
        torch.save(tensors, path)
    return path


@pytest.fixture(params=[sparse_safetensors, sparse_torch_file], ids=["safetensors", "torch"])
def huge(request, tmp_path):
    path = request.param(tmp_path / ("x.safetensors" if "safe" in request.param.__name__ else "x.bin"))
    assert path.stat().st_size > 4 * GIB
    assert path.stat().st_blocks * 512 < GIB / 64, "the file system keeps no holes"
    yield path
    path.unlink()


def test_a_huge_file_opens_at_once_and_its_small_tensor_reads_alone(huge):
    with measured() as cost:
        weights = open_weights(huge)
        assert weights.info("big.weight").n_bytes >= 4 * GIB
        assert [layer.n_matrices for layer in read_layers(weights)] == [1, 1]
        assert weights.read("last.weight").shape == (2, 2)
    assert cost.traced_bytes < 10e6
    assert cost.resident_bytes < 100e6
    assert cost.seconds < 5


def test_offsets_beyond_four_gibibytes_are_reached(tmp_path):
    path = sparse_safetensors(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(open_weights(path).read("last.weight"), [[1, 2], [3, 4]])


def test_a_shard_is_read_only_for_its_own_tensors(tmp_path):
    """The data of one shard go away after opening; the tensors of the other are still there."""
    for name in ("a", "b"):
        save_file({name: np.ones((2, 2), np.float32)}, tmp_path / f"{name}.safetensors")
    weight_map = {"a": "a.safetensors", "b": "b.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    weights = open_weights(tmp_path)
    (tmp_path / "a.safetensors").unlink()
    assert weights.info("a").shape == (2, 2)
    np.testing.assert_array_equal(weights.read("b"), np.ones((2, 2)))


def modules_after(code, *arguments):
    """The top-level modules a fresh interpreter has loaded after running `code`."""
    script = f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_importing_the_package_is_light():
    loaded = modules_after("import spinspectra")
    assert "spinspectra" in loaded
    assert not loaded & {"torch", "numba", "pandas", "scipy", "huggingface_hub", "transformers"}


OPEN_AND_READ = """
import spinspectra
weights = spinspectra.open_weights(sys.argv[1])
[weights.read(name) for name in weights.names()]
assert weights.names() == ["a"]
"""


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_reading_needs_neither_torch_nor_numba(tmp_path, suffix):
    path, arrays = tmp_path / f"x{suffix}", {"a": np.ones((2, 2), np.float32)}
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file(arrays, path)
    assert not modules_after(OPEN_AND_READ, path) & {"torch", "numba", "huggingface_hub"}


def test_a_torch_file_without_torch_names_the_extra(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"anything")
    code = """
import spinspectra
from spinspectra.errors import MissingExtraError
sys.modules["torch"] = None
try:
    spinspectra.open_weights(sys.argv[1])
except MissingExtraError as error:
    assert "pip install 'spinspectra[torch]'" in str(error), error
else:
    raise AssertionError("opened without torch")
"""
    modules_after(code, tmp_path / "x.bin")
