"""Small random Keras models of real layers, on the torch backend, and saving them without Keras's advice."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
L = keras.layers


def mlp() -> Any:
    return keras.Sequential(
        [keras.Input((12,)), L.Dense(10, activation="relu"), L.Dense(9, use_bias=False, name="middle"), L.Dense(8)]
    )


def convolutions() -> Any:
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, name="stem")(image)
    x = L.DepthwiseConv2D(3, depth_multiplier=2)(x)
    x = L.BatchNormalization(scale=False)(x)
    x = L.SeparableConv2D(5, 2, use_bias=False)(x)
    x = L.PReLU()(x)
    x = L.Conv2DTranspose(6, (2, 3), name="up")(x)
    x = L.GroupNormalization(2)(x)
    return keras.Model(image, L.Dense(3, name="head")(L.Flatten()(x)))


def other_convolutions() -> Any:
    sound = keras.Input((40, 2))
    x = L.Conv1D(3, 20)(sound)  # a kernel longer than its channels
    x = L.Conv1DTranspose(4, 3)(x)
    x = L.DepthwiseConv1D(3)(x)
    x = L.SeparableConv1D(5, 3)(x)
    video = keras.Input((6, 6, 6, 2))
    y = L.Conv3D(3, 2)(video)
    y = L.Conv3DTranspose(2, 2)(y)
    return keras.Model([sound, video], [x, y])


def recurrent() -> Any:
    words = keras.Input((7,))
    x = L.Embedding(11, 6, name="words")(words)
    x = L.Bidirectional(L.LSTM(5, return_sequences=True), name="both")(x)
    x = L.GRU(4, return_sequences=True)(x)
    x = L.TimeDistributed(L.Dense(3))(x)
    x = L.RNN([L.LSTMCell(3), L.GRUCell(4, use_bias=False), L.LSTMCell(2)], return_sequences=True)(x)
    return keras.Model(words, L.SimpleRNN(3, dropout=0.1)(x))


def pictures() -> Any:
    return keras.Sequential([keras.Input((4, 6, 6, 2)), L.ConvLSTM2D(3, 2), L.Flatten(), L.Dense(2)])


def attention() -> Any:
    x = tokens = keras.Input((5, 8))
    x = L.Add()([x, L.MultiHeadAttention(2, 3, dropout=0.1)(x, x)])
    x = L.LayerNormalization(center=False)(x)
    x = L.GroupQueryAttention(6, 4, 2, use_bias=False)(x, x)
    x = L.RMSNormalization()(x)
    x = L.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="e")(x)
    x = L.EinsumDense("abde,fde->abf", (None, 8))(x)  # the sum is over the last axes
    x = keras.Sequential([keras.Input((5, 8)), L.Dense(16), L.Dense(8)], name="feed_forward")(x)
    return keras.Model(tokens, L.SpectralNormalization(L.Dense(4))(x))


@keras.saving.register_keras_serializable("tests")
class Block(L.Layer):
    """A layer with layers and a variable of its own."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.width = width
        self.fc = L.Dense(width)
        self.attend = L.MultiHeadAttention(2, 3, dropout=0.1)
        self.norm = L.LayerNormalization()

    def build(self, shape: Any) -> None:
        self.gain = self.add_weight(shape=(3, 5), name="gain")
        self.attend.build(shape, shape)
        self.fc.build(shape)
        self.norm.build(shape)

    def call(self, x: Any) -> Any:
        return self.norm(self.fc(self.attend(x, x)))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model without a graph: lists, dicts and attributes of layers, those with names of their own among them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.embed = L.Embedding(10, 4)
        self.blocks = [Block(4), Block(4, name="second")]
        self.heads = {"a": L.Dense(4), "b": L.Dense(4)}
        self.net = keras.Sequential([keras.Input((5, 4)), L.Dense(3), L.Conv1D(2, 2)])
        self.drop = L.Dropout(0.1)

    def call(self, x: Any) -> Any:
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.net(self.drop(self.heads["b"](self.heads["a"](x))))


def subclassed() -> Any:
    model = Subclassed()
    model(np.zeros((1, 5), "int32"))
    return model


MODELS: dict[str, Callable[[], Any]] = {
    make.__name__: make for make in (mlp, convolutions, other_convolutions, recurrent, pictures, attention)
}
FORMATS = (".keras", ".weights.h5", ".h5")


def fresh(make: Callable[[], Any]) -> Any:
    """The model, names counted from zero, every variable random: biases of zeros would hide a mix-up."""
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
        for variable in model.weights:
            variable.assign(rng.normal(size=variable.shape).astype("float32"))
    return model


def quantise(model: Any, mode: str) -> Any:
    with warnings.catch_warnings(), patch("gc.collect"):  # Keras collects after every layer
        warnings.simplefilter("ignore")
        model.quantize(mode)
    return model


def save(model: Any, folder: Path, suffix: str) -> Path:
    path = folder / f"model{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if suffix == ".weights.h5":
            model.save_weights(path)
        else:
            model.save(path)
    return path


def arrays(model: Any) -> dict[str, np.ndarray]:
    """Its variables by Keras's own paths, dots for slashes, the name of the model itself left out."""
    return {
        variable.path.removeprefix(f"{model.name}/").replace("/", "."): variable.value.detach().numpy()
        for variable in model.weights
    }
