"""What the training's process and the one that measures say to one another through a pipe: pickles, then raw values.

Both ends are this package's own; nothing that comes from elsewhere is unpickled.
"""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights import TensorInfo

Clock = Literal["cheap", "spectra"]

CLOCKS: tuple[Clock, ...] = get_args(Clock)


@dataclass(frozen=True, slots=True)
class Ready:
    """The process has started. rate: of a product of float64 matrices on one core, operations a second.

    seconds: of processor time so far.
    """

    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Request:
    """Measure these tensors of a network with these headers; the values follow, each as `values`, in this order."""

    clock: Clock
    source: str
    infos: Mapping[str, TensorInfo]
    values: Sequence[tuple[str, np.dtype[Any]]]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was found of a layer, in columns of `analyze`'s names; NaN where it was not measured, or failed."""

    longname: str
    alpha: float
    D: float
    stable_rank: float
    log_norm: float
    log_spectral_norm: float
    status: str
    reason: str


NUMBERS = tuple(field.name for field in fields(Numbers) if field.type is float)


@dataclass(frozen=True, slots=True)
class Answer:
    """One for each layer. seconds: of processor time that they took. unexpected: what no layer should do, or empty."""

    layers: Sequence[Numbers]
    seconds: float
    unexpected: str = ""


def send(stream: IO[bytes], message: Any) -> None:
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next message. Raises EOFError once the other end is gone."""
    return pickle.load(stream)


def send_values(stream: IO[bytes], values: NDArray[Any]) -> None:
    """In one piece, so that Python's lock is free while the pipe is full."""
    stream.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    stream.flush()


def receive_values(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Raises EOFError if the other end goes before all are there."""
    raw = np.empty(int(np.prod(shape)) * dtype.itemsize, np.uint8)
    view, n_read = raw.data, 0
    while n_read < len(view):
        n = stream.readinto(view[n_read:])  # type: ignore[attr-defined]
        if not n:
            raise EOFError
        n_read += n
    return raw.view(dtype).reshape(shape)
