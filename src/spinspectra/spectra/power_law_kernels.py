"""Compiled loops of the tail fits: the scan over xmin for a power law and for one with an exponential cutoff.

Arguments of all kernels, for m ascending positive data x_0..x_{m-1}:

    logs      float64 (m,)   ln(x_i / x_{m-1}), so that a change of unit by 2**k alters no bit
    excess    float64 (m,)   T_i = sum_{j >= i} ln(x_j / x_i), over the m - i data of the tail that starts at x_i
    two_sided bool           also compare with the upper side of each step of the empirical distribution

The cutoff law is y^-a exp(-b y) with y = x / xmin, b = Lambda xmin; integrals run over t = ln y, where
exp(-g(t)), g(t) = (a - 1) t + b (e^t - 1), needs no Gamma function and holds for every a >= 1, b > 0.
"""

import numpy as np
from numba import njit

from spinspectra.compiled import KERNEL

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_SHORT_NODES, _SHORT_WEIGHTS = np.polynomial.legendre.leggauss(6)
_PANELS = 24  # of 16 nodes each: ln Z to 1e-12 for b >= 1e-15 (tests/spectra/test_tails.py, against mpmath)
_NEGLIGIBLE = 50.0  # exp(-50) is what the integrals leave out
_PROBE_STRIDE = 16
_MAX_STEPS = 200
_LEAST_CUTOFF = 1e-15


@njit(**KERNEL)
def log_excess(logs):
    """T_i for every i, by T_i = T_{i+1} + (m - 1 - i) ln(x_{i+1} / x_i): all terms positive, nothing cancels."""
    m = logs.size
    excess = np.zeros(m)
    for i in range(m - 2, -1, -1):
        excess[i] = excess[i + 1] + (m - 1 - i) * (logs[i + 1] - logs[i])
    return excess


@njit(**KERNEL)
def _gap(cdf, j, n, two_sided):
    """|F - j/n|, and |F - (j+1)/n| if two-sided; j data of the tail lie below this one."""
    below = abs(cdf - j / n)
    return max(below, abs(cdf - (j + 1) / n)) if two_sided else below


