"""Intervals of a fitted tail's parameters: exact, by the likelihood, by its profile, by resampling.

Source: Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661, "CSN".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import OptionError
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.spectra import bounded_kernels
from spinspectra.spectra import power_law_kernels as kernels
from spinspectra.spectra.powerlaw import PowerLawFit, Xmax, prepare
from spinspectra.spectra.replicas import check_replicas, refit
from spinspectra.spectra.tails import TailModel, fit_tail, log_upper_mass

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """low <= parameter <= high at the given level; NaN where there is none, reason then says why."""

    low: float
    high: float
    level: float
    reason: str = ""


class FitIntervals(NamedTuple):
    """alpha and cutoff of a fit; the cutoff's is NaN with a reason for a law that has none."""

    alpha: Interval
    cutoff: Interval


def alpha_interval(fit: PowerLawFit, level: float = 0.95) -> Interval:
    """Interval of alpha at the given xmin, from the fit alone: exact for PL, by the likelihood ratio if bounded.

    PL: 2 (alpha - 1) sum ln(x/xmin) is chi-square of 2 n degrees, since ln(x/xmin) is exponential (CSN appendix B).
    Where xmin was scanned it is one of the data and adds nothing to the sum, so n is n_tail - 1; the interval then
    takes that xmin for granted, bootstrap_interval does not. In a bounded fit xmax is one of the data, too, and the
    others are independent between the two, given both.

    Raises OptionError unless fit is a PL and 0 < level < 1.
    """
    if fit.kind != "PL":
        raise OptionError(f"fit.kind is {fit.kind!r}: give a PL fit; for TPL see profile_interval, bootstrap_intervals")
    _check_level(level)
    n = fit.n_tail - (0 if fit.xmin_given else 1) - (1 if fit.bounded else 0)
    if fit.status == "failed" or n < 1:
        return Interval(np.nan, np.nan, level, fit.reason or "no eigenvalue in the tail besides its ends")
    if fit.bounded:
        return _bounded_interval(fit, n, level)
    low, high = (_chi_square(2 * n, 0.5 - side * level / 2.0) / (2.0 * fit.log_excess) for side in (-1.0, 1.0))
    return Interval(1.0 + low, 1.0 + high, level)


def tail_interval(eigenvalues: ArrayLike, fit: PowerLawFit, level: float = 0.95) -> Interval:
    """Interval of alpha at the given xmin for any kind: `alpha_interval`, or for TPL `profile_interval`.

    eigenvalues: as given to fit_power_law. Raises OptionError unless 0 < level < 1.
    """
    if fit.kind == "PL":
        return alpha_interval(fit, level)
    _check_level(level)
    if fit.status == "failed":
        return Interval(np.nan, np.nan, level, fit.reason)
    x = np.asarray(eigenvalues, np.float64)
    tail = x[(x >= fit.xmin) & (x <= fit.xmax)]
    return profile_interval(tail, fit_tail(tail, fit.xmin, "truncated_power_law"), "alpha", level)


def _bounded_interval(fit: PowerLawFit, n: int, level: float) -> Interval:
    """Where twice the loss of ln L in u = (alpha - 1) w is the chi-square quantile; n data between xmin and xmax."""
    width = float(np.log(fit.xmax / fit.xmin))
    mean = (fit.log_excess - width) / (n * width)
    if not 1e-9 < mean < 1.0 - 1e-9:
        return Interval(np.nan, np.nan, level, "all eigenvalues of the tail equal one of its ends")

    def loss(u: float) -> float:
        size = abs(u)
        log_z = float(np.log(-np.expm1(-size) / size)) if size > 1e-12 else 0.0
        return log_z + max(-u, 0.0) + u * mean

    best = float(bounded_kernels.solve_bounded(mean))
    limit = loss(best) + _chi_square(1, 1.0 - level) / (2.0 * n)
    low, high = (_crossing(loss, best, limit, side, -np.inf) for side in (-1.0, 1.0))
    return Interval(1.0 + low / width, 1.0 + high / width, level)


