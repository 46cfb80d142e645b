"""Shuffling couplings: the null model of a trained network, with the same set of values and no structure."""

import itertools
from typing import Literal, get_args

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.permutation import shuffle_some
from spinspectra.seeds import Seed, seed_sequence

Within = Literal["network", "matrix"]


def shuffle(chain: IsingChain, fraction: float = 1.0, within: Within = "network", seed: Seed = 0) -> IsingChain:
    """Move round(fraction * B) couplings, chosen without replacement, and permute their values uniformly.

    within="network" moves values between all matrices of the chain; "matrix" keeps each in its own, and
    chooses round(fraction * n_l * n_{l+1}) in every one. The set of values is unchanged, bit for bit; a
    uniform permutation may leave some of the chosen in place. The chain given is not altered.

    Raises OptionError if fraction is outside 0..1 or within is neither.
    """
    if not 0.0 <= fraction <= 1.0:
        raise OptionError(f"fraction={fraction}: give a number from 0 to 1")
    if within not in get_args(Within):
        raise OptionError(f"within={within!r}: give 'network' or 'matrix'")
    rng = np.random.default_rng(seed_sequence(seed))
    flat = chain.flat.copy()
    bounds = [0, flat.size] if within == "network" else np.cumsum([0, *(J.size for J in chain.couplings)]).tolist()
    for start, stop in itertools.pairwise(bounds):
        shuffle_some(flat[start:stop], round(fraction * (stop - start)), rng)
    return chain.with_flat(flat, f"{chain.source} (shuffled, fraction {fraction:g}, within {within})")
