"""Tables of layers as `analyze` makes them, with alphas set by hand."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def table(
    alphas: Sequence[float], names: Sequence[str] = (), column: str = "hill_alpha", **more: object
) -> pd.DataFrame:
    """One row an alpha, 100 x 50 layers that were measured; more columns replace those."""
    n = len(alphas)
    columns: dict[str, object] = {
        "layer_id": np.arange(n) + 3,
        "longname": list(names) or [f"layers.{k}.dense" for k in range(n)],
        "layer_type": "dense",
        "N": 100,
        "M": 50,
        "rf": 1,
        "num_evals": 50,
        "status": "success",
        "reason": "",
        column: np.array(alphas, np.float64),
    }
    return pd.DataFrame(columns | more)
