"""Live Keras models: their variables under the names that they have once saved, read when asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, missing
from spinspectra.weights.dtypes import to_float
from spinspectra.weights.keras.classes import Known, knows, matrix_shape, plain_kind
from spinspectra.weights.keras.int8 import SCHEME, codes, dequantise, scale_shape

_PACKAGES = ("keras", "tf_keras")


def open_keras_model(model: Any, config: Mapping[str, Any] | None = None) -> "KerasModel":
    """The weights of a live Keras model or layer. Raises WeightsError if it has none yet."""
    return KerasModel(model, config)


@dataclass(frozen=True, slots=True)
class _Variable:
    """A variable of a layer. scale: what its int8 codes are divided by."""

    name: str
    stored: Any
    known: Known
    leaf: str
    scale: Any = None

    @property
    def dtype(self) -> "np.dtype[Any]":
        dtype: np.dtype[Any] = np.dtype(getattr(self.stored.dtype, "name", self.stored.dtype))  # TensorFlow's is named
        return dtype

    def divided_by(self, scale: Any) -> tuple[int, ...]:
        """The sides in which that variable scales this one; () if it does not."""
        return scale_shape(self.known, self.leaf, tuple(self.stored.shape), self.dtype, tuple(scale.shape))


class KerasModel:
    """Weights of a live model, each as it is when read, named and shaped as `KerasFile` has them."""

    def __init__(self, model: Any, config: Mapping[str, Any] | None = None) -> None:
        self.source = f"{type(model).__name__} {shown(str(getattr(model, 'name', '')))}".strip()
        self.config = config
        self._variables = _with_scales(_apart(_walk(model, (), set())))
        if not self._variables:
            raise WeightsError(f"{self.source}: has no weights yet; build the model first, or call it once")

    def names(self) -> list[str]:
        return list(self._variables)

    def info(self, name: str) -> TensorInfo:
        one = self._variable(name)
        shape = matrix_shape(one.known, one.leaf, tuple(one.stored.shape))
        info = TensorInfo(shape, one.dtype, self.source, codes(one.known, one.leaf, one.dtype), one.known.kind)
        if one.scale is None:
            return info
        n_bytes = info.n_bytes + 4 * prod(one.scale.shape)
        return replace(info, dtype=np.dtype(np.float32), format="", scheme=SCHEME, stored_bytes=n_bytes)

    def read(self, name: str) -> NDArray[np.floating]:
        one, info, where = self._variable(name), self.info(name), f"{self.source}: {shown(name)}"
        if info.format:
            raise WeightsError(f"{where} is stored as {info.format}, which are not read; open the model unquantised")
        values = _array(one.stored, where).reshape(info.shape)
        if one.scale is None:
            return to_float(values, where)
        return dequantise(values, _array(one.scale, where), one.divided_by(one.scale))

    def _variable(self, name: str) -> _Variable:
        try:
            return self._variables[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None


def _walk(layer: Any, names: tuple[str, ...], seen: set[int]) -> Iterator[_Variable]:
    """The variables of a layer, then those of the layers in it, each once."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    inside = _children(layer)
    theirs = {id(weight) for child in inside for weight in child.weights}
    options = {"equation": getattr(layer, "equation", None), "dtype": getattr(layer, "quantization_mode", None)}
    known = Known(str(layer.name), _kind(type(layer)), options)
    for weight in layer.weights:
        if id(weight) not in theirs | seen:
            seen.add(id(weight))
            leaf = weight.name.rpartition("/")[2].partition(":")[0]  # Keras 2 says `dense/kernel:0`
            yield _Variable(".".join((*names, leaf)), weight, known, leaf)
    for child in inside:
        yield from _walk(child, (*names, str(child.name)), seen)


def _apart(variables: Iterator[_Variable]) -> dict[str, _Variable]:
    """By name; the second of a name gets `.2` after it, and so on."""
    found: dict[str, _Variable] = {}
    for one in variables:
        name, count = one.name, 1
        while name in found:
            count += 1
            name = f"{one.name}.{count}"
        found[name] = one
    return found


def _with_scales(variables: dict[str, _Variable]) -> dict[str, _Variable]:
    """The same variables; those of int8 codes own their scales, which are then none of their own."""
    scale_of = {}
    for name, one in variables.items():
        scale = variables.get(f"{name}_scale")
        if scale is not None and one.divided_by(scale.stored):
            scale_of[name] = scale.stored
    owned = {f"{name}_scale" for name in scale_of}
    return {name: replace(one, scale=scale_of.get(name)) for name, one in variables.items() if name not in owned}


def _children(layer: Any) -> list[Any]:
    if hasattr(layer, "_flatten_layers"):
        return list(layer._flatten_layers(include_self=False, recursive=False))
    return list(getattr(layer, "layers", ()))


def _kind(own: type) -> str:
    """The first of Keras's layers among its bases whose variables are known, `Dense` for a subclass of Dense."""
    bases = (plain_kind(one.__name__) for one in own.__mro__ if one.__module__.split(".")[0] in _PACKAGES)
    return next((kind for kind in bases if knows(kind)), own.__name__)


def _array(variable: Any, where: str) -> NDArray[Any]:
    value = getattr(variable, "value", None)
    value = value() if callable(value) else value
    if hasattr(value, "detach"):  # Keras on PyTorch
        from spinspectra.weights.torch_file import tensor_to_numpy

        return tensor_to_numpy(value, where)
    return np.asarray(variable.numpy())
