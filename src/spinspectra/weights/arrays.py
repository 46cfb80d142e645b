"""Weights already in memory (or memory-mapped): a mapping from names to numpy arrays or torch tensors."""

from collections.abc import Mapping
from typing import Any

import ml_dtypes  # noqa: F401  registers bfloat16 and float8 with numpy, by name
import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, missing
from spinspectra.weights.dtypes import to_float


class MappingWeights:
    """Weights over a mapping of arrays; nothing is copied until a tensor is read.

    modules: the class of the torch module that holds each tensor, by the tensor's name, as far as known. Tensors of a
    dict that are the same memory are marked (`TensorInfo.same_as`), the first in its order being the owner: modules
    list an embedding before the head tied to it. Other mappings may make their arrays when asked and are not compared.

    Raises WeightsError for an empty mapping, a name that is no string, or a value that is no array.
    """

    def __init__(
        self,
        tensors: Mapping[str, Any],
        source: str,
        config: Mapping[str, Any] | None = None,
        modules: Mapping[str, str] | None = None,
    ) -> None:
        if not tensors:
            raise WeightsError(f"{source}: holds no tensors")
        for name, value in tensors.items():
            if not isinstance(name, str) or not (hasattr(value, "shape") and hasattr(value, "dtype")):
                raise WeightsError(
                    f"{source}: '{shown(str(name))}' is a {type(value).__name__}; give a mapping from names to "
                    "arrays or tensors"
                )
        self.source = source
        self.config = config
        self._tensors = tensors
        self._modules = modules or {}
        self._same_as = tied(tensors) if isinstance(tensors, dict) else {}

    def names(self) -> list[str]:
        return list(self._tensors)

    def info(self, name: str) -> TensorInfo:
        value = self._value(name)
        dtype, unknown = _dtype_of(value)
        module, same_as = self._modules.get(name, ""), self._same_as.get(name, "")
        return TensorInfo(tuple(value.shape), dtype, self.source, unknown, module, same_as)

    def read(self, name: str) -> NDArray[np.floating]:
        value = self._value(name)
        where = f"{self.source}: {shown(name)}"
        if hasattr(value, "detach"):  # a torch tensor, recognised without importing torch
            from spinspectra.weights.torch_file import tensor_to_numpy

            value = tensor_to_numpy(value, where)
        values = to_float(np.asarray(value), where).view()
        values.flags.writeable = False  # it may be the caller's own memory
        return values

    def _value(self, name: str) -> Any:
        try:
            return self._tensors[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None


def tied(tensors: Mapping[str, Any]) -> dict[str, str]:
    """The first tensor that each later one is the same memory as, by name; those that share nothing are not in it.

    The same memory: all values of one dtype at the same addresses, so that a transposed view counts, a slice or a
    reshaped view does not.
    """
    first: dict[object, str] = {}
    found = {}
    for name, value in tensors.items():
        region = _region(value)
        owner = name if region is None else first.setdefault(region, name)
        if owner != name:
            found[name] = owner
    return found


def _region(value: Any) -> object:
    """What two arrays have in common if they are the same memory; None where there is none to compare."""
    if 0 in tuple(value.shape):
        return None
    dtype, unknown = _dtype_of(value)
    where: tuple[object, ...]
    if isinstance(value, np.ndarray):
        where, strides = ("cpu", value.__array_interface__["data"][0]), value.strides
    elif hasattr(value, "data_ptr"):
        try:
            where = (str(value.device), value.data_ptr())
            strides = tuple(step * dtype.itemsize for step in value.stride())
        except (RuntimeError, NotImplementedError):  # sparse and other tensors without a storage of their own
            return None
        if value.is_meta:
            return None
    else:
        return None
    # axes in any order, those of length 1 left out
    axes = sorted((step, size) for step, size in zip(strides, value.shape, strict=True) if size > 1)
    return (*where, dtype.str, dtype.name, unknown, tuple(axes))


def _dtype_of(value: Any) -> tuple[np.dtype[Any], str]:
    """numpy's dtype of a stored array; where it has none, raw bytes of that size and the format's own name."""
    if isinstance(value.dtype, np.dtype):
        return value.dtype, ""
    name = str(value.dtype).removeprefix("torch.")  # torch.bfloat16 -> bfloat16, which numpy then knows
    try:
        return np.dtype(name), ""
    except TypeError:
        n_bytes = getattr(value.dtype, "itemsize", 1)
        return np.dtype((np.void, n_bytes)), name
