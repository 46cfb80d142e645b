"""Where tensors come from: one lazy mapping, one reader a format; differences, and adapters merged."""

from spinspectra.weights.adapters import adapter_products, is_adapter, merge_adapter
from spinspectra.weights.base import TensorInfo, Weights
from spinspectra.weights.differences import difference
from spinspectra.weights.opening import open_weights

__all__ = [
    "TensorInfo",
    "Weights",
    "adapter_products",
    "difference",
    "is_adapter",
    "merge_adapter",
    "open_weights",
]
