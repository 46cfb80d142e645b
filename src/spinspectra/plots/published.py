"""The figures of arXiv 2209.08678 drawn from its published data, with what the exact symmetry adds to each.

Solid: as the paper has it. Dashed or thin: with the symmetry put back (`studies.published.symmetry`). Tables are those
of `studies.published`. Specific heats are drawn by `plots.density.specific_heat`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.plots import style
from spinspectra.plots.style import Floats

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from spinspectra.ising.density import DensityOfStates

_COLORS = (style.BLUE, style.RED, style.GREEN, style.PURPLE, style.ORANGE, style.SKY, style.BLACK)
_MARKERS = "os^Dv<>"
_TRAINED, _SHUFFLED, _OURS = style.BLUE, style.RED, style.GREEN
_LINES = ((_TRAINED, "-"), (_SHUFFLED, "--"))
_ROW = 0.21  # inches, of a figure with a row a network
_MINUS = "\N{MINUS SIGN}"
_TALL = 3.6  # inches, of a figure with a longer legend
_PER_SPIN = "per spin, unit of the weights"
_SYMMETRY = f"twice the longer half, as g(E) = g({_MINUS}E) demands"
_SYMMETRIC = f"dashed: {_SYMMETRY}"


def published_density(
    densities: "Mapping[str, DensityOfStates]",
    ours: "Mapping[str, DensityOfStates] | None" = None,
    *,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """log10 g / N against E / N, a curve a density under its name, and thin at -E what the symmetry demands of it.

    densities: as published, at most two. ours: of the same network, by our own sampling; symmetric as they are. The
    column is the published one as it stands. Raises OptionError without any density.
    """
    _require(bool(densities), "density of states")
    ax = style.axes_or_new(ax)
    for (color, dashes), (name, density) in zip(_LINES, densities.items(), strict=False):
        x, y = _per_spin(density)
        ax.plot(x, y, color=color, linewidth=1.3, linestyle=dashes, label=name)
        ax.plot(-x, y, color=color, linewidth=0.6, linestyle=":", label=f"{name}, mirrored")
    for dashes, (name, density) in zip(("-", "-."), (ours or {}).items(), strict=False):
        ax.plot(*_per_spin(density), color=_OURS, linewidth=1.0, linestyle=dashes, label=f"{name}, ours")
    ax.set_ylim(bottom=0.0)
    return style.finish(ax, title, "E / N, unit of the weights", r"$\log_{10}\,g\,/\,N$", columns=2)


def energy_ranges(networks: "pd.DataFrame", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """Trained width over shuffled width, a row a network of `network_table`: as published, and by the symmetry."""
    ax = _rows(networks, ax)
    at = np.arange(len(networks))
    for y, one, other in zip(at, networks["ratio"], networks["symmetric_ratio"], strict=True):
        ax.plot([one, other], [y, y], color=style.GREY, linewidth=0.6, zorder=1)
    ax.plot(
        networks["ratio"],
        at,
        "o",
        color=_TRAINED,
        markersize=4,
        label=f"E_max {_MINUS} E_min of the files, as published",
    )
    ax.plot(
        networks["symmetric_ratio"],
        at,
        "D",
        color=_TRAINED,
        markerfacecolor="none",
        markersize=4.5,
        label=_SYMMETRY,
    )
    ax.axvline(1.0, color=style.GREY, linestyle=":", linewidth=0.9)
    ax.set_xlim(left=0.0)
    return style.finish(ax, title, "width trained / width shuffled", "")


def critical_temperatures(networks: "pd.DataFrame", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """T_c in the paper's convention, a row a network of `network_table`; open: of longer halves mirrored.

    A network's letter tells which end its trained walk reached farther: L, low energies; H, high.
    """
    ax = _rows(networks, ax, "side")
    at = np.arange(len(networks))
    for name, color, marker in (("trained", _TRAINED, "o"), ("shuffled", _SHUFFLED, "s")):
        for kind, face, shift in (("", color, -0.17), ("mirrored_", "none", 0.17)):
            label = f"{name}, longer half mirrored" if kind else f"{name}, as published"
            x = networks[f"T_c_{kind}{name}"]
            ax.plot(x, at + shift, marker, color=color, markerfacecolor=face, markersize=4, label=label)
    ax.set_xlim(left=0.0)
    notes = ["L, H: the trained walk's longer end, low or high"]
    return style.finish(ax, title, "T_c of E / width trained", "", notes)


def block_widths(
    blocks: "pd.DataFrame",
    ours: "Mapping[str, pd.DataFrame] | None" = None,
    *,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """What the paper's figure of blocks shows: trained width over the model's largest against l / L (`block_table`).

    Thin: the least that the trained width is by the symmetry and by fewer blocks, in the same unit. ours: by model, the
    summary of `study_blocks`.
    """
    _require(len(blocks) > 0, "file of blocks")
    ax = style.axes_or_new(ax, _TALL)
    for model, color, marker, rows in _models(blocks):
        unit = rows["width_trained"].max()
        ax.plot(rows["depth"], rows["width_relative"], marker + "-", **_line(color), label=model)
        ax.plot(rows["depth"], rows["at_least"] / unit, **_thin(color))
        if (own := (ours or {}).get(model)) is not None:
            _own(ax, model, color, _depths(own, rows), own["width"] / unit)
    ax.set_ylim(bottom=0.0)
    notes = ["dashed: the least by symmetry and fewer blocks"]
    return style.finish(ax, title, "blocks, l / L", "width of the trained, / its largest", notes)


def block_deltas(
    blocks: "pd.DataFrame",
    ours: "Mapping[str, pd.DataFrame] | None" = None,
    *,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Delta = trained less shuffled width, over the model's largest, against l / L (`block_table`).

    A row whose twins have different bins is not drawn, and named in a note. ours: as for `block_widths`.
    """
    _require(len(blocks) > 0, "file of blocks")
    ax = style.axes_or_new(ax, _TALL)
    for model, color, marker, rows in _models(blocks[blocks["same_bins"].astype(bool)]):
        ax.plot(rows["depth"], rows["delta_relative"], marker + "-", **_line(color), label=model)
        ax.plot(rows["depth"], rows["symmetric_delta_relative"], **_thin(color))
        if (own := (ours or {}).get(model)) is not None:
            _own(ax, model, color, _depths(own, rows), own["delta"] / rows["delta"].max())
    ax.set_ylim(bottom=0.0)
    others = blocks[~blocks["same_bins"].astype(bool)]
    notes = [_SYMMETRIC] + [f"{row.model}, {row.blocks} blocks: bins differ, not drawn" for row in _of(others)]
    return style.finish(ax, title, "blocks, l / L", "Δ / its largest", notes)


