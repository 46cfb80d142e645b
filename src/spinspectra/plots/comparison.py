"""Figures of a comparison: measures along a series of models, and each measure against a quality that is known."""

from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.plots import style
from spinspectra.plots.style import Floats

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {
    "alpha": style.ALPHA,
    "alpha_weighted": f"{style.ALPHA}-hat",
    "energy_per_spin": "E_min / N",
    "null_z": "z of E_min",
    "ratio": "W / W shuffled",
    "T_c": "T_c",
    "log_norm": "log norm",
    "log_spectral_norm": "log spectral norm",
    "stable_rank": "stable rank",
    "n_weights": "number of weights",
}

_SERIES = ("alpha", "alpha_weighted", "energy_per_spin", "ratio", "T_c")
# Of a shuffled twin: value, its spread, and how many of these the bar is long, either way.
_TWINS = {"energy_per_spin": ("null_energy", "null_sd", 2.0), "T_c": ("T_c_shuffled", "T_c_shuffled_err", 1.0)}
_SYMBOLS = {"kendall": "\N{GREEK SMALL LETTER TAU}", "spearman": "\N{GREEK SMALL LETTER RHO}"}
_STRIP = 0.95  # inches, the height of a panel along the series
_PANEL = 1.9  # inches, the side of a panel against the quality
_COLUMNS = 4
_MOST_TICKS = 24
_NAME_CHARACTERS = 24
_NAMED = 8  # models that are named in every panel; of more none is


def along_series(table: "pd.DataFrame", *, title: str = "") -> "tuple[Axes, ...]":
    """Alpha, alpha-hat, E_min / N, the ratio of widths and T_c, one panel above another, the models from left to right.

    table: of `compare_models`; a panel for each of these columns that has a number. E_min / N has the mean of its
    shuffled null beside it, with two standard deviations of it either way, T_c that of a shuffled twin with its error.
    Alpha of 2 to 6 is shaded. A model without a number is a gap. A new figure. Raises OptionError if none has any.
    """
    shown = shown_along(table)
    if not shown:
        raise OptionError("nothing to draw: no model has any of these measures")
    figure = _figure(style.WIDTH, 0.8 + _STRIP * len(shown))
    axes: tuple[Axes, ...] = tuple(np.atleast_1d(figure.subplots(len(shown), 1, sharex=True)))
    for ax, name in zip(axes, shown, strict=True):
        _strip(ax, table, name)
    _name_models(axes[-1], list(table["model"]))
    if title:
        style.as_written(axes[0].set_title(_short(title, 44), fontsize=style.NORMAL, loc="left"))
    return axes


def against_quality(
    table: "pd.DataFrame", correlations: "pd.DataFrame", quality: str, measures: "Sequence[str]"
) -> "tuple[Axes, ...]":
    """A panel a measure: every model's value against its quality, the rank correlation with its interval above it.

    table, correlations: of `compare_models`. measures: columns of the table; those without two values are left out. Up
    to eight models are named. A new figure. Raises OptionError for a quality that is not there, or without a number.
    """
    if quality not in table:
        raise OptionError(f"nothing to draw: the table has no column {quality!r}")
    y = _numbers(table, quality)
    shown = shown_against(table, quality, measures)
    if not shown:
        raise OptionError(f"nothing to draw: no two models have {quality!r} and measures that differ")
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = _figure(_PANEL * columns + 0.3, (_PANEL + 0.2) * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    axes: tuple[Axes, ...] = tuple(grid.flat)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    found = {row["measure"]: row for row in correlations[correlations["quality"] == quality].to_dict("records")}
    for i, (ax, name) in enumerate(zip(axes, shown, strict=False)):
        x = _numbers(table, name)
        ax.plot(x, y, "o", color=style.BLUE, markersize=4, linestyle="none")
        if len(table) <= _NAMED:
            _name_points(ax, x, y, list(table["model"]))
        ax.margins(0.12)
        ax.locator_params(axis="x", nbins=4)
        above = _correlation(found[name]) if name in found else ""
        style.as_written(ax.set_title(above, fontsize=style.SMALL, loc="left"))
        _finish(ax, LABELS.get(name, name), quality if i % columns == 0 else "")
    return axes[: len(shown)]


def shown_along(table: "pd.DataFrame") -> list[str]:
    """The measures that `along_series` has a panel for."""
    return [name for name in _SERIES if name in table and np.isfinite(_numbers(table, name)).any()]


def shown_against(table: "pd.DataFrame", quality: str, measures: "Sequence[str]") -> list[str]:
    """Those of the measures that `against_quality` has a panel for."""
    known = np.isfinite(_numbers(table, quality))
    return [name for name in measures if name in table and _differ(_numbers(table, name)[known])]


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("figures need matplotlib: pip install matplotlib") from error
    return Figure(figsize=(width, height), dpi=200, layout="constrained")


def _strip(ax: "Axes", table: "pd.DataFrame", name: str) -> None:
    """One measure of every model, the shuffled twin's beside it where there is one."""
    y = _numbers(table, name)
    if name == "alpha":
        ax.axhspan(2.0, 6.0, color=style.GREEN, alpha=0.12, linewidth=0.0, label=style.HEAVY_TAILED)
    if name == "ratio":
        ax.axhline(1.0, color=style.GREY, linewidth=0.8, linestyle=":")
    if name in _TWINS:
        twin, spread, times = _TWINS[name]
        _marks(ax, _numbers(table, twin), times * _numbers(table, spread), style.GREY, "s", "shuffled")
    error = _numbers(table, "T_c_err") if name == "T_c" else np.zeros_like(y)
    _marks(ax, y, error, style.BLUE, "o", "trained" if name in _TWINS else "")
    _finish(ax, "", LABELS[name])
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=style.SMALL - 1, frameon=False, loc="best", handlelength=1.2, labelspacing=0.2)


