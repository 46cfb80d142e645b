"""The density of states of a chain by either method, over bins from the lowest energy that annealing finds."""

import inspect
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from spinspectra import __version__
from spinspectra.errors import OptionError
from spinspectra.ising.anneal import anneal
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.tempering import temper
from spinspectra.ising.wang_landau import wang_landau
from spinspectra.seeds import Seed, child_seed, seed_sequence

Method = Literal["tempering", "wang-landau"]

N_BINS = 2000
_SEARCH = 2  # purpose of random numbers, last in the spawn key; the samplers' own keys are longer
_SEARCH_SWEEPS, _SEARCH_BONDS, _MOST_SEARCHES = 2000, 10_000_000, 16
_SAMPLERS: dict[str, Callable[..., DensityOfStates]] = {"tempering": temper, "wang-landau": wang_landau}
_COMMON = {"chain", "bins", "seed", "checkpoint", "executor", "progress"}


def density_of_states(
    chain: IsingChain,
    method: Method = "tempering",
    n_bins: int = N_BINS,
    seed: Seed = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    *,
    e_min: float | None = None,
    progress: Callable[[Any], None] | None = None,
    **options: Any,
) -> DensityOfStates:
    """How many of the 2^N states have an energy in each bin, ln g(E), with standard errors; sampled below E = 0.

    method: "tempering", replicas at a ladder of temperatures, reweighted (`temper`); "wang-landau", walks that learn
    ln g, window by window (`wang_landau`). n_bins: bins of the half range e_min .. 0, the one around 0 included.
    e_min: its lower end, in the unit of the weights; default the lowest energy found by annealing (`lowest_energy`).
    Bins that no walk came to are missing from the result. options: the method's own, such as sweeps= and runs= or
    ln_f_end= and n_windows=.

    seed: same seed, same answer, whatever the executor and its workers. checkpoint: a file that holds the run every so
    often; if it is there the run goes on from it, and ends bit for bit as an unbroken one. KeyboardInterrupt leaves it
    written. progress: called with a `TemperingRound` or a `WangLandauProgress` now and then.

    Raises OptionError for a method, option or number out of range, CheckpointError for a checkpoint of another run.

    >>> chain = IsingChain.from_matrices([[[1.0, 2.0]]])
    >>> density = density_of_states(chain, n_bins=4, e_min=-3.0, sweeps=50)
    >>> density.n_spins, density.energies.size, round(density.ln_total / 0.693147, 3)
    (3, 4, 3.0)
    """
    if method not in get_args(Method):
        raise OptionError(f"method={method!r}: give 'tempering' or 'wang-landau'")
    known = options_of(method)
    if unknown := [name for name in options if name not in known]:
        raise OptionError(f"{unknown[0]}: no option of {method}, which has {', '.join(known)}")
    bins = EnergyBins(lowest_energy(chain, seed) if e_min is None else float(e_min), n_bins)
    path = None if checkpoint is None else Path(checkpoint)
    sampler = _SAMPLERS[method]
    density = sampler(chain, bins, seed, checkpoint=path, executor=executor, progress=progress, **options)
    return replace(density, how={**density.how, "version": __version__})


def options_of(method: str) -> list[str]:
    """What may be given besides the arguments common to all methods."""
    return [name for name in inspect.signature(_SAMPLERS[method]).parameters if name not in _COMMON]


def lowest_energy(chain: IsingChain, seed: Seed = 0) -> float:
    """The lowest energy of 2,000 annealing sweeps, of small chains the best of up to 16 such searches.

    Raises OptionError if that is 0, as it is without any coupling.
    """
    root = seed_sequence(seed)
    restarts = min(max(_SEARCH_BONDS // chain.n_bonds, 1), _MOST_SEARCHES)
    child = child_seed(root, _SEARCH)
    found = anneal(chain, _SEARCH_SWEEPS, child, restarts)
    if not found.energy < 0.0:
        raise OptionError(f"{chain.source}: every coupling is zero, so all states have one energy")
    return found.energy
