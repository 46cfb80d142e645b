"""Searches for low energy: zero-temperature single flips, and Metropolis sweeps at a temperature.

Both accept by the same quantity, dE = 2 s_i h_i, and share `flips`. Arguments as there.
"""

import math

from numba import njit

from spinspectra.compiled import KERNEL
from spinspectra.ising.kernels.flips import flip, update_neighbours

# exp(-37) is below the spacing of the uniform numbers drawn, so such a flip could not be accepted.
HOPELESS = 37.0


@njit(**KERNEL)
def descend(chain, spins, fields, n_tries, rng):
    """n_tries times: pick a spin uniformly, flip it if that lowers E. Returns flips made and the change of E."""
    n_flips, change = 0, 0.0
    for _ in range(n_tries):
        spin = int(rng.random() * spins.size)
        half_cost = spins[spin] * fields[spin]
        if half_cost < 0.0:
            flip(chain, spins, fields, spin)
            n_flips += 1
            change += 2.0 * half_cost
    return n_flips, change


@njit(**KERNEL)
def descend_by_layer(chain, spins, fields, n_tries, rng):
    """As `descend`, but pick a layer uniformly, then a spin in it: dnnising's rule.

    The body is written out again on purpose: moved into a function of its own it takes three times as long.
    """
    n_flips, change = 0, 0.0
    n_layers = chain.first_spin.size - 1
    for _ in range(n_tries):
        layer = int(rng.random() * n_layers)
        first, last = chain.first_spin[layer], chain.first_spin[layer + 1]
        spin = first + int(rng.random() * (last - first))
        half_cost = spins[spin] * fields[spin]
        if half_cost < 0.0:
            flip(chain, spins, fields, spin)
            n_flips += 1
            change += 2.0 * half_cost
    return n_flips, change


@njit(**KERNEL)
def count_unstable(spins, fields):
    """How many spins would lower E by flipping."""
    n_unstable = 0
    for spin in range(spins.size):
        if spins[spin] * fields[spin] < 0.0:
            n_unstable += 1
    return n_unstable


@njit(**KERNEL)
def metropolis_sweep(chain, spins, fields, beta, rng, rows, scales):
    """Offer every spin one flip, accepted with min(1, exp(-beta dE)); returns how many were.

    Layer after layer, and a layer's spins do not feel one another: deciding all of them first and then
    adding the flipped rows to the neighbours' fields is the same as one flip after another, and reads the
    couplings as a stream. For annealing, not for sampling near beta = 0: there every flip is accepted, so a
    sweep turns the whole chain over and E hardly moves.

    rows (int64), scales (float64): scratch, as long as the widest layer.
    """
    n_flips = 0
    for layer in range(chain.first_spin.size - 1):
        first, last = chain.first_spin[layer], chain.first_spin[layer + 1]
        n_rows = 0
        for spin in range(first, last):
            cost = 2.0 * beta * spins[spin] * fields[spin]
            if cost <= 0.0 or (cost < HOPELESS and rng.random() < math.exp(-cost)):
                spins[spin] = -spins[spin]
                rows[n_rows] = spin - first
                scales[n_rows] = 2.0 * spins[spin]
                n_rows += 1
        if n_rows > 0:
            update_neighbours(chain, fields, layer, rows, scales, n_rows)
        n_flips += n_rows
    return n_flips