@njit(**KERNEL)
def power_law_distance(logs, first, origin, exponent, two_sided, bound):
    """Kolmogorov-Smirnov distance of the tail from x_first; stops, with some value above bound, once past it.

    origin: ln(xmin / x_{m-1}), logs[first] where xmin is a datum; exponent: alpha - 1 > 0. Every 16th datum goes
    first, so that a hopeless tail costs a sixteenth.
    """
    n = logs.size - first
    worst = 0.0
    if bound < 1.0:
        for j in range(_PROBE_STRIDE // 2, n, _PROBE_STRIDE):
            if _gap(1.0 - np.exp(exponent * (origin - logs[first + j])), j, n, two_sided) > bound:
                return 2.0
    for j in range(n):
        gap = _gap(1.0 - np.exp(exponent * (origin - logs[first + j])), j, n, two_sided)
        if gap > worst:
            worst = gap
            if worst > bound:
                return worst
    return worst


@njit(**KERNEL)
def scan_power_law(logs, exponents, two_sided):
    """(index, distance) of the smallest distance, the first on a tie; (-1, inf) without a candidate.

    exponents: float64 (m,), alpha_i - 1 of the tail from x_i, 0 where x_i is no candidate.
    """
    best, index = np.inf, -1
    for i in range(logs.size):
        if exponents[i] > 0.0:
            distance = power_law_distance(logs, i, logs[i], exponents[i], two_sided, best)
            if distance < best:
                best, index = distance, i
    return index, best


@njit(**KERNEL)
def all_distances(logs, exponents, two_sided):
    """The distance of every candidate, float64 (m,), NaN where x_i is none."""
    distances = np.full(logs.size, np.nan)
    for i in range(logs.size):
        if exponents[i] > 0.0:
            distances[i] = power_law_distance(logs, i, logs[i], exponents[i], two_sided, np.inf)
    return distances


@njit(**KERNEL)
def _reach(a, b):
    """T such that e^(2t) exp(-g(t)) is below exp(-50) for t > T; Newton from above on a convex function."""
    t = np.log1p((_NEGLIGIBLE + 2.0 * np.log1p(_NEGLIGIBLE / b) + 200.0) / b)
    if a > 3.0:
        t = min(t, _NEGLIGIBLE / (a - 3.0))
    for _ in range(100):
        step = ((a - 3.0) * t + b * np.expm1(t) - _NEGLIGIBLE) / (a - 3.0 + b * np.exp(t))
        t -= step
        if abs(step) < 1e-6 * t:
            break
    return t


@njit(**KERNEL)
def cutoff_moments(a, b):
    """Moments ln Z, <t>, <y - 1>, var t, cov(t, y), var y of the density exp(-g(t)) / Z, t >= 0; a >= 1, b > 0."""
    half = 0.5 * _reach(a, b) / _PANELS
    z = st = sy = stt = sty = syy = 0.0
    for panel in range(_PANELS):
        for k in range(_NODES.size):
            t = half * (2 * panel + 1 + _NODES[k])
            y = np.expm1(t)
            w = _WEIGHTS[k] * np.exp(-(a - 1.0) * t - b * y)
            z += w
            st += w * t
            sy += w * y
            stt += w * t * t
            sty += w * t * y
            syy += w * y * y
    mt, my = st / z, sy / z
    return np.log(half * z), mt, my, stt / z - mt * mt, sty / z - mt * my, syy / z - my * my


@njit(**KERNEL)
def _direction(moments, a, b, mean_t, mean_y, held):
    """Newton step in (a, ln b), shortened so that a stays above its bound 1; a does not move if held."""
    _, mt, my, vtt, vty, vyy = moments
    ga, gs = mean_t - mt, b * (mean_y - my)
    haa, has, hss = vtt, b * vty, b * b * vyy
    det = haa * hss - has * has
    if held or det <= 1e-13 * haa * hss:
        da, ds = 0.0, -gs / hss
    else:
        da, ds = (has * gs - hss * ga) / det, (has * ga - haa * gs) / det
    if b <= _LEAST_CUTOFF and ds < 0.0 and not held:
        da, ds = -ga / haa, 0.0
    scale = min(1.0, 2.0 / max(abs(ds), 1e-300))
    if a + scale * da < 1.0:
        scale = 0.9 * (1.0 - a) / da
    return scale * da, scale * ds


@njit(**KERNEL)
def descend_cutoff(a, b, mean_t, mean_y, held):
    """Minimise ln Z + (a - 1) <t> + b <y - 1>, the negative log-likelihood of a datum, from (a, b)."""
    moments = cutoff_moments(a, b)
    value = moments[0] + (a - 1.0) * mean_t + b * mean_y
    for _ in range(_MAX_STEPS):
        da, ds = _direction(moments, a, b, mean_t, mean_y, held)
        while True:
            new_a, new_b = a + da, max(b * np.exp(ds), _LEAST_CUTOFF)
            moments = cutoff_moments(new_a, new_b)
            new = moments[0] + (new_a - 1.0) * mean_t + new_b * mean_y
            small = abs(da) + abs(ds) < 1e-8
            if new <= value + 1e-14 * (1.0 + abs(value)) or small:
                break
            da, ds = 0.5 * da, 0.5 * ds
        a, b, value = new_a, new_b, new
        if small:
            break
    return a, b


@njit(**KERNEL)
def fit_cutoff(mean_t, mean_y, b):
    """(a, b) of the largest likelihood, a >= 1, b >= 0; mean_t = <ln y>, mean_y = <y - 1> of the data.

    An exponential family of two sufficient statistics: the likelihood has one maximum. It lies at b = 0, a pure
    power law, exactly if the data's mean is no less than that of the best power law; at a = 1 exactly if the best
    law with a = 1 has too small a mean of t; else within. b > 0: where to start.
    """
    pure = 1.0 + 1.0 / mean_t
    if pure > 2.0 and mean_y >= 1.0 / (pure - 2.0):
        return pure, 0.0
    _, b = descend_cutoff(1.0, b, mean_t, mean_y, True)
    if cutoff_moments(1.0, b)[1] <= mean_t:
        return 1.0, b
    return descend_cutoff(1.0 + 0.2 / mean_t, b, mean_t, mean_y, False)


@njit(**KERNEL)
def cutoff_distance(logs, first, origin, a, b, two_sided, bound):
    """As power_law_distance, for the cutoff law: F grows from datum to datum by short Gauss-Legendre panels."""
    n = logs.size - first
    log_z = cutoff_moments(a, b)[0] if b > 0.0 else -np.log(a - 1.0)
    cdf, t, y, worst = 0.0, 0.0, 0.0, 0.0
    for j in range(n):
        t_next = logs[first + j] - origin
        y_next = np.expm1(t_next)
        rise = (a - 1.0) * (t_next - t) + b * (y_next - y)
        panels = 1 + int(min(rise, 200.0) + min(4.0 * (t_next - t), 800.0))
        half = 0.5 * (t_next - t) / panels
        for panel in range(panels):
            for k in range(_SHORT_NODES.size):
                s = t + half * (2 * panel + 1 + _SHORT_NODES[k])
                cdf += half * _SHORT_WEIGHTS[k] * np.exp(-(a - 1.0) * s - b * np.expm1(s) - log_z)
        t, y = t_next, y_next
        worst = max(worst, _gap(cdf, j, n, two_sided))
        if worst > bound:
            return worst
    return worst


@njit(**KERNEL)
def scan_cutoff(logs, candidates, two_sided):
    """(index, a, b, distance) of the cutoff law whose own distance is smallest; candidates: bool (m,)."""
    m = logs.size
    excess = log_excess(logs)
    best, index, best_a, best_b = np.inf, -1, np.nan, np.nan
    total = 0.0  # sum of x_j / x_i - 1 over the tail
    for i in range(m - 2, -1, -1):
        step = np.expm1(logs[i + 1] - logs[i])
        total = total * (1.0 + step) + (m - 1 - i) * step
        if candidates[i]:
            mean_t, mean_y = excess[i] / (m - i), total / (m - i)
            a, b = fit_cutoff(mean_t, mean_y, 0.5 / mean_y)
            distance = cutoff_distance(logs, i, logs[i], a, b, two_sided, best)
            if distance <= best:
                best, index, best_a, best_b = distance, i, a, b
    return index, best_a, best_b, best
