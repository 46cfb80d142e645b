"""Which layers are watched, and that the copy is of the same bits and keeps them."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from spinspectra import analyze
from spinspectra.errors import OptionError
from spinspectra.monitor.snapshot import Snapshot, choose_layers, take_snapshot
from tests.monitor.helpers import heavy, weights


def module() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(20, 30), torch.nn.LayerNorm(30), torch.nn.Linear(30, 16), torch.nn.Linear(16, 4)
    )


def names(source: Any, layers: Any = None) -> list[str]:
    return [layer.name for layer in choose_layers(source, layers).layers]


def snapshot_of(source: Any, layers: Any = None) -> Snapshot:
    return take_snapshot(source, choose_layers(source, layers))


def test_all_layers_with_a_spectrum_by_default() -> None:
    assert names(module()) == ["0.weight", "2.weight"]  # the last has four eigenvalues


def test_frozen_parameters_and_buffers_are_left_out_unless_asked_for() -> None:
    one = module()
    one[0].requires_grad_(False)
    one.register_buffer("mask", torch.ones(50, 50))
    assert names(one) == ["2.weight"]
    assert names(one, ["0.weight"]) == ["0.weight"]
    assert "mask" in names(one.requires_grad_(False))  # nothing is trained, so all is watched


def test_tied_tensors_are_watched_once() -> None:
    one = torch.nn.ModuleDict({"embedding": torch.nn.Embedding(40, 12), "head": torch.nn.Linear(12, 40, bias=False)})
    one["head"].weight = one["embedding"].weight
    assert names(one) == ["embedding.weight"]


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(OptionError, match="nothing is called 'fc9'"):
        choose_layers(module(), ["fc9"])
    with pytest.raises(OptionError, match="no layer to measure among 2 tensors"):
        choose_layers(torch.nn.Linear(4, 4), None)


def test_sharded_modules_are_refused() -> None:
    one = module()
    one[0].weight.ds_id = 7  # what DeepSpeed puts on a parameter that is spread over processes
    with pytest.raises(OptionError, match="sharded over processes"):
        choose_layers(one, None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_copy_is_of_the_same_bits_and_stays(dtype: torch.dtype) -> None:
    one = module().to(dtype)
    with torch.no_grad():
        one[2].weight.copy_(one[2].weight.clone())
    before = one[2].weight.detach().clone()
    copy = snapshot_of(one)
    with torch.no_grad():
        one[2].weight.add_(1.0)
    assert copy.values["2.weight"].dtype.itemsize == dtype.itemsize
    np.testing.assert_array_equal(copy.read("2.weight"), before.double().numpy().astype(copy.read("2.weight").dtype))


def test_strided_parameters_are_copied_in_their_order() -> None:
    one = torch.nn.Linear(20, 30, bias=False)
    one.weight = torch.nn.Parameter(torch.arange(600.0).reshape(20, 30).T)
    np.testing.assert_array_equal(snapshot_of(one).read("weight"), one.weight.detach().numpy())


def test_arrays_are_copied_and_bfloat16_stays_so() -> None:
    tensors: dict[str, Any] = {"a.weight": heavy(), "b.weight": heavy(seed=1).astype(ml_dtypes.bfloat16)}
    expected = {name: np.array(value) for name, value in tensors.items()}
    copy = snapshot_of(tensors)
    for value in tensors.values():
        value[:] = 0.0
    for name, value in expected.items():
        np.testing.assert_array_equal(copy.values[name], value)
        assert copy.values[name].dtype == value.dtype


def test_only_what_is_watched_is_copied_and_all_of_it_is_known() -> None:
    copy = snapshot_of(weights(3), ["layers.1"])
    assert list(copy.values) == ["layers.1.weight"]
    assert copy.names() == ["layers.0.weight", "layers.1.weight", "layers.2.weight"]


def test_a_function_is_asked_for_the_weights() -> None:
    assert names(lambda: weights(1)) == ["layers.0.weight"]
    assert names(lambda: module()) == ["0.weight", "2.weight"]


@pytest.mark.parametrize("make", ["convolution", "gates", "bfloat16"])
def test_the_copy_is_analysed_as_the_module_is(make: str) -> None:
    torch.manual_seed(1)
    one: torch.nn.Module = {
        "convolution": lambda: torch.nn.Conv2d(12, 20, 3),
        "gates": lambda: torch.nn.LSTM(12, 20),
        "bfloat16": lambda: torch.nn.Linear(40, 60).bfloat16(),
    }[make]()
    expected, found = analyze(one), analyze(snapshot_of(one))
    assert len(expected) > 0
    columns = ["longname", "layer_id", "layer_type", "rf", "alpha", "matrix_rank", "log_norm"]
    assert found[columns].equals(expected[columns])
