"""A trained chain's lowest energy against a null of several shuffles: how many of their standard deviations below."""

import math
from dataclasses import dataclass

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.ising.anneal import anneal
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.shuffle import Within, shuffle
from spinspectra.seeds import Seed, child_seed, seed_sequence

SHUFFLES, SWEEPS = 3, 1000

_TRAINED, _SHUFFLE, _SEARCH = 0, 1, 2  # purposes of random numbers, first in the spawn key


@dataclass(frozen=True, slots=True)
class ShuffledNull:
    """The lowest energy per spin that the same search finds in a chain and in its shuffled twins, unit of the weights.

    energy: of the chain. twins: of its couplings permuted, one a shuffle.
    """

    energy: float
    twins: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many shuffles."""
        return len(self.twins)

    @property
    def mean(self) -> float:
        """Of the twins; NaN without any."""
        return float(np.mean(self.twins)) if self.twins else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation of one twin, n - 1 in its divisor; NaN for fewer than two."""
        return float(np.std(self.twins, ddof=1)) if self.n > 1 else math.nan

    @property
    def z(self) -> float:
        """(energy - mean) / sd: below 0 where the chain lies lower than its twins; NaN where sd is not above 0.

        The sd of n shuffles is itself known to about 1 part in sqrt(2 (n - 1)): to a half for 3, to a fifth for 13.
        """
        return (self.energy - self.mean) / self.sd if self.sd > 0.0 else math.nan

    @property
    def p(self) -> float:
        """Chance of a shuffle as far from the others, either way, if their energies are normal; NaN as z is.

        By Student's t with n - 1 degrees of freedom, so that few shuffles do not pass for many.
        """
        from scipy.special import stdtr

        return float(2.0 * stdtr(self.n - 1, -abs(self.z) / math.sqrt(1.0 + 1.0 / self.n))) if self.n > 1 else math.nan

    @property
    def ratio(self) -> float:
        """How many times as low as its twins the chain gets, which is also the ratio of their widths."""
        return self.energy / self.mean if self.mean else math.nan


def shuffled_null(
    chain: IsingChain, shuffles: int = SHUFFLES, sweeps: int = SWEEPS, seed: Seed = 0, within: Within = "network"
) -> ShuffledNull:
    """Anneal the chain and `shuffles` twins of it alike, `sweeps` sweeps each (`anneal`).

    within="network": the paper's null, which also evens out how large the matrices are, so that independent random
    matrices with entries of different size lie off it; "matrix" keeps that: they are one more draw of it (`shuffle`).
    Shuffle i and its search draw from children of the seed of their own, so more shuffles keep the first ones.
    Raises OptionError for shuffles < 0, and what `anneal` raises.
    """
    if shuffles < 0:
        raise OptionError(f"shuffles={shuffles}: give 0 or more")
    root = seed_sequence(seed)
    energy = anneal(chain, sweeps, child_seed(root, _TRAINED)).energy_per_spin
    return ShuffledNull(energy, tuple(_twin_energy(chain, sweeps, root, within, i) for i in range(shuffles)))


def twin_of_null(chain: IsingChain, seed: Seed, within: Within = "network", number: int = 0) -> IsingChain:
    """The twin of shuffle `number` of `shuffled_null` with the same seed."""
    return shuffle(chain, within=within, seed=child_seed(seed_sequence(seed), _SHUFFLE, number))


def _twin_energy(chain: IsingChain, sweeps: int, root: np.random.SeedSequence, within: Within, number: int) -> float:
    twin = twin_of_null(chain, root, within, number)
    return anneal(twin, sweeps, child_seed(root, _SEARCH, number)).energy_per_spin
