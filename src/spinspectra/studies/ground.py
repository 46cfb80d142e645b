"""The ground state of a trained chain beside that of the same weights shuffled."""

import time
from dataclasses import dataclass

from spinspectra.ising.anneal import Progress, anneal
from spinspectra.ising.bounds import EnergyBounds, energy_bounds
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.quench import quench
from spinspectra.ising.shuffle import shuffle
from spinspectra.ising.state import GroundState


@dataclass(frozen=True, slots=True)
class Search:
    """How a ground state is sought: cooling sweeps (0 only quenches), independent restarts, seed."""

    sweeps: int = 1000
    restarts: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GroundResult:
    """What was found for one chain. bounds: None if not asked for. seconds: of the search alone."""

    chain: IsingChain
    state: GroundState
    bounds: EnergyBounds | None
    seconds: float


def find_ground(
    chain: IsingChain, search: Search, bounds: bool = True, progress: Progress | None = None
) -> GroundResult:
    """Search for the lowest energy of one chain and bound it. Raises OptionError for a search out of range."""
    began = time.perf_counter()
    if search.sweeps == 0:
        state = quench(chain, search.seed, restarts=search.restarts)
    else:
        state = anneal(chain, search.sweeps, search.seed, search.restarts, progress=progress)
    seconds = time.perf_counter() - began
    return GroundResult(chain, state, energy_bounds(chain) if bounds else None, seconds)


def shuffled_twin(chain: IsingChain, search: Search) -> IsingChain:
    """All couplings permuted over the network: the null model of the trained chain."""
    return shuffle(chain, fraction=1.0, within="network", seed=search.seed)
