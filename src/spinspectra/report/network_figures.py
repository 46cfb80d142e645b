"""Figures of the whole network: alpha along depth, and alpha against the gap of SETOL's tail, by status."""

from collections.abc import Iterator, Sequence

import numpy as np

from spinspectra.plots import style
from spinspectra.report.drawing import Axis, Figure, Trace, dots, label, level, numbers, shaded, upright
from spinspectra.report.parts import Floats, LayerPart, Row
from spinspectra.report.status import STATUSES, status_of

_HIGHEST = 15.0  # alpha drawn; larger ones at the upper edge
_LOWEST = 1.0


def network_figures(layers: Sequence[LayerPart]) -> Iterator[Figure]:
    """Those that there is something to draw for."""
    rows = [part.row for part in layers]
    yield _alpha(rows)
    if any(np.isfinite(row.get("ERG_gap", np.nan)) for row in rows):
        yield _funnel(rows)


def _alpha(rows: Sequence[Row]) -> Figure:
    alpha = np.array([row.get("alpha", np.nan) for row in rows], np.float64)
    fitted = alpha[np.isfinite(alpha)]
    top = float(min(max(8.0, 1.1 * float(fitted.max(initial=0.0))), 1.05 * _HIGHEST))
    high = int(np.count_nonzero(fitted > _HIGHEST))
    traces = list[Trace]()
    for name, symbol, color, members in _groups(rows):
        at = np.array(members)
        good = np.isfinite(alpha[at])
        y = np.where(good, np.minimum(alpha[at], 0.99 * top), _LOWEST + 0.02 * (top - _LOWEST))
        one = dots(at, y, color, name, symbol=symbol, hover=[_hover(rows[i]) for i in members], rows=members)
        if good.any():
            sigma = [rows[i].get("sigma", np.nan) if alpha[i] <= _HIGHEST else np.nan for i in members]
            one["error_y"] = {"type": "data", "array": numbers(sigma), "thickness": 1, "width": 0, "color": color}
        traces.append(one)
    said = (
        f"{style.ALPHA} is the exponent of each layer's tail, with its standard error. HT-SR finds well-trained "
        "layers between 2 and 6 (shaded). Open marks: the tail is no power law by its tests, so that the number says "
        "little. A click on a mark opens the layer."
    )
    if high:
        said += f" {high} with {style.ALPHA} above {_HIGHEST:g} stand at the upper edge."
    if fitted.size < len(rows):
        said += f" {len(rows) - fitted.size} without a fit stand at the lower edge."
    x = Axis("layer, in order of depth", limits=(-0.7, len(rows) - 0.3), whole=True)
    y_axis = Axis(style.EXPONENT, limits=(_LOWEST, top))
    band = [shaded(2.0, 6.0, style.GREEN, style.HEAVY_TAILED)]
    return Figure(f"{style.ALPHA} along depth", said, x, y_axis, traces, band)


def _funnel(rows: Sequence[Row]) -> Figure:
    alpha, gap = (_column(rows, name) for name in ("alpha", "ERG_gap"))
    good = np.isfinite(alpha) & np.isfinite(gap)
    traces = list[Trace]()
    for name, symbol, color, members in _groups(rows):
        drawn = [i for i in members if good[i]]
        if drawn:
            hover = [_hover(rows[i]) for i in drawn]
            traces.append(dots(gap[drawn], alpha[drawn], color, name, symbol=symbol, hover=hover, rows=drawn))
    traces.append(dots([0.0], [2.0], style.YELLOW, f"ideal: {style.ALPHA} = 2, gap 0", symbol="star", size=13.0))
    traces[-1]["marker"]["line"] = {"color": style.BLACK, "width": 1}
    lines = [upright(0.0, style.GREY, "", "dot") | {"mark": ""}, level(2.0, style.GREY)]
    said = (
        "SETOL's funnel. ERG gap: by how many eigenvalues the tail with det X = 1 is longer than the power law's. "
        f"Its ideal layer has gap 0 and {style.ALPHA} 2. That is a statement about spectra; ideal layers did not "
        "rank the package's own checkpoints by accuracy (docs/setol.md)."
    )
    if missing := int(np.count_nonzero(~good)):
        said += f" {missing} without both numbers are not drawn."
    x, y = Axis("ERG gap, eigenvalues"), Axis(style.EXPONENT)
    return Figure("ERG funnel", said, x, y, traces, lines)


def _groups(rows: Sequence[Row]) -> Iterator[tuple[str, str, str, list[int]]]:
    """Name, symbol, colour and rows of each status; those whose tail is no power law apart, with open marks."""
    for status in STATUSES:
        members = [i for i, row in enumerate(rows) if status_of(row) == status.word]
        is_open = [rows[i].get("power_law") == "no" for i in members]
        for no_law, name, symbol in (
            (False, status.word, status.symbol),
            (True, f"{status.word}, no power law", f"{status.symbol}-open"),
        ):
            chosen = [i for i, flag in zip(members, is_open, strict=True) if flag is no_law]
            if chosen:
                yield name, symbol, status.color, chosen


def _hover(row: Row) -> str:
    name = label(str(row["longname"]))
    if not np.isfinite(row.get("alpha", np.nan)):
        return f"{name}<br>{label(str(row['reason']))}"
    return f"{name}<br>{style.ALPHA} = {row['alpha']:.2f} ± {row['sigma']:.2f}<br>power law: {row['power_law']}"


def _column(rows: Sequence[Row], name: str) -> Floats:
    return np.array([row.get(name, np.nan) for row in rows], np.float64)
