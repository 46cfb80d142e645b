"""Gates of recurrent layers against torch's own modules, with the class at hand and from names and shapes alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spinspectra import analyze, read_layers
from spinspectra.spectra.esd import esd

MODULES: dict[str, tuple[int, Callable[[], Any]]] = {
    "LSTM": (4, lambda: torch.nn.LSTM(5, 7, num_layers=2, bidirectional=True)),
    "LSTM with projection": (4, lambda: torch.nn.LSTM(5, 8, num_layers=2, proj_size=2, bidirectional=True)),
    "GRU": (3, lambda: torch.nn.GRU(5, 7, num_layers=2)),
    "RNN": (1, lambda: torch.nn.RNN(5, 7)),
    "LSTMCell": (4, lambda: torch.nn.LSTMCell(5, 7)),
    "GRUCell": (3, lambda: torch.nn.GRUCell(5, 7)),
    "RNNCell": (1, lambda: torch.nn.RNNCell(5, 7)),
}


def arrays(module: Any, prefix: str = "") -> dict[str, Any]:
    return {prefix + name: tensor.numpy() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("case", MODULES)
@pytest.mark.parametrize("opened", ["module", "names", "prefixed", "file"])
def test_gates_are_torchs_chunks(case: str, opened: str, tmp_path: Path) -> None:
    n_gates, make = MODULES[case]
    module = make()
    prefix = "encoder.rnn." if opened in ("prefixed", "file") else ""
    source: Any = module if opened == "module" else arrays(module, prefix)
    if opened == "file":
        save_file({prefix + name: tensor for name, tensor in module.state_dict().items()}, tmp_path / "x.safetensors")
        source = tmp_path / "x.safetensors"
    layers = {layer.name.removeprefix(prefix): layer for layer in read_layers(source)}
    assert layers.keys() == module.state_dict().keys()
    for name, tensor in module.state_dict().items():
        layer = layers[name]
        if "bias" in name:
            assert (layer.kind, layer.n_matrices) == ("bias", 0)
            continue
        kind, expected = ("dense", 1) if "weight_hr" in name else ("recurrent", n_gates)
        assert (layer.kind, layer.n_matrices) == (kind, expected)
        gates = [gate.numpy() for gate in torch.chunk(tensor, expected)]
        assert layer.matrix_shape == gates[0].shape
        np.testing.assert_array_equal(np.stack(layer.matrices()), np.stack(gates))


def test_gates_in_torchs_order_make_the_step_of_an_lstm() -> None:
    """c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c'), as torch documents LSTMCell."""
    cell = torch.nn.LSTMCell(5, 7, bias=False)
    x, h, c = torch.randn(2, 5), torch.randn(2, 7), torch.randn(2, 7)
    into, again = (
        [torch.from_numpy(gate.copy()) for gate in layer.matrices()]
        for layer in sorted(read_layers(cell), key=lambda layer: layer.name, reverse=True)
    )
    i, f, g, o = (x @ w.T + h @ u.T for w, u in zip(into, again, strict=True))
    c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h_torch, c_torch = cell(x, (h, c))
    torch.testing.assert_close(c_next, c_torch)
    torch.testing.assert_close(o.sigmoid() * c_next.tanh(), h_torch)


def test_the_spectrum_is_that_of_the_gates() -> None:
    module = torch.nn.GRU(20, 30)
    table = analyze(module).set_index("longname")
    gates = torch.chunk(module.weight_ih_l0.detach().double(), 3)
    singular = np.sort(torch.cat([torch.linalg.svdvals(gate) for gate in gates]).numpy())
    (layer,) = (layer for layer in read_layers(module) if layer.name == "weight_ih_l0")
    np.testing.assert_allclose(esd(layer.matrices()).eigenvalues, singular**2, rtol=1e-6)
    row = table.loc["weight_ih_l0"]
    assert (row.layer_type, row.N, row.M, row.rf, row.num_evals) == ("recurrent", 30, 20, 3, 60)


@pytest.mark.parametrize(
    "shapes",
    [
        {"weight_ih_l0": (28, 5)},
        {"weight_ih_l0": (28, 5), "weight_hh_l1": (28, 7)},
        {"weight_ih_l0": (28, 5), "weight_hh_l0": (24, 6)},
        {"weight_ih_l0": (14, 5), "weight_hh_l0": (14, 7)},
        {"weight_ih_l0": (28, 5), "weight_hh_l0": (28, 3), "weight_hr_l0": (4, 7)},
        {"myweight_ih_l0": (28, 5), "myweight_hh_l0": (28, 7)},
        {"weight_ih_l0_extra": (28, 5), "weight_hh_l0_extra": (28, 7)},
        {"weight_ih_l0": (28, 5), "weight_hh_l0": (28,)},
    ],
    ids=lambda shapes: " ".join(f"{name}{shape}" for name, shape in shapes.items()),
)
def test_one_dense_matrix_where_the_number_cannot_be_told(shapes: dict[str, tuple[int, ...]]) -> None:
    layers = {layer.name: layer for layer in read_layers({name: np.ones(shape) for name, shape in shapes.items()})}
    layer = layers[next(iter(shapes))]
    assert (layer.kind, layer.n_matrices, layer.matrix_shape) == ("dense", 1, layer.shape)


def test_the_class_tells_the_number_where_a_sibling_is_missing() -> None:
    """A lone tensor of an LSTM: its sibling computed on the fly, as wrappers that drop weights do."""
    module = torch.nn.LSTM(5, 7, bias=False)
    del module._parameters["weight_hh_l0"]
    (layer,) = read_layers(module)
    assert (layer.kind, layer.n_matrices, layer.matrix_shape) == ("recurrent", 4, (7, 5))
