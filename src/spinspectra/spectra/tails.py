"""Other laws of a tail and which of two fits better: cutoff power law, exponential, lognormal, at a given xmin.

Source: Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661, "CSN": the laws of table 2.1, likelihood ratios of section
5 and appendix C. All laws live on [xmin, inf) and are normalised there. With y = x/xmin, t = ln y, per datum:

    power_law              (alpha - 1) y^-alpha / xmin
    truncated_power_law    y^-alpha exp(-Lambda (x - xmin)) / (xmin Z), alpha >= 1, Lambda >= 0
    exponential            Lambda exp(-Lambda (x - xmin))
    lognormal              normal density of ln x, mean mu, deviation sigma, cut at ln xmin
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import OptionError
from spinspectra.spectra import power_law_kernels as kernels

Law = Literal["power_law", "truncated_power_law", "exponential", "lognormal"]
Floats = NDArray[np.float64]

LAWS: tuple[Law, ...] = ("power_law", "truncated_power_law", "exponential", "lognormal")

_FAR_OUT = 25.0  # deviations beyond which erfc underflows before long
_FARTHEST_CUT = 100.0  # a lognormal cut 100 deviations above its mean is a power law to 1e-4 in all moments


@dataclass(frozen=True, slots=True)
class TailModel:
    """One law fitted at a given xmin by maximum likelihood; parameters a law lacks are NaN, as all are on failure.

    alpha: exponent; cutoff: Lambda, 1/unit of x; mu, sigma: mean and deviation of the uncut ln x. *_stderr: from the
    observed (= expected) information, NaN at a bound. xmax: where a power law ends; fit_tail leaves it open, a bounded
    fit_power_law does not. reason: also set where a law ends at its limit, the power law.
    """

    law: Law
    xmin: float
    n: int
    alpha: float = np.nan
    cutoff: float = np.nan
    mu: float = np.nan
    sigma: float = np.nan
    alpha_stderr: float = np.nan
    cutoff_stderr: float = np.nan
    log_likelihood: float = np.nan
    xmax: float = np.inf
    status: Literal["success", "failed"] = "success"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Likelihood ratio of two laws on one tail: positive ratio speaks for `first`.

    ratio: R = ln L(first) - ln L(second); normalised: R / (sqrt(n) deviation of the pointwise ratios). p: chance of so
    large a ratio if both were equally good; favoured: the better law where p < 0.1, else "neither". nested: first is
    a special case of second, so R <= 0 and p comes from the half-and-half mixture of 0 and chi-square, since the null
    Lambda = 0 is a bound (CSN eq. C.6 for the others).
    """

    first: Law
    second: Law
    ratio: float
    normalised: float
    p: float
    nested: bool
    favoured: Law | Literal["neither"]


def log_normaliser(alpha: float, scale: float) -> float:
    """The ln of Z = int_1^inf y^-alpha exp(-b (y - 1)) dy = b^(alpha-1) exp(b) Gamma(1 - alpha, b), b = Lambda xmin.

    By Gauss-Legendre panels in t = ln y: no Gamma function of negative argument, nothing overflows. alpha >= 1, b > 0.
    """
    return float(kernels.cutoff_moments(alpha, scale)[0])


def fit_tail(x: ArrayLike, xmin: float, law: Law) -> TailModel:
    """Fit one law to the data x >= xmin; x of shape (n,), any order, smaller data are left out.

    Fewer than 2 different data fail with a reason. Raises OptionError for an unknown law, or xmin not positive.
    """
    if law not in LAWS:
        raise OptionError(f"law={law!r}: give one of {', '.join(LAWS)}")
    if not 0.0 < xmin < np.inf:
        raise OptionError(f"xmin={xmin!r}: give a positive finite number")
    xmin, tail = float(xmin), _tail(x, xmin)
    if tail.size < 2 or not np.all(np.isfinite(tail)) or tail.min() == tail.max():
        reason = f"{tail.size} data at or above xmin; two different finite ones are needed"
        return TailModel(law, xmin, tail.size, status="failed", reason=reason)
    found = _FITTERS[law](np.log(tail / xmin), (tail - xmin) / xmin, xmin)
    model = TailModel(law, xmin, tail.size, **found)
    return TailModel(law, xmin, tail.size, **found, log_likelihood=float(log_density(model, tail).sum()))


def log_density(model: TailModel, x: ArrayLike) -> Floats:
    """The ln p(x) of a fitted law, shape of x; x in the unit of xmin, all x >= xmin, and <= xmax if it has one."""
    x = np.asarray(x, dtype=np.float64)
    t = np.log(x / model.xmin)
    if model.law == "power_law" or (model.law == "truncated_power_law" and model.cutoff == 0.0):
        log_norm = _log_norm(model.alpha - 1.0, float(np.log(model.xmax / model.xmin)))
        return np.asarray(-log_norm - np.log(model.xmin) - model.alpha * t)
    if model.law == "lognormal" and np.isfinite(model.mu):
        mean, s = model.mu - np.log(model.xmin), model.sigma
        log_mass = log_upper_mass(-mean / s) + np.log(s * np.sqrt(2.0 * np.pi))
        return np.asarray(-np.log(x) - 0.5 * ((t - mean) / s) ** 2 - log_mass)
    if model.law == "lognormal":  # at its limit
        return np.asarray(np.log((model.alpha - 1.0) / model.xmin) - model.alpha * t)
    decay = model.cutoff * (x - model.xmin)
    if model.law == "exponential":
        return np.asarray(np.log(model.cutoff) - decay)
    log_z = log_normaliser(model.alpha, model.cutoff * model.xmin)
    return np.asarray(-model.alpha * t - decay - log_z - np.log(model.xmin))


