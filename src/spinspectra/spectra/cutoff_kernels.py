"""Compiled loop of the cutoff law's bootstrap: is there a tail whose fit comes closer than a given distance?

Arguments as in power_law_kernels. The answer is that of the whole scan, sooner: it stops at the first such tail, and a
neighbour's fit is where the next one starts.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

import numpy as np
from numba import njit

from spinspectra.compiled import KERNEL
from spinspectra.spectra.power_law_kernels import cutoff_distance, cutoff_moments, descend_cutoff


@njit(**KERNEL)
def _fit_from(mean_t, mean_y, flat, near):
    """As fit_cutoff: (a, b) and the best b at a = 1; flat, near: a neighbour's, 0 and (0, 0) where there is none."""
    pure = 1.0 + 1.0 / mean_t
    if pure > 2.0 and mean_y >= 1.0 / (pure - 2.0):
        return pure, 0.0, flat
    flat = descend_cutoff(1.0, flat if flat > 0.0 else 0.5 / mean_y, mean_t, mean_y, True)[1]
    if cutoff_moments(1.0, flat)[1] <= mean_t:
        return 1.0, flat, flat
    a, b = near if near[0] > 1.0 and near[1] > 0.0 else (1.0 + 0.2 / mean_t, flat)
    a, b = descend_cutoff(a, b, mean_t, mean_y, False)
    return a, b, flat


@njit(**KERNEL)
def closer_cutoff(logs, candidates, two_sided, first, distance):
    """Whether any candidate, bool (m,), has a smaller distance; from x_first to shorter tails, then to longer ones."""
    m = logs.size
    mean_t, mean_y = np.zeros(m), np.zeros(m)
    excess = total = 0.0
    for i in range(m - 2, -1, -1):
        gap = logs[i + 1] - logs[i]
        excess += (m - 1 - i) * gap
        total = total * np.exp(gap) + (m - 1 - i) * np.expm1(gap)
        mean_t[i], mean_y[i] = excess / (m - i), total / (m - i)
    for side in (1, -1):
        flat, near = 0.0, (0.0, 0.0)
        i = first if side == 1 else first - 1
        while 0 <= i < m:
            if candidates[i]:
                a, b, flat = _fit_from(mean_t[i], mean_y[i], flat, near)
                near = (a, b)
                if cutoff_distance(logs, i, logs[i], a, b, two_sided, distance) < distance:
                    return True
            i += side
    return False
