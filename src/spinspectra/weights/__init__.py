"""Where tensors come from: one lazy mapping, one reader a format."""

from spinspectra.weights.base import TensorInfo, Weights
from spinspectra.weights.opening import open_weights

__all__ = ["TensorInfo", "Weights", "open_weights"]
