"""The chain as the compiled kernels see it: flat, contiguous arrays, couplings in both orientations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class PackedChain(NamedTuple):
    """Layers 0..L of N spins and B couplings, for kernels; numba takes a named tuple of arrays as it is.

    Both orientations are held so that the couplings of one spin are contiguous whichever side they are
    read from; that doubles the memory and makes a flip a stream.
    """

    first_spin: NDArray[np.int64]  # (L + 2,)  layer l owns spins first_spin[l] .. first_spin[l + 1]
    first_bond: NDArray[np.int64]  # (L + 1,)  J_l starts at first_bond[l], in forward and in backward
    layer_of: NDArray[np.int32]  # (N,)  the layer of each spin
    forward: NDArray[np.floating]  # (B,)  every J_l row-major, (n_l, n_{l+1})
    backward: NDArray[np.floating]  # (B,)  every J_l transposed, (n_{l+1}, n_l)


def pack(couplings: Sequence[NDArray[np.floating]], flat: NDArray[np.floating], nodes: Sequence[int]) -> PackedChain:
    """The packed form of a chain; `couplings` are views of `flat`, which is taken as it is, not copied."""
    backward = np.empty_like(flat)
    start = 0
    for matrix in couplings:
        backward[start : start + matrix.size].reshape(matrix.shape[::-1])[...] = matrix.T
        start += matrix.size
    backward.flags.writeable = False
    return PackedChain(
        first_spin=np.cumsum([0, *nodes], dtype=np.int64),
        first_bond=np.cumsum([0, *(matrix.size for matrix in couplings)], dtype=np.int64),
        layer_of=np.repeat(np.arange(len(nodes), dtype=np.int32), nodes),
        forward=flat,
        backward=backward,
    )
