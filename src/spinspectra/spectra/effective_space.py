"""The effective correlation space of SETOL: the tail of the spectrum whose product of eigenvalues is 1.

With eigenvalues rescaled to mean 1, e_i = lambda_i K / sum(lambda), the tail is the largest ones, taken from the top
until their product falls below 1: det X = 1, a change of measure that keeps volume. Source: C. H. Martin, "Deep
Learning and Effective Correlation Spaces"; Martin and Hinrichs, SETOL, arXiv 2507.17912.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class EffectiveSpace:
    """Where the tail with det X = 1 starts.

    n_tail: its eigenvalues, the one that takes the product below 1 included; 0 if there is no such tail.
    lambda_min: the smallest of them, in the unit given (NaN without a tail). lambda_min_rescaled: the same for mean 1.
    log_det: sum of ln e over the tail, just below 0 where the product does cross 1.
    """

    n_tail: int
    lambda_min: float
    lambda_min_rescaled: float
    log_det: float


def effective_space(eigenvalues: ArrayLike, floor: float = 0.0) -> EffectiveSpace:
    """The tail with product of rescaled eigenvalues 1, by sums of logarithms, so no size overflows.

    eigenvalues: any order, (K,), not negative; rescaled by the mean of all K. floor: those at or below it are zero
    up to rounding and never belong to the tail; a rank-deficient spectrum whose product stays above 1 down to there
    has its whole rank as tail. Flat spectra and fewer than two eigenvalues have none.
    """
    values = np.sort(np.asarray(eigenvalues, np.float64))[::-1]
    total = float(values.sum())
    if values.size < 2 or total == 0.0 or values[0] - values[-1] <= 1e-12 * values[0]:
        return EffectiveSpace(0, float("nan"), float("nan"), float("nan"))
    rescaled = values * (values.size / total)
    log_products = np.cumsum(np.log(rescaled[values > floor]))
    n_tail = _first_below_one(log_products)
    last = n_tail - 1
    return EffectiveSpace(n_tail, float(values[last]), float(rescaled[last]), float(log_products[last]))


def _first_below_one(log_products: NDArray[np.float64]) -> int:
    """The length of the shortest tail with product below 1, or of the longest there is."""
    below = np.flatnonzero(log_products < 0.0)
    return int(below[0]) + 1 if below.size else log_products.size
