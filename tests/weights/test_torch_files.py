"""Files that PyTorch writes: both container formats, training checkpoints, tensors that share or stride."""

import numpy as np
import pytest
import torch

from spinspectra import open_weights
from spinspectra.errors import WeightsError

TENSORS = {
    "weight": torch.arange(12, dtype=torch.float32).reshape(3, 4) / 7,
    "half": torch.tensor([1.5, -2.0]).bfloat16(),
    "step": torch.tensor(17),
}


def write(path, content, **options):
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "raw"])
def test_both_containers_under_every_suffix(tmp_path, suffix, zipped):
    weights = open_weights(write(tmp_path / f"x{suffix}", TENSORS, _use_new_zipfile_serialization=zipped))
    assert weights.names() == list(TENSORS)
    for name, tensor in TENSORS.items():
        info = weights.info(name)
        assert info.shape == tuple(tensor.shape)
        assert info.dtype == str(tensor.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(weights.read(name), tensor.float().numpy())


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "module"])
def test_training_checkpoints_are_unwrapped(tmp_path, key):
    content = {key: TENSORS, "epoch": 3, "optimizer": {"state": {}}}
    assert open_weights(write(tmp_path / "x.pt", content)).names() == list(TENSORS)


def test_wrappers_within_wrappers(tmp_path):
    content = {"epoch": 3, "model": {"note": "x", "state_dict": TENSORS}}
    assert open_weights(write(tmp_path / "x.pt", content)).names() == list(TENSORS)


def test_a_wrapper_of_itself_ends(tmp_path):
    content = {}
    content["model"] = content
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        open_weights(write(tmp_path / "x.pt", content))


def test_views_are_read_with_their_own_strides(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    weights = open_weights(write(tmp_path / "x.bin", {"t": base.T, "tied": base, "column": base[:, 1]}))
    np.testing.assert_array_equal(weights.read("t"), base.numpy().T)
    np.testing.assert_array_equal(weights.read("tied"), base.numpy())
    np.testing.assert_array_equal(weights.read("column"), [1, 5, 9])
    assert weights.read("t").flags.c_contiguous


def test_a_small_expanded_buffer_is_read(tmp_path):
    weights = open_weights(write(tmp_path / "x.bin", {"mask": torch.ones(1).expand(100, 100)}))
    np.testing.assert_array_equal(weights.read("mask"), np.ones((100, 100)))


def test_parameters_saved_as_such(tmp_path):
    weights = open_weights(write(tmp_path / "x.bin", {"p": torch.nn.Parameter(torch.ones(2, 2))}))
    np.testing.assert_array_equal(weights.read("p"), np.ones((2, 2)))


def test_pickle_protocol_3_opens_without_a_warning(tmp_path):
    weights = open_weights(write(tmp_path / "x.bin", TENSORS, pickle_protocol=3))
    np.testing.assert_array_equal(weights.read("weight"), TENSORS["weight"].numpy())


def test_a_later_pickle_protocol_is_named_as_the_reason(tmp_path):
    with pytest.raises(WeightsError, match=r"pickled with a protocol above 3.*save it again"):
        open_weights(write(tmp_path / "x.bin", TENSORS, pickle_protocol=4))


def test_missing_names_are_told(tmp_path):
    weights = open_weights(write(tmp_path / "x.bin", TENSORS))
    with pytest.raises(WeightsError, match=r"x\.bin: no tensor named 'other'; there are 3: weight, half, step$"):
        weights.read("other")


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_weights_below_a_key_come_before_counters_beside_it(key, tmp_path):
    path = tmp_path / "training.pt"
    torch.save({"rng_state": torch.get_rng_state(), key: {"a.weight": torch.ones(2, 2)}}, path)
    assert open_weights(path).names() == ["a.weight"]
