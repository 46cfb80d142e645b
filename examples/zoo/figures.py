"""Figures of the zoo: tau of every measure, and some measures against what the networks can do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from examples.zoo.correlations import BASELINES, WITHIN
from examples.zoo.plan import FAMILIES
from spinspectra.plots import style
from spinspectra.plots.save import save_png

COLORS = dict(zip(FAMILIES, (style.BLUE, style.SKY, style.GREEN, style.RED), strict=True))
MARKERS = dict(zip(FAMILIES, "ovs^", strict=True))
SHOWN = ("steps", "train_loss", "log_norm", "alpha", "ERG_gap", "width_per_spin", "ratio", "T_c")

_ROW, _HEAD = 0.135, 1.0  # inches
_DECADES = 50.0  # a logarithmic axis for what spans more
_TARGETS = {"quality": "quality", "gap": "generalisation gap"}


def draw_taus(found: pd.DataFrame, path: Path) -> Path:
    """A row a measure, sorted by its tau with quality within families; lines: 95 % intervals of that."""
    pooled = found[found["scope"] == WITHIN].set_index(["target", "measure"])["tau"]
    names = pooled["quality"].dropna().sort_values().index.tolist()
    axes = _axes(1, 2, 7.0, _HEAD + _ROW * len(names))
    for ax, target in zip(axes, _TARGETS, strict=True):
        _taus(ax, found[found["target"] == target], names)
        ax.set_xlabel(f"Kendall's tau with {_TARGETS[target]}", fontsize=style.NORMAL)
    axes[0].set_yticks(range(len(names)), names, fontsize=style.SMALL - 0.5)
    for label, name in zip(axes[0].get_yticklabels(), names, strict=True):
        style.as_written(label).set_fontstyle("italic" if name in BASELINES else "normal")
    axes[1].set_yticks(range(len(names)), [""] * len(names))
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=style.SMALL, frameon=False
    )
    return save_png(axes[0], path)


def _taus(ax: Any, found: pd.DataFrame, names: Sequence[str]) -> None:
    rows = {name: at for at, name in enumerate(names)}
    for family in FAMILIES:
        part = found[(found["scope"] == family) & found["measure"].isin(names) & found["tau"].notna()]
        height = part["measure"].map(rows)
        ax.plot(part["tau"], height, MARKERS[family], color=COLORS[family], markersize=3.0, alpha=0.8, label=family)
    part = found[(found["scope"] == WITHIN) & found["measure"].isin(names) & found["tau"].notna()]
    height = part["measure"].map(rows)
    ax.hlines(height, part["low"], part["high"], color=style.BLACK, linewidth=0.9)
    ax.plot(part["tau"], height, "|", color=style.BLACK, markersize=6.0, label=WITHIN)
    ax.axvline(0.0, color=style.GREY, linewidth=0.7)
    ax.set_xlim(-1.05, 1.05)
    ax.set_ylim(-1, len(names))
    ax.grid(axis="y", linewidth=0.25)
    ax.tick_params(axis="x", labelsize=style.SMALL)
    ax.spines[["top", "right"]].set_visible(False)


def draw_scatter(zoo: pd.DataFrame, path: Path, measures: Sequence[str] = SHOWN) -> Path:
    """A row a family, a column a measure that was taken, quality upwards."""
    measures = [measure for measure in measures if measure in zoo]
    axes = _axes(len(FAMILIES), len(measures), 7.4, 1.15 * len(FAMILIES))
    for i, family in enumerate(FAMILIES):
        part = zoo[zoo["family"] == family]
        for j, measure in enumerate(measures):
            ax = axes[i * len(measures) + j]
            ax.plot(part[measure], part["quality"], MARKERS[family], color=COLORS[family], markersize=2.5, alpha=0.8)
            ax.tick_params(labelsize=style.SMALL - 2.0, length=2.0)
            if part[measure].min() > 0.0 and part[measure].max() > _DECADES * part[measure].min():
                _log_scale(ax)
            else:
                ax.locator_params(axis="x", nbins=3)
                ax.ticklabel_format(useOffset=False)
            ax.spines[["top", "right"]].set_visible(False)
            if j:
                ax.set_yticklabels([])
            if i == 0:
                style.as_written(ax.set_title(measure, fontsize=style.SMALL))
        what = "-test loss" if family == "gpt" else "test accuracy"
        axes[i * len(measures)].set_ylabel(f"{family}\n{what}", fontsize=style.SMALL)
    return save_png(axes[0], path)


def _log_scale(ax: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(numticks=4))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _axes(rows: int, columns: int, width: float, height: float) -> list[Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return list(figure.subplots(rows, columns, squeeze=False).flat)
