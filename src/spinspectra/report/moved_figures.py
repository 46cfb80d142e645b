"""Figures of what moved: two checkpoints along depth, a series over training steps, one layer in either."""

from collections.abc import Iterator, Sequence

import numpy as np

from spinspectra.plots import style
from spinspectra.report.drawing import EIGENVALUE, Axis, Figure, Trace, dots, label, line, shaded, span, stairs
from spinspectra.report.layer_figures import density_of, tail_line
from spinspectra.report.moved import IN_ORDER, Moved
from spinspectra.report.parts import Floats, LayerPart, Spins
from spinspectra.report.signs import MINUS
from spinspectra.report.words import energy, mean_of, percent

_CHANGE = f"|B {MINUS} A| / |A|"
TITLES = {
    "alpha": style.EXPONENT,
    "change": f"change since the first, {_CHANGE}",
    "log_norm": "log₁₀ of the squared norm",
    "log_spectral_norm": "log₁₀ of the largest eigenvalue",
    "stable_rank": "stable rank",
    "D": "KS distance D of the fit",
}
_BAND = (2.0, 6.0, style.GREEN, style.HEAVY_TAILED)
_FEW = 12  # checkpoints named on the axis
_MOST_LINES = 400  # layers drawn one by one over the steps
_DEPTH = "layer, in order of depth"


def two_figures(moved: Moved) -> Iterator[Figure]:
    """Two checkpoints: alpha of both, and the size of the change, along depth."""
    n = len(moved.names)
    at, rows = np.arange(n), list(range(n))
    alpha = moved.values["alpha"]
    across = Axis(_DEPTH, limits=(-0.7, n - 0.3), whole=True)
    links_x = np.stack([at, at, np.full(n, np.nan)], axis=1).ravel()
    links_y = np.column_stack([alpha, np.full(n, np.nan)]).ravel()
    traces = [line(links_x, links_y, style.GREY, "", width=1.0)]
    for side, color, symbol in ((0, style.BLUE, "circle-open"), (1, style.RED, "circle")):
        name = f"{'AB'[side]}: {label(moved.labels[side], 50)}"
        hover = [f"{label(moved.names[i])}<br>{'AB'[side]}: {style.ALPHA} = {alpha[i, side]:.2f}" for i in rows]
        traces.append(dots(at, alpha[:, side], color, name, symbol=symbol, hover=hover, rows=rows))
    said = (
        f"{style.ALPHA} of each layer in both. Moves within the errors of {style.ALPHA}, which each opened layer "
        "shows, mean nothing."
    )
    yield Figure(f"{style.ALPHA} in both, along depth", said, across, Axis(style.EXPONENT), traces, [shaded(*_BAND)])
    yield _changes(moved, across)


def series_figures(moved: Moved) -> Iterator[Figure]:
    """A line a layer over the steps, and their mean, for each number that is known."""
    for name in ("alpha", "change", "log_norm", "stable_rank"):
        values = moved.values.get(name)
        if values is not None and np.isfinite(values).any():
            yield _lines(moved, name, values)


def layer_lines(moved: Moved, at: int) -> Iterator[Figure]:
    """One layer's numbers over the steps."""
    for name, values in moved.values.items():
        if name in TITLES and np.isfinite(values[at]).sum() > 1:
            traces = [line(moved.steps, values[at], style.BLUE, "") | {"mode": "lines+markers", "connectgaps": True}]
            bands = [shaded(*_BAND)] if name == "alpha" else []
            yield Figure(TITLES[name], "", _steps(moved), Axis(TITLES[name]), traces, bands)


def both_spectra(parts: Sequence[LayerPart | None], labels: Sequence[str]) -> Iterator[Figure]:
    """The spectra of the first and the last checkpoint with their fits, over one another."""
    known = [(part, part.histogram, at) for at, part in enumerate(parts) if part is not None and part.histogram]
    if not known:
        return
    traces, seen, edges = list[Trace](), list[Floats](), list[Floats]()
    for part, histogram, at in known:
        color = (style.BLUE, style.RED)[at]
        density = density_of(histogram)
        seen.append(density[histogram.counts > 0])
        edges.append(histogram.edges)
        floor = float(seen[-1].min()) / 3.0
        traces.append(stairs(histogram.edges, density, color, label(labels[at]), fill=False, floor=floor))
        if style.fitted(part.fit):
            assert part.fit is not None
            x, y = tail_line(part.fit, histogram.n)
            name = f"its power law, {style.ALPHA} = {part.fit.alpha:.2f} ± {part.fit.sigma:.2f}"
            traces.append(line(x, y, color, name, dash=("dash", "dot")[at]))
    heights = np.concatenate(seen)
    limits = (float(heights.min()) / 3.0, float(heights.max()) * 3.0)
    x_axis = Axis(EIGENVALUE, log=True, limits=span(np.concatenate(edges)))
    said = "The spectra over one another, each with the power law of its tail from xmin on."
    yield Figure("Spectra", said, x_axis, Axis("density per unit eigenvalue", log=True, limits=limits), traces)


