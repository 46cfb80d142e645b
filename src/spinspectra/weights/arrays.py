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

    Raises WeightsError for an empty mapping, a name that is no string, or a value that is no array.
    """

    def __init__(self, tensors: Mapping[str, Any], source: str, config: Mapping[str, Any] | None = None):
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

    def names(self) -> list[str]:
        return list(self._tensors)

    def info(self, name: str) -> TensorInfo:
        value = self._value(name)
        dtype = str(value.dtype).removeprefix("torch.")  # torch.bfloat16 -> bfloat16, which numpy then knows
        try:
            return TensorInfo(tuple(value.shape), np.dtype(dtype), self.source)
        except TypeError:
            raise WeightsError(
                f"{self.source}: {shown(name)} is stored as {shown(dtype)}; dequantise it first"
            ) from None

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
