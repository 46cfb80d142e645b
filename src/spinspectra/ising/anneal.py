"""Simulated annealing: Metropolis sweeps along a cooling schedule, then a quench; the best of several starts.

Kirkpatrick, Gelatt, Vecchi 1983. The schedule is geometric between two temperatures that the couplings give:
from the largest eigenvalue of the coupling matrix, above which no order can form, to a tenth of the typical
local field, where nearly nothing moves.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.ising.blas import blas_threads
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.search import metropolis_sweep
from spinspectra.ising.quench import settle
from spinspectra.ising.restarts import lowest
from spinspectra.ising.state import Found, GroundState, found, refresh, start
from spinspectra.seeds import Seed

Progress = Callable[[int], None]  # called with the number of sweeps just done

_REFRESH_EVERY = 200  # sweeps between computing all fields anew; costs about a hot sweep, 0.5 %
_POWER_STEPS = 20  # gives the largest eigenvalue to a few percent, which is all a schedule needs
_COLDEST = 0.1  # of the root mean square local field of random spins


def anneal(
    chain: IsingChain,
    sweeps: int = 1000,
    seed: Seed = 0,
    restarts: int = 1,
    temperatures: tuple[float, float] | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> GroundState:
    """Cool from the first to the last temperature in `sweeps` sweeps over all spins, then quench.

    temperatures: (first, last) in the unit of the weights, default from the couplings (`temperature_range`).
    restarts: independent runs, of which the lowest energy is returned; with an executor they run in parallel,
    and the answer does not depend on it. progress: called after every sweep, without an executor only. Same
    seed, same answer.

    Raises OptionError for sweeps < 1, restarts < 1 or temperatures that are not positive and falling.
    """
    if sweeps < 1:
        raise OptionError(f"sweeps={sweeps}: give at least 1, or quench")
    if temperatures is None:
        temperatures = temperature_range(chain)
    elif not 0.0 < temperatures[1] <= temperatures[0] < np.inf:
        raise OptionError(f"temperatures={temperatures}: give (first, last) with first >= last > 0")
    search = partial(_anneal_once, chain, sweeps, temperatures, progress if executor is None else None)
    return lowest(chain, search, seed, restarts, executor)


def temperature_range(chain: IsingChain) -> tuple[float, float]:
    """Where to start and to end cooling, in the unit of the weights.

    The hot end is the largest eigenvalue of the coupling matrix A (J_l off the diagonal), estimated by power
    iteration on A^2 from a fixed start: the mean-field temperature of ordering. The cold end is a tenth of
    sqrt(2 sum(J^2) / N), the root mean square local field of random spins. (1, 1) if all couplings are 0.
    """
    typical_field = float(np.sqrt(2.0 * chain.sum_of_squares / chain.n_spins))
    if typical_field == 0.0:
        return 1.0, 1.0
    rng = np.random.default_rng(0)
    vectors = [rng.standard_normal(n).astype(chain.flat.dtype) for n in chain.nodes]
    eigenvalue = 0.0
    with blas_threads(chain):
        for _ in range(_POWER_STEPS):
            scale = np.sqrt(sum(float(v @ v) for v in vectors))
            vectors = _neighbour_sums(chain, _neighbour_sums(chain, [v / scale for v in vectors]))
            eigenvalue = float(np.sqrt(np.sqrt(sum(float(v @ v) for v in vectors))))
    return max(eigenvalue, typical_field), _COLDEST * typical_field


def _neighbour_sums(chain: IsingChain, vectors: list[NDArray[np.floating]]) -> list[NDArray[np.floating]]:
    """A v, with A the symmetric coupling matrix: one vector a layer, (n_l,)."""
    sums = [np.zeros_like(v) for v in vectors]
    for i, matrix in enumerate(chain.couplings):
        sums[i] += matrix @ vectors[i + 1]
        sums[i + 1] += vectors[i] @ matrix
    return sums


def _anneal_once(
    chain: IsingChain,
    sweeps: int,
    temperatures: tuple[float, float],
    progress: Progress | None,
    seed: np.random.SeedSequence,
) -> Found:
    rng = np.random.default_rng(seed)
    state = start(chain, rng)
    flips = 0
    for sweep, beta in enumerate(1.0 / np.geomspace(*temperatures, sweeps)):
        if sweep % _REFRESH_EVERY == 0 and sweep:
            refresh(chain, state)
        flips += metropolis_sweep(chain.packed, state.spins, state.fields, beta, rng, state.rows, state.scales)
        if progress is not None:
            progress(1)
    refresh(chain, state)
    settling, settling_flips = settle(chain, state, rng)
    return found(state, sweeps + settling, flips + settling_flips)
