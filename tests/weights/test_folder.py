"""Folders as the hub lays them out: which file is meant, shards under an index, the configuration beside."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spinspectra import open_weights
from spinspectra.errors import WeightsError

A, B = np.full((2, 2), 1.0, np.float32), np.full((2, 3), 2.0, np.float32)


def write_shards(folder, names=("part-1.safetensors", "part-2.safetensors")):
    save_file({"a": A, "unlisted": B}, folder / names[0])
    save_file({"b": B}, folder / names[1])
    index = {"metadata": {"total_size": 40}, "weight_map": {"b": names[1], "a": names[0]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_torch_shards(folder):
    torch.save({"a": torch.from_numpy(A)}, folder / "one.bin")
    torch.save({"b": torch.from_numpy(B)}, folder / "two.bin")
    index = {"weight_map": {"a": "one.bin", "b": "two.bin"}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("write", [write_shards, write_torch_shards], ids=["safetensors", "torch"])
@pytest.mark.parametrize("through", ["folder", "index"])
def test_shards_are_one_mapping(tmp_path, write, through):
    write(tmp_path)
    weights = open_weights(tmp_path if through == "folder" else next(tmp_path.glob("*.index.json")))
    assert sorted(weights.names()) == ["a", "b"]
    np.testing.assert_array_equal(weights.read("a"), A)
    np.testing.assert_array_equal(weights.read("b"), B)
    assert weights.source == str(tmp_path)


def test_a_tensor_tells_its_shard(tmp_path):
    write_shards(tmp_path)
    weights = open_weights(tmp_path)
    assert weights.info("a").file == str(tmp_path / "part-1.safetensors")
    assert weights.info("b").file == str(tmp_path / "part-2.safetensors")
    assert weights.info("b").shape == (2, 3)


def test_shards_in_a_folder_below_are_found(tmp_path):
    (tmp_path / "below").mkdir()
    write_shards(tmp_path, ("below/1.safetensors", "below/2.safetensors"))
    np.testing.assert_array_equal(open_weights(tmp_path).read("b"), B)


@pytest.mark.parametrize("method", ["info", "read"])
def test_only_tensors_of_the_index_count(tmp_path, method):
    write_shards(tmp_path)
    with pytest.raises(WeightsError, match="no tensor named 'unlisted'; there are 2: b, a"):
        getattr(open_weights(tmp_path), method)("unlisted")


def save_torch(folder, name, value):
    torch.save({"a": torch.full((1,), value)}, folder / name)


def save_safe(folder, name, value):
    save_file({"a": np.full(1, value, np.float32)}, folder / name)


def test_the_order_of_preference(tmp_path):
    """Every candidate holds another number; each that is added outranks those before it."""
    save_torch(tmp_path, "weights.pt", 1.0)
    assert open_weights(tmp_path).read("a") == 1
    save_safe(tmp_path, "other.safetensors", 2.0)
    assert open_weights(tmp_path).read("a") == 2
    save_torch(tmp_path, "shard.bin", 3.0)
    (tmp_path / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "shard.bin"}}')
    assert open_weights(tmp_path).read("a") == 3
    save_torch(tmp_path, "pytorch_model.bin", 4.0)
    assert open_weights(tmp_path).read("a") == 4
    save_safe(tmp_path, "shard.safetensors", 5.0)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "shard.safetensors"}}')
    assert open_weights(tmp_path).read("a") == 5
    save_safe(tmp_path, "model.safetensors", 6.0)
    assert open_weights(tmp_path).read("a") == 6


def test_config_json_beside_a_file_and_in_a_folder(tmp_path):
    save_safe(tmp_path, "model.safetensors", 1.0)
    assert open_weights(tmp_path).config is None
    (tmp_path / "config.json").write_text('{"model_type": "bloom", "n_head": 16}')
    for source in (tmp_path, tmp_path / "model.safetensors"):
        assert open_weights(source).config == {"model_type": "bloom", "n_head": 16}


def test_config_json_beside_shards(tmp_path):
    write_shards(tmp_path)
    (tmp_path / "config.json").write_text('{"n_head": 2}')
    assert open_weights(tmp_path).config == {"n_head": 2}


def test_a_given_configuration_wins(tmp_path):
    save_safe(tmp_path, "model.safetensors", 1.0)
    (tmp_path / "config.json").write_text("not even JSON")
    assert open_weights(tmp_path, config={"n_head": 8}).config == {"n_head": 8}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no weights in this folder; looked for .safetensors, .bin"),
        (["README.md"], "no weights in this folder"),
        (["b.pt", "a.pt"], r"2 \.pt files and no index \(a\.pt, b\.pt\); name one"),
        (list("abcde"), "no weights in this folder"),
        ([f"{x}.npz" for x in "abcde"], r"5 \.npz files and no index \(a\.npz, b\.npz, c\.npz, d\.npz, \.\.\.\)"),
    ],
    ids=["empty", "no-weights", "two", "no-suffix", "five"],
)
def test_a_folder_that_does_not_say_which(tmp_path, files, message):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=message):
        open_weights(tmp_path)


def test_an_index_of_another_name_has_no_format(tmp_path):
    (tmp_path / "x.index.json").write_text('{"weight_map": {"a": "a.bin"}}')
    with pytest.raises(WeightsError, match=r"an index is named like model\.safetensors\.index\.json"):
        open_weights(tmp_path / "x.index.json")
