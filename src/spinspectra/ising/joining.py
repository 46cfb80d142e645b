"""Windows joined into one ln g, and independent runs into a mean with its standard error.

Neighbouring windows are joined at the bin of their overlap where their slopes d ln g / dE agree best (Vogel, Li,
Wuest, Landau 2013): on the colder side of it the colder window counts, on the hotter side the hotter one.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.student import student_factor
from spinspectra.ising.windows import Windows

Range = Literal["half", "whole", "part"]


def join_windows(windows: Windows, ln_g: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln g of every bin and run, (R, n_bins), each up to a constant, from (R, n_windows, size), NaN where not seen.

    The place where two windows join is the same in all runs, where their squared differences of slope, summed over
    runs that have both, are least. From the hottest window outwards, which is never missing; where a window shares no
    bin with what is already joined, it is left out of that run, and what hangs on it too.
    """
    joined = np.full((len(ln_g), windows.n_bins), np.nan)
    hottest = int(np.argmin([abs(windows.middle(window)) for window in range(len(windows.firsts))]))
    joined[:, windows.bins(hottest)] = ln_g[:, hottest]
    for window in range(hottest - 1, -1, -1):
        _append(joined, windows.bins(window), windows.bins(window + 1), ln_g[:, window])
    turned = joined[:, ::-1]  # a view: what lies above is joined as if it lay below
    for window in range(hottest + 1, len(windows.firsts)):
        here, before = (_turned(windows.bins(place), windows.n_bins) for place in (window, window - 1))
        _append(turned, here, before, ln_g[:, window, ::-1])
    return joined


def _turned(bins: slice, n_bins: int) -> slice:
    return slice(n_bins - bins.stop, n_bins - bins.start)


def _append(joined: NDArray[np.float64], here: slice, before: slice, ln_g: NDArray[np.float64]) -> None:
    """Join a window, (R, size) over the bins `here`, to the one above it, `before`, in place."""
    shared = slice(before.start, here.stop)
    lower = np.full(joined.shape, np.nan)
    lower[:, here] = ln_g
    gaps = (joined - lower)[:, shared]
    meet = np.isfinite(gaps).any(axis=1)
    if not meet.any():
        return
    place = meeting(gaps[meet])
    end = shared.start + place + 1
    for run in np.flatnonzero(meet):
        below = lower[run, :end] + _offset(gaps[run], place)
        joined[run, :end] = np.where(np.isfinite(below), below, joined[run, :end])


def meeting(gaps: NDArray[np.float64]) -> int:
    """Where two windows join, from their differences over the shared bins in each run, (R, n), NaN where not seen.

    Below and at that bin the lower window counts. The next bin known to all runs has nearly the same difference.
    """
    known = np.flatnonzero(np.isfinite(gaps).all(axis=0))
    if known.size < 2:
        return int(known[0]) if known.size else gaps.shape[1] // 2
    return int(known[np.argmin((np.diff(gaps[:, known], axis=1) ** 2).sum(axis=0))])


def _offset(gap: NDArray[np.float64], place: int) -> float:
    """By how much the lower window of a run must be raised to meet the upper one midway between a bin and the next."""
    known = np.flatnonzero(np.isfinite(gap))
    nearest = known[np.argsort(np.abs(known - place - 0.5), kind="stable")[:2]]
    return float(gap[nearest].mean())


def level(runs: NDArray[np.float64], n_spins: int, span: Range) -> NDArray[np.float64]:
    """Each run of ln g, (R, n_bins), NaN where not seen, brought to the same constant.

    "whole": the sum of g is 2^N. "half": likewise, the bins being those of E <= 0, the last one that of E = 0, and
    all others counting twice. "part": the mean of ln g is 0 over the bins that all runs have, or where there are none
    over its own.
    """
    if span == "part":
        common = np.isfinite(runs).all(axis=0)
        return np.asarray(runs - np.nanmean(runs[:, common] if common.any() else runs, axis=1, keepdims=True))
    twice = np.zeros(runs.shape[1])
    if span == "half":
        twice[:-1] = np.log(2.0)
    totals = [np.logaddexp.reduce((run + twice)[np.isfinite(run)]) for run in runs]
    return np.asarray(runs - np.array(totals)[:, None] + n_spins * np.log(2.0))


def mean_and_error(runs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over levelled runs and its standard error, (n_bins,) each; runs (R, n_bins), NaN where not seen.

    The error is the spread between runs over sqrt(R), its variance averaged with that of the two bins on either
    side, so that runs that happen to cross do not feign certainty, and widened by Student's factor, so that it covers
    68 % whatever the number of runs. NaN where fewer than two runs saw the bin.
    """
    n_held = np.isfinite(runs).sum(axis=0)
    mean, error = np.full(runs.shape[1], np.nan), np.full(runs.shape[1], np.nan)
    seen, several = n_held > 0, n_held > 1
    mean[seen] = np.nanmean(runs[:, seen], axis=0)
    variance = np.nanvar(runs[:, several], axis=0, ddof=1)
    factor = student_factor(n_held[several])
    error[several] = np.sqrt(_smoothed(variance) / n_held[several]) * factor
    return mean, error


def _smoothed(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each value and up to two on either side."""
    if not variance.size:
        return variance
    window = np.ones(5)
    sums = np.convolve(variance, window, mode="full")[2:-2]
    return np.asarray(sums / np.convolve(np.ones(variance.size), window, mode="full")[2:-2])