def _marks(ax: "Axes", y: Floats, error: Floats, color: str, marker: str, label: str) -> None:
    ax.errorbar(
        np.arange(y.size),
        y,
        np.nan_to_num(error),
        color=color,
        marker=marker,
        markersize=3.5,
        linewidth=0.9,
        elinewidth=0.8,
        label=label,
    )


def _finish(ax: "Axes", xlabel: str, ylabel: str) -> None:
    for label, put in ((xlabel, ax.set_xlabel), (ylabel, ax.set_ylabel)):
        style.as_written(put(_short(label, _NAME_CHARACTERS), fontsize=style.NORMAL))
    ax.tick_params(which="both", labelsize=style.SMALL)
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_offset_text().set_fontsize(style.SMALL)
    ax.spines[["top", "right"]].set_visible(False)


def _name_models(ax: "Axes", names: "Sequence[str]") -> None:
    """Names under the lowest panel, every second, third ... of many."""
    ticks = list(range(0, len(names), -(-len(names) // _MOST_TICKS)))
    ax.set_xticks(ticks)
    ax.set_xticklabels(
        [_short(str(names[at]), _NAME_CHARACTERS) for at in ticks], rotation=40, ha="right", rotation_mode="anchor"
    )
    for text in ax.get_xticklabels():
        style.as_written(text)
    ax.set_xlim(-0.5, len(names) - 0.5)


def _name_points(ax: "Axes", x: Floats, y: Floats, names: "Sequence[str]") -> None:
    """Each beside its point, on the side where the panel has more room."""
    middle = 0.5 * (np.nanmin(x) + np.nanmax(x))
    for at_x, at_y, name in zip(x, y, names, strict=True):
        if np.isfinite(at_x + at_y):
            left = at_x > middle
            text = ax.annotate(
                _short(str(name), 12),
                (at_x, at_y),
                xytext=(-4, 0) if left else (4, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=style.SMALL - 1,
                color=style.GREY,
            )
            style.as_written(text)


def _correlation(row: "Mapping[Hashable, Any]") -> str:
    """The coefficient, its interval and n; or that there is none."""
    if not np.isfinite(row["value"]):
        return f"no correlation, n = {row['n']}"
    symbol = _SYMBOLS.get(row["kind"], row["kind"])
    text = f"{symbol} = {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}], n = {row['n']}"
    return text.replace("-", "\N{MINUS SIGN}")


def _differ(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return known.size > 1 and float(np.ptp(known)) > 0.0


def _short(text: str, length: int) -> str:
    return style.shortened(style.drawable(text), length)


def _numbers(table: "pd.DataFrame", column: str) -> Floats:
    return table[column].to_numpy(np.float64)
