"""Replica-exchange Wang-Landau: ln g(E) from walks that learn the weight under which all energies are equally likely.

Wang, Landau 2001: ln g of the bin just visited grows by ln f, which halves whenever the visits are flat. Belardinelli,
Pereyra 2007: once that would fall below 1/t, t the tries a bin, ln f = 1/t. Vogel, Li, Wuest, Landau 2013: windows
that overlap, replicas exchanged between neighbours, walkers of a window averaged at every stage.

Two things make it work on networks, where a bin is wider than a flip and ln g falls by many units across it. The
weight leans inside each bin by the slope expected there, and the mean of that lean over the visits corrects ln g
exactly, so the slopes need not be right. And ln g starts from canonical runs (`windows.descend_to`).

Wang-Landau's own ln g lags behind its walkers and is biased by a standard error or two. So once ln f has fallen to
ln_f_end, ln g is held fixed and as many tries again count visits under it (multicanonical production: Berg, Neuhaus
1992): they correct it, and ln g of a bin is then an unbiased count. Where some bins got less than a fifth of their
share, the weight was no good: it is mended and counting begins anew, for twice as long.

Where spins freeze, at low energy, single flips do not leave a valley under any weight. So each run has a ladder of
replicas at temperatures beside it, moved by heat-bath sweeps, that change places with the walkers (`wl_ladder`).

A team is one such run over all windows; teams share nothing but temperatures, so the spread between them is an honest
error.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from spinspectra.cores import n_cores
from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.checkpoint import chain_digest, read_checkpoint, write_checkpoint
from spinspectra.ising.density import DensityOfStates, from_half
from spinspectra.ising.heat_bath import one_thread
from spinspectra.ising.joining import Range, join_windows, level, mean_and_error
from spinspectra.ising.windows import Windows, count_bins, lay_out
from spinspectra.ising.wl_exchange import exchanged, visited
from spinspectra.ising.wl_rounds import walk_all
from spinspectra.ising.wl_stages import ln_states, staged
from spinspectra.ising.wl_state import Options, Start, Teams, make_teams
from spinspectra.seeds import Seed, seed_sequence

_LAYOUT = 2  # of a checkpoint's arrays and of what is drawn when; a change makes old checkpoints another run's
_FIRST_LN_F = 0.125  # at most, from canonical runs
_BINS_A_WINDOW = 64
_CHUNKS_A_CORE = 4  # of a round's walks, for an executor to which the chain must be sent


class NotConvergedError(SpinSpectraError):
    """max_rounds were not enough; `density` is what there was by then."""

    def __init__(self, text: str, density: DensityOfStates) -> None:
        super().__init__(text)
        self.density = density


@dataclass(frozen=True, slots=True)
class WangLandauProgress:
    """After a round: the largest ln f of each window over the teams, (n_windows,), NaN where nobody got in; of the
    slowest window its number; the fraction of exchanges accepted between each pair of neighbours so far, (n_windows -
    1,); walks still unfinished and walks in all, one a team and window; the share of the work done by the slowest walk,
    as far as can be told: half is learning, until ln f = bins / tries is ln_f_end, and half counting.
    """

    round: int
    ln_f: NDArray[np.float64]
    slowest: int
    swap_rates: NDArray[np.float64]
    unfinished: int
    walks: int
    share: float


def wang_landau(
    chain: IsingChain,
    bins: EnergyBins,
    seed: Seed = 0,
    n_windows: int | None = None,
    walkers: int = 1,
    ln_f_end: float = 1e-6,
    mirror: bool = True,
    checkpoint: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[WangLandauProgress], None] | None = None,
    *,
    e_max: float | None = None,
    teams: int = 8,
    overlap: float = 0.5,
    flatness: float = 0.8,
    start: Start = "canonical",
    ln_f_start: float | None = None,
    ladder_sweeps: int = 8,
    max_rounds: int | None = None,
    checkpoint_every: float = 60.0,
) -> DensityOfStates:
    """ln g over the bins, with its standard error from the spread between independent teams.

    Bins that nobody came to are left out, and of several teams also those that only one came to: of such a bin neither
    ln g nor an error is known. With teams=1 all errors are NaN.

    n_windows: default one for every 32 bins beyond 64. walkers: of one window in one team. mirror: walk E <= 0 and
    use g(E) = g(-E); False walks both sides and imposes nothing. e_max: walk only e_min .. e_max, up to the bin that
    holds it; ln g is then known up to a constant and comes out with mean 0 over the bins that all teams have, neither
    mirrored nor normalised. start: the first ln g, from "canonical" runs, a "gaussian" of variance sum(J^2), or
    "flat"; ln_f_start: default 1 for these two, for canonical 1 a bin and sweep, at most 1/8. The work is about
    2 * teams * walkers * n_bins / (1 - overlap) / ln_f_end tries, more where walks are slow to spread over a window;
    the statistical error of ln g within a window falls as sqrt(ln_f_end).

    ladder_sweeps: heat-bath sweeps of each team's replicas a round, 0 for no replicas: then windows at a frozen end may
    never be through.

    executor: where the walks of a round run, default threads on all cores; the result does not depend on it.
    checkpoint: file to go on from if it is there, written every `checkpoint_every` seconds, at the end and on
    KeyboardInterrupt, which is raised again. progress: called after every round. max_rounds: of 4 N tries a walker, at
    least 20,000.

    Raises OptionError for arguments out of range, CheckpointError for a checkpoint of another run,
    NotConvergedError, with the density so far, if max_rounds are not enough.
    """
    if n_windows is None:
        n_windows = _default_windows(count_bins(bins, mirror, e_max), overlap)
    windows = lay_out(bins, n_windows, overlap, mirror, e_max)
    if ln_f_start is None:
        ln_f_start = max(_first_ln_f(start, windows.size, chain.n_spins), ln_f_end)
    options = Options(
        bins.e_min, bins.n_bins, e_max, mirror, n_windows, overlap, walkers, teams, start, ln_f_start, ln_f_end,
        flatness, max(20_000, 4 * chain.n_spins), ladder_sweeps,
    )  # fmt: skip
    _check(options)
    root = seed_sequence(seed)
    how = {
        "method": "wang-landau",
        "layout": _LAYOUT,
        "seed": {"entropy": str(root.entropy), "spawn_key": [int(key) for key in root.spawn_key]},
        "couplings": chain_digest(chain),
        **asdict(options),
    }
    restored = read_checkpoint(checkpoint, how) if checkpoint is not None else None
    with one_thread(None), ThreadPoolExecutor(n_cores()) if executor is None else nullcontext(executor) as pool:
        n_chunks = None if executor is None else _CHUNKS_A_CORE * n_cores()
        state = Teams(**restored) if restored else make_teams(chain, windows, options, root, pool)
        if not restored:
            _save(checkpoint, how, state)
        state = _run(
            chain, windows, options, root, state, pool, n_chunks, max_rounds, progress,
            partial(_save, checkpoint, how), checkpoint_every,
        )  # fmt: skip
    density = _density(chain, windows, options, state, {**how, "source": chain.source})
    if not np.all(state.done | state.shut):
        slow = sorted({int(window) for window in np.argwhere(~(state.done | state.shut))[:, 1]})
        raise NotConvergedError(
            f"max_rounds={max_rounds}: windows {slow} of {len(windows.firsts)} are not through; give more", density
        )
    return density


def _default_windows(n_bins: int, overlap: float) -> int:
    return max(1, round(n_bins / (_BINS_A_WINDOW * (1.0 - overlap))) - 1) if 0.0 <= overlap < 1.0 else 1


def _first_ln_f(start: Start, window_size: int, n_spins: int) -> float:
    """Small enough, where the first ln g is a good guess, for a sweep to add no more than a unit to each bin.

    More would tear ln g apart by hundreds of units on large chains before the walk has moved at all.
    """
    return min(_FIRST_LN_F, window_size / n_spins) if start == "canonical" else 1.0


def _check(options: Options) -> None:
    if options.start not in get_args(Start):
        raise OptionError(f"start={options.start!r}: give one of {', '.join(get_args(Start))}")
    if options.walkers < 1 or options.teams < 1:
        raise OptionError(f"walkers={options.walkers}, teams={options.teams}: give at least 1 of each")
    if not 0.0 < options.ln_f_end <= options.ln_f_start < np.inf:
        raise OptionError(
            f"ln_f_start={options.ln_f_start}, ln_f_end={options.ln_f_end}: give 0 < ln_f_end <= ln_f_start"
        )
    if options.ladder_sweeps < 0:
        raise OptionError(f"ladder_sweeps={options.ladder_sweeps}: give 0 or more")
    if not 0.0 < options.flatness < 1.0:
        raise OptionError(f"flatness={options.flatness}: give a fraction between 0 and 1")


def _run(
    chain: IsingChain,
    windows: Windows,
    options: Options,
    root: np.random.SeedSequence,
    state: Teams,
    pool: Executor,
    n_chunks: int | None,
    max_rounds: int | None,
    progress: Callable[[WangLandauProgress], None] | None,
    save: Callable[[Teams], None],
    save_every: float,
) -> Teams:
    """Rounds until every window is through; `state` is always that of a whole number of rounds."""
    saved, odd = monotonic(), chain.packed.layer_of % 2 == 1
    try:
        while not np.all(state.done | state.shut) and (max_rounds is None or state.round < max_rounds):
            walked = walk_all(chain, windows, options, root, state, pool, n_chunks)
            state = exchanged(windows, root, staged(state, walked, options, windows.width))
            state = visited(windows, root, state, odd)
            if progress is not None:
                progress(_progress(state, options))
            if monotonic() - saved > save_every:
                save(state)
                saved = monotonic()
    except KeyboardInterrupt:
        save(state)
        raise
    save(state)
    return state


def _save(path: Path | None, how: Mapping[str, Any], state: Teams) -> None:
    if path is not None:
        write_checkpoint(path, how, {field.name: getattr(state, field.name) for field in fields(state)})


def _progress(state: Teams, options: Options) -> WangLandauProgress:
    over = state.shut | state.done
    ln_f = np.where(over, -np.inf, state.ln_f).max(axis=0)
    shown = np.where(state.shut.all(axis=0), np.nan, np.where(state.shut, 0.0, state.ln_f).max(axis=0))
    left = int(np.count_nonzero(~over))
    rates = _rates(state.swaps)
    return WangLandauProgress(
        int(state.round), shown, int(np.argmax(ln_f)), rates, left, state.done.size, _share(state, options)
    )


def _share(state: Teams, options: Options) -> float:
    over = state.shut | state.done
    n_seen = np.count_nonzero(state.seen.any(axis=2), axis=2)
    in_time = state.n_tries * options.ln_f_end / np.maximum(n_seen, 1)
    learned = np.minimum(np.minimum(1.0, in_time), options.ln_f_end / state.ln_f)  # flatness may take far longer
    counted = np.minimum(1.0, state.n_produced / np.maximum(state.n_tries, 1))
    share = np.where(state.producing, 0.5 + 0.5 * counted, 0.5 * learned)
    return float(np.where(over, 1.0, share).min())


def _rates(tally: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exchanges accepted of those tried, (2, n) -> (n,), NaN before the first."""
    tried, made = tally
    return np.asarray(np.divide(made, tried, out=np.full(tried.size, np.nan), where=tried > 0))


