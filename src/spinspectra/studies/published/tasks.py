"""Performance on tasks over the fraction of weights shuffled, and how it goes with the width of the density of states.

Task error, as the paper defines it: |M_trained - M_shuffled| / M_trained x 100.
"""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.studies.published.reading import Floats, Published, TaskCurve
from spinspectra.studies.rank_correlation import rank_correlation

if TYPE_CHECKING:
    import pandas as pd

WIDTHS = ("width", "symmetric_width")  # columns of the tables that hold one


def task_errors(curve: TaskCurve) -> Floats:
    """Percent, (n,); NaN where the metric is not known."""
    return np.asarray(np.abs(curve.metric[0] - curve.metric) / curve.metric[0] * 100.0)


def task_table(published: Published, fractions: "pd.DataFrame") -> "pd.DataFrame":
    """A row a task and fraction: metric, error in percent, and the widths per spin where `fraction_table` has them."""
    import pandas as pd

    rows = [
        {"model": curve.model, "task": curve.task, "fraction": f, "metric": metric, "error": error}
        for curve in published.tasks
        for f, metric, error in zip(curve.fractions, curve.metric, task_errors(curve), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["model", "task", "fraction", "metric", "error"])
    return table.merge(fractions[["model", "fraction", *WIDTHS]], on=["model", "fraction"], how="left")


def rank_table(tasks: "pd.DataFrame") -> "pd.DataFrame":
    """Kendall's tau and Spearman's rho of width with task error, a row a model, task and kind of width.

    n: points that have both. tau_low, tau_high: 95 % interval. Points of one curve are not independent of one another:
    width and error both follow the fraction. NaN under 4 points.
    """
    import pandas as pd

    rows = []
    for (model, task), group in tasks.groupby(["model", "task"], sort=False):
        for kind in WIDTHS:
            tau, rho = (
                rank_correlation(group[kind].to_numpy(), group["error"].to_numpy(), which)
                for which in ("kendall", "spearman")
            )
            row = {"model": model, "task": task, "of": kind, "n": tau.n, "tau": tau.value}
            rows.append(row | {"tau_low": tau.low, "tau_high": tau.high, "p": tau.p, "rho": rho.value})
    return pd.DataFrame(rows, columns=["model", "task", "of", "n", "tau", "tau_low", "tau_high", "p", "rho"])
