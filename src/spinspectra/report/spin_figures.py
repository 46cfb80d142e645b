"""Figures of the half of the spins: lowest energies between bound and shuffled twins, ln g, specific heat."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spinspectra.plots import style
from spinspectra.report.drawing import Axis, Figure, Trace, band, dots, label, line, upright
from spinspectra.report.parts import Curve, Spins
from spinspectra.report.words import energy

_COLORS = (style.BLUE, style.RED, style.GREEN, style.PURPLE, style.ORANGE, style.SKY, style.BLACK)
_DASHES = ("solid", "dash", "dashdot", "dot")
_ENERGY = "E / N, unit of the weights"


def ground_figure(spins: Mapping[str, Spins]) -> Figure:
    """A row a checkpoint and kind of twin, by the name given: what was found and proved on one energy axis."""
    places, traces, at = list[str](), list[Trace](), 0.0
    found, bounds, twins = list[tuple[float, float]](), list[tuple[float, float]](), list[tuple[float, float]]()
    for name, one in spins.items():
        start = f"{label(name, 24)}, " if len(spins) > 1 else ""
        places.append(f"{start}as trained")
        found.append((one.network.energy, at))
        bounds.append((-one.bound, at))
        traces.append(line([-one.bound, one.network.energy], [at, at], style.GREY, "", width=1.2))
        for null, what in ((one.network, "shuffled"), (one.matrix, "shuffled in matrices")):
            if null is not None and null.n:
                at -= 1.0
                places.append(f"{start}{what}")
                twins += [(twin, at) for twin in null.twins]
        at -= 1.0
    for points, color, name, symbol in (
        (bounds, style.BLACK, "bound: proved, nothing lies left of it", "line-ns-open"),
        (found, style.BLUE, "found by annealing, as trained", "circle"),
        (twins, style.ORANGE, "found, weights shuffled", "diamond"),
    ):
        x, y = np.array(points).T
        size = 16.0 if symbol.startswith("line") else 10.0
        traces.append(dots(x, y, color, name, symbol=symbol, size=size, hover=[f"E/N = {energy(e)}" for e in x]))
    heights = [float(-i) for i in range(len(places))]
    y_axis = Axis("", limits=(heights[-1] - 0.7, 0.7), ticks=tuple(zip(heights, places, strict=True)))
    said = (
        "Energies per spin; left is lower. The true lowest energy lies between the bound and what was found. The "
        "further left of its shuffled twins a network lies, the more its weights work together; energies are "
        "symmetric, so the range of all energies is twice as wide."
    )
    lines = [upright(0.0, style.GREY, "", "dot") | {"mark": ""}]
    height = 130 + 42 * len(places)
    return Figure("Lowest energy", said, Axis(_ENERGY), y_axis, traces, lines, height=height)


def density_figures(curves: Sequence[Curve]) -> Iterator[Figure]:
    """ln g and C(T), each with bands of one standard error where it is known."""
    yield _ln_g(curves)
    yield _heat(curves)


def _ln_g(curves: Sequence[Curve]) -> Figure:
    traces = list[Trace]()
    for at, curve in enumerate(curves):
        color, dash = _looks(at)
        traces += band(curve.energies, curve.ln_g, curve.stderr, color)
        traces.append(line(curve.energies, curve.ln_g, color, label(curve.name), dash=dash))
    said = (
        "How many of the 2^N states have an energy, as a natural logarithm per spin: ln 2 = 0.69 at most, at E = 0. "
        f"{_about_bands([curve.stderr for curve in curves])} {_owners(curves)}"
    )
    return Figure(
        "Density of states",
        said,
        Axis("energy per spin, E / N, unit of the weights"),
        Axis("ln g / N"),
        traces,
        bottom=True,
    )


def _heat(curves: Sequence[Curve]) -> Figure:
    traces, lines, said = list[Trace](), list[Trace](), list[str]()
    for at, curve in enumerate(curves):
        color, dash = _looks(at)
        traces += band(curve.temperatures, curve.heat, curve.heat_err, color)
        traces.append(line(curve.temperatures, curve.heat, color, label(curve.name), dash=dash))
        if np.isfinite(curve.t_c):
            lines.append(
                upright(curve.t_c, color, f"{label(curve.name)}: T_c = {_plus_minus(curve.t_c, curve.t_c_err)}", "dot")
            )
        said += [f"Doubt ({curve.name}): {doubt}." for doubt in curve.doubts]
    blurred = max(curve.t_resolved for curve in curves)
    told = [
        "Specific heat per spin: where it peaks, at T_c, the network orders. T_c follows the width of the energies; "
        "in the package's zoo it told nothing of quality.",
        _about_bands([curve.heat_err for curve in curves]),
    ]
    if blurred > 0.0:
        told.append(f"Not resolved up to T = {blurred:.2g}.")
    log = any(curve.temperatures.max() > 10.0 * curve.temperatures.min() for curve in curves)
    x = Axis("temperature T, unit of the weights", log=log)
    return Figure("Specific heat", " ".join([*told, *said]), x, Axis("C / N"), traces, lines, bottom=True)


def _about_bands(errors: Sequence["np.ndarray[tuple[int], np.dtype[np.float64]]"]) -> str:
    known = sum(bool(np.isfinite(error).any()) for error in errors)
    if known == len(errors):
        return "Bands: one standard error either way, often thinner than the line."
    return "Standard errors are not known." if known == 0 else "Bands, where known: one standard error either way."


def _owners(curves: Sequence[Curve]) -> str:
    return " ".join(f"{curve.name} ({curve.n_spins:,} spins): {curve.of}." for curve in curves)


def _looks(at: int) -> tuple[str, str]:
    return _COLORS[at % len(_COLORS)], _DASHES[at % len(_DASHES)]


def _plus_minus(value: float, error: float) -> str:
    """To two figures of the error, as the command line has it."""
    if not (np.isfinite(error) and error > 0.0):
        return f"{value:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
