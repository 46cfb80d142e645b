"""Densities of states of the embedded checkpoints and their shuffled twins: range of energies, critical temperature."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spinspectra.demo import Checkpoint, checkpoints
from spinspectra.errors import DoubtWarning
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.sampling import density_of_states
from spinspectra.ising.shuffle import shuffle
from spinspectra.ising.temperatures import unfrozen_grid
from spinspectra.ising.thermodynamics import thermodynamics

if TYPE_CHECKING:
    import xarray as xr

SWEEPS = 600
_N_BINS, _RUNS = 500, 2


@dataclass(frozen=True, slots=True)
class Heated:
    """A density of states and its heat."""

    density: DensityOfStates
    heat: "xr.Dataset"


@dataclass(frozen=True, slots=True)
class HeatChapter:
    """One checkpoint's density of states and heat, and those of the same weights shuffled once."""

    checkpoint: Checkpoint
    trained: Heated
    shuffled: Heated


def tell_heat(progress: Callable[[str], None] = lambda _: None) -> list[HeatChapter]:
    """Sample the four checkpoints from their weights alone; `progress` is called with each one's name."""
    chapters = []
    for checkpoint in checkpoints():
        progress(checkpoint.name)
        chain = IsingChain.from_weights(checkpoint.weights)
        chapters.append(HeatChapter(checkpoint, _heated(chain), _heated(shuffle(chain, seed=0))))
    return chapters


def _heated(chain: IsingChain) -> Heated:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)  # of temperatures that are not looked at
        density = density_of_states(chain, n_bins=_N_BINS, sweeps=SWEEPS, runs=_RUNS)
    return Heated(density, thermodynamics(density, unfrozen_grid(density)))
