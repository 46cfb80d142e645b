"""Figures of the spins: densities of states and specific heats, such as a trained network's and its shuffled twin's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.plots import style
from spinspectra.plots.style import Floats

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from spinspectra.ising.density import DensityOfStates

_COLORS = (style.BLUE, style.RED, style.GREEN, style.PURPLE, style.ORANGE, style.SKY, style.BLACK)
_DASHES = ("-", "--", "-.", ":")
_LABEL_CHARACTERS = 40
_LINE_CHARACTERS = 50  # of the legend
_BAND = "band: one standard error either way"
_NO_BAND = "standard errors unknown"


def density_of_states(
    densities: "Mapping[str, DensityOfStates]", *, title: str = "", ax: "Axes | None" = None
) -> "Axes":
    """ln g / N against E / N, a curve a density under its name, with a band of one standard error either way.

    Bins that were not visited are gaps in the curve, and a bin between two gaps is a dot. Raises OptionError without
    any density.
    """
    _require_some(densities, "density of states")
    ax = style.axes_or_new(ax)
    known = 0
    for at, (name, density) in enumerate(densities.items()):
        n = density.n_spins
        pieces = np.flatnonzero(np.diff(density.energies) > 1.5 * density.bin_width) + 1
        columns = (density.energies / n, density.ln_g / n, density.stderr / n)
        x, y, error = (np.insert(column, pieces, np.nan) for column in columns)
        known += _curve(ax, at, _label(name), x, y, error)
    ax.set_ylim(bottom=0.0)
    return style.finish(ax, title, "E / N, unit of the weights", "ln g / N", _notes(known, len(densities)))


def specific_heat(heats: "Mapping[str, xr.Dataset]", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """C against T from `thermodynamics`, a curve a network, its peak T_c a dotted line with its value in the legend.

    Extensive: C / N, T in the unit of the weights. The paper's convention: C of e = E / width, T in (0, 1]. T is
    logarithmic if it spans more than a decade. Raises OptionError without any data, or for both conventions at once.
    """
    _require_some(heats, "table of thermodynamics")
    conventions = {str(heat.attrs["convention"]) for heat in heats.values()}
    if len(conventions) > 1:
        raise OptionError("specific heats in two conventions do not fit one figure; draw them apart")
    paper = conventions == {"paper"}
    ax = style.axes_or_new(ax)
    known, peaks, ratio, notes = 0, 0, 1.0, list[str]()
    for at, (name, heat) in enumerate(heats.items()):
        n = 1 if paper else int(heat.attrs["n_spins"])
        order = np.argsort(heat["T"].to_numpy(), kind="stable")
        t, c, error = (heat[column].to_numpy()[order] for column in ("T", "C", "C_err"))
        ratio = max(ratio, float(t[-1] / t[0]))
        known += _curve(ax, at, _label(name, _peak(heat)), t, c / n, error / n)
        if np.isfinite(heat.attrs["T_c"]):
            peaks += 1
            ax.axvline(float(heat.attrs["T_c"]), color=_color(at), linestyle=":", linewidth=0.9)
    if ratio > 10.0:
        _log_scale(ax, ratio)
    ax.set_ylim(bottom=0.0)
    xlabel, ylabel = ("T of E / width", "C") if paper else ("T, unit of the weights", "C / N")
    if peaks:
        notes.append("dotted: T_c, where C is largest")
    if (blurred := max(float(heat.attrs["T_resolved"]) for heat in heats.values())) > 0.0:
        notes.append(f"C is not resolved up to T = {blurred:.2g}")
    return style.finish(ax, title, xlabel, ylabel, notes + _notes(known, len(heats)))


def _curve(ax: "Axes", at: int, label: str, x: Floats, y: Floats, error: Floats) -> int:
    """A line, its band, and dots for points that no line reaches; 1 if any error is known, else 0."""
    color = _color(at)
    ax.plot(x, y, color=color, linestyle=_DASHES[at % len(_DASHES)], linewidth=1.2, label=label)
    here = np.pad(np.isfinite(y), 1)
    alone = here[1:-1] & ~here[:-2] & ~here[2:]
    if alone.any():
        ax.errorbar(x[alone], y[alone], error[alone], color=color, fmt=".", markersize=4, linewidth=0.8)
    if not np.isfinite(error).any():
        return 0
    ax.fill_between(x, y - error, y + error, color=color, alpha=0.25, linewidth=0.0)
    return 1


def _label(name: str, more: str = "") -> str:
    """The name as it can be drawn, and more on the same line of the legend if that has the room, else on the next."""
    label = style.shortened(style.drawable(name), _LABEL_CHARACTERS)
    if not more:
        return label
    return f"{label}, {more}" if len(label) + len(more) < _LINE_CHARACTERS else f"{label},\n{more}"


def _peak(heat: "xr.Dataset") -> str:
    """`T_c = 10.31 ± 0.02`, to two digits of the error; nothing without a peak."""
    t_c, error = float(heat.attrs["T_c"]), float(heat.attrs["T_c_err"])
    if not np.isfinite(t_c):
        return ""
    if not (np.isfinite(error) and error > 0.0):
        return f"T_c = {t_c:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"T_c = {t_c:.{digits}f} ± {error:.{digits}f}"


def _log_scale(ax: "Axes", ratio: float) -> None:
    """Over less than three decades plain numbers at 1, 2, 5; powers of ten would stand thin, or on one another."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    if ratio < 1000.0:
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())


def _notes(known: int, drawn: int) -> list[str]:
    if known == drawn:
        return [_BAND]
    return [_NO_BAND] if known == 0 else [f"{_BAND}, where known"]


def _color(at: int) -> str:
    return _COLORS[at % len(_COLORS)]


def _require_some(things: Mapping[str, Any], kind: str) -> None:
    if not things:
        raise OptionError(f"nothing to draw: give at least one {kind}")