def _density(
    chain: IsingChain, windows: Windows, options: Options, state: Teams, how: Mapping[str, Any]
) -> DensityOfStates:
    """Windows joined team by team, the teams averaged, the lower half mirrored."""
    span: Range = "half" if options.mirror else "whole"
    if windows.n_bins <= windows.lowest:  # E = 0 is not reached
        span = "part"
    joined = join_windows(windows, ln_states(state))
    runs = level(joined[np.isfinite(joined).any(axis=1)], chain.n_spins, span)
    mean, error = mean_and_error(runs)
    counts = np.zeros(windows.n_bins, np.int64)
    for window in range(len(windows.firsts)):
        counts[windows.bins(window)] += state.counts[:, window].sum(axis=0)
    known = np.isfinite(mean) & (np.isfinite(error) | (options.teams == 1))
    how = {
        **how,
        "rounds": int(state.round),
        "swap_rates": np.round(_rates(state.swaps), 4).tolist(),
        "ladder": {
            "betas": state.betas.tolist(),
            "exchange_rates": np.round(_rates(state.visits_of_replicas), 4).tolist(),
        },
    }
    energies, n, width = windows.centres[known] + 0.0, chain.n_spins, windows.width
    if span == "half":
        return from_half(energies, mean[known], error[known], counts[known], n, width, how, runs[:, known])
    return DensityOfStates(
        energies, level(mean[None, known], n, span)[0], error[known], counts[known], n, width, how, runs[:, known]
    )