def energies_over_steps(spins: Sequence[Spins | str], moved: Moved) -> Figure:
    """Lowest energies, bounds and shuffled twins of a series."""
    known = [(step, one) for step, one in zip(moved.steps, spins, strict=True) if isinstance(one, Spins)]
    steps = [step for step, _ in known]
    rows = (
        ("found, as trained", style.BLUE, "solid", [one.network.energy for _, one in known]),
        ("found, weights shuffled (mean)", style.ORANGE, "dash", [one.network.mean for _, one in known]),
        ("bound: proved, nothing lies below", style.BLACK, "dot", [-one.bound for _, one in known]),
    )
    traces = [line(steps, y, color, name, dash=dash) | {"mode": "lines+markers"} for name, color, dash, y in rows]
    said = (
        "The lowest energy per spin of each checkpoint as an Ising model, beside the same weights shuffled. What "
        "training adds is the distance between the two upper lines; norms move both."
    )
    return Figure("Lowest energy over the series", said, _steps(moved), Axis("E / N, unit of the weights"), traces)


def _changes(moved: Moved, across: Axis) -> Figure:
    change, top = moved.values["change"][:, -1], moved.values["change_top"][:, -1]
    positive = np.concatenate([change[change > 0.0], top[top > 0.0]])
    traces, n = list[Trace](), change.size
    for values, color, name, symbol in (
        (change, style.BLUE, "whole layer, Frobenius norm", "circle"),
        (top, style.ORANGE, "largest singular values", "diamond-open"),
    ):
        hover = [f"{label(moved.names[i])}<br>{percent(values[i])}" for i in range(n)]
        shown = np.where(values > 0.0, values, np.nan)
        traces.append(dots(across_of(n), shown, color, name, symbol=symbol, hover=hover, rows=list(range(n))))
    same = int(np.count_nonzero(change == 0.0))
    said = "How large the difference of the two is beside the layer itself." + (
        f" {same} layers are equal and not drawn." if same else ""
    )
    y = Axis(f"change, {_CHANGE}", log=positive.size > 0, limits=span(positive) if positive.size else None)
    return Figure("What changed, along depth", said, across, y, traces)


def across_of(n: int) -> Floats:
    """Places along depth."""
    return np.arange(n, dtype=np.float64)


def _lines(moved: Moved, name: str, values: Floats) -> Figure:
    traces = list[Trace]()
    for i, of_layer in enumerate(values[:_MOST_LINES]):
        one = line(moved.steps, of_layer, style.SKY, "one line a layer" if i == 0 else "", width=1.0)
        hover = [f"{label(moved.names[i])}<br>{value:.4g}" for value in of_layer]
        traces.append(one | {"hovertext": hover, "hoverinfo": "text", "opacity": 0.7, "connectgaps": True})
        traces[-1]["customdata"] = [i] * of_layer.size
    mean = [mean_of(column) for column in values.T]
    traces.append(line(moved.steps, mean, style.BLACK, "mean of layers", width=3.0) | {"mode": "lines+markers"})
    traces[-1]["connectgaps"] = True
    bands = [shaded(*_BAND)] if name == "alpha" else []
    known = mean_of(np.array(mean[:1])), mean_of(np.array(mean[-1:]))
    said = (
        f"Mean of layers: {energy(known[0])} at first, {energy(known[1])} at last. A click on a line opens its layer."
    )
    if values.shape[0] > _MOST_LINES:
        said += f" The first {_MOST_LINES} of {values.shape[0]} layers are drawn one by one."
    return Figure(TITLES[name], said, _steps(moved), Axis(TITLES[name]), traces, bands)


def _steps(moved: Moved) -> Axis:
    """Named by the checkpoints where they have no steps and are few."""
    few = moved.axis == IN_ORDER and moved.steps.size <= _FEW
    ticks = (
        tuple((float(at), label(name, 16)) for at, name in zip(moved.steps, moved.labels, strict=True)) if few else ()
    )
    return Axis(moved.axis, ticks=ticks)
