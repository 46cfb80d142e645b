"""A weight decay for each layer, as AlphaDecay has it: more for layers whose spectrum has the lighter tail.

Source: He, Tu, Jaiswal, Shen, Yuan, Liu, Yin, "AlphaDecay", 2025 (arXiv 2506.14562).
"""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.advice.table import FEWEST_EVALS, alphas_of, check_factors, linear_factors, suggestions
from spinspectra.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


def suggest_weight_decay(
    details: "pd.DataFrame",
    decay: float,
    low: float = 2.0 / 3.0,
    high: float = 5.0,
    by: str = "hill_alpha",
    min_evals: int = FEWEST_EVALS,
) -> "pd.DataFrame":
    """AlphaDecay: decay_i = decay [ (alpha_i - alpha_min) / (alpha_max - alpha_min) (high - low) + low ].

    decay: the global one, 0 or more. low, high: factors of the layers with the smallest and the largest alpha. The
    authors' scripts have 2/3 and 5, or 2/3 and 3 for their largest decays with Adam; so the mean is well above the
    global decay. The rest as for `suggest_learning_rates`; they suggest anew every 500 steps.

    Columns: layer_id, longname, `by`, weight_decay, remark; rows and index those of details.
    Raises OptionError for a negative decay, factors out of order, a column that is missing.
    """
    if not (np.isfinite(decay) and decay >= 0.0):
        raise OptionError(f"decay={decay!r}: give a weight decay of 0 or more")
    check_factors(low, high)
    alphas = alphas_of(details, by, min_evals)
    return suggestions(details, alphas, "weight_decay", decay * linear_factors(alphas, low, high))
