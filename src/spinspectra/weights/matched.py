"""A checkpoint under the names and in the orientation of another."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights.base import TensorInfo, Weights, missing


class MatchedWeights:
    """Weights that go by other names: those of another checkpoint, in its order; what it lacks is left out.

    own_name: the name here of each of those. turned: the names whose matrices are stored the other way round, and are
    transposed when read.
    """

    def __init__(self, weights: Weights, own_name: Mapping[str, str], turned: frozenset[str] = frozenset()) -> None:
        self.source = weights.source
        self._weights = weights
        self._own_name = own_name
        self._turned = turned

    @property
    def config(self) -> Mapping[str, Any] | None:
        return self._weights.config

    def names(self) -> list[str]:
        return list(self._own_name)

    def own_names(self) -> Mapping[str, str]:
        """The name that each tensor has in its own checkpoint."""
        return self._own_name

    def info(self, name: str) -> TensorInfo:
        info = self._weights.info(self._own(name))
        same_as = (
            next((other for other, own in self._own_name.items() if own == info.same_as), "") if info.same_as else ""
        )
        shape = info.shape[::-1] if name in self._turned else info.shape
        return replace(info, shape=shape, same_as=same_as)

    def read(self, name: str) -> NDArray[np.floating]:
        values = self._weights.read(self._own(name))
        return np.ascontiguousarray(values.T) if name in self._turned else values

    def _own(self, name: str) -> str:
        if name not in self._own_name:
            raise missing(name, self.source, self.names())
        return self._own_name[name]
