"""Quench: flip single spins downhill until none is left to flip (`py_mcmc_step` of stosicresearch/dnnising)."""

from concurrent.futures import Executor
from functools import partial
from typing import Literal

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.search import count_unstable, descend, descend_by_layer
from spinspectra.ising.restarts import lowest
from spinspectra.ising.spins import Spins
from spinspectra.ising.state import Found, GroundState, KeptFields, found, refresh, start
from spinspectra.seeds import Seed

Selection = Literal["spin", "layer"]

DESCEND = {"spin": descend, "layer": descend_by_layer}

# Fields recomputed and kept can differ in the last bit on an exactly torn spin; this ends the dispute.
_MAX_SETTLINGS = 20


def quench(
    chain: IsingChain,
    seed: Seed = 0,
    selection: Selection = "spin",
    spins: Spins | None = None,
    restarts: int = 8,
    executor: Executor | None = None,
) -> GroundState:
    """Pick a spin, flip it if that lowers E, until no spin has s_i h_i < 0; the best of `restarts` such runs.

    selection: "spin" picks uniformly over spins; "layer" picks a layer uniformly, then a spin in it, as
    dnnising does. spins: where to start, default independent random spins. restarts: a single run of a trained
    network ends in a shallow group of states once in four or so; 1 gives the plain quench, for those who study
    where it ends. With an executor the runs go in parallel, and the answer does not depend on it. Same seed,
    same answer; sweeps and flips are those of the run returned.

    Raises OptionError for an unknown selection or restarts < 1, SpinsError if spins do not fit the chain.
    """
    if selection not in DESCEND:
        raise OptionError(f"selection={selection!r}: give 'spin' or 'layer'")
    return lowest(chain, partial(_quench_once, chain, selection, spins), seed, restarts, executor)


def _quench_once(chain: IsingChain, selection: Selection, spins: Spins | None, seed: np.random.SeedSequence) -> Found:
    rng = np.random.default_rng(seed)
    state = start(chain, rng, spins)
    sweeps, flips = settle(chain, state, rng, selection)
    return found(state, sweeps, flips)


def settle(
    chain: IsingChain, state: KeptFields, rng: np.random.Generator, selection: Selection = "spin"
) -> tuple[int, int]:
    """Quench a state in place until it is stable on fields computed anew; returns sweeps and flips."""
    step = DESCEND[selection]
    sweeps = flips = 0
    for _ in range(_MAX_SETTLINGS):
        while count_unstable(state.spins, state.fields):
            made, _change = step(chain.packed, state.spins, state.fields, chain.n_spins, rng)
            sweeps, flips = sweeps + 1, flips + made
        refresh(chain, state)
        if not count_unstable(state.spins, state.fields):
            break
    return sweeps, flips
