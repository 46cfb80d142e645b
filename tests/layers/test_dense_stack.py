"""Plain MLPs as chains: dense layers in the order in which a network applies them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from spinspectra import IsingChain, open_weights, shuffle
from spinspectra.errors import OptionError, UnknownFamilyError
from spinspectra.layers import recognise
from spinspectra.studies.shuffled_weights import write_shuffled
from spinspectra.weights.writing import open_checkpoint
from tests.layers.models import memory_arrays, randomised


def mlp(*sizes: int, norms: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.GELU()]
        layers += [nn.LayerNorm(n_out)] if norms else []
    return randomised(nn.Sequential(*layers))


def maps(model: nn.Module) -> list[Any]:
    """Input x output, in the order of the forward pass."""
    seen: list[Any] = []
    hooks = [
        module.register_forward_hook(lambda module, _x, _y: seen.append(module.weight.detach().numpy().T))
        for module in model.modules()
        if isinstance(module, nn.Linear)
    ]
    first = next(module for module in model.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        model(torch.zeros(1, first.in_features))
    for hook in hooks:
        hook.remove()
    return seen


def assert_chain_is(chain: IsingChain, expected: list[Any]) -> None:
    assert len(chain.couplings) == len(expected)
    for J, W in zip(chain.couplings, expected, strict=True):
        np.testing.assert_array_equal(J, W)


@pytest.mark.parametrize("sizes", [(7, 5, 3), (4, 4, 4, 4), (9, *(6,) * 12, 2)], ids=["small", "square", "deep"])
@pytest.mark.parametrize("norms", [False, True], ids=["bare", "norms"])
def test_a_torch_mlp(sizes: tuple[int, ...], norms: bool, tmp_path: Path) -> None:
    """In the deep one the alphabet has layer 10 before layer 2, and all sizes between meet."""
    model = mlp(*sizes, norms=norms)
    save_file(memory_arrays(model), tmp_path / "model.safetensors")
    for source in (model, memory_arrays(model), tmp_path):
        chain = IsingChain.from_weights(source)
        assert_chain_is(chain, maps(model))
        assert chain.nodes == sizes
        assert chain.labels == tuple(f"{layer}.dense" for layer in range(len(sizes) - 1))
    found = recognise(open_weights(model))
    assert (found.name, found.n_blocks) == ("MLP", len(sizes) - 1)


def test_names_in_the_order_of_the_module_win_over_the_alphabet() -> None:
    model = nn.ModuleDict({"inward": nn.Linear(4, 4), "between": nn.Linear(4, 4), "outward": nn.Linear(4, 4)})
    arrays = memory_arrays(randomised(model))
    order = [arrays[f"{name}.weight"].T for name in ("inward", "between", "outward")]
    assert_chain_is(IsingChain.from_weights(model), order)


@pytest.mark.parametrize("sizes", [(7, 5, 3), (4, 4, 4)], ids=["any", "square"])
def test_kernels_are_input_by_output(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    shapes = list(pairwise(sizes))
    arrays = {f"dense_{i}.kernel": rng.normal(size=shape).astype(np.float32) for i, shape in enumerate(shapes)}
    biases = {f"dense_{i}.bias": np.ones(n, np.float32) for i, (_n_in, n) in enumerate(shapes)}
    assert_chain_is(IsingChain.from_weights(arrays | biases), list(arrays.values()))


def test_other_orientation_where_only_that_meets() -> None:
    arrays = {"w1": np.ones((7, 5), np.float32), "w2": np.ones((5, 3), np.float32)}
    assert IsingChain.from_weights(arrays).nodes == (7, 5, 3)


def test_blocks_are_the_first_layers() -> None:
    model = mlp(7, 5, 3, 2)
    assert_chain_is(IsingChain.from_weights(model, blocks=2), maps(model)[:2])
    with pytest.raises(OptionError, match="has 3 blocks; give 1 to 3"):
        IsingChain.from_weights(model, blocks=4)


@pytest.mark.parametrize(
    "other",
    [{"conv.weight": (4, 3, 5, 5)}, {"embedding.weight": (9, 3)}, {"9.weight": (6, 6)}, {"query.weight": (3, 3)}],
    ids=["a convolution", "an embedding", "sizes apart", "attention"],
)
def test_what_is_more_than_an_mlp_is_none(other: dict[str, tuple[int, ...]]) -> None:
    arrays = memory_arrays(mlp(7, 5, 3)) | {name: np.ones(shape, np.float32) for name, shape in other.items()}
    with pytest.raises(UnknownFamilyError):
        IsingChain.from_weights(arrays)


def test_a_single_matrix_is_no_mlp() -> None:
    with pytest.raises(UnknownFamilyError):
        IsingChain.from_weights({"0.weight": np.ones((5, 3), np.float32)})


def test_another_architecture_is_no_mlp_whatever_its_sizes() -> None:
    with pytest.raises(UnknownFamilyError, match=r"config\.json says 'perceiver'"):
        IsingChain.from_weights(open_weights(memory_arrays(mlp(7, 5, 3)), config={"model_type": "perceiver"}))


def test_shuffled_couplings_are_written_back(tmp_path: Path) -> None:
    source = tmp_path / "mlp.safetensors"
    save_file(memory_arrays(mlp(7, 5, 3)), source)
    write_shuffled(open_checkpoint(source), tmp_path / "out.safetensors", 0.5, "couplings", seed=3)
    expected = shuffle(IsingChain.from_weights(source), 0.5, seed=3)
    np.testing.assert_array_equal(IsingChain.from_weights(tmp_path / "out.safetensors").flat, expected.flat)