def fraction_widths(
    fractions: "pd.DataFrame",
    ours: "Mapping[str, pd.DataFrame] | None" = None,
    *,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Width per spin against the fraction of weights shuffled, for models with more than 0 and 1 (`fraction_table`).

    ours: by model, the summary of `study_fraction`.
    """
    _require(len(fractions) > 0, "file of a fraction")
    ax = style.axes_or_new(ax, _TALL)
    for model, color, marker, rows in _models(fractions):
        if len(rows) > 2:
            ax.plot(rows["fraction"], rows["width"], marker + "-", **_line(color), label=model)
            ax.plot(rows["fraction"], rows["symmetric_width"], **_thin(color))
        if (own := (ours or {}).get(model)) is not None:
            _own(ax, model, color, own["fraction"], own["width_per_spin"])
    ax.set_ylim(bottom=0.0)
    return style.finish(ax, title, "fraction shuffled", f"width {_PER_SPIN}", [_SYMMETRIC])


def task_errors(
    tasks: "pd.DataFrame",
    ours: "Mapping[str, pd.DataFrame] | None" = None,
    *,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Task error in percent against the fraction shuffled, both logarithmic, a curve a task (`task_table`).

    Errors of 0 have no place on the axes. ours: by model, the summary of `study_accuracy`.
    """
    _require(len(tasks) > 0, "file of a task")
    ax = style.axes_or_new(ax)
    for name, color, marker, rows in _models(tasks, "model", "task"):
        shown = rows[rows["error"] > 0.0]
        ax.plot(shown["fraction"], shown["error"], marker + "-", **_line(color), label=name)
    for at, (model, own) in enumerate((ours or {}).items()):
        for metric, rows in own[own["task_error"] > 0.0].groupby("metric", sort=False):
            _own(ax, f"{model}, {metric}", (style.BLACK, style.GREY)[at % 2], rows["fraction"], rows["task_error"])
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks([0.01, 0.1, 1.0], ["0.01", "0.1", "1"])
    return style.finish(ax, title, "fraction shuffled", "task error, %", columns=2)


def errors_against_widths(tasks: "pd.DataFrame", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """Task error against width per spin at the same fraction, a curve a task that has both; filled and open markers.

    Filled, solid: width as published; open, dashed: by the symmetry. Widths are over those of the unshuffled network,
    so that all start at 1.
    """
    both = with_widths(tasks)
    _require(len(both) > 0, "task with widths at two of its fractions, and unshuffled")
    ax = style.axes_or_new(ax, _TALL)
    start = tasks[tasks["fraction"] == 0.0].set_index(["model", "task"])
    for name, color, marker, rows in _models(both, "model", "task"):
        whole = start.loc[(rows["model"].iloc[0], rows["task"].iloc[0])]
        ax.plot(rows["width"] / whole["width"], rows["error"], marker + "-", **_line(color), label=name)
        ax.plot(
            rows["symmetric_width"] / whole["symmetric_width"],
            rows["error"],
            marker,
            **_thin(color),
            markersize=3.5,
            markerfacecolor="none",
        )
    ax.set_yscale("log")
    return style.finish(ax, title, "width / that of the trained network", "task error, %", [_SYMMETRIC])


def with_widths(tasks: "pd.DataFrame") -> "pd.DataFrame":
    """The rows that `errors_against_widths` draws: width known and error above 0, at least two of a task.

    Tasks whose unshuffled network has no width have none.
    """
    if not len(tasks):
        return tasks
    whole = tasks["width"].where(tasks["fraction"] == 0.0)
    keys = [tasks["model"], tasks["task"]]
    both = (tasks["error"] > 0.0) & tasks["width"].notna() & whole.groupby(keys).transform("count").gt(0)
    return tasks[both & both.groupby(keys).transform("sum").ge(2)]


def _per_spin(density: "DensityOfStates") -> tuple[Floats, Floats]:
    return density.energies / density.n_spins, density.ln_g / (density.n_spins * math.log(10.0))


def _models(table: "pd.DataFrame", *by: str) -> "Iterator[tuple[str, str, str, pd.DataFrame]]":
    """Name, colour, marker and rows of each model, or of each model and task."""
    columns = list(by) or ["model"]
    for at, (names, rows) in enumerate(table.groupby(columns, sort=False)):
        name = ", ".join(map(str, names if isinstance(names, tuple) else (names,)))
        yield style.drawable(name), _COLORS[at % len(_COLORS)], _MARKERS[at % len(_MARKERS)], rows


def _rows(networks: "pd.DataFrame", ax: "Axes | None", more: str | None = None) -> "Axes":
    """Axes with a row a network, the first on top; more: a column whose first letter goes with the name."""
    _require(len(networks) > 0, "network")
    ax = style.axes_or_new(ax, 1.3 + _ROW * len(networks))
    letters = [""] * len(networks) if more is None else [f" ({text[0].upper()})" for text in networks[more]]
    names = [style.drawable(name) + letter for name, letter in zip(networks["network"], letters, strict=True)]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    return ax


def _own(ax: "Axes", name: str, color: str, x: "pd.Series[float]", y: "pd.Series[float]") -> None:
    """Our own curve, in the colour of the published one."""
    ax.plot(x, y, "x-.", color=color, linewidth=1.0, markersize=4.5, label=f"{style.drawable(name)}, ours")


def _depths(own: "pd.DataFrame", rows: "pd.DataFrame") -> "pd.Series[float]":
    """l / L of our table, with L as the published rows have it."""
    return own["n_blocks"] * float((rows["depth"] / rows["blocks"]).iloc[0])


def _line(color: str) -> dict[str, Any]:
    return {"color": color, "linewidth": 1.2, "markersize": 3.5}


def _thin(color: str) -> dict[str, Any]:
    return {"color": color, "linewidth": 0.7, "linestyle": "--"}


def _of(table: "pd.DataFrame") -> "Iterator[Any]":
    return table.itertuples(index=False)


def _require(there: bool, kind: str) -> None:
    if not there:
        raise OptionError(f"nothing to draw: give at least one {kind}")
