"""A round of replica-exchange Wang-Landau: every walker walks in its window, then neighbours may exchange replicas."""

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.wang_landau import adopt, place_of, walk
from spinspectra.ising.spins import split
from spinspectra.ising.state import start
from spinspectra.ising.windows import Windows
from spinspectra.ising.wl_state import Options, Teams, generator

_WALK, _EXCHANGE = 1, 2  # purposes of random numbers, first in the spawn key, beside those of `wl_state`


@dataclass(frozen=True, slots=True)
class _Walker:
    """One walker's part of a round, there and back."""

    place: tuple[int, int, int]  # team, window, walker
    spins: NDArray[np.int8]
    ln_g: NDArray[np.float64]
    slopes: NDArray[np.float64]
    first_guess: NDArray[np.float64]
    seen: NDArray[np.uint8]
    ln_f: float
    age: int  # tries made before, if ln_f is to fall as 1/t; else 0
    energy: float = 0.0
    visits: NDArray[np.int64] | None = None
    tilts: NDArray[np.float64] | None = None


def walk_all(
    chain: IsingChain,
    windows: Windows,
    options: Options,
    root: np.random.SeedSequence,
    state: Teams,
    pool: Executor,
    n_chunks: int | None,
) -> Teams:
    """One round of all walkers that are not through, or whose neighbours are not and need them for exchanges.

    n_chunks: parts into which the walks are put for the pool; None: each by itself.
    """
    needed = _needed(state)
    jobs = [_job(state, t, w, m) for t, w in np.argwhere(needed).tolist() for m in range(options.walkers)]
    n = len(jobs) if n_chunks is None else min(n_chunks, len(jobs))
    walk_some = partial(_walk_some, chain, windows, options.tries, root, int(state.round))
    parts = list(pool.map(walk_some, [jobs[i::n] for i in range(n)]))
    arrays = {
        name: getattr(state, name).copy()
        for name in ("spins", "energies", "ln_g", "seen", "visits", "tilts", "counts", "n_tries", "n_produced")
    }
    for part in parts:
        for one in part:
            for name in ("spins", "ln_g", "seen"):
                arrays[name][one.place] = getattr(one, name)
            arrays["energies"][one.place] = one.energy
            arrays["visits"][one.place] += one.visits
            arrays["tilts"][one.place] += one.tilts
            arrays["counts"][one.place[:2]] += one.visits
    arrays["n_tries"][needed & ~state.producing] += options.tries
    arrays["n_produced"][needed & state.producing] += options.tries
    return replace(state, **arrays, round=state.round + 1)


def _needed(state: Teams) -> NDArray[np.bool_]:
    busy = ~(state.done | state.shut)
    needed = busy.copy()
    needed[:, 1:] |= busy[:, :-1]
    needed[:, :-1] |= busy[:, 1:]
    return np.asarray(needed & ~state.shut)


def _job(state: Teams, t: int, w: int, m: int) -> _Walker:
    learning = not state.producing[t, w]
    return _Walker(
        (t, w, m),
        state.spins[t, w, m],
        state.ln_g[t, w, m],
        state.slopes[t, w],
        state.first_guess[t, w],
        state.seen[t, w, m],
        float(state.ln_f[t, w]) if learning else 0.0,
        int(state.n_tries[t, w]) if learning and state.by_time[t, w] else 0,
    )


def _walk_some(
    chain: IsingChain,
    windows: Windows,
    tries: int,
    root: np.random.SeedSequence,
    number: int,
    jobs: list[_Walker],
) -> list[_Walker]:
    """The walks of one round, in place of their starts; fields are computed anew, so drift ends here."""
    return [_walk_one(chain, windows, tries, generator(root, _WALK, *job.place, number), job) for job in jobs]


def _walk_one(chain: IsingChain, windows: Windows, tries: int, rng: np.random.Generator, job: _Walker) -> _Walker:
    kept = start(chain, rng, split(job.spins, chain.nodes))
    energy = -0.5 * float(kept.spins @ kept.fields)
    ln_g, seen = job.ln_g.copy(), job.seen.copy()
    visits, tilts = np.zeros(ln_g.size, np.int64), np.zeros(ln_g.size)
    energy, _ = walk(
        chain.packed, kept.spins, kept.fields, energy, windows.edge(job.place[1]), windows.width,
        ln_g, job.slopes, job.first_guess, seen, visits, tilts, job.ln_f, job.age, tries, rng,
    )  # fmt: skip
    return replace(job, spins=kept.spins, energy=energy, ln_g=ln_g, seen=seen, visits=visits, tilts=tilts)


def exchanged(windows: Windows, root: np.random.SeedSequence, state: Teams) -> Teams:
    """Walkers of neighbouring windows swapped, even and odd pairs by turns (Vogel et al. 2013, eq. 2)."""
    spins, energies, swaps = state.spins.copy(), state.energies.copy(), state.swaps.copy()
    n_walkers = int(spins.shape[2])
    for t in range(len(spins)):
        rng = generator(root, _EXCHANGE, t, int(state.round))
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


def _gain(windows: Windows, state: Teams, walker: tuple[int, int, int], old: float, new: float) -> float:
    """By how much the log weight of a walker's window grows if its energy changes from old to new."""
    return _ln_weight(windows, state, walker, new) - _ln_weight(windows, state, walker, old)


def _ln_weight(windows: Windows, state: Teams, walker: tuple[int, int, int], energy: float) -> float:
    t, w, _ = walker
    e_low, width = windows.edge(w), windows.width
    place = place_of(energy, e_low, width, windows.size)
    height = adopt(state.ln_g[walker], state.first_guess[t, w], state.seen[walker], place)
    return -float(height + state.slopes[t, w, place] * (energy - e_low - (place + 0.5) * width))
