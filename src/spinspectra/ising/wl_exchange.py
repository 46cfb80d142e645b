"""Exchanges of Wang-Landau walkers: between windows that overlap, and with replicas at temperatures.

Each is a Metropolis step of the two that change places, by the weights both sample, and alters neither.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.kernels.wang_landau import adopt, place_of
from spinspectra.ising.windows import Windows
from spinspectra.ising.wl_rounds import needed_windows
from spinspectra.ising.wl_state import EXCHANGE, VISIT, Teams, generator


def exchanged(windows: Windows, root: np.random.SeedSequence, state: Teams) -> Teams:
    """Walkers of neighbouring windows swapped, even and odd pairs by turns (Vogel et al. 2013, eq. 2)."""
    spins, energies, swaps = state.spins.copy(), state.energies.copy(), state.swaps.copy()
    n_walkers = int(spins.shape[2])
    for t in range(len(spins)):
        rng = generator(root, EXCHANGE, t, int(state.round))
        for w in range(int(state.round) % 2, len(windows.firsts) - 1, 2):
            partners = rng.permutation(n_walkers)
            chances = rng.random(n_walkers)
            if state.shut[t, w] or state.shut[t, w + 1]:
                continue
            for m, partner in enumerate(partners.tolist()):
                one, other = (t, w, m), (t, w + 1, partner)
                e_one, e_other = energies[one].item(), energies[other].item()
                swaps[0, w] += 1
                if windows.holds(w, e_other) and windows.holds(w + 1, e_one):
                    gain = _gain(windows, state, one, e_one, e_other) + _gain(windows, state, other, e_other, e_one)
                    if chances[m] < np.exp(min(0.0, gain)):
                        swaps[1, w] += 1
                        spins[one], spins[other] = spins[other].copy(), spins[one].copy()
                        energies[one], energies[other] = e_other, e_one
    return replace(state, spins=spins, energies=energies, swaps=swaps)


def visited(windows: Windows, root: np.random.SeedSequence, state: Teams, odd: NDArray[np.bool_]) -> Teams:
    """Walkers that changed places with replicas of their team's ladder, each with all that are in its window in turn.

    A walker in E and a replica of beta in E' do so with min(1, exp(gain + beta (E' - E))), gain being that of the
    window's log weight from E to E'. odd: which spins are of odd layers, (N,). Into windows above E = 0 and out of them
    go replicas and walkers with those turned, which turns E and beta into -E and -beta.
    """
    if state.betas.size == 0:
        return state
    spins, energies = state.spins.copy(), state.energies.copy()
    replicas, replica_energies = state.replicas.copy(), state.replica_energies.copy()
    tally = state.visits_of_replicas.copy()
    for t, w in np.argwhere(needed_windows(state)).tolist():
        rng = generator(root, VISIT, t, w, int(state.round))
        sign = -1.0 if windows.middle(w) > 0.5 * windows.width else 1.0
        turn = np.where(odd, sign, 1.0).astype(np.int8)
        for m in range(int(spins.shape[2])):
            here = (t, w, m)
            inside = [r for r, energy in enumerate(replica_energies[t].tolist()) if windows.holds(w, sign * energy)]
            tally[0, w] += len(inside)
            for r, chance in zip(rng.permutation(inside).tolist(), rng.random(len(inside)), strict=True):
                old, new = energies[here].item(), sign * replica_energies[t, r].item()
                gain = _gain(windows, state, here, old, new) + sign * float(state.betas[r]) * (new - old)
                if chance < np.exp(min(0.0, gain)):
                    tally[1, w] += 1
                    spins[here], replicas[t, r] = turn * replicas[t, r], turn * spins[here]
                    energies[here], replica_energies[t, r] = new, sign * old
    return replace(
        state,
        spins=spins,
        energies=energies,
        replicas=replicas,
        replica_energies=replica_energies,
        visits_of_replicas=tally,
    )


def _gain(windows: Windows, state: Teams, walker: tuple[int, int, int], old: float, new: float) -> float:
    """By how much the log weight of a walker's window grows if its energy changes from old to new."""
    return _ln_weight(windows, state, walker, new) - _ln_weight(windows, state, walker, old)


def _ln_weight(windows: Windows, state: Teams, walker: tuple[int, int, int], energy: float) -> float:
    t, w, _ = walker
    e_low, width = windows.edge(w), windows.width
    place = place_of(energy, e_low, width, windows.size)
    height = adopt(state.ln_g[walker], state.first_guess[t, w], state.seen[walker], place)
    return -float(height + state.slopes[t, w, place] * (energy - e_low - (place + 0.5) * width))
