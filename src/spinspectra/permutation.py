"""Uniform random permutations of large arrays, several times as fast as one element swapped at a time.

A plain shuffle visits memory at random and waits for each visit. Here every element first goes to one of 256 buckets
picked at random, which is 256 streams through memory, and each bucket, small enough for the cache, is then shuffled by
itself: all permutations stay equally likely (Rao 1961, Sandelius 1962). Random bits come from SplitMix64 (Steele, Lea,
Flood 2014), places without bias by Lemire's method (2019).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spinspectra.compiled import KERNEL
from spinspectra.seeds import Seed, seed_sequence

_SMALL = 1 << 15  # elements that a plain shuffle keeps in the cache
_BUCKETS = 256


def permuted(values: NDArray[np.floating], seed: Seed = 0) -> NDArray[np.floating]:
    """A uniformly permuted copy of an array, same shape and dtype, C order. Same seed, same permutation.

    Raises OptionError for a seed that is none.
    """
    state = np.uint64(seed_sequence(seed).generate_state(1, np.uint64)[0])
    flat = np.ascontiguousarray(values).reshape(-1)
    made = np.empty_like(flat)
    _permute(flat, made, state)
    return made.reshape(values.shape)


def shuffle_some(values: NDArray[np.floating], n_moved: int, rng: np.random.Generator) -> None:
    """Permute, in place, the values at n_moved places of a flat array, chosen without replacement."""
    if n_moved == values.size:
        rng.shuffle(values)
    elif n_moved > 1:
        chosen = rng.choice(values.size, n_moved, replace=False, shuffle=False)
        values[chosen] = values[rng.permutation(chosen)]


@njit(**KERNEL)
def _word(state, i):
    """The i-th 64 random bits of a stream."""
    z = state + np.uint64(i + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(**KERNEL)
def _permute(values, made, state):
    n = values.size
    if n <= _SMALL:
        made[:] = values
        _shuffle(made, state, 0)
        return
    starts = np.zeros(_BUCKETS + 1, np.int64)
    for i in range(n):
        starts[(_word(state, i) >> np.uint64(56)) + np.uint64(1)] += 1
    for bucket in range(_BUCKETS):
        starts[bucket + 1] += starts[bucket]
    place = starts[:-1].copy()
    for i in range(n):
        bucket = _word(state, i) >> np.uint64(56)
        made[place[bucket]] = values[i]
        place[bucket] += 1
    drawn = n
    for bucket in range(_BUCKETS):
        drawn = _shuffle(made[starts[bucket] : starts[bucket + 1]], state, drawn)


@njit(**KERNEL)
def _shuffle(values, state, drawn):
    """Fisher and Yates's, in place; `drawn` words of the stream are used up before, and so many are after."""
    for i in range(values.size - 1, 0, -1):
        n = np.uint64(i + 1)
        product = (_word(state, drawn) >> np.uint64(32)) * n
        drawn += 1
        if product & np.uint64(0xFFFFFFFF) < n:
            rejected = (np.uint64(1 << 32) - n) % n
            while product & np.uint64(0xFFFFFFFF) < rejected:
                product = (_word(state, drawn) >> np.uint64(32)) * n
                drawn += 1
        j = product >> np.uint64(32)
        values[i], values[j] = values[j], values[i]
    return drawn
