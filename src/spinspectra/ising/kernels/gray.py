"""The sum over all states of a small layer coupled to one of any size, one spin turned from state to state (Gray 1953).

Given the small side s, the other side's spins are independent in the fields h = s^T J: their sum over states is
w = prod_j 2 cosh(beta h_j), their mean energy - sum_j h_j tanh(beta h_j), its variance sum_j h_j^2 / cosh(beta h_j)^2.
"""

import math

from numba import njit

from spinspectra.compiled import KERNEL

_FACTORS = 512  # of 1 + exp(-2 beta |h|) <= 2 multiplied before a logarithm is taken: the product stays below 2^512


@njit(**KERNEL)
def gray_moments(matrix, state, n_turned, betas, fields, sums):
    """Adds the states that the first n_turned spins take, the others as in `state`; returns the lowest energy of all.

    matrix: float64 (m, n). state: float64 (m,), -1 or +1, altered. betas: (K,), >= 0. fields: (n,), scratch.
    sums: (K, 4), ln of the largest weight w so far, then sum of w, of w E and of w E^2, over that weight; E^2 is the
    mean square. Begin with -inf, 0, 0, 0.
    """
    n = fields.size
    fields[:] = 0.0
    for i in range(state.size):
        for j in range(n):
            fields[j] += state[i] * matrix[i, j]
    lowest = 0.0
    for number in range(1 << n_turned):
        size = 0.0
        for j in range(n):
            size += abs(fields[j])
        lowest = min(lowest, -size)
        for k in range(betas.size):
            ln_w, energy, variance = _given(fields, size, betas[k])
            top = sums[k, 0]
            if ln_w > top:
                shrink = math.exp(top - ln_w)
                sums[k, 0] = ln_w
                sums[k, 1] *= shrink
                sums[k, 2] *= shrink
                sums[k, 3] *= shrink
                top = ln_w
            weight = math.exp(ln_w - top)
            sums[k, 1] += weight
            sums[k, 2] += weight * energy
            sums[k, 3] += weight * (energy * energy + variance)
        turned = 0  # the lowest set bit of number + 1 turns next
        while ((number + 1) >> turned) & 1 == 0:
            turned += 1
        if turned < n_turned:
            state[turned] = -state[turned]
            for j in range(n):
                fields[j] += 2.0 * state[turned] * matrix[turned, j]
    return lowest


@njit(**KERNEL)
def _given(fields, size, beta):
    """ln w, mean and variance of the energy in these fields; size is the sum of |h|."""
    ln_w, energy, variance, product = beta * size, 0.0, 0.0, 1.0
    for j in range(fields.size):
        field = abs(fields[j])
        decay = math.exp(-2.0 * beta * field)
        rest = 1.0 + decay
        share = 1.0 / rest
        product *= rest
        energy -= field * (1.0 - decay) * share
        variance += 4.0 * field * field * decay * share * share
        if j % _FACTORS == _FACTORS - 1:
            ln_w += math.log(product)
            product = 1.0
    return ln_w + math.log(product), energy, variance
