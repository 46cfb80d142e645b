"""Densities of states of the embedded checkpoints and their shuffled twins: range of energies, critical temperature."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

from spinspectra.demo import Checkpoint, checkpoints
from spinspectra.errors import DoubtWarning
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.shuffle import shuffle
from spinspectra.ising.temperatures import temperature_grid
from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.studies.density import DensityResult, Sampling, find_density

SWEEPS = 600
SAMPLING = Sampling(n_bins=500, options={"sweeps": SWEEPS, "runs": 2})


@dataclass(frozen=True, slots=True)
class HeatChapter:
    """One checkpoint's density of states and heat, and those of the same weights shuffled once."""

    checkpoint: Checkpoint
    trained: DensityResult
    shuffled: DensityResult


def tell_heat(progress: Callable[[str], None] = lambda _: None) -> list[HeatChapter]:
    """Sample the four checkpoints from their weights alone; `progress` is called with each one's name."""
    chapters = []
    for checkpoint in checkpoints():
        progress(checkpoint.name)
        chain = IsingChain.from_weights(checkpoint.weights)
        chapters.append(HeatChapter(checkpoint, _sample(chain), _sample(shuffle(chain, seed=0))))
    return chapters


def _sample(chain: IsingChain) -> DensityResult:
    """So few sweeps leave the coldest rungs out of equilibrium: C is looked at from a quarter of the temperature at
    which half of the lowest energy is reached, and T_c lies near that one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)
        found = find_density(chain, SAMPLING)
    halfway = float(temperature_grid(found.density)[-1]) / 10.0
    grid = temperature_grid(found.density, low=0.25 * halfway)
    return replace(found, heat=thermodynamics(found.density, grid))
