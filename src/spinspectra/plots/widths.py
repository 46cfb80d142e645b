"""Figures of the studies of widths: against depth, and against the fraction of couplings shuffled."""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.plots import style
from spinspectra.plots.fractions import fraction_axis
from spinspectra.plots.style import Floats

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_ERRORS = "bars: one standard error over the shuffles"
_DELTA = "\N{GREEK CAPITAL LETTER DELTA}"


def width_by_depth(summary: "pd.DataFrame", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """Delta = W_trained - W_shuffled against the number of blocks, over the largest width, as arXiv 2209.08678 has it.

    With the two widths themselves, thin, in the same unit. summary: of `study_blocks`. OptionError without its columns.
    """
    _require(summary, "n_blocks", "width_over_largest", "width_shuffled_over_largest", "delta_over_largest")
    ax = style.axes_or_new(ax)
    depth = summary["n_blocks"].to_numpy(np.float64)
    for name, label, color, mark, width in (
        ("delta", f"{_DELTA} = W trained \N{MINUS SIGN} W shuffled", style.BLACK, "o-", 1.4),
        ("width", "W trained", style.BLUE, "^--", 0.8),
        ("width_shuffled", "W shuffled", style.RED, "s:", 0.8),
    ):
        value, error = _column(summary, f"{name}_over_largest"), _column(summary, f"{name}_over_largest_err")
        _line(ax, depth, value, error, mark, color, label, width)
    if np.nanmin(_column(summary, "delta_over_largest")) >= 0.0:
        ax.set_ylim(bottom=0.0)
    ax.locator_params(axis="x", integer=True)
    return style.finish(ax, title, "blocks", f"{_DELTA} and W, over the largest W", [_ERRORS])


def width_by_fraction(summary: "pd.DataFrame", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """W / W(0), or W / N without fraction 0, against the fraction shuffled; dashed: everything shuffled.

    summary: of `study_fraction`. The axis is linear up to the smallest fraction, so that 0 is on it, and logarithmic
    beyond. OptionError without the columns.
    """
    _require(summary, "fraction", "width_per_spin", "width_per_spin_err", "width_over_trained")
    ax = style.axes_or_new(ax)
    over = bool(np.isfinite(_column(summary, "width_over_trained")).any())
    name = "width_over_trained" if over else "width_per_spin"
    value, error = _column(summary, name), _column(summary, f"{name}_err")
    ylabel = "W / W of the trained network" if over else "W / N, unit of the weights"
    return _by_fraction(ax, summary, value, error, style.BLUE, "W", title, ylabel)


def temperature_by_fraction(summary: "pd.DataFrame", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """T_c against the fraction shuffled, as `width_by_fraction`; from a study of densities, else OptionError."""
    _require(summary, "fraction", "T_c", "T_c_err")
    ax = style.axes_or_new(ax)
    value, error = _column(summary, "T_c"), _column(summary, "T_c_err")
    return _by_fraction(ax, summary, value, error, style.GREEN, "T_c", title, "T_c, unit of the weights")


def fraction_figure(summary: "pd.DataFrame", *, title: str = "") -> "Axes":
    """`width_by_fraction`, and `temperature_by_fraction` beside it where there are temperatures; the first Axes."""
    if "T_c" not in summary:
        return width_by_fraction(summary, title=title)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.0 * style.WIDTH, style.HEIGHT), dpi=200, layout="constrained")
    left, right = figure.subplots(1, 2)
    temperature_by_fraction(summary, ax=right)
    return width_by_fraction(summary, title=title, ax=left)


def _by_fraction(
    ax: "Axes", summary: "pd.DataFrame", value: Floats, error: Floats, color: str, name: str, title: str, ylabel: str
) -> "Axes":
    fraction = _column(summary, "fraction")
    _line(ax, fraction, value, error, "o-", color, f"{name}, mean over shuffles", 1.2)
    whole = (fraction == 1.0) & np.isfinite(value)
    if whole.any():
        ax.axhline(float(value[whole][0]), color=style.GREY, linestyle="--", linewidth=0.9, label="all shuffled")
    fraction_axis(ax, fraction)
    if np.isfinite(value).any():
        ax.set_ylim(bottom=0.0)
    return style.finish(ax, title, "fraction of couplings shuffled", ylabel, [_ERRORS])


def _line(ax: "Axes", x: Floats, y: Floats, error: Floats, mark: str, color: str, label: str, linewidth: float) -> None:
    """A line with bars where the error is known."""
    bars = np.where(np.isfinite(error), error, 0.0) if np.isfinite(error).any() else None
    ax.errorbar(
        x, y, bars, fmt=mark, color=color, label=label, markersize=3.5, linewidth=linewidth, elinewidth=0.8, capsize=2.0
    )


def _column(summary: "pd.DataFrame", name: str) -> Floats:
    return summary[name].to_numpy(np.float64) if name in summary else np.full(len(summary), np.nan)


def _require(summary: "pd.DataFrame", *columns: str) -> None:
    if missing := [column for column in columns if column not in summary]:
        raise OptionError(f"the table has no column {missing[0]!r}; give the summary of the study")
    if not len(summary):
        raise OptionError("the table has no row; nothing to draw")
