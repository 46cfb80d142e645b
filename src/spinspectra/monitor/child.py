"""The process that measures, started and fed by the training's: `python -m spinspectra.monitor.child NICE`.

A process and not a thread: measuring holds Python's lock for a good part of its time, for which the training would
wait; numbers of BLAS threads hold for a whole process; and if this one dies, the training goes on.
"""

import os
import signal
import sys
import time
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.layers import read_layers
from spinspectra.monitor.measure import failed, measure
from spinspectra.monitor.messages import CLOCKS, Answer, Ready, Request, receive, receive_values, send
from spinspectra.monitor.snapshot import Snapshot
from spinspectra.spectra import symmetric

_SIDE = 512  # of the matrices whose product tells how fast a core is


def main(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Say that all is ready, then answer one request after the other until the training's process is gone."""
    send(answers, Ready(warm_up(), time.process_time()))
    while True:
        try:
            request = receive(requests)
            send(answers, answer(request, requests))
        except (EOFError, BrokenPipeError):
            return


def answer(request: Request, stream: IO[bytes]) -> Answer:
    """Read the layers one by one and measure each; what fails unforeseen costs a layer's row and is told."""
    start, found, unexpected = time.process_time(), [], ""
    values: dict[str, NDArray[Any]] = {}
    layers = {layer.name: layer for layer in read_layers(Snapshot(request.source, request.infos, values))}
    for name, dtype in request.values:
        values.clear()
        values[name] = receive_values(stream, request.infos[name].shape, dtype)
        try:
            found.append(measure(request.clock, layers[name]))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            found.append(failed(layers[name], reason))
            unexpected = unexpected or f"{name}: {reason}"
    return Answer(found, time.process_time() - start, unexpected)


def warm_up() -> float:
    """Load all that measuring needs; operations a second of one core."""
    weights = {"weight": np.random.default_rng(0).standard_normal((100, 80)).astype(np.float32)}
    layer = next(iter(read_layers(weights)))
    for clock in CLOCKS:
        measure(clock, layer)
    square = np.ones((_SIDE, _SIDE))
    start = time.perf_counter()
    square @ square
    return 2.0 * _SIDE**3 / (time.perf_counter() - start)


def _as_process(niceness: int) -> None:
    if hasattr(os, "nice"):
        os.nice(niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training, which may want its last numbers
    symmetric.n_cores = _one_core  # type: ignore[attr-defined]  # else it would take all of them for a large matrix
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints
    main(sys.stdin.buffer, answers)


def _one_core() -> int:
    return 1


if __name__ == "__main__":
    _as_process(int(sys.argv[1]))
    os._exit(0)  # with nobody left to tell
