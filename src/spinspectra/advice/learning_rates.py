"""A learning rate for each layer, as TempBalance has it: more for layers that look less trained.

Source: Zhou, Pang, Liu, Martin, Mahoney, Yang, NeurIPS 2023 (arXiv 2312.00359).
"""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.advice.table import FEWEST_EVALS, alphas_of, check_factors, linear_factors, suggestions
from spinspectra.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


def suggest_learning_rates(
    details: "pd.DataFrame",
    rate: float,
    low: float = 0.5,
    high: float = 1.5,
    by: str = "hill_alpha",
    min_evals: int = FEWEST_EVALS,
) -> "pd.DataFrame":
    """TempBalance: rate_i = rate [ (alpha_i - alpha_min) / (alpha_max - alpha_min) (high - low) + low ].

    details: what `analyze` returns. rate: the global rate at this moment of training. low, high: factors of the layers
    with the smallest and the largest alpha; 0.5 and 1.5 are the paper's. by: its PL_Alpha_Hill is `hill_alpha`; else
    `alpha` or `farms_alpha`. Layers with an alpha but fewer than `min_evals` eigenvalues, embeddings and failed layers
    keep the plain rate, and so do all if alphas are equal; the authors also leave the first and the last layer out
    (give `details[1:-1]`). They suggest anew at every epoch.

    Columns: layer_id, longname, `by`, learning_rate, remark; rows and index those of details.
    Raises OptionError for a rate that is not positive, factors out of order, a column that is missing.
    """
    if not (np.isfinite(rate) and rate > 0.0):
        raise OptionError(f"rate={rate!r}: give a learning rate above 0")
    check_factors(low, high)
    alphas = alphas_of(details, by, min_evals)
    return suggestions(details, alphas, "learning_rate", rate * linear_factors(alphas, low, high))
