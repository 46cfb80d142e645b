"""The best of several independent searches, run here or by any executor, with the same answer either way."""

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.state import Found, GroundState, ground_state
from spinspectra.seeds import Seed, seed_sequence


def lowest(
    chain: IsingChain,
    search: Callable[[np.random.SeedSequence], Found],
    seed: Seed,
    restarts: int,
    executor: Executor | None,
) -> GroundState:
    """Run `search` with `restarts` child seeds and return the lowest state found, the first of equals.

    Raises OptionError for restarts < 1 or a bad seed. With processes, `search` must be picklable.
    """
    if restarts < 1:
        raise OptionError(f"restarts={restarts}: give at least 1")
    seeds = seed_sequence(seed).spawn(restarts)
    found = map(search, seeds) if executor is None else executor.map(search, seeds)
    return ground_state(chain, min(found, key=lambda one: one.energy))
