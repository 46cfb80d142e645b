"""What `analyze`, `ground` and `dos` would take of this machine for a checkpoint, from its headers alone.

The work is counted in matrix products, whose rate is measured on the spot in some hundredths of a second. The factors
were measured with the defaults of the three commands on MiniLM, its first blocks and single matrices of 64 to 30,522
rows (docs/benchmarks.md); an estimate is meant to be right within a factor of two or three.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from spinspectra.cores import n_cores
from spinspectra.layers import Layer
from spinspectra.layers.describe import ChainSummary

_BASE = 0.2e9  # bytes that Python, numpy and numba take before anything is read
_START = 0.7  # seconds that they take


@dataclass(frozen=True, slots=True)
class Machine:
    """cores: that this process may use. rate32, rate64: floating-point operations a second and core, in products of
    float32 and float64 matrices. memory: bytes in all; 0 where the system does not say.
    """

    cores: int
    rate32: float
    rate64: float
    memory: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall seconds and bytes of memory at the peak, about."""

    seconds: float
    n_bytes: float


def this_machine(repeats: int = 3) -> Machine:
    """Measured now; the best of so many products of 768 x 768, on one core."""
    rates = {}
    with threadpool_limits(1, user_api="blas"):
        for dtype in (np.float32, np.float64):
            matrix = np.ones((768, 768), dtype)
            rates[dtype] = 2.0 * 768**3 / min(_seconds(matrix) for _ in range(repeats))
    return Machine(n_cores(), rates[np.float32], rates[np.float64], _memory())


def cost_of_analysis(layers: Sequence[Layer], machine: Machine) -> Cost:
    """`analyze` with its defaults, of these layers: each read, its Gram matrix made and taken apart, a tail fitted."""
    seconds, largest = 0.0, 0.0
    for layer in layers:
        n, m = max(layer.matrix_shape), min(layer.matrix_shape)
        one = 2.5e-8 * n * m + (1.2 * n * m**2 + 4.0 * m**3) / machine.rate64
        seconds += 0.005 + layer.n_matrices * one
        largest = max(largest, 4.0 * layer.n_matrices * n * m + 24.0 * m**2)
    return Cost(_START + seconds / machine.cores, _BASE + largest)


def cost_of_ground(chain: ChainSummary, machine: Machine) -> Cost:
    """`ground` with its defaults: 1,000 sweeps of single flips on one core, and the two bounds."""
    sweeps = 1000 * (2e-8 * chain.n_spins + 1e-10 * chain.n_bonds)
    return Cost(_START + sweeps + 5e-7 * chain.n_bonds, _BASE + 12.0 * chain.n_bonds)


def cost_of_density(chain: ChainSummary, machine: Machine) -> Cost:
    """`dos` with its defaults: 4 runs of 1,000 sweeps of sqrt(N) replicas or so, and the search for their ladder.

    A sweep multiplies every coupling twice with every replica; 11,000 sweeps are made in all.
    """
    replicas = 1.12 * sqrt(chain.n_spins)
    seconds = 11_000 * 4.0 * chain.n_bonds * replicas / machine.rate32
    n_bytes = _BASE + 12.0 * chain.n_bonds + 50.0 * chain.n_spins * replicas
    return Cost(_START + seconds / min(machine.cores, 4), n_bytes)


def _seconds(matrix: "np.ndarray[Any, np.dtype[Any]]") -> float:
    start = time.process_time()  # of this core alone, whatever else the machine does just now
    matrix @ matrix
    return time.process_time() - start


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
