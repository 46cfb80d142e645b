"""Compiled loop of the R-transform's integral at many points; see `free_cumulants.r_integral`."""

import numpy as np
from numba import njit

from spinspectra.compiled import KERNEL

_EPS = float(np.finfo(np.float64).eps)
_MOST_STEPS = 200


@njit(**KERNEL)
def r_integrals(values, z):
    """Newton's steps from below the root: mean 1/(1 + z (r - lambda)) falls and is convex, so none goes too far."""
    n, mean, largest = values.size, values.mean(), values.max()
    found = np.empty(z.size)
    for k in range(z.size):
        at = z[k]
        if largest - mean <= n * _EPS * abs(largest):  # a point: R is constant
            found[k] = at * mean
            continue
        # Jensen: the excess is not negative at the mean; nor, by one eigenvalue alone, at the other bound
        r = max(mean, largest - (1.0 - 1.0 / n) / at)
        for _ in range(_MOST_STEPS):
            total, slope = 0.0, 0.0
            for i in range(n):
                term = 1.0 / (1.0 + at * (r - values[i]))
                total += term
                slope += term * term
            step = (total / n - 1.0) / (at * slope / n)
            if step <= 1e-15 * abs(largest):
                break
            r += step
        logs = 0.0
        for i in range(n):
            logs += np.log1p(at * (r - values[i]))
        found[k] = at * r - logs / n
    return found
