"""How far to trust a fitted tail: bootstrap p-value of the power law, intervals of the parameters, the Hill estimate.

Source: Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661, "CSN".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr
from scipy.stats import chi2

from spinspectra.errors import OptionError
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.spectra import power_law_kernels as kernels
from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law, prepare
from spinspectra.spectra.tails import TailModel

Floats = NDArray[np.float64]

NOT_A_POWER_LAW = 0.1  # CSN section 4.1: the power law is ruled out if p is less
RULES_OUT_LITTLE = 50  # data in the tail; CSN section 3.5: fewer are too few


@dataclass(frozen=True, slots=True)
class Goodness:
    """p: share of synthetic samples whose own fit is no better; NaN where the fit failed or no replica could be fitted.

    p_stderr: binomial error of p. plausible: p >= 0.1; None without a p. verdict: one plain line.
    """

    p: float
    p_stderr: float
    replicas: int
    plausible: bool | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Interval:
    """low <= parameter <= high at the given level; NaN where there is none, reason then says why."""

    low: float
    high: float
    level: float
    reason: str = ""


def goodness_of_fit(
    eigenvalues: ArrayLike,
    fit: PowerLawFit,
    seed: Seed = 0,
    replicas: int = 1000,
    *,
    floor: float | None = None,
    xmax: float | None = None,
) -> Goodness:
    """Bootstrap test of a PL fit (CSN section 4.1): can a power law give a distance as large as this one?

    A replica draws each of n data from the fitted law with chance n_tail/n, else from the data below xmin with
    replacement, and is fitted as the data were, xmin and all. p is good to 1/(2 sqrt(replicas)): 0.016 by default.
    eigenvalues, floor, xmax: as given to fit_power_law. Fingers that fit left out are left out here. Same seed,
    same p. Takes replicas times the fit: 0.2 s for 384 eigenvalues, 2-30 s for 4096. Beware: a scan that retreats to
    the last few data of another law leaves too few to rule the power law out (of 20 uniform samples of 1000 it spared
    3, of 20 exponential ones 16); the verdict says so below 50, and tails.compare or a given xmin tell more.

    Raises OptionError unless fit is a PL, for replicas < 1 or a bad seed.
    """
    if fit.kind != "PL":
        raise OptionError(f"fit.kind is {fit.kind!r}: the test is for kind='PL'; see tails.compare for the others")
    _check_replicas(replicas)
    rng = np.random.default_rng(seed_sequence(seed))
    sample, reason = prepare(eigenvalues, floor, xmax)
    if sample is None or fit.status == "failed":
        return Goodness(np.nan, np.nan, 0, None, f"no fit to test: {fit.reason or reason}")
    body = sample.x[: sample.x.size - fit.n_fingers]
    body = body[body < fit.xmin]
    distances = np.array([_replica_distance(fit, body, rng) for _ in range(replicas)])
    distances = distances[np.isfinite(distances)]
    p = float(np.mean(distances >= fit.ks_distance)) if distances.size else np.nan
    return _judge(p, distances.size, fit.n_tail)


def alpha_interval(fit: PowerLawFit, level: float = 0.95) -> Interval:
    """Exact interval of alpha at the given xmin: 2 (alpha - 1) sum ln(x/xmin) is chi-square of 2 n degrees.

    CSN appendix B: ln(x/xmin) is exponential. Where xmin was scanned it is one of the data and adds nothing to the
    sum, so n is n_tail - 1; the interval then takes that xmin for granted, bootstrap_interval does not.

    Raises OptionError unless fit is a PL and 0 < level < 1.
    """
    if fit.kind != "PL":
        raise OptionError(f"fit.kind is {fit.kind!r}: give a PL fit; tails.profile_interval is for TPL")
    _check_level(level)
    n = fit.n_tail if fit.xmin_given else fit.n_tail - 1
    if fit.status == "failed" or n < 1:
        return Interval(np.nan, np.nan, level, fit.reason or "a single eigenvalue in the tail")
    low, high = (float(chi2.ppf(0.5 + side * level / 2.0, 2 * n)) / (2.0 * fit.log_excess) for side in (-1.0, 1.0))
    return Interval(1.0 + low, 1.0 + high, level)


def bootstrap_interval(
    eigenvalues: ArrayLike,
    fit: PowerLawFit,
    seed: Seed = 0,
    replicas: int = 1000,
    level: float = 0.95,
    *,
    floor: float | None = None,
    xmax: float | None = None,
) -> Interval:
    """Percentile interval of alpha over resampled data, each fitted anew, so that the doubt about xmin is in it.

    eigenvalues, floor, xmax: as given to fit_power_law; fingers that fit left out are left out. Replicas that cannot
    be fitted do not count. Same seed, same interval. Raises OptionError as goodness_of_fit and alpha_interval do.
    """
    if fit.kind != "PL":
        raise OptionError(f"fit.kind is {fit.kind!r}: give a PL fit; tails.profile_interval is for TPL")
    _check_level(level)
    _check_replicas(replicas)
    rng = np.random.default_rng(seed_sequence(seed))
    sample, reason = prepare(eigenvalues, floor, xmax)
    if sample is None or fit.status == "failed":
        return Interval(np.nan, np.nan, level, fit.reason or reason)
    x = sample.x[: sample.x.size - fit.n_fingers]
    alphas = np.array([_refit(rng.choice(x, x.size), fit).alpha for _ in range(replicas)])
    alphas = alphas[np.isfinite(alphas)]
    if alphas.size == 0:
        return Interval(np.nan, np.nan, level, "no resampled spectrum could be fitted")
    low, high = np.quantile(alphas, [0.5 - level / 2.0, 0.5 + level / 2.0])
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
    limit = loss(best) + float(chi2.ppf(level, 1)) / (2.0 * y.size)
    low, high = (_crossing(loss, best, limit, side, bound) for side in (-1.0, 1.0))
    return Interval((low + shift) / unit, (high + shift) / unit, level)


def _crossing(loss: Callable[[float], float], best: float, limit: float, side: float, bound: float) -> float:
    """Where the loss passes the limit, below (side -1) or above the best value; the bound if it does not."""
    step, inner = 0.01 + 0.05 * abs(best) if best > 0.1 or bound == -np.inf else max(0.05 * best, 1e-9), best
    for _ in range(60):
        outer = max(best + side * step, bound)
        if loss(outer) > limit:
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

    a = 1.0 if too_long(1.0) <= 0.0 else float(brentq(too_long, 1.0, 1.0 + 1.01 / t, xtol=1e-9))
    return _cutoff_loss(a, b, t, y)


def _lognormal_loss(t: float, tt: float, mean: float, s: float) -> float:
    return float(np.log(s) + 0.5 * (tt - 2.0 * mean * t + mean * mean) / s**2 + log_ndtr(mean / s))


def _loss_at_mean(t: float, tt: float, y: float, mean: float) -> float:
    middle = 0.5 * float(np.log(tt - 2.0 * mean * t + mean * mean))
    found = minimize_scalar(
        lambda ln_s: _lognormal_loss(t, tt, mean, float(np.exp(ln_s))), bounds=(middle - 8.0, middle + 8.0)
    )
    return float(found.fun)


def _loss_at_sigma(t: float, tt: float, y: float, s: float) -> float:
    if s <= 0.0:
        return np.inf
    return float(minimize_scalar(lambda mean: _lognormal_loss(t, tt, mean, s), bounds=(t - 60.0 * s, t + s)).fun)


_PROFILES: dict[tuple[str, str], tuple[Callable[..., float], float]] = {
    ("truncated_power_law", "alpha"): (_loss_at_alpha, 1.0),
    ("truncated_power_law", "cutoff"): (_loss_at_cutoff, 0.0),
    ("lognormal", "mu"): (_loss_at_mean, -np.inf),
    ("lognormal", "sigma"): (_loss_at_sigma, 0.0),
}


def hill_alpha(eigenvalues: ArrayLike, k: int | None = None, floor: float | None = None) -> float:
    """Hill's estimate 1 + k / sum_{i <= k} ln(x_(i) / x_(k+1)) from the k largest; k defaults to half of the n data.

    That is PL_Alpha_Hill of FARMS (arXiv 2506.06280), with no scan over xmin. eigenvalues: shape (n,), any order;
    floor: as in fit_power_law. NaN with fewer than 8 eigenvalues or k + 1 equal ones. Raises OptionError unless
    1 <= k < n.
    """
    sample, _ = prepare(eigenvalues, floor, None)
    if sample is None:
        return np.nan
    n = sample.x.size
    k = n // 2 if k is None else k
    if not 1 <= k < n:
        raise OptionError(f"k={k!r}: give 1 to {n - 1}, there are {n} eigenvalues")
    excess = float(np.log(sample.x[n - k :] / sample.x[n - k - 1]).sum())
    return 1.0 + k / excess if excess > k * sample.resolution else np.nan


def _replica_distance(fit: PowerLawFit, body: Floats, rng: np.random.Generator) -> float:
    n = body.size + fit.n_tail
    n_tail = int(rng.binomial(n, fit.n_tail / n)) if body.size else n
    tail = fit.xmin * (1.0 - rng.random(n_tail)) ** (-1.0 / (fit.alpha - 1.0))  # CSN eq. D.4
    if not np.all(np.isfinite(tail)):
        return np.nan
    data = np.concatenate([rng.choice(body, n - n_tail), tail]) if n > n_tail else tail
    return _refit(data, fit).ks_distance


def _refit(x: Floats, fit: PowerLawFit) -> PowerLawFit:
    """Nothing is noise here: floor 0, else one huge draw of a heavy tail would sink the others."""
    return fit_power_law(x, ks=fit.ks, xmin=fit.xmin if fit.xmin_given else None, floor=0.0)


def _judge(p: float, replicas: int, n_tail: int) -> Goodness:
    if replicas == 0:
        return Goodness(p, np.nan, 0, None, "no synthetic sample could be fitted")
    stderr, plausible = float(np.sqrt(p * (1.0 - p) / replicas)), p >= NOT_A_POWER_LAW
    verdict = "a power law is plausible" if plausible else "not a power law"
    if plausible and n_tail < RULES_OUT_LITTLE:
        verdict += f", but a tail of {n_tail} rules out little"
    return Goodness(p, stderr, replicas, plausible, f"{verdict} (p = {p:.3g}, {replicas} samples)")


def _check_replicas(replicas: int) -> None:
    if replicas < 1:
        raise OptionError(f"replicas={replicas!r}: give 1 or more")


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise OptionError(f"level={level!r}: give a number between 0 and 1")
