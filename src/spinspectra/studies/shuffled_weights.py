"""A checkpoint whose chain has been shuffled, written as a checkpoint again, in either reading of the paper.

arXiv 2209.08678 shuffles "the values" of a network and evaluates the network on tasks. The chain has only sums of
query, key and value, and a network cannot be run on sums. So either the elements of W_Q, W_K, W_V and all other
matrices are shuffled, or the couplings are, and the change of each sum is carried back to the three that it is of.
"""

from pathlib import Path
from typing import Literal, get_args

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.shuffle import shuffle
from spinspectra.layers import recognise
from spinspectra.layers.write_back import couplings_edit, elements_edit, read_elements
from spinspectra.permutation import shuffle_some
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.weights.writing import Checkpoint, rewrite

Reading = Literal["elements", "couplings"]


def write_shuffled(
    checkpoint: Checkpoint,
    out: Path,
    fraction: float,
    reading: Reading = "elements",
    prefix: str | None = None,
    seed: Seed = 0,
) -> None:
    """Write the checkpoint to `out` with a fraction of its chain shuffled; all else is copied as it is.

    elements: of all stored elements of query, key, value, proj, fc1 and fc2 of all blocks, round(fraction * n) are
    chosen without replacement and their values permuted. couplings: as `ising.shuffle`, and the checkpoint written maps
    to that chain up to the rounding of its dtype. Fraction 0 gives the weights back bit for bit.

    Raises OptionError for a fraction outside 0..1 or another reading, and what `recognise` and `rewrite` raise.
    """
    check_reading(reading)
    if not 0.0 <= fraction <= 1.0:
        raise OptionError(f"fraction={fraction}: give a number from 0 to 1")
    transformer = recognise(checkpoint.weights, prefix)
    if reading == "elements":
        flat = read_elements(transformer)
        shuffle_some(flat, round(fraction * flat.size), np.random.default_rng(seed_sequence(seed)))
        edit = elements_edit(transformer, flat)
    else:
        chain = IsingChain.from_weights(checkpoint.weights, prefix=prefix)
        edit = couplings_edit(transformer, shuffle(chain, fraction, seed=seed).couplings)
    rewrite(checkpoint, out, edit)


def check_reading(reading: str) -> None:
    """Raises OptionError if there is no such reading."""
    if reading not in get_args(Reading):
        raise OptionError(f"reading={reading!r}: give {' or '.join(get_args(Reading))}")
