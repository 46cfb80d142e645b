"""SETOL's qualities of one layer: what its tail is worth under each model of the tail's R-transform.

Source: Martin and Hinrichs, SETOL, arXiv 2507.17912: the squared quality is Q^2 = sum over the tail of G(lambda_i),
G(lambda) the integral of R up to lambda (Tanaka's large-N limit of the HCIZ integral), and each R gives a formula
("Modeling the R-Transform", its table of log qualities). Decided here, where the paper is not of one mind:

- eigenvalues are in the unit of its ERG condition, e_i = lambda_i K / sum(lambda), mean 1 over all K of the layer, so
  no quality depends on the unit of the weights; logarithms are to base 10 unless written ln;
- inverse Marchenko-Pastur has kappa = alpha / 2, as its derivation; the table prints 2 alpha in that place;
- the computed quality takes free cumulants of the normalised trace, m_k = mean(e^k), at z_i = e_i / n, as its series
  does, but not its sums for m_k, nor centred eigenvalues, whose first cumulant would be 0;
- the computed quality is the integral itself and not only its first terms (`free_cumulants.r_integral`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spinspectra.errors import NonFiniteError
from spinspectra.spectra.free_cumulants import free_cumulants, r_integral, r_integral_terms

QUALITIES = (
    "bulk_spikes",
    "free_cauchy",
    "levy_wigner",
    "inverse_mp",
    "inverse_mp_limit",
    "computed",
    "computed_series",
)

_SETTLED = 0.01  # a series nearer than this part of Q^2 to the integral itself is taken as summed


@dataclass(frozen=True, slots=True)
class LayerQuality:
    """log10 Q of one tail under each model; NaN where the model does not hold, and `reasons` says why, by field name.

    n_tail: eigenvalues at or above the start, of which e below. All need one, and alpha where it enters.
    bulk_spikes: log10 sum e_i, the tail's norm. Any tail.
    free_cauchy: log10 e_max. alpha >= 2 (the model is of 2; above it the paper extends it formally).
    levy_wigner: (alpha - 1) log10 e_max. 1 < alpha <= 2; at 2 it meets free_cauchy.
    inverse_mp: log10 of sqrt((alpha/2) sum ln(e_i / e_min)). 1 < alpha <= 4, and two different eigenvalues.
    inverse_mp_limit: (alpha/2) log10(e_max / e_min), its largest term in the place of alpha-hat. The same range.
    computed: log10 of sqrt(sum_i G(e_i / n_tail)), G the integral of the tail's own R-transform.
    computed_series: the same, G cut after the given number of free cumulants; NaN where these miss Q^2 by over 1 %.
    cumulants: these free cumulants of e over the tail; empty without a tail.
    """

    n_tail: int
    alpha: float
    bulk_spikes: float
    free_cauchy: float
    levy_wigner: float
    inverse_mp: float
    inverse_mp_limit: float
    computed: float
    computed_series: float
    cumulants: tuple[float, ...]
    reasons: dict[str, str]


def layer_quality(eigenvalues: ArrayLike, tail_start: float, alpha: float, order: int = 5) -> LayerQuality:
    """Qualities of the tail lambda >= tail_start, in all the models.

    eigenvalues: all of the layer, any order, (K,), not negative. tail_start: in their unit; `effective_space`'s
    lambda_min as the paper has it, or a power law's xmin; NaN for no tail. alpha: of the power law fit, NaN if it
    failed. order: free cumulants in computed_series, 5 in the paper.
    Raises OptionError for order outside 1..50, NonFiniteError for NaN or infinite eigenvalues.
    """
    values = np.asarray(eigenvalues, np.float64)
    if bad := values.size - int(np.count_nonzero(np.isfinite(values))):
        raise NonFiniteError(f"{bad} of {values.size} eigenvalues are NaN or infinite")
    tail = np.sort(values[values >= tail_start]) if tail_start > 0.0 else np.empty(0)
    if tail.size == 0:
        return _without_tail(alpha)
    e = tail * (values.size / float(values.sum()))
    log_max, log_excess = float(np.log10(e[-1])), float(np.sum(np.log(e / e[0])))
    cumulants = free_cumulants(e, order)
    squared = float(r_integral(e, e / e.size).sum())
    series = float(r_integral_terms(cumulants, e / e.size).sum())
    found = {
        "bulk_spikes": float(np.log10(e.sum())),
        "free_cauchy": log_max,
        "levy_wigner": (alpha - 1.0) * log_max,
        "inverse_mp": _log_root(0.5 * alpha * log_excess),
        "inverse_mp_limit": 0.5 * alpha * (log_max - float(np.log10(e[0]))),
        "computed": _log_root(squared),
        "computed_series": _log_root(series),
    }
    reasons = _reasons(alpha, log_excess)
    if (missed := abs(series / squared - 1.0)) > _SETTLED:
        reasons["computed_series"] = f"{order} cumulants miss the integral by {100.0 * missed:.3g} %"
    found |= dict.fromkeys(reasons, float("nan"))
    return LayerQuality(e.size, alpha, **found, cumulants=tuple(cumulants.tolist()), reasons=reasons)


def _reasons(alpha: float, log_excess: float) -> dict[str, str]:
    """Why a model of the tail does not hold, by field name; without those that do."""
    made: dict[str, str] = {}
    for low, high, names in (
        (2.0, np.inf, ("free_cauchy",)),
        (1.0, 2.0, ("levy_wigner",)),
        (1.0, 4.0, ("inverse_mp", "inverse_mp_limit")),
    ):
        if not np.isfinite(alpha):
            made |= dict.fromkeys(names, "there is no alpha")
        elif not low <= alpha <= high or alpha == 1.0:
            bounds = f"of {low:g} or more" if high == np.inf else f"above {low:g} and up to {high:g}"
            made |= dict.fromkeys(names, f"the model is for alpha {bounds}, here it is {alpha:.2f}")
    if log_excess == 0.0:
        made |= dict.fromkeys(("inverse_mp", "inverse_mp_limit"), "the tail is a single value")
    return made


def _log_root(squared: float) -> float:
    return 0.5 * float(np.log10(squared)) if squared > 0.0 else float("nan")


def _without_tail(alpha: float) -> LayerQuality:
    nothing = dict.fromkeys(QUALITIES, float("nan"))
    return LayerQuality(0, alpha, **nothing, cumulants=(), reasons=dict.fromkeys(QUALITIES, "there is no tail"))
