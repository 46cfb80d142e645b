"""Tensors of several Weights under names of their own, as one Weights."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights import TensorInfo, Weights
from spinspectra.weights.base import missing


class JoinedWeights:
    """parts: of each name, the Weights that hold the tensor and its name there; in the order to show."""

    def __init__(
        self, parts: Mapping[str, tuple[Weights, str]], source: str, config: Mapping[str, Any] | None = None
    ) -> None:
        self.source = source
        self.config = config
        self._parts = parts
        self._name_of = {(id(weights), stored): name for name, (weights, stored) in parts.items()}

    def names(self) -> list[str]:
        return list(self._parts)

    def info(self, name: str) -> TensorInfo:
        weights, stored = self._part(name)
        info = weights.info(stored)
        return replace(info, same_as=self._name_of.get((id(weights), info.same_as), ""))

    def read(self, name: str) -> NDArray[np.floating]:
        weights, stored = self._part(name)
        return weights.read(stored)

    def _part(self, name: str) -> tuple[Weights, str]:
        if name not in self._parts:
            raise missing(name, self.source, self.names())
        return self._parts[name]
