"""Randomness as an argument: one root seed, children split by purpose, the caller's object untouched."""

import numpy as np

from spinspectra.errors import OptionError

Seed = int | np.random.SeedSequence


def seed_sequence(seed: Seed) -> np.random.SeedSequence:
    """A fresh SeedSequence of the same entropy, so that spawning from it does not change the caller's.

    Raises OptionError for anything but a non-negative integer or a SeedSequence.
    """
    if isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence(entropy=seed.entropy, spawn_key=seed.spawn_key, pool_size=seed.pool_size)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(f"seed={seed!r}: give a non-negative integer or a numpy SeedSequence")
    return np.random.SeedSequence(int(seed))


def child_seed(root: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """The child of a purpose and place, whichever others are asked for: nothing to be kept between rounds."""
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *key))
