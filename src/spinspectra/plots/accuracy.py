"""Figure of a study of accuracy: task error and width against the fraction of weights shuffled."""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.plots import style
from spinspectra.plots.fractions import fraction_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLORS = (style.RED, style.BLUE, style.GREEN, style.PURPLE)
_MARKERS = ("o", "s", "^", "D")
_DECADES = 100.0  # errors that differ by more than this factor are drawn on a logarithmic scale


def accuracy(summary: "pd.DataFrame", *, title: str = "") -> "tuple[Axes, Axes]":
    """The task error of each metric above, the width W / N below, on one axis of fractions; a new figure.

    summary: of `study_accuracy`. Bars: one standard error over shuffles either way. The axis of fractions is linear up
    to the smallest of them, so that 0 has a place, and logarithmic from there. Raises OptionError for an empty table.
    """
    if summary.empty:
        raise OptionError("nothing to draw: give the summary of a study of accuracy")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("figures need matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(style.WIDTH, 1.5 * style.HEIGHT), dpi=200, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    metrics = list(dict.fromkeys(summary["metric"]))
    for at, metric in enumerate(metrics):
        rows = summary[summary["metric"] == metric]
        label = style.shortened(style.drawable(metric), 40)
        _bars(above, rows, "task_error", _COLORS[at % 4], _MARKERS[at % 4], label)
    _bars(below, summary[summary["metric"] == metrics[0]], "width_per_spin", style.BLACK, "o", "")
    _scale_of_errors(above, summary["task_error"].to_numpy())
    fraction_axis(below, summary["fraction"].to_numpy())
    below.set_ylim(bottom=0.0)
    style.finish(above, title, "", "task error, %")
    style.finish(below, "", "fraction shuffled", "W / N, unit of the weights", _notes(summary))
    above.legend(fontsize=style.SMALL, frameon=False, loc="best")  # in the axes: below them it would part the two
    return above, below


def _bars(ax: "Axes", rows: "pd.DataFrame", column: str, color: str, marker: str, label: str) -> None:
    x, y, error = (rows[name].to_numpy(np.float64) for name in ("fraction", column, f"{column}_err"))
    ax.errorbar(
        x,
        y,
        np.nan_to_num(error),
        color=color,
        marker=marker,
        markersize=3.5,
        linewidth=1.0,
        elinewidth=0.8,
        capsize=2.0,
        label=label or None,
    )


def _scale_of_errors(ax: "Axes", errors: style.Floats) -> None:
    known = errors[np.isfinite(errors) & (errors > 0.0)]
    if known.size and known.max() > _DECADES * known.min():
        ax.set_yscale("symlog", linthresh=10.0 ** np.floor(np.log10(known.min())), linscale=0.5)
    ax.set_ylim(bottom=0.0)


def _notes(summary: "pd.DataFrame") -> list[str]:
    if not np.isfinite(summary["width_per_spin_err"]).any():
        return ["one shuffle a fraction: errors unknown"]
    return ["bars: one standard error over shuffles"]
