"""Figures as plain dictionaries for plotly.js, with a caption, a legend and words for who cannot see them.

Colours are those of the package's other figures (`plots.style`); the page turns them into their dark twins. All text
that came out of a file goes through `label`, since plotly.js reads tags and entities in what it draws.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.plots import style
from spinspectra.text import printable

Trace = dict[str, Any]

# What each colour becomes on a dark ground: lighter where it would sink into it.
DARK = {
    style.BLACK: "#F2F2F2",
    style.BLUE: "#6DB6F2",
    style.GREY: "#A6A6A6",
    style.GREEN: "#2FC49A",
    style.RED: "#F08A4B",
    style.PURPLE: "#E29BC4",
}

EIGENVALUE = "eigenvalue λ of WᵀW"
_SOFT = "99"  # opacity of a filled area, in hexadecimal
_FAINT = "40"
_LABEL = 80  # characters of a name


@dataclass(frozen=True, slots=True)
class Axis:
    """title: what it shows and in which unit. limits: of the axis in the numbers shown; None: by the data.

    whole: ticks at whole numbers only. ticks: words in place of numbers, at these places.
    """

    title: str
    log: bool = False
    limits: tuple[float, float] | None = None
    whole: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    def plain(self) -> dict[str, Any]:
        """As plotly.js has it; limits of a logarithmic axis are exponents there."""
        made: dict[str, Any] = {"title": {"text": self.title}, "type": "log" if self.log else "linear"}
        if self.log:
            made["dtick"] = 1 if self.limits is None else _ticks(self.limits)
            made["exponentformat"] = "power"
        if self.limits is not None:
            made["range"] = [float(at) for at in (np.log10(self.limits) if self.log else self.limits)]
        if self.whole:
            made |= {"tickformat": "d"} | (
                {"dtick": 1} if self.limits and self.limits[1] - self.limits[0] < 9.0 else {}
            )
        if self.ticks:
            places, words = zip(*self.ticks, strict=True)
            made |= {"tickvals": list(places), "ticktext": list(words), "showgrid": False}
        return made


@dataclass(frozen=True, slots=True)
class Figure:
    """title: of the figure on the page. caption: what is seen, with its numbers, which a screen reader
    reads in its place.

    traces: as made here. lines: upright or level lines and bands (`upright`, `level`, `shaded`). bottom: whether the
    y axis starts at 0. height: in pixels; 0 for the page's own.
    """

    title: str
    caption: str
    x: Axis
    y: Axis
    traces: Sequence[Trace]
    lines: Sequence[Trace] = field(default_factory=tuple)
    bottom: bool = False
    height: int = 0

    def plain(self) -> dict[str, Any]:
        """For JSON: data and layout as plotly.js takes them, title, caption, and the legend that the page shows."""
        y = self.y.plain() | ({"rangemode": "tozero"} if self.bottom else {})
        drawn = [{key: value for key, value in one.items() if key != "mark"} for one in (*self.traces, *self.lines)]
        n = len(self.traces)
        layout = {"xaxis": self.x.plain(), "yaxis": y, "shapes": drawn[n:]}
        legend = [_entry(one) for one in (*self.traces, *self.lines) if one.get("mark")]
        made = {"title": self.title, "caption": self.caption, "legend": legend, "data": drawn[:n], "layout": layout}
        return made | ({"height": self.height} if self.height else {})


def label(text: str, length: int = _LABEL) -> str:
    """A name for plotly.js: one line, at most so many characters, tags and entities spelled out.

    >>> label("<b>fc1</b>")
    '&lt;b&gt;fc1&lt;/b&gt;'
    """
    return html.escape(style.shortened(printable(text), length), quote=False)


def numbers(values: ArrayLike, digits: int = 6) -> list[float | None]:
    """As JSON has them, to so many digits; None for NaN and infinity.

    >>> numbers([1.23456789, float("nan")])
    [1.23457, None]
    """
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in np.asarray(values, np.float64).tolist()]


def stairs(
    edges: ArrayLike, heights: ArrayLike, color: str, name: str, *, fill: bool = True, floor: float | None = None
) -> Trace:
    """A histogram's outline, filled down to the axis or not; floor: drawn for an empty bin on a logarithmic axis."""
    y = np.asarray(heights, np.float64)
    y = y if floor is None else np.maximum(y, floor)
    made = _trace(edges, [*y.tolist(), float(y[-1])], name, "area" if fill else "line", color)
    made["line"] = {"shape": "hv", "color": color, "width": 0.5 if fill else 1.6}
    if fill:
        made |= {"fill": "tozeroy", "fillcolor": color + _SOFT}
    return made