def compare(x: ArrayLike, xmin: float, first: Law = "power_law", second: Law = "exponential") -> Comparison:
    """Vuong's likelihood-ratio test of two laws fitted to the same tail (CSN section 5, appendix C).

    NaN and "neither" where one of the two cannot be fitted. Raises as fit_tail does.
    """
    models = fit_tail(x, xmin, first), fit_tail(x, xmin, second)
    nested = (first, second) == ("power_law", "truncated_power_law")
    if any(model.status == "failed" for model in models):
        return Comparison(first, second, np.nan, np.nan, np.nan, nested, "neither")
    tail = _tail(x, xmin)
    each = log_density(models[0], tail) - log_density(models[1], tail)
    ratio, spread = float(each.sum()), float(each.std() * np.sqrt(tail.size))
    normalised = ratio / spread if spread > 1e-9 * tail.size else 0.0
    if nested:
        p = 0.5 * math.erfc(math.sqrt(-ratio)) if ratio < -1e-9 else 1.0
    else:
        p = math.erfc(abs(normalised) / math.sqrt(2.0))
    better = first if ratio > 0.0 else second
    return Comparison(first, second, ratio, normalised, p, nested, better if p < 0.1 else "neither")


def cutoff_stderr(a: float, b: float, n: int) -> tuple[float, float]:
    """Standard errors of alpha and b = Lambda xmin from n data; NaN for a parameter at its bound (1, 0)."""
    if b == 0.0:
        return (a - 1.0) / float(np.sqrt(n)), np.nan
    _, _, _, vtt, vty, vyy = kernels.cutoff_moments(a, b)
    if a <= 1.0:
        return np.nan, 1.0 / float(np.sqrt(n * vyy))
    det = vtt * vyy - vty * vty
    if det <= 0.0:
        return np.nan, np.nan
    return float(np.sqrt(vyy / det / n)), float(np.sqrt(vtt / det / n))


def _log_norm(c: float, width: float) -> float:
    """The ln of int_0^width exp(-c t) dt; width may be infinite where c > 0."""
    if width == np.inf:
        return -float(np.log(c))
    size = abs(c) * width
    return float(np.log(width * (-np.expm1(-size) / size if size > 0.0 else 1.0))) + max(-c * width, 0.0)


def _tail(x: ArrayLike, xmin: float) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    return np.asarray(values[~(values < xmin)])  # NaN stays, to be found


def _fit_power_law(t: Floats, y: Floats, xmin: float) -> dict[str, Any]:
    exponent = 1.0 / float(t.mean())
    return {"alpha": 1.0 + exponent, "alpha_stderr": exponent / float(np.sqrt(t.size))}


def _fit_truncated(t: Floats, y: Floats, xmin: float) -> dict[str, Any]:
    mean_t, mean_y = float(t.mean()), float(y.mean())
    a, b = map(float, kernels.fit_cutoff(mean_t, mean_y, 0.5 / mean_y))
    errors = cutoff_stderr(a, b, t.size)
    reason = "" if b > 0.0 else "no cutoff: the power law itself is the best"
    found = {"alpha": a, "cutoff": b / xmin, "alpha_stderr": errors[0], "cutoff_stderr": errors[1] / xmin}
    return {**found, "reason": reason}


def _fit_exponential(t: Floats, y: Floats, xmin: float) -> dict[str, Any]:
    rate = 1.0 / (float(y.mean()) * xmin)
    return {"cutoff": rate, "cutoff_stderr": rate / float(np.sqrt(y.size))}


def _fit_lognormal(t: Floats, y: Floats, xmin: float) -> dict[str, Any]:
    """Mean and mean square of t fix the cut normal: <t^2>/<t>^2 falls from 2 (power law) to 1 with the cut."""
    mean, ratio = float(t.mean()), float(np.mean(t * t) / t.mean() ** 2)
    if ratio >= _moment_ratio(_FARTHEST_CUT):
        return {**_fit_power_law(t, y, xmin), "reason": "no finite mu: the power law itself is the best"}
    low, high = -1e7, _FARTHEST_CUT
    while high - low > 1e-14 * abs(low) + 1e-10:  # the ratio rises with the cut
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _moment_ratio(middle) < ratio else (low, middle)
    cut = 0.5 * (low + high)
    sigma = mean / (_hazard(cut) - cut)
    return {"mu": float(np.log(xmin)) - cut * sigma, "sigma": sigma}


def log_upper_mass(h: float) -> float:
    """The ln of the chance that a standard normal exceeds h, to 1e-12; far out by its asymptotic series."""
    if h < _FAR_OUT:
        return math.log(0.5 * math.erfc(h / math.sqrt(2.0)))
    q = 1.0 / (h * h)
    series = 1.0 - q * (1.0 - 3.0 * q * (1.0 - 5.0 * q * (1.0 - 7.0 * q * (1.0 - 9.0 * q * (1.0 - 11.0 * q)))))
    return math.log(series / h) - 0.5 * (h * h + math.log(2.0 * math.pi))


def _hazard(h: float) -> float:
    """Density over upper mass of the standard normal at h, which is also its mean above h."""
    return math.exp(-0.5 * (h * h + math.log(2.0 * math.pi)) - log_upper_mass(h))


def _moment_ratio(h: float) -> float:
    """<(z - h)^2> / <z - h>^2 of a standard normal cut at h."""
    hazard = _hazard(h)
    return float((1.0 - h * hazard + h * h) / (hazard - h) ** 2)


_FITTERS = {
    "power_law": _fit_power_law,
    "truncated_power_law": _fit_truncated,
    "exponential": _fit_exponential,
    "lognormal": _fit_lognormal,
}
