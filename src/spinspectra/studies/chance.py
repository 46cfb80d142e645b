"""How likely so strong a rank correlation is by chance, and how many of many such finds are to be expected false.

Both coefficients come from the signs of all differences, a and b, (n, n) each, antisymmetric: sum(a b) is tau-b's
numerator, and sum(u v) with u = a.sum(1) and v alike, twice the centred mid-ranks, is four times rho's. Chance permutes
the points of b; all else in either coefficient stays as it is.
"""

import itertools
import math
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.seeds import Seed

Correlation = Literal["kendall", "spearman"]

MOST_ENUMERATED = 8  # points whose 8! orders are all looked at
_MOST_DRAWN, _DRAWS = 40, 9_999  # points up to which rho's orders are drawn, and how many

Floats = NDArray[np.float64]


def p_by_chance(a: Floats, b: Floats, kind: Correlation, seed: Seed) -> float:
    """Two-sided: the share of all orders of the points that correlate as strongly, ties as they are; NaN if constant.

    Up to 8 points exactly. Of more: tau-b by scipy, exact to 33 without ties, else by a normal distribution; rho to 40
    points by 9,999 random orders, so at least 1/10,000, and beyond by Student's t, whose tail is too thin for fewer.
    """
    n = len(a)
    if not (a.any() and b.any()):
        return math.nan
    if n <= MOST_ENUMERATED:
        orders = _orders(n)
        found = _tau_sums(a, b, orders) if kind == "kendall" else b.sum(1)[orders] @ a.sum(1)
        return float(np.mean(np.abs(found) >= abs(found[0])))  # the first order is the one found; all are whole numbers
    return _p_of_tau(a, b) if kind == "kendall" else _p_of_rho(a.sum(1), b.sum(1), seed)


def p_within(a: Floats, b: Floats, group: NDArray[np.intp], kind: Correlation) -> float:
    """Two-sided, of the sum over groups under permutations of b within them, by the normal approximation.

    The variance is exact (Daniels 1944). group: each point's number, (n,). NaN where all is constant.
    """
    from scipy.special import ndtr

    total = variance = 0.0
    for number in np.unique(group):
        members = np.ix_(*2 * (np.flatnonzero(group == number),))
        add, spread = under_chance(a[members], b[members], kind)
        total, variance = total + add, variance + spread
    return float(2.0 * ndtr(-abs(total) / np.sqrt(variance))) if variance > 0.0 else math.nan


def under_chance(a: Floats, b: Floats, kind: Correlation) -> tuple[float, float]:
    """What a group adds to the numerator, and its variance under permutations."""
    n = len(a)
    if n < 2:
        return 0.0, 0.0
    u, v = a.sum(1), b.sum(1)
    if kind == "spearman":
        return float(u @ v), float((u @ u) * (v @ v)) / (n - 1)
    x, y = float(np.sum(a * a)), float(np.sum(b * b))
    mixed = 4.0 * (float(u @ u) - x) * (float(v @ v) - y) / (n * (n - 1.0) * (n - 2.0)) if n > 2 else 0.0
    return float(np.sum(a * b)), mixed + 2.0 * x * y / (n * (n - 1.0))


def false_discovery_rates(p: ArrayLike) -> Floats:
    """The share of false finds to be expected among those with so small a p (Benjamini, Hochberg 1995).

    NaN stays NaN, and counts for no test.
    """
    from scipy.stats import false_discovery_control

    given = np.asarray(p, np.float64)
    known = np.isfinite(given)
    rates = np.full_like(given, np.nan)
    if known.any():
        rates[known] = false_discovery_control(given[known])
    return rates


@cache
def _orders(n: int) -> NDArray[np.intp]:
    """All of them, (n!, n), that of the points as they are first."""
    return np.array(list(itertools.permutations(range(n))), np.intp).reshape(math.factorial(n), n)


def _tau_sums(a: Floats, b: Floats, orders: NDArray[np.intp]) -> Floats:
    """Half the numerator of tau-b in each order, pair by pair."""
    found = np.zeros(len(orders))
    for i, j in itertools.combinations(range(len(a)), 2):
        if a[i, j]:
            found += a[i, j] * b[orders[:, i], orders[:, j]]
    return found


def _p_of_tau(a: Floats, b: Floats) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(a.sum(1), b.sum(1)).pvalue)


def _p_of_rho(u: Floats, v: Floats, seed: Seed) -> float:
    """u, v: twice the centred ranks, whole numbers, so that equal sums are equal."""
    from scipy.special import stdtr

    n, found = u.size, abs(float(u @ v))
    if n <= _MOST_DRAWN:
        drawn = np.random.default_rng(seed).permuted(np.tile(v, (_DRAWS, 1)), axis=1) @ u
        return float((1 + np.count_nonzero(np.abs(drawn) >= found)) / (1 + _DRAWS))
    rho = min(found / math.sqrt(float(u @ u) * float(v @ v)), 1.0)
    t = rho * math.sqrt((n - 2) / (1.0 - rho**2)) if rho < 1.0 else math.inf
    least = 2.0 * math.exp(-math.lgamma(n + 1))  # of the perfect order, 2 / n!
    return max(float(2.0 * stdtr(n - 2, -t)), least)
