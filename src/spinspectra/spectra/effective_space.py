"""The effective correlation space of SETOL: the tail of the spectrum whose product of eigenvalues is 1.

What a layer looks like by it, `setol_verdict`: ideal where the power law has alpha 2 and both tails start together.

With eigenvalues rescaled to mean 1, e_i = lambda_i K / sum(lambda), the tail is the largest ones, taken from the top
until their product falls below 1: det X = 1, a change of measure that keeps volume. Source: C. H. Martin, "Deep
Learning and Effective Correlation Spaces"; Martin and Hinrichs, SETOL, arXiv 2507.17912.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# HT-SR (Martin, Peng, Mahoney 2021): heavy tails of a well-trained layer have alpha from 2 to 6; SETOL: 2 is ideal.
IDEAL_ALPHA = 2.0
UNDER_TRAINED_ABOVE = 6.0
# Planted tails of alpha 2 are fitted within 2 standard errors 9 times in 10; the scan for xmin adds an error of its
# own, so no tail is long enough for less than 0.1, and an alpha off by more than 0.5 is not near 2 however short it is.
ALPHA_ERRORS = 2.0
ALPHA_CLOSEST, ALPHA_FARTHEST = 0.1, 0.5
# Where both tails do start together the scan puts xmin within a factor of 2 of there, 9 times in 10 (docs/setol.md).
START_FACTOR = 2.0

Word = Literal["ideal", "near 2", "heavy-tailed", "over-trained", "under-trained", "no tail"]


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


@dataclass(frozen=True, slots=True)
class SetolVerdict:
    """What a layer looks like, by its two tails, and why in one line.

    word: "ideal"; "near 2", alpha is but the tails start apart; "heavy-tailed", alpha between that and 6;
    "over-trained", below (over-regularised in SETOL); "under-trained", above 6; "no tail", one of them is missing.
    start_gap: ln(lambda_ERG / xmin), above 0 where the power law has the longer tail; NaN without both tails.
    alpha_tolerance: how far from 2 an alpha with this tail may be and count as 2; NaN without a power law.
    """

    word: Word
    reason: str
    start_gap: float
    alpha_tolerance: float


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


def setol_verdict(alpha: float, xmin: float, n_tail: int, space: EffectiveSpace) -> SetolVerdict:
    """Compare the power law (alpha, xmin in the unit of `space.lambda_min`, n_tail eigenvalues) with the space.

    alpha counts as 2 within 2 standard errors at 2, 1/sqrt(n_tail) each (Clauset, Shalizi, Newman 2009, eq. 3.2),
    but never within less than 0.1 nor more than 0.5. The tails start together if lambda_ERG and xmin differ by less
    than a factor of 2, and the product does fall to 1. The ideal pair (alpha, lambda_ERG - xmin) = (2, 0) is that of
    Martin and Hinrichs, SETOL, arXiv 2507.17912, "Evaluating the ERG condition"; the tolerances are this project's
    (docs/setol.md).
    alpha NaN is a failed fit.
    """
    nan = float("nan")
    if not (np.isfinite(alpha) and n_tail > 0):
        return SetolVerdict("no tail", "no power law fits", nan, nan)
    tolerance = float(np.clip(ALPHA_ERRORS / np.sqrt(n_tail), ALPHA_CLOSEST, ALPHA_FARTHEST))
    if space.n_tail == 0:
        return SetolVerdict("no tail", "no product of eigenvalues is 1: the spectrum is flat", nan, tolerance)
    gap = float(np.log(space.lambda_min / xmin))
    off, together = alpha - IDEAL_ALPHA, space.log_det <= 0.0 and abs(gap) <= np.log(START_FACTOR)
    word: Word
    if abs(off) <= tolerance:
        word, about = "ideal" if together else "near 2", f"is 2 within {tolerance:.2f}"
    elif off < 0.0:
        word, about = "over-trained", f"is below 2 by more than {tolerance:.2f}"
    elif alpha > UNDER_TRAINED_ABOVE:
        word, about = "under-trained", f"is above {UNDER_TRAINED_ABOVE:g}"
    else:
        word, about = "heavy-tailed", f"is above 2 by more than {tolerance:.2f}"
    return SetolVerdict(word, f"alpha {alpha:.2f} {about}; {_starts(gap, together, space)}", gap, tolerance)


def _starts(gap: float, together: bool, space: EffectiveSpace) -> str:
    """In SETOL the power law has the shorter tail until a layer is over-regularised."""
    if together:
        return "both tails start together"
    if space.log_det > 0.0:
        return f"the product of all {space.n_tail} eigenvalues above rounding is over 1: low rank"
    longer = "power law's" if gap > 0.0 else "effective space's"
    return f"the {longer} tail starts lower, {np.exp(abs(gap)):.1f} times"
