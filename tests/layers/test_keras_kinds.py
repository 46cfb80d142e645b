"""Layers of Keras as matrices: what they are taken for, and what Keras's own layers do with them."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spinspectra import analyze, describe, open_weights, read_layers
from spinspectra.spectra.esd import esd
from spinspectra.weights.base import TensorInfo
from tests.weights.keras_models import MODELS, fresh, keras

L = keras.layers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Headers:
    """Weights of given shapes and classes, each value its place in its tensor."""

    def __init__(self, **tensors: tuple[tuple[int, ...], str]) -> None:
        self.source, self.config = "headers", None
        self._tensors = {name.replace("__", "."): tensor for name, tensor in tensors.items()}

    def names(self) -> list[str]:
        return list(self._tensors)

    def info(self, name: str) -> TensorInfo:
        shape, module = self._tensors[name]
        return TensorInfo(shape, np.dtype(np.float32), "headers", module=module)

    def read(self, name: str) -> np.ndarray:
        shape = self.info(name).shape
        return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def only(shape: tuple[int, ...], module: str, channels: Any = None, name: str = "layer__kernel") -> Any:
    (layer,) = read_layers(Headers(**{name: (shape, module)}), channels)
    return layer


CONVOLUTIONS = {
    # by their shapes alone, these would be taken for a stack, or for channels first
    "Conv1D": ((80, 1, 6), "conv1d", 80, (1, 6)),
    "Conv1DTranspose": ((3, 8, 4), "conv1d", 3, (8, 4)),
    "DepthwiseConv1D": ((9, 4, 2), "conv1d", 9, (4, 2)),
    "SeparableConv1D": ((7, 2, 3), "conv1d", 7, (2, 3)),
    "Conv2D": ((9, 9, 1, 4), "conv2d", 81, (1, 4)),
    "Conv2DTranspose": ((8, 8, 3, 2), "conv2d", 64, (3, 2)),
    "DepthwiseConv2D": ((3, 3, 4, 1), "conv2d", 9, (4, 1)),
    "SeparableConv2D": ((3, 3, 2, 2), "conv2d", 9, (2, 2)),
    "Conv3D": ((5, 5, 5, 2, 3), "conv3d", 125, (2, 3)),
    "Conv3DTranspose": ((2, 3, 4, 5, 6), "conv3d", 24, (5, 6)),
    "ConvLSTMCell": ((3, 3, 2, 8), "conv2d", 9, (2, 8)),
    "ConvLSTM1D": ((5, 2, 8), "conv1d", 5, (2, 8)),
}


@pytest.mark.parametrize("channels", [None, "first", "last"])
@pytest.mark.parametrize("module", CONVOLUTIONS)
def test_kernels_of_keras_have_their_channels_last_for_certain(module: str, channels: Any) -> None:
    shape, kind, n_matrices, sides = CONVOLUTIONS[module]
    layer = only(shape, module, channels)
    assert (layer.kind, layer.n_matrices, layer.matrix_shape, layer.channels) == (kind, n_matrices, sides, "last")
    matrices = layer.matrices()
    values = np.arange(np.prod(shape)).reshape(shape)
    for matrix, place in zip(matrices, np.ndindex(shape[:-2]), strict=True):
        np.testing.assert_array_equal(matrix, values[place])
    np.testing.assert_array_equal(layer.assemble(matrices), values)


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
def test_gates_side_by_side_are_those_of_the_cell(cell: str) -> None:
    """One step of Keras's own cell, made of the matrices: their order is that which it documents."""
    units, rng = 5, np.random.default_rng(1)
    layer = fresh(lambda: getattr(L, f"{cell}Cell")(units, use_bias=False))
    state = [rng.standard_normal((2, units)).astype("float32") for _ in range(2 if cell == "LSTM" else 1)]
    x = rng.standard_normal((2, 4)).astype("float32")
    tensors = [keras.ops.convert_to_tensor(one) for one in (x, *state)]
    layer.build((None, 4))
    for weight in layer.weights:
        weight.assign(rng.standard_normal(weight.shape).astype("float32"))
    after = layer(tensors[0], tensors[1:])[1]
    expected = [one.detach().numpy() for one in (after if isinstance(after, list | tuple) else [after])]

    layers = {one.name: one for one in read_layers(open_weights(layer))}
    assert {one.kind for one in layers.values()} == {"recurrent"}
    into, again = layers["kernel"].matrices(), layers["recurrent_kernel"].matrices()
    assert [one.shape for one in into] == [(4, units)] * len(into)
    h = state[0]
    if cell == "LSTM":
        i, f, c, o = (x @ w + h @ u for w, u in zip(into, again, strict=True))
        c_next = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(c)
        found = [sigmoid(o) * np.tanh(c_next), c_next]
    elif cell == "GRU":
        z, r, n = (x @ w + h @ u for w, u in zip(into, again, strict=True))
        n = np.tanh(x @ into[2] + sigmoid(r) * (h @ again[2]))
        found = [sigmoid(z) * h + (1 - sigmoid(z)) * n]
    else:
        (w,), (u,) = into, again
        found = [np.tanh(x @ w + h @ u)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("module", "gates"), [("LSTMCell", 4), ("LSTM", 4), ("GRUCell", 3), ("GRU", 3), ("SimpleRNNCell", 1)]
)
@pytest.mark.parametrize("name", ["cell__kernel", "kernel", "cell__recurrent_kernel"])
def test_gates_are_taken_apart_and_put_together(module: str, gates: int, name: str) -> None:
    layer = only((6, 12), module, name=name)
    assert (layer.kind, layer.n_matrices, layer.matrix_shape) == ("recurrent", gates, (6, 12 // gates))
    values = np.arange(72, dtype=np.float32).reshape(6, 12)
    matrices = layer.matrices()
    for index, matrix in enumerate(matrices):
        np.testing.assert_array_equal(matrix, values[:, index * 12 // gates : (index + 1) * 12 // gates])
    np.testing.assert_array_equal(layer.assemble(matrices), values)


@pytest.mark.parametrize(("hidden", "gates"), [((4, 16), 4), ((5, 15), 3), ((6, 6), 1)])
def test_the_recurrent_kernel_tells_the_number_where_no_class_does(hidden: tuple[int, int], gates: int) -> None:
    layers = read_layers(
        Headers(a__kernel=((7, hidden[1]), ""), a__recurrent_kernel=(hidden, ""), b__kernel=(hidden, ""))
    )
    found = {layer.name: (layer.kind, layer.n_matrices, layer.matrix_shape) for layer in layers}
    assert found == {
        "a.kernel": ("recurrent", gates, (7, hidden[0])),
        "a.recurrent_kernel": ("recurrent", gates, (hidden[0], hidden[0])),
        "b.kernel": ("dense", 1, hidden),
    }


@pytest.mark.parametrize(
    ("kernel", "recurrent"), [((7, 16), (4, 12)), ((7, 8), (4, 8)), ((7, 16), (16,))], ids=["sizes", "two", "vector"]
)
def test_one_dense_matrix_where_the_number_cannot_be_told(kernel: Any, recurrent: Any) -> None:
    layers = {
        layer.name: layer for layer in read_layers(Headers(kernel=(kernel, ""), recurrent_kernel=(recurrent, "")))
    }
    assert (layers["kernel"].kind, layers["kernel"].n_matrices) == ("dense", 1)


def test_the_same_gates_have_the_same_spectrum_in_torch_and_keras() -> None:
    import torch

    module = torch.nn.LSTM(6, 9, bias=False)
    tensors = {
        "kernel": module.weight_ih_l0.detach().numpy().T.copy(),
        "recurrent_kernel": module.weight_hh_l0.detach().numpy().T.copy(),
    }
    for one, other in zip(
        read_layers(tensors), sorted(read_layers(module), key=lambda layer: "hh" in layer.name), strict=True
    ):
        np.testing.assert_allclose(esd(one.matrices()).eigenvalues, esd(other.matrices()).eigenvalues, rtol=1e-5)


OTHERS = {
    ("layer__vector_u", (1, 30), "SpectralNormalization"): ("norm", 0, ""),
    ("layer__gamma", (4, 5), "LayerNormalization"): ("norm", 0, ""),
    ("layer__gamma", (9,), "LayerNormalization"): ("norm", 0, ""),
    ("layer__moving_mean", (9,), "BatchNormalization"): ("other", 0, ""),
    ("layer__alpha", (6, 6, 4), "PReLU"): ("other", 0, "slopes of an activation"),
    ("layer__bias", (2, 30), "GRUCell"): ("other", 0, ""),
    ("layer__bias", (12,), "Dense"): ("bias", 0, ""),
    ("embedding_head__kernel", (9, 9), "Dense"): ("dense", 1, ""),
    ("embedding_head__kernel", (9, 9), "EinsumDense"): ("dense", 1, ""),
    ("layer__kernel", (2, 9, 9), "EinsumDense"): ("other", 0, "an einsum kernel whose equation makes no matrix of it"),
    ("table__embeddings", (20, 9), "Embedding"): ("embedding", 1, ""),
    ("table__reverse_embeddings", (9, 20), "ReversibleEmbedding"): ("embedding", 1, ""),
    ("layer__kernel", (90, 6, 8), "LocallyConnected1D"): ("stack", 90, ""),
}


@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_what_else_keras_has(case: tuple[str, tuple[int, ...], str]) -> None:
    name, shape, module = case
    kind, n_matrices, reason = OTHERS[case]
    layer = only(shape, module, name=name)
    assert (layer.kind, layer.n_matrices, layer.reason[: len(reason)]) == (kind, n_matrices, reason)


def test_an_einsum_kernel_is_the_matrix_that_keras_multiplies_by() -> None:
    """Query, key and value of attention and any other einsum act as x M on the flattened axes."""
    model = fresh(MODELS["attention"])
    layers = {layer.name: layer for layer in read_layers(open_weights(model))}
    rng = np.random.default_rng(2)
    attention = model.get_layer("multi_head_attention")
    for part in ("query", "key", "value", "output"):
        dense = getattr(attention, f"{part}_dense")
        name = "multi_head_attention." + ("attention_output" if part == "output" else part)
        assert_multiplies(dense, layers[f"{name}.kernel"], (2, 3) if part == "output" else (8,), rng)
    assert_multiplies(model.get_layer("einsum_dense"), layers["einsum_dense.kernel"], (8,), rng)
    assert_multiplies(model.get_layer("einsum_dense_1"), layers["einsum_dense_1.kernel"], (3, 4), rng, transposed=True)


def assert_multiplies(dense: Any, layer: Any, n_in: tuple[int, ...], rng: Any, transposed: bool = False) -> None:
    x = rng.standard_normal((2, 5, *n_in)).astype("float32")
    bias = 0 if dense.bias is None else dense.bias.value.detach().numpy()
    out = dense(keras.ops.convert_to_tensor(x)).detach().numpy() - bias
    (matrix,) = layer.matrices()
    assert layer.kind == "dense"
    found = x.reshape(10, -1) @ (matrix.T if transposed else matrix)
    np.testing.assert_allclose(found, out.reshape(10, -1), rtol=1e-4, atol=1e-5)


def test_spectra_of_a_convolution_of_keras_are_those_of_its_slices(tmp_path: Path) -> None:
    """A kernel (5, 5, 1, 30), which the guess by shape takes for 30 slices of 5 x 5."""
    kernel = np.random.default_rng(0).standard_normal((5, 5, 12, 30)).astype("float32")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = ["stem"]
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": []}})
        group = file.create_group("stem")
        group.attrs["weight_names"] = ["stem/kernel:0"]
        group["stem/kernel:0"] = kernel
    row = analyze(tmp_path / "x.h5").iloc[0]
    singular = np.linalg.svd(kernel.reshape(25, 12, 30).astype(float), compute_uv=False)
    assert (row.layer_type, row.rf, row.N, row.M, row.num_evals) == ("conv2d", 25, 30, 12, 300)
    np.testing.assert_allclose(row.lambda_max, singular.max() ** 2, rtol=1e-6)
    assert describe(tmp_path / "x.h5")["kind"].tolist() == ["conv2d"]
