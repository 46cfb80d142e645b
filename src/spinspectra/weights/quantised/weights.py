"""A checkpoint whose quantised weights are read as the numbers that they stand for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, Weights, missing
from spinspectra.weights.quantised.base import Found, Misfit, Unread

_FLOAT32 = np.dtype(np.float32)


class DequantisedWeights:
    """Weights over a checkpoint with quantised ones among its tensors; made by `dequantised`.

    A quantised weight is one tensor, float32, in the place of its codes; what belongs to it (scales, zero points,
    tables) is not shown. Codes that are not read stay under the names they have, as do their scales. unread: how the
    first of those is called, as `HQQ codes`, or empty.
    """

    def __init__(self, weights: Weights, found: Sequence[Found], unread: Sequence[Unread]) -> None:
        self.source = weights.source
        self.config = weights.config
        self.unread = next((one.label for one in unread if one.label), "")
        self._weights = weights
        self._found = {one.name: one for one in found}
        self._name_of = {one.parts[0]: one.name for one in found}
        self._hidden = {part for one in found for part in one.parts}
        self._unread = {part: one for one in unread for part in one.parts}
        self._names = [
            self._name_of.get(name, name)
            for name in weights.names()
            if name in self._name_of or name not in self._hidden
        ]
        self._there = frozenset(self._names)

    @property
    def schemes(self) -> list[str]:
        """The schemes that `read` undoes, as in `TensorInfo.scheme`, each once."""
        return list(dict.fromkeys(one.weight.scheme for one in self._found.values()))

    def names(self) -> list[str]:
        return list(self._names)

    def info(self, name: str) -> TensorInfo:
        self._require(name)
        one = self._found.get(name)
        info = self._weights.info(name if one is None else one.parts[0])
        info = replace(info, same_as=self._shown_as(info.same_as))
        if one is None:
            unread = self._unread.get(name)
            return info if unread is None or not unread.label else replace(info, format=unread.label)
        n_bytes = sum(self._weights.info(part).n_bytes for part in one.parts)
        return replace(
            info, shape=one.weight.shape, dtype=_FLOAT32, format="", scheme=one.weight.scheme, stored_bytes=n_bytes
        )

    def read(self, name: str) -> NDArray[np.floating]:
        self._require(name)
        where = f"{self.source}: {shown(name)}"
        if name in self._unread:
            raise WeightsError(f"{where} {self._unread[name].reason}")
        one = self._found.get(name)
        if one is None:
            return self._weights.read(name)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinity are found where they matter
                return one.weight.values()
        except Misfit as why:
            raise WeightsError(f"{where} is stored as {one.weight.scheme} with {why}; fetch it again") from None

    def _require(self, name: str) -> None:
        if name not in self._there:
            raise missing(name, self.source, self._names)

    def _shown_as(self, stored: str) -> str:
        """The name of a stored tensor here, empty if it is hidden."""
        if stored in self._name_of:
            return self._name_of[stored]
        return "" if stored in self._hidden else stored