def bootstrap_intervals(
    eigenvalues: ArrayLike,
    fit: PowerLawFit,
    seed: Seed = 0,
    replicas: int = 1000,
    level: float = 0.95,
    *,
    floor: float | None = None,
    xmax: Xmax = None,
) -> FitIntervals:
    """Percentile intervals over resampled data, each fitted anew, so that the doubt about xmin is in them.

    A fit of any kind; the cutoff's interval starts at 0 where resampled data want none. eigenvalues, floor, xmax: as
    given to fit_power_law; fingers that fit left out are left out. Replicas that cannot be fitted do not count. Same
    seed, same intervals. Takes replicas times the fit, see goodness_of_fit. Raises OptionError for a level or a number
    of replicas out of range, or a bad seed.
    """
    _check_level(level)
    check_replicas(replicas)
    rng = np.random.default_rng(seed_sequence(seed))
    sample, reason = prepare(eigenvalues, floor, xmax)
    if sample is None or fit.status == "failed":
        none = Interval(np.nan, np.nan, level, fit.reason or reason)
        return FitIntervals(none, none)
    x = sample.x[: sample.x.size - fit.n_fingers]
    refits = [refit(rng.choice(x, x.size), fit) for _ in range(replicas)]
    alpha = _percentiles([each.alpha for each in refits], level)
    if fit.kind == "PL":
        return FitIntervals(alpha, Interval(np.nan, np.nan, level, "a power law has no cutoff"))
    return FitIntervals(alpha, _percentiles([each.cutoff for each in refits], level))


def bootstrap_interval(
    eigenvalues: ArrayLike,
    fit: PowerLawFit,
    seed: Seed = 0,
    replicas: int = 1000,
    level: float = 0.95,
    *,
    floor: float | None = None,
    xmax: Xmax = None,
) -> Interval:
    """The interval of alpha out of bootstrap_intervals; arguments and errors as there."""
    return bootstrap_intervals(eigenvalues, fit, seed, replicas, level, floor=floor, xmax=xmax).alpha


