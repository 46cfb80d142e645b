"""Random-site single flips under a weight that is a table of energy bins: Wang-Landau, multicanonical, canonical.

Arguments besides those of `flips`:

    energy   float      E of the spins, kept up to date by the walk
    e_low    float      lower edge of the lowest bin; bin j is e_low + j * width .. e_low + (j + 1) * width, and an
                        energy at an edge, to SLACK, belongs to the bin nearer to E = 0, as in `EnergyBins`
    width    float      of a bin, unit of the weights
    ln_g     float64 (K,)  S_j; the weight of a state in bin j is exp(-S_j - slopes[j] * (E - centre of j))
    slopes   float64 (K,)  d ln g / dE expected inside the bin
"""

import math

from numba import njit

from spinspectra.compiled import KERNEL
from spinspectra.ising.bins import SLACK
from spinspectra.ising.kernels.flips import flip


@njit(**KERNEL)
def place_of(energy, e_low, width, n_bins):
    """The bin of an energy, held inside 0 .. n_bins - 1: recomputed fields may move a state at the edge by rounding."""
    inwards = SLACK if energy <= 0.0 else -SLACK
    return min(max(math.floor((energy - e_low) / width + inwards), 0), n_bins - 1)


@njit(**KERNEL)
def adopt(ln_g, first_guess, seen, place):
    """ln g of a bin; where it was never seen, that of the nearest seen bin plus what the first guess adds."""
    n_bins = ln_g.size
    if seen[place] == 0:
        for away in range(1, n_bins):
            for near in (place + away, place - away):
                if 0 <= near < n_bins and seen[near]:
                    return ln_g[near] + first_guess[place] - first_guess[near]
    return ln_g[place]


@njit(**KERNEL)
def walk(
    chain, spins, fields, energy, e_low, width, ln_g, slopes, first_guess, seen, visits, tilts, ln_f, age, n_tries, rng
):
    """n_tries times: pick a spin uniformly, flip it with min(1, g(E) / g(E')), add ln_f to the bin then occupied.

    Flips that leave the bins are refused. first_guess (K,): ln g as it was at the start; a bin found for the first
    time enters at the level that its guess, against that of the bin it is found from, gives. seen: uint8 (K,), bins
    ever visited. visits: int64 (K,), tries that ended in the bin. tilts: float64 (K,), the sum of
    exp(slopes[j] * (E - centre)) over them: the mean of it turns S_j into the log of the number of states of the bin.
    age: tries made before, if ln_f is to fall as 1/t, t = tries / bins seen; else 0. Returns the energy and flips made.
    """
    n_bins = ln_g.size
    per_width = 1.0 / width
    here = place_of(energy, e_low, width, n_bins)
    if seen[here] == 0:
        ln_g[here] = adopt(ln_g, first_guess, seen, here)
        seen[here] = 1
    lean = slopes[here] * (energy - e_low - (here + 0.5) * width)
    tilt = math.exp(lean)
    n_flips = 0
    n_seen = 0
    for j in range(n_bins):
        n_seen += seen[j]
    for i in range(n_tries):
        if age > 0:
            ln_f = n_seen / (age + i)
        spin = int(rng.random() * spins.size)
        new_energy = energy + 2.0 * spins[spin] * fields[spin]
        above = (new_energy - e_low) * per_width + (SLACK if new_energy <= 0.0 else -SLACK)
        if above >= 0.0 and above < n_bins:
            there = int(above)
            if seen[there] == 0:
                ln_g[there] = ln_g[here] + first_guess[there] - first_guess[here]
            new_lean = slopes[there] * (new_energy - e_low - (there + 0.5) * width)
            cost = (ln_g[there] + new_lean) - (ln_g[here] + lean)
            if cost <= 0.0 or rng.random() < math.exp(-cost):
                flip(chain, spins, fields, spin)
                n_flips += 1
                energy, here, lean = new_energy, there, new_lean
                tilt = math.exp(lean)
                if seen[here] == 0:
                    seen[here] = 1
                    n_seen += 1
        ln_g[here] += ln_f
        visits[here] += 1
        tilts[here] += tilt
    return energy, n_flips


@njit(**KERNEL)
def walk_at(chain, spins, fields, energy, beta, n_tries, energies, rng):
    """n_tries random-site Metropolis tries at beta; energies (M,): E at M equal intervals. Returns E, flips made."""
    n_flips = 0
    stride = n_tries // energies.size
    for sample in range(energies.size):
        for _ in range(stride):
            spin = int(rng.random() * spins.size)
            change = 2.0 * spins[spin] * fields[spin]
            if change <= 0.0 or rng.random() < math.exp(-beta * change):
                flip(chain, spins, fields, spin)
                energy += change
                n_flips += 1
        energies[sample] = energy
    return energy, n_flips
