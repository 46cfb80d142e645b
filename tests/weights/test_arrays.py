"""Weights already in memory: mappings of numpy arrays and torch tensors, and live modules."""

import ml_dtypes
import numpy as np
import pytest
import torch

from spinspectra import open_weights
from spinspectra.errors import WeightsError

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


class WithExtraState(torch.nn.Linear):
    """A module whose state_dict holds something besides tensors."""

    def get_extra_state(self):
        return {"calibrated": True}


class WithConfig(torch.nn.Linear):
    """A module that knows its configuration, as transformers' do."""

    class Config:
        def to_dict(self):
            return {"model_type": "bloom", "n_head": 4}

    config = Config()


@pytest.mark.parametrize("array", [MATRIX, torch.from_numpy(MATRIX)], ids=["numpy", "torch"])
def test_a_mapping_gives_back_its_arrays(array):
    weights = open_weights({"a": array})
    assert weights.names() == ["a"]
    assert (weights.info("a").shape, weights.info("a").dtype) == ((2, 3), "float32")
    np.testing.assert_array_equal(weights.read("a"), MATRIX)


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (MATRIX.astype(ml_dtypes.bfloat16), "bfloat16"),
        (torch.from_numpy(MATRIX).bfloat16(), "bfloat16"),
        (MATRIX.astype(">f8"), ">f8"),
        (MATRIX.T, "float32"),
        (torch.from_numpy(MATRIX).T, "float32"),
        (torch.from_numpy(MATRIX).requires_grad_(), "float32"),
    ],
    ids=["ml_dtypes", "torch-bfloat16", "big-endian", "transposed", "torch-transposed", "requires-grad"],
)
def test_any_layout_becomes_a_contiguous_native_array(array, dtype):
    weights = open_weights({"a": array})
    values = weights.read("a")
    assert weights.info("a").dtype == np.dtype(dtype)
    assert values.dtype.isnative
    assert values.flags.c_contiguous
    np.testing.assert_array_equal(values, MATRIX.T if tuple(array.shape) == (3, 2) else MATRIX)


def test_a_memory_map_is_read(tmp_path):
    MATRIX.tofile(tmp_path / "raw")
    mapped = np.memmap(tmp_path / "raw", dtype=np.float32, mode="r", shape=(2, 3))
    np.testing.assert_array_equal(open_weights({"a": mapped}).read("a"), MATRIX)


def test_a_module_gives_parameters_and_buffers():
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    weights = open_weights(module)
    assert weights.names() == list(module.state_dict())
    assert weights.source == "Sequential"
    np.testing.assert_array_equal(weights.read("0.weight"), module[0].weight.detach().numpy())
    assert weights.read("1.num_batches_tracked") == 0


def test_a_module_is_read_as_it_is_when_read():
    module = torch.nn.Linear(3, 2)
    weights = open_weights(module)
    with torch.no_grad():
        module.weight.fill_(4.0)
    np.testing.assert_array_equal(weights.read("weight"), np.full((2, 3), 4.0))


def test_state_that_is_no_tensor_is_passed_over():
    assert open_weights(WithExtraState(3, 2)).names() == ["weight", "bias"]


def test_the_configuration_of_a_module_is_taken_unless_one_is_given():
    assert open_weights(WithConfig(3, 2)).config == {"model_type": "bloom", "n_head": 4}
    assert open_weights(WithConfig(3, 2), config={"n_head": 2}).config == {"n_head": 2}


def test_sparse_tensors_are_read_dense():
    sparse = torch.sparse_coo_tensor([[0, 1], [2, 0]], [5.0, 7.0], (2, 3), check_invariants=True)
    np.testing.assert_array_equal(open_weights({"a": sparse}).read("a"), [[0, 0, 5], [7, 0, 0]])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "holds no tensors"),
        (torch.nn.ReLU(), "ReLU: holds no tensors"),
        ({"a": [1.0, 2.0]}, "'a' is a list; give a mapping from names to arrays"),
        ({3: MATRIX}, "'3' is a ndarray; give a mapping"),
        ({"a": np.array([object()])}, "a holds object values, which are not real numbers"),
        ({"a": np.array(["x"])}, "a holds <U1 values, which are not real numbers"),
        ({"a": MATRIX * 1j}, "a holds complex64 values, which are not real numbers"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "a holds complex64 values, which are not real numbers"),
        ({"a": torch.ones(2, device="meta")}, "a is on the meta device and has no values"),
        (torch.nn.Linear, "cannot open a type as weights"),
        (3, "cannot open a int as weights; give a path, a hub id, a torch module or a mapping"),
        (None, "cannot open a NoneType as weights"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_weights_is_refused(source, message):
    with pytest.raises(WeightsError, match=message):
        read_all(source)


def read_all(source):
    weights = open_weights(source)
    return [weights.read(name) for name in weights.names()]
