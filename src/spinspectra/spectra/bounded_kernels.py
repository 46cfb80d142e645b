"""Compiled loops of the bounded power law: its exponent from the mean logarithm, its distance, its scan over xmin.

Arguments as in power_law_kernels. With t = ln(x/xmin) on [0, w], w = ln(xmax/xmin), the density is that of an
exponential law cut at w, c exp(-c t) / (1 - exp(-c w)), c = alpha - 1 of either sign; c = 0 is the uniform density.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

import numpy as np
from numba import njit

from spinspectra.compiled import KERNEL

_SERIES_BELOW = 0.05
_PROBE_STRIDE = 16
_MAX_STEPS = 80


@njit(**KERNEL)
def _mean_and_slope(u):
    """m(u) = 1/u - 1/(e^u - 1) and -m'(u), u >= 0: mean and variance of t/w where u = c w."""
    if u < _SERIES_BELOW:
        return 0.5 - u / 12.0 + u**3 / 720.0 - u**5 / 30240.0, 1.0 / 12.0 - u**2 / 240.0 + u**4 / 6048.0
    rest = np.exp(-u) / -np.expm1(-u)  # 1/(e^u - 1), which does not overflow
    return 1.0 / u - rest, 1.0 / (u * u) - rest * (1.0 + rest)


@njit(**KERNEL)
def bounded_variance(u):
    """Variance of t/w, u = c w of either sign: the information on u in one datum."""
    return _mean_and_slope(abs(u))[1]


@njit(**KERNEL)
def solve_bounded(mean):
    """The u = c w whose mean of t/w is the given one, 0 < mean < 1: the score equation of the bounded law.

    m is convex and falls on u > 0, m(-u) = 1 - m(u), and 6 - 12 mean lies below the root, so Newton climbs to it.
    """
    if mean > 0.5:
        return -solve_bounded(1.0 - mean)
    u = 6.0 - 12.0 * mean
    for _ in range(_MAX_STEPS):
        value, slope = _mean_and_slope(u)
        step = (value - mean) / slope
        u += step
        if step <= 1e-14 * u:
            break
    return u


@njit(**KERNEL)
def _bounded_cdf(t, c, width):
    if abs(c) * width < 1e-12:
        return t / width
    if c > 0.0:
        return np.expm1(-c * t) / np.expm1(-c * width)
    return np.exp(c * (width - t)) * np.expm1(c * t) / np.expm1(c * width)


@njit(**KERNEL)
def bounded_distance(logs, first, origin, c, two_sided, bound):
    """As power_law_distance, for the law between x = xmin, ln(xmin / x_{m-1}) = origin, and x_{m-1}."""
    n = logs.size - first
    worst = 0.0
    for stride in (_PROBE_STRIDE, 1):
        for j in range(0, n, stride):
            cdf = _bounded_cdf(logs[first + j] - origin, c, -origin)
            gap = abs(cdf - j / n)
            if two_sided:
                gap = max(gap, abs(cdf - (j + 1) / n))
            worst = max(worst, gap)
            if worst > bound:
                return worst
    return worst


@njit(**KERNEL)
def scan_bounded(logs, means, two_sided):
    """(index, c, distance) of the smallest distance, the first on a tie; (-1, nan, inf) without a candidate.

    means: float64 (m,), the mean of ln(x_j / x_i) over the tail from x_i, 0 where x_i is no candidate.
    """
    best, index, best_c = np.inf, -1, np.nan
    for i in range(logs.size):
        if means[i] > 0.0:
            width = -logs[i]
            c = solve_bounded(means[i] / width) / width
            distance = bounded_distance(logs, i, logs[i], c, two_sided, best)
            if distance < best:
                best, index, best_c = distance, i, c
    return index, best_c, best
