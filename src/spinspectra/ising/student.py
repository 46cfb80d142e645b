"""How much wider an error must be that is itself taken from a few values."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

_ONE_SIGMA = 0.8413447460685429  # standard normal distribution at 1


def student_factor(n: ArrayLike) -> NDArray[np.float64]:
    """By which the standard error of the mean of n values, n >= 2, must be widened to cover 68 %; shape of n."""
    return np.asarray(stdtrit(np.asarray(n) - 1.0, _ONE_SIGMA))
