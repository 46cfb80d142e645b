"""What the embedded checkpoints show: ground states against shuffled twins, told beside the known accuracies."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spinspectra.demo import Checkpoint, checkpoints
from spinspectra.ising.anneal import anneal
from spinspectra.ising.bounds import energy_bounds
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.shuffle import shuffle

SWEEPS = 1000
N_SHUFFLES = 5


@dataclass(frozen=True, slots=True)
class Chapter:
    """One checkpoint's energies per spin, in the unit of the weights.

    energy: lowest found. proved: no state lies below. shuffled, shuffled_spread: mean and standard deviation of
    the lowest found over independent shuffles of the same weights.
    """

    checkpoint: Checkpoint
    n_spins: int
    n_bonds: int
    energy: float
    proved: float
    shuffled: float
    shuffled_spread: float

    @property
    def ratio(self) -> float:
        """How many times as low as its shuffled twins the network gets."""
        return self.energy / self.shuffled


def tell(progress: Callable[[str], None] = lambda _: None) -> list[Chapter]:
    """Measure the four checkpoints from their weights alone; `progress` is called with each one's name."""
    chapters = []
    for checkpoint in checkpoints():
        progress(checkpoint.name)
        chapters.append(_measure(checkpoint))
    return chapters


def _measure(checkpoint: Checkpoint) -> Chapter:
    chain = IsingChain.from_weights(checkpoint.weights)
    n = chain.n_spins
    twins = [anneal(shuffle(chain, seed=seed), SWEEPS, seed=seed).energy_per_spin for seed in range(N_SHUFFLES)]
    return Chapter(
        checkpoint=checkpoint,
        n_spins=n,
        n_bonds=chain.n_bonds,
        energy=anneal(chain, SWEEPS).energy_per_spin,
        proved=-energy_bounds(chain).dual / n,
        shuffled=float(np.mean(twins)),
        shuffled_spread=float(np.std(twins, ddof=1)),
    )
