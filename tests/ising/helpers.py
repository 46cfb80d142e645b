"""What several tests share: small random chains, and the energy written as plainly as it can be."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spinspectra.ising.oracles import Enumerated

# Shapes of chains small enough to enumerate: one and many layers, narrow and wide, single spins.
SMALL = {
    "one bond": (1, 1),
    "two layers": (3, 4),
    "three layers": (3, 4, 2),
    "single spins": (1, 1, 1, 1, 1),
    "wide middle": (2, 7, 2),
    "deep": (2, 1, 3, 2, 1, 2),
}


def random_system(nodes: Sequence[int], seed: int = 0, dtype: DTypeLike = np.float64) -> Enumerated:
    """A chain of these layers with normal couplings, and its enumeration."""
    rng = np.random.default_rng(seed)
    return Enumerated(tuple(rng.standard_normal(shape).astype(dtype) for shape in pairwise(nodes)))


def plain_energy(matrices: Sequence[NDArray[np.floating]], spins: Sequence[NDArray[np.int8]]) -> float:
    """E(s), one bond after another, summed without rounding error."""
    return -math.fsum(
        float(spins[layer][i]) * float(matrix[i, j]) * float(spins[layer + 1][j])
        for layer, matrix in enumerate(matrices)
        for i in range(matrix.shape[0])
        for j in range(matrix.shape[1])
    )


def flipped(spins: Sequence[NDArray[np.int8]], layer: int, i: int) -> list[NDArray[np.int8]]:
    """A copy of the spins with one turned."""
    turned = [s.copy() for s in spins]
    turned[layer][i] *= -1
    return turned
