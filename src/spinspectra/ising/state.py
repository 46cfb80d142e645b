"""A chain's spins and kept fields while a sampler works on them, and the result it hands over."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.flips import compute_fields
from spinspectra.ising.spins import Spins, check_spins, join, random_spins, split


@dataclass(frozen=True, slots=True)
class KeptFields:
    """Working state: the arrays are altered in place by the kernels.

    spins: int8 (N,). fields: float64 (N,), h_i of those spins up to rounding drift. rows, scales: scratch of
    the kernels, as long as the widest layer.
    """

    spins: NDArray[np.int8]
    fields: NDArray[np.float64]
    rows: NDArray[np.int64]
    scales: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """What one search hands over: spins (N,), their energy from fields just refreshed, sweeps and flips."""

    energy: float
    spins: NDArray[np.int8]
    sweeps: int
    flips: int


@dataclass(frozen=True, slots=True)
class GroundState:
    """The lowest energy a search found, and where.

    energy: E in the unit of the weights, summed in float64 from the spins, never from kept fields. spins: one
    int8 array a layer. stable: no single flip lowers E, judged on fields computed anew. sweeps: flips tried, in
    units of N. flips: flips made.
    """

    energy: float
    energy_per_spin: float
    spins: list[NDArray[np.int8]]
    stable: bool
    sweeps: int
    flips: int


def start(chain: IsingChain, rng: np.random.Generator, spins: Spins | None = None) -> KeptFields:
    """A state at the given spins, or at random ones. Raises SpinsError if given ones do not fit the chain."""
    if spins is None:
        spins = random_spins(chain.nodes, rng)
    else:
        check_spins(spins, chain.nodes)
    widest = max(chain.nodes)
    state = KeptFields(
        spins=join(spins),
        fields=np.zeros(chain.n_spins),
        rows=np.empty(widest, np.int64),
        scales=np.empty(widest, np.float64),
    )
    refresh(chain, state)
    return state


def refresh(chain: IsingChain, state: KeptFields) -> None:
    """Compute the fields anew from the spins."""
    compute_fields(chain.packed, state.spins, state.fields, state.rows, state.scales)


def found(state: KeptFields, sweeps: int, flips: int) -> Found:
    """A state whose fields have just been refreshed, as a search's result; each bond is felt at both its ends."""
    return Found(-0.5 * float(state.spins @ state.fields), state.spins, sweeps, flips)


def ground_state(chain: IsingChain, best: Found) -> GroundState:
    """The result of a search: energy and stability from the spins alone."""
    spins = split(best.spins, chain.nodes)
    energy = chain.energy(spins)
    return GroundState(energy, energy / chain.n_spins, spins, is_stable(chain, spins), best.sweeps, best.flips)


def is_stable(chain: IsingChain, spins: Spins) -> bool:
    """Whether no single flip lowers E by more than the rounding of the sum that a field is.

    A field of m couplings is known to m eps sum|J|; spins that are torn exactly both ways fall below that.
    """
    fields = chain.local_fields(spins)
    loose = any(np.any(s * h < 0) for s, h in zip(spins, fields, strict=True))
    if not loose:
        return True
    scale = [np.zeros(n) for n in chain.nodes]
    for i, matrix in enumerate(chain.couplings):
        size = np.abs(matrix)
        scale[i] += size.sum(axis=1, dtype=np.float64)
        scale[i + 1] += size.sum(axis=0, dtype=np.float64)
    tolerance = max(chain.nodes) * np.finfo(np.float64).eps
    return all(np.all(s * h >= -tolerance * a) for s, h, a in zip(spins, fields, scale, strict=True))