def line(x: ArrayLike, y: ArrayLike, color: str, name: str, *, dash: str = "solid", width: float = 1.8) -> Trace:
    """A curve; gaps where either is NaN."""
    made = _trace(x, y, name, dash, color)
    return made | {"line": {"color": color, "dash": dash, "width": width}, "connectgaps": False}


def band(x: ArrayLike, y: ArrayLike, error: ArrayLike, color: str) -> list[Trace]:
    """One standard error either way; nothing where it is unknown. Two invisible lines and the area between."""
    at, middle, half = (np.asarray(one, np.float64) for one in (x, y, error))
    known = np.isfinite(half) & np.isfinite(middle)
    if not known.any():
        return []
    edges = []
    for sign, fill in ((-1.0, "none"), (1.0, "tonexty")):
        edge = _trace(at[known], (middle + sign * half)[known], "", "", color)
        edge |= {"line": {"width": 0}, "hoverinfo": "skip", "fill": fill, "fillcolor": color + _FAINT}
        edges.append(edge)
    return edges


def dots(
    x: ArrayLike,
    y: ArrayLike,
    color: str,
    name: str,
    *,
    symbol: str = "circle",
    hover: Sequence[str] = (),
    rows: Sequence[int] = (),
    size: float = 8.0,
) -> Trace:
    """Markers. hover: shown for each in place of its numbers, fit for plotly.js. rows: of the table, to open."""
    made = _trace(x, y, name, symbol, color) | {"mode": "markers"}
    made["marker"] = {"color": color, "symbol": symbol, "size": size, "line": {"color": color, "width": 1.5}}
    if hover:
        made |= {"hovertext": list(hover), "hoverinfo": "text"}
    if rows:
        made["customdata"] = list(rows)
    return made


def upright(x: float, color: str, name: str, dash: str = "dash") -> Trace:
    """A line across the figure at x."""
    place = {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1}
    return place | {"line": {"color": color, "dash": dash, "width": 1.6}, "name": name, "mark": dash}


def level(y: float, color: str, name: str = "", dash: str = "dot") -> Trace:
    """A line across the figure at y; in the legend if it has a name."""
    place = {"type": "line", "y0": y, "y1": y, "xref": "paper", "x0": 0, "x1": 1}
    return place | {"line": {"color": color, "dash": dash, "width": 1.2}, "name": name, "mark": dash if name else ""}


def shaded(low: float, high: float, color: str, name: str) -> Trace:
    """A band across the figure from y = low to high, behind everything."""
    place = {"type": "rect", "y0": low, "y1": high, "xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    return place | {"fillcolor": color + "22", "line": {"width": 0, "color": color}, "name": name, "mark": "area"}


def _trace(x: ArrayLike, y: ArrayLike, name: str, mark: str, color: str) -> Trace:
    """mark: how the page's legend shows it; empty: not at all."""
    points = {"type": "scatter", "mode": "lines", "x": numbers(x), "y": numbers(y)}
    return points | {"name": name, "mark": mark if name else "", "line": {"color": color}}


def _entry(one: Trace) -> dict[str, Any]:
    marker = one["marker"] if "marker" in one else one["line"]
    return {"label": html.unescape(str(one["name"])), "color": marker["color"], "mark": one["mark"]}


def _ticks(limits: tuple[float, float]) -> int | str:
    """Powers of ten between ticks, so that there are at most six; below one decade plotly's word for 1, 2, 5."""
    decades = float(np.diff(np.log10(limits))[0])
    return "D2" if decades < 1.0 else max(1, int(np.ceil(decades / 6.0)))


def span(values: NDArray[np.float64], margin: float = 0.04) -> tuple[float, float]:
    """Limits of a logarithmic axis around positive values."""
    low, high = float(values.min()), float(values.max())
    room = max(high / low, 1.5) ** margin
    return low / room, high * room
