"""The stages of a Wang-Landau window: ln f halved at flatness, ln f = 1/t, ln g held fixed and visits counted."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.windows import STEEPEST
from spinspectra.ising.wl_state import Options, Teams

_PATIENCE = 1000.0  # times 1/t, above which ln f is halved flat or not: valleys that few replicas reach are never flat
_LEAST_SHARE = 0.2  # of the mean visits that every bin gets in the production, or the weight was not good enough
_NEAR = 2  # bins on either side of one that its slope is taken from


def staged(before: Teams, walked: Teams, options: Options, width: float) -> Teams:
    """ln f of every window after a round, and what its fall brings: walkers averaged, visits at zero, new slopes."""
    new = {field.name: getattr(walked, field.name).copy() for field in fields(walked)}
    grown = walked.seen.sum(axis=(2, 3), dtype=np.int64) > before.seen.sum(axis=(2, 3), dtype=np.int64)
    moved = walked.n_tries + walked.n_produced > before.n_tries + before.n_produced
    for t, w in np.argwhere(moved).tolist():
        if grown[t, w]:
            _begin_again(new, t, w, options.ln_f_start)
        elif walked.producing[t, w]:
            _judge(new, t, w)
        else:
            _fall(new, t, w, options, width)
    return Teams(**new)


def ln_states(state: Teams) -> NDArray[np.float64]:
    """Log of the number of states a bin up to a constant, (T, W, K), as known by now; NaN where nobody was."""
    result = np.full(state.first_guess.shape, np.nan)
    for t, w in np.argwhere(~state.shut).tolist():
        ln_g, seen = pooled(state.ln_g[t, w], state.seen[t, w])
        count = _counted if state.producing[t, w] else _corrected
        result[t, w] = np.where(seen, count(ln_g, state.visits[t, w], state.tilts[t, w]), np.nan)
    return result


def pooled(ln_g: NDArray[np.float64], seen: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean ln g (K,) of a window's walkers (M, K), levelled over the bins that all have seen, and what any has seen."""
    held = seen > 0
    common = held.all(axis=0)
    if len(ln_g) > 1 and common.any():
        ln_g = ln_g - ln_g[:, common].mean(axis=1, keepdims=True)
    n_held = held.sum(axis=0)
    mean = np.where(n_held > 0, np.where(held, ln_g, 0.0).sum(axis=0) / np.maximum(n_held, 1), ln_g[0])
    return np.asarray(mean), np.asarray(n_held > 0)


def _begin_again(new: dict[str, NDArray[Any]], t: int, w: int, ln_f: float) -> None:
    """A bin was just found: its ln g is a guess, which only a large ln f mends, and its visits lag behind."""
    new["ln_f"][t, w], new["n_tries"][t, w], new["n_produced"][t, w] = ln_f, 0, 0
    new["by_time"][t, w] = new["producing"][t, w] = new["done"][t, w] = False
    _clear(new, t, w)


def _fall(new: dict[str, NDArray[Any]], t: int, w: int, options: Options, width: float) -> None:
    """ln f of a window that is still learning."""
    n_seen = int(np.count_nonzero(new["seen"][t, w].any(axis=0)))
    late = new["ln_f"][t, w] * new["n_tries"][t, w] > _PATIENCE * n_seen
    if not new["by_time"][t, w] and (late or _flat(new["visits"][t, w], new["seen"][t, w], options.flatness)):
        _average(new, t, w)
        _lean_anew(new, t, w, width)
        _clear(new, t, w)
        new["ln_f"][t, w] *= 0.5
        new["by_time"][t, w] = new["ln_f"][t, w] * new["n_tries"][t, w] <= n_seen
    if new["by_time"][t, w]:
        new["ln_f"][t, w] = n_seen / new["n_tries"][t, w]
    if new["ln_f"][t, w] <= options.ln_f_end:
        _average(new, t, w)
        _clear(new, t, w)
        new["producing"][t, w] = True


def _judge(new: dict[str, NDArray[Any]], t: int, w: int) -> None:
    """Production long enough: the window is through if all bins had their share; else better weights, twice as long.

    A walk that was shut up in a part of its window would otherwise pass for one that has seen it all.
    """
    if new["done"][t, w] or new["n_produced"][t, w] < new["n_tries"][t, w]:
        return
    seen, visits = new["seen"][t, w, 0] > 0, new["visits"][t, w].sum(axis=0)
    share = visits / visits[seen].mean()
    if share[seen].min() >= _LEAST_SHARE:
        new["done"][t, w] = True
        return
    mend = np.log(np.clip(share, _LEAST_SHARE, 1.0 / _LEAST_SHARE))  # more would make a bin not met this time a trap
    new["ln_g"][t, w] += np.where(seen, mend, 0.0)
    new["n_tries"][t, w] *= 2
    new["n_produced"][t, w] = 0
    _clear(new, t, w)


def _flat(visits: NDArray[np.int64], seen: NDArray[np.uint8], flatness: float) -> bool:
    """Whether every walker's visits, (M, K), are at least `flatness` of their mean in each bin it has seen."""
    return all(
        bool(one[known > 0].min() >= flatness * one[known > 0].mean()) for one, known in zip(visits, seen, strict=True)
    )


def _clear(new: dict[str, NDArray[Any]], t: int, w: int) -> None:
    new["visits"][t, w], new["tilts"][t, w] = 0, 0.0


def _average(new: dict[str, NDArray[Any]], t: int, w: int) -> None:
    """All walkers of a window go on from their mean ln g."""
    new["ln_g"][t, w], new["seen"][t, w] = pooled(new["ln_g"][t, w], new["seen"][t, w])


def _lean_anew(new: dict[str, NDArray[Any]], t: int, w: int, width: float) -> None:
    """The slopes inside the bins from ln g as it is now: a straight line through each seen bin and two on either side.

    Noise of ln g, about sqrt(ln f), makes slopes that are off by no more than that a bin.
    """
    at = np.flatnonzero(new["seen"][t, w, 0])
    if at.size < 3:
        return
    ln_g = _corrected(new["ln_g"][t, w, 0], new["visits"][t, w], new["tilts"][t, w])[at]
    for i, place in enumerate(at):
        near = slice(max(0, i - _NEAR), i + _NEAR + 1)
        x = at[near] - at[near].mean()
        a_bin = float(x @ ln_g[near]) / float(x @ x)
        new["slopes"][t, w, place] = min(max(a_bin, -STEEPEST), STEEPEST) / width


def _corrected(ln_g: NDArray[np.float64], visits: NDArray[np.int64], tilts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of the number of states a bin, (K,), from ln g (K,) as learned and the mean lean of the visits, (M, K)."""
    n_visits, tilt = visits.sum(axis=0), tilts.sum(axis=0)
    lean = np.divide(tilt, n_visits, out=np.ones(tilt.size), where=n_visits > 0)
    return np.asarray(ln_g + np.log(lean))


def _counted(ln_g: NDArray[np.float64], visits: NDArray[np.int64], tilts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of the number of states a bin, (K,), from visits (M, K) under a weight held fixed; NaN without any."""
    tilt = tilts.sum(axis=0)
    return np.asarray(np.where(visits.sum(axis=0) > 0, ln_g + np.log(np.where(tilt > 0.0, tilt, 1.0)), np.nan))
