"""Tensors that are the same memory: marked, counted once, read all the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spinspectra import analyze, describe, open_weights, read_layers
from spinspectra.ising import IsingChain
from tests.layers.models import CASES, assert_couplings_act_as_the_model, build, forward_pass


class Tied(torch.nn.Module):
    """A head that is the table, and comes before it in natural order of names."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(40, 12)
        self.middle = torch.nn.Linear(12, 12)
        self.head = torch.nn.Linear(12, 40, bias=False)
        self.head.weight = self.table.weight


def opened(how: str, folder: Path) -> Any:
    module = Tied()
    state = module.state_dict()
    if how == "module":
        return module
    if how == "torch":
        return state
    if how == "numpy":
        return {name: tensor.numpy() for name, tensor in state.items()}
    if how == "mixed":
        return {name: tensor.numpy() if name.startswith("head") else tensor for name, tensor in state.items()}
    path = folder / "x.pt"
    torch.save(state, path, _use_new_zipfile_serialization=how == "zip")
    return path


HOW = pytest.mark.parametrize("how", ["module", "torch", "numpy", "mixed", "zip", "legacy"])


@HOW
def test_the_first_in_order_is_the_owner(how: str, tmp_path: Path) -> None:
    weights = open_weights(opened(how, tmp_path))
    assert {name: weights.info(name).same_as for name in weights.names()} == {
        "table.weight": "",
        "middle.weight": "",
        "middle.bias": "",
        "head.weight": "table.weight",
    }
    np.testing.assert_array_equal(weights.read("head.weight"), weights.read("table.weight"))


@HOW
def test_a_tied_matrix_is_analysed_once(how: str, tmp_path: Path) -> None:
    source = opened(how, tmp_path)
    table = describe(source).set_index("name")
    assert table.loc["head.weight", "skipped"] == "tied to table.weight"
    assert table.loc["head.weight", "same_as"] == "table.weight"
    assert table.loc["table.weight", ["skipped", "same_as"]].tolist() == ["", ""]
    assert analyze(source).longname.tolist() == ["middle", "table"]


@pytest.mark.parametrize("choice", ["head", "head.weight", 0, "-table"])
def test_a_tied_tensor_stands_for_an_owner_that_is_not_asked_for(choice: Any) -> None:
    rows = analyze(Tied(), layers=choice).longname.tolist()
    assert "head" in rows
    assert "table" not in rows


def test_of_two_tied_to_one_that_is_not_asked_for_one_is_analysed() -> None:
    table = np.random.default_rng(0).standard_normal((20, 9))
    source = {"shared": table, "encoder": table, "decoder": table}
    assert analyze(source).longname.tolist() == ["shared"]
    assert analyze(source, layers="-shared").longname.tolist() == ["decoder"]


def same_as(tensors: dict[str, Any]) -> list[str]:
    return [open_weights(tensors).info(name).same_as for name in tensors]


BASE = np.arange(60, dtype=np.float32).reshape(6, 10)
SQUARE = BASE[:, :6].copy()
KERNEL = torch.zeros(4, 3, 2, 5)


@pytest.mark.parametrize(
    ("a", "b", "tied"),
    [
        (BASE, BASE, True),
        (BASE, BASE.T, True),
        (SQUARE, SQUARE.T, True),
        (BASE, BASE[:, None, :], True),
        (BASE, torch.from_numpy(BASE).T, True),
        (KERNEL, KERNEL.permute(2, 3, 1, 0), True),
        (BASE, BASE.copy(), False),
        (BASE, BASE[:5], False),
        (BASE, BASE[1:], False),
        (BASE, BASE[:, ::-1], False),
        (BASE, BASE.reshape(3, 20), False),
        (BASE, BASE.view(np.int32), False),
        (BASE, BASE.view(">f4"), False),
        (KERNEL, KERNEL.bfloat16(), False),
        (np.ones((0, 3)), np.ones((0, 3)), False),
        (torch.ones(3, 3, device="meta"), torch.ones(3, 3, device="meta"), False),
        (torch.eye(3).to_sparse(), torch.eye(3).to_sparse(), False),
    ],
)
def test_only_the_same_memory_is_tied(a: Any, b: Any, tied: bool) -> None:
    assert same_as({"a": a, "b": b}) == ["", "a" if tied else ""]


def test_arrays_that_are_made_when_asked_are_not_compared(tmp_path: Path) -> None:
    """numpy's own archive reads an array anew each time, which may well be where the last one was."""
    np.savez(tmp_path / "x.npz", **{f"w{i}": np.full((9, 9), float(i)) for i in range(20)})
    with np.load(tmp_path / "x.npz") as archive:
        assert all(layer.same_as == "" for layer in read_layers(archive))


def test_files_that_hold_two_copies_hold_two_tensors(tmp_path: Path) -> None:
    save_file({"a.weight": np.ones((9, 9)), "b.weight": np.ones((9, 9))}, tmp_path / "x.safetensors")
    assert [layer.same_as for layer in read_layers(tmp_path / "x.safetensors")] == ["", ""]


def test_a_chain_reads_blocks_that_share_their_weights() -> None:
    """As in ALBERT: the second block is the first."""
    state = dict(build("OPT", n_blocks=1).state_dict())
    state |= {name.replace("layers.0.", "layers.1."): tensor for name, tensor in state.items()}
    chain = IsingChain.from_weights(state)
    passage = forward_pass(CASES["OPT"], build("OPT", n_blocks=1))
    for kept in (passage.inputs, passage.outputs):
        for role in kept:
            kept[role] = kept[role] * 2
    assert_couplings_act_as_the_model(chain, passage)
    assert describe(state).same_as.astype(bool).sum() == sum("layers.0." in name for name in state)
