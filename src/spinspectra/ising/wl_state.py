"""What a replica-exchange Wang-Landau run is made of: its options, and the state of all its walkers."""

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.chain import IsingChain
from spinspectra.ising.windows import Windows, descend_to, enter, expected_slopes, integrate
from spinspectra.ising.wl_ladder import cool_replicas, make_betas
from spinspectra.seeds import child_seed

Start = Literal["canonical", "gaussian", "flat"]

PREPARE, WALK, EXCHANGE, VISIT = (
    0,
    1,
    2,
    3,
)  # purposes of random numbers, first in the spawn key; `wl_ladder` has 5 to 7


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is made of besides the chain; all of it is part of a checkpoint's identity."""

    e_min: float
    n_bins: int
    e_max: float | None
    mirror: bool
    n_windows: int
    overlap: float
    walkers: int
    teams: int
    start: Start
    ln_f_start: float
    ln_f_end: float
    flatness: float
    tries: int
    ladder_sweeps: int


@dataclass(frozen=True, slots=True)
class Teams:
    """All that a run is between two rounds: T teams, W windows of K bins, M walkers a window, R rungs, N spins.

    n_tries is per walker since ln f was first set (or set back, when a bin was found late). visits and tilts are
    those of the present stage. by_time: ln f follows 1/t. producing: ln g is held and visits are counted. shut:
    nobody got in.
    """

    spins: NDArray[np.int8]  # (T, W, M, N)
    energies: NDArray[np.float64]  # (T, W, M)
    ln_g: NDArray[np.float64]  # (T, W, M, K)
    seen: NDArray[np.uint8]  # (T, W, M, K)
    visits: NDArray[np.int64]  # (T, W, M, K)
    tilts: NDArray[np.float64]  # (T, W, M, K)
    first_guess: NDArray[np.float64]  # (T, W, K)
    slopes: NDArray[np.float64]  # (T, W, K)
    counts: NDArray[np.int64]  # (T, W, K)  all visits
    ln_f: NDArray[np.float64]  # (T, W)
    n_tries: NDArray[np.int64]  # (T, W)
    by_time: NDArray[np.bool_]  # (T, W)
    producing: NDArray[np.bool_]  # (T, W)
    n_produced: NDArray[np.int64]  # (T, W)  tries, per walker
    done: NDArray[np.bool_]  # (T, W)
    shut: NDArray[np.bool_]  # (T, W)
    swaps: NDArray[np.int64]  # (2, W - 1)  exchanges tried and made
    betas: NDArray[np.float64]  # (R,)  of the ladder beside the windows
    replicas: NDArray[np.int8]  # (T, R, N)
    replica_energies: NDArray[np.float64]  # (T, R)
    visits_of_replicas: NDArray[np.int64]  # (2, W)  exchanges with replicas tried and made
    round: NDArray[np.int64]  # ()


def generator(root: np.random.SeedSequence, *key: int) -> np.random.Generator:
    """The random numbers of one purpose, place and round: nothing to be kept between rounds."""
    return np.random.default_rng(child_seed(root, *key))


def make_teams(
    chain: IsingChain, windows: Windows, options: Options, root: np.random.SeedSequence, pool: Executor
) -> Teams:
    """First guesses, and walkers inside their windows; every team by itself."""
    betas = make_betas(chain, windows, root) if options.ladder_sweeps else np.empty(0)
    made = pool.map(partial(_make_team, chain, windows, options, root, betas), range(options.teams))
    spins, slopes, shut, replicas = (np.array(parts) for parts in zip(*made, strict=True))
    n_windows, k = len(windows.firsts), windows.size
    guess = np.array([integrate(one, windows.width) for one in slopes])
    split_up = [windows.bins(window) for window in range(n_windows)]
    first_guess = np.stack([guess[:, part] for part in split_up], axis=1)
    shape = (options.teams, n_windows)
    walkers = (*shape, options.walkers)
    return Teams(
        spins=spins,
        energies=np.zeros(walkers),
        ln_g=np.repeat(first_guess[:, :, None], options.walkers, axis=2),
        seen=np.zeros((*walkers, k), np.uint8),
        visits=np.zeros((*walkers, k), np.int64),
        tilts=np.zeros((*walkers, k)),
        first_guess=first_guess,
        slopes=np.stack([slopes[:, part] for part in split_up], axis=1),
        counts=np.zeros((*shape, k), np.int64),
        ln_f=np.full(shape, options.ln_f_start),
        n_tries=np.zeros(shape, np.int64),
        by_time=np.zeros(shape, np.bool_),
        producing=np.zeros(shape, np.bool_),
        n_produced=np.zeros(shape, np.int64),
        done=np.zeros(shape, np.bool_),
        shut=shut,
        swaps=np.zeros((2, n_windows - 1), np.int64),
        betas=betas,
        replicas=replicas,
        replica_energies=np.zeros((options.teams, betas.size)),
        visits_of_replicas=np.zeros((2, n_windows), np.int64),
        round=np.array(0, np.int64),
    )


def _make_team(
    chain: IsingChain,
    windows: Windows,
    options: Options,
    root: np.random.SeedSequence,
    betas: NDArray[np.float64],
    team: int,
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.bool_], NDArray[np.int8]]:
    """Spins (W, M, N), first slopes over all bins (n_bins,), windows that nobody got into (W,), replicas (R, N)."""
    rng = generator(root, PREPARE, team)
    if betas.size:
        descent = cool_replicas(chain, betas, root, team)
        replicas = descent.spins
    else:
        descent = descend_to(chain, windows.e_low, rng)
        replicas = np.empty((0, chain.n_spins), np.int8)
    n_windows = len(windows.firsts)
    spins = np.ones((n_windows, options.walkers, chain.n_spins), np.int8)
    shut = np.zeros(n_windows, np.bool_)
    for window in range(n_windows):
        for walker in range(options.walkers):
            inside = enter(chain, windows, window, descent, rng)
            if inside is None:
                shut[window] = True
                break
            spins[window, walker] = inside
    if options.start == "canonical":
        slopes = expected_slopes(chain, descent, windows.centres, windows.width)
    elif options.start == "gaussian":
        slopes = -windows.centres / (chain.sum_of_squares or 1.0)
    else:
        slopes = np.zeros(windows.n_bins)
    return spins, slopes, shut, replicas
