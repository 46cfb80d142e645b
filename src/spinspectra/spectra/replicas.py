"""Synthetic tails: draws from a fitted law, and the fit repeated on drawn data, for the tests by resampling."""

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law

Floats = NDArray[np.float64]

_PANELS = 512
_NEGLIGIBLE = 50.0  # exp(-50) of the density's start is left out


def draw_tail(fit: PowerLawFit, n: int, rng: np.random.Generator) -> Floats:
    """n independent draws from the fitted law, in the unit of xmin; infinite where a double cannot hold them."""
    if fit.bounded:
        t = _bounded(fit.alpha - 1.0, float(np.log(fit.xmax / fit.xmin)), rng.random(n))
    elif fit.kind != "PL" and fit.cutoff > 0.0:
        t = _with_cutoff(fit.alpha, fit.cutoff * fit.xmin, n, rng)
    else:
        with np.errstate(over="ignore"):
            return np.asarray(fit.xmin * (1.0 - rng.random(n)) ** (-1.0 / (fit.alpha - 1.0)))  # CSN eq. D.4
    return np.asarray(fit.xmin * np.exp(t))


def refit(x: Floats, fit: PowerLawFit) -> PowerLawFit:
    """The fit of x as fit was made. Nothing is noise here: floor 0, else one huge draw would sink the others."""
    return fit_power_law(
        x,
        fit.kind,
        ks=fit.ks,
        xmin=fit.xmin if fit.xmin_given else None,
        xmax="force" if fit.bounded else None,
        floor=0.0,
    )


def check_replicas(replicas: int) -> None:
    """Raises OptionError unless there is at least one."""
    if replicas < 1:
        raise OptionError(f"replicas={replicas!r}: give 1 or more")


def _bounded(c: float, width: float, u: Floats) -> Floats:
    """t = ln(x/xmin) from the inverse of F = (1 - exp(-c t)) / (1 - exp(-c width)); mirrored for c < 0."""
    if c < 0.0:
        return width - _bounded(-c, width, u)
    if c * width < 1e-12:
        return width * u
    return np.asarray(-np.log1p(u * np.expm1(-c * width)) / c)


def _with_cutoff(a: float, b: float, n: int, rng: np.random.Generator) -> Floats:
    """t of the density exp(-g(t)), g = (a - 1) t + b (e^t - 1): exact, by rejection from steps above it.

    The density falls, so that each panel's start is its largest value; nine draws of ten are kept.
    """
    from scipy.optimize import brentq

    def g(t: Floats | float) -> Floats:
        return np.asarray((a - 1.0) * t + b * np.expm1(t))

    end = float(brentq(lambda t: float(g(t)) - _NEGLIGIBLE, 0.0, np.log1p(_NEGLIGIBLE / b) + 1e-9))
    starts = np.linspace(0.0, end, _PANELS, endpoint=False)
    steps = g(starts)
    upper = np.cumsum(np.exp(-steps))
    kept = np.empty(0)
    while kept.size < n:
        panel = np.searchsorted(upper, upper[-1] * rng.random(n + n // 4 + 8), side="right")
        t = starts[panel] + end / _PANELS * rng.random(panel.size)
        kept = np.append(kept, t[rng.random(t.size) < np.exp(steps[panel] - g(t))])
    return kept[:n]
