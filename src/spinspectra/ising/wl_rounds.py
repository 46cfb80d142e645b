"""A round of Wang-Landau walks: every walker in its window, and the ladders beside them; `wl_exchange` comes after."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.wang_landau import walk
from spinspectra.ising.spins import split
from spinspectra.ising.state import start
from spinspectra.ising.windows import Windows
from spinspectra.ising.wl_ladder import Replicas, sweep_replicas
from spinspectra.ising.wl_state import WALK, Options, Teams, generator

_WALKED = (
    "spins", "energies", "ln_g", "seen", "visits", "tilts", "counts", "n_tries", "n_produced",
    "replicas", "replica_energies",
)  # fmt: skip


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
    """One round of all walkers of `needed_windows`, and of their teams' ladders.

    n_chunks: parts into which the walks are put for the pool; None: each by itself.
    """
    needed = needed_windows(state)
    jobs = [_job(state, t, w, m) for t, w in np.argwhere(needed).tolist() for m in range(options.walkers)]
    n = len(jobs) if n_chunks is None else min(n_chunks, len(jobs))
    walk_some = partial(_walk_some, chain, windows, options.tries, root, int(state.round))
    swept = _sweeps(chain, options, root, state, pool, needed)
    parts = list(pool.map(walk_some, [jobs[i::n] for i in range(n)]))
    arrays = {name: getattr(state, name).copy() for name in _WALKED}
    for team, future in swept.items():
        arrays["replicas"][team], arrays["replica_energies"][team] = future.result()
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


def _sweeps(
    chain: IsingChain,
    options: Options,
    root: np.random.SeedSequence,
    state: Teams,
    pool: Executor,
    needed: NDArray[np.bool_],
) -> dict[int, Future[Replicas]]:
    """A round of the ladder of every team that still walks."""
    if state.betas.size == 0:
        return {}
    work = partial(sweep_replicas, chain, state.betas, options.ladder_sweeps, root, int(state.round))
    return {int(t): pool.submit(work, int(t), state.replicas[t]) for t in np.flatnonzero(needed.any(axis=1))}


def needed_windows(state: Teams) -> NDArray[np.bool_]:
    """Windows that walk, (T, W): not through, or beside one that is not and needs them for exchanges."""
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
    return [_walk_one(chain, windows, tries, generator(root, WALK, *job.place, number), job) for job in jobs]


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
