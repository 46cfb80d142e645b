"""The shuffle of stosicresearch/dnnising, kept for its drop-in: passes of random swaps over all couplings."""

from numba import njit

from spinspectra.compiled import KERNEL


@njit(**KERNEL)
def swap_passes(couplings, first_bond, n_passes, rng):
    """n_passes times, swap every coupling in turn with one of a matrix picked uniformly, then a place in it.

    couplings: (B,), altered in place. first_bond: int64 (L + 1,), matrix l is first_bond[l] .. first_bond[l + 1].
    """
    n_matrices = first_bond.size - 1
    for _ in range(n_passes):
        for here in range(couplings.size):
            matrix = int(rng.random() * n_matrices)
            first, last = first_bond[matrix], first_bond[matrix + 1]
            there = first + int(rng.random() * (last - first))
            couplings[here], couplings[there] = couplings[there], couplings[here]
