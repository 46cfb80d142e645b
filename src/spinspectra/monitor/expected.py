"""What a measurement should take the first time; afterwards it is known better."""

from spinspectra.monitor.messages import Clock
from spinspectra.monitor.snapshot import Watched
from spinspectra.studies.cost import Machine, cost_of_analysis

START = 1.0  # processor seconds in which the process that measures starts; some 15 before its kernels are compiled
_A_LAYER = 1e-3  # seconds
_A_VALUE = 5e-8  # for norms: forty products with a vector
_COPIED = 1e-9  # seconds a byte, to copy and to send


def expected_seconds(clock: Clock, watched: Watched, rate: float) -> float:
    """Seconds of one core that makes so many operations a second in a product of float64 matrices."""
    n_bytes = sum(watched.infos[layer.name].n_bytes for layer in watched.layers)
    if clock == "cheap":
        values = sum(layer.n_matrices * layer.matrix_shape[0] * layer.matrix_shape[1] for layer in watched.layers)
        return _A_LAYER * len(watched.layers) + _A_VALUE * values + _COPIED * n_bytes
    machine = Machine(cores=1, rate32=rate, rate64=rate, memory=0)
    started = cost_of_analysis((), machine).seconds  # which it was long before
    return cost_of_analysis(watched.layers, machine).seconds - started + _COPIED * n_bytes