def _percentiles(values: list[float], level: float) -> Interval:
    found = np.array(values)
    found = found[np.isfinite(found)]
    if found.size == 0:
        return Interval(np.nan, np.nan, level, "no resampled spectrum could be fitted")
    low, high = np.quantile(found, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Interval(float(low), float(high), level)


def profile_interval(
    x: ArrayLike, model: TailModel, parameter: Literal["alpha", "cutoff", "mu", "sigma"], level: float = 0.95
) -> Interval:
    """Profile-likelihood interval of one parameter of a cutoff power law or a lognormal fitted at a given xmin.

    It ends where twice the loss of ln L, the other parameter fitted anew, is the chi-square quantile, or at the
    parameter's bound (alpha 1, cutoff 0, mu -inf). x: the data the model was fitted to. Unlike +- 1.96 stderr it
    keeps its level at n = 100 with a weak cutoff. Raises OptionError for a parameter the law lacks, or a bad level.
    """
    if (model.law, parameter) not in _PROFILES:
        raise OptionError(f"parameter={parameter!r}: no profile for the law {model.law!r}")
    _check_level(level)
    best = float(getattr(model, parameter))
    if not np.isfinite(best):
        return Interval(np.nan, np.nan, level, model.reason)
    values = np.asarray(x, dtype=np.float64)
    y = values[values >= model.xmin] / model.xmin
    profile, bound = _PROFILES[model.law, parameter]
    loss = partial(profile, float(np.log(y).mean()), float(np.mean(np.log(y) ** 2)), float((y - 1.0).mean()))
    shift = float(np.log(model.xmin)) if parameter == "mu" else 0.0
    unit = model.xmin if parameter == "cutoff" else 1.0
    best = best * unit - shift
    limit = loss(best) + _chi_square(1, 1.0 - level) / (2.0 * y.size)
    low, high = (_crossing(loss, best, limit, side, bound) for side in (-1.0, 1.0))
    return Interval((low + shift) / unit, (high + shift) / unit, level)


def _crossing(loss: Callable[[float], float], best: float, limit: float, side: float, bound: float) -> float:
    """Where the loss passes the limit, below (side -1) or above the best value; the bound if it does not."""
    step, inner = 0.01 + 0.05 * abs(best) if best > 0.1 or bound == -np.inf else max(0.05 * best, 1e-9), best
    for _ in range(60):
        outer = max(best + side * step, bound)
        if loss(outer) > limit:
            from scipy.optimize import brentq

            return float(brentq(lambda value: min(loss(value) - limit, 1e3), inner, outer, rtol=1e-9))
        if outer == bound:
            break
        inner, step = outer, 1.6 * step
    return bound if side < 0.0 else np.inf


def _cutoff_loss(a: float, b: float, t: float, y: float) -> float:
    """Negative log-likelihood of a datum, less its terms without parameters; t = <ln y>, y = <y - 1>."""
    if b <= 0.0:
        return -float(np.log(a - 1.0)) + (a - 1.0) * t if a > 1.0 else np.inf
    return float(kernels.cutoff_moments(a, b)[0]) + (a - 1.0) * t + b * y


def _loss_at_alpha(t: float, tt: float, y: float, a: float) -> float:
    if a > 2.0 and y >= 1.0 / (a - 2.0):
        return _cutoff_loss(a, 0.0, t, y)
    return _cutoff_loss(a, kernels.descend_cutoff(a, 0.5 / y, t, y, True)[1], t, y)


def _loss_at_cutoff(t: float, tt: float, y: float, b: float) -> float:
    if b <= 0.0:
        return _cutoff_loss(1.0 + 1.0 / t, 0.0, t, y)

    def too_long(a: float) -> float:
        return float(kernels.cutoff_moments(a, b)[1]) - t

    from scipy.optimize import brentq

    a = 1.0 if too_long(1.0) <= 0.0 else float(brentq(too_long, 1.0, 1.0 + 1.01 / t, xtol=1e-9))
    return _cutoff_loss(a, b, t, y)


def _lognormal_loss(t: float, tt: float, mean: float, s: float) -> float:
    return float(np.log(s) + 0.5 * (tt - 2.0 * mean * t + mean * mean) / s**2 + log_upper_mass(-mean / s))


def _loss_at_mean(t: float, tt: float, y: float, mean: float) -> float:
    from scipy.optimize import minimize_scalar

    middle = 0.5 * float(np.log(tt - 2.0 * mean * t + mean * mean))
    found = minimize_scalar(
        lambda ln_s: _lognormal_loss(t, tt, mean, float(np.exp(ln_s))), bounds=(middle - 8.0, middle + 8.0)
    )
    return float(found.fun)


def _loss_at_sigma(t: float, tt: float, y: float, s: float) -> float:
    from scipy.optimize import minimize_scalar

    if s <= 0.0:
        return np.inf
    return float(minimize_scalar(lambda mean: _lognormal_loss(t, tt, mean, s), bounds=(t - 60.0 * s, t + s)).fun)


_PROFILES: dict[tuple[str, str], tuple[Callable[..., float], float]] = {
    ("truncated_power_law", "alpha"): (_loss_at_alpha, 1.0),
    ("truncated_power_law", "cutoff"): (_loss_at_cutoff, 0.0),
    ("lognormal", "mu"): (_loss_at_mean, -np.inf),
    ("lognormal", "sigma"): (_loss_at_sigma, 0.0),
}


def _chi_square(degrees: int, upper: float) -> float:
    """The value that a chi-square variable exceeds with this probability."""
    from scipy.special import chdtri

    return float(chdtri(degrees, upper))


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise OptionError(f"level={level!r}: give a number between 0 and 1")
