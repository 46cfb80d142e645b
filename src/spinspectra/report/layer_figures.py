"""Figures of one layer: its spectrum with the fit, its tail, its noise bulk, its permuted twin, its det X = 1 tail."""

from collections.abc import Iterator

import numpy as np

from spinspectra.plots import style
from spinspectra.report.drawing import EIGENVALUE, Axis, Figure, Trace, dots, line, span, stairs, upright
from spinspectra.report.parts import Floats, Histogram, LayerPart
from spinspectra.report.signs import MINUS
from spinspectra.spectra.marchenko_pastur import MarchenkoPastur, MarchenkoPasturFit
from spinspectra.spectra.powerlaw import PowerLawFit

_LAW_POINTS = 120
_LOWEST = 1e-4  # of the bulk's upper edge; square matrices have eigenvalues far below
_BIN = "eigenvalues per bin"


def figures_of(part: LayerPart) -> Iterator[Figure]:
    """Those that there is something to draw for."""
    if part.histogram is None:
        return
    yield _spectrum(part, part.histogram)
    if part.tail is not None:
        yield _tail(part)
    if part.bulk is not None:
        yield _bulk(part, part.histogram, part.bulk)
    if part.twins is not None:
        yield _twins(part)
    if "detX_num" in part.row:
        yield _effective(part, part.histogram)


def density_of(histogram: Histogram) -> Floats:
    """Per unit eigenvalue: its integral over the bins is 1."""
    return np.asarray(histogram.counts / (histogram.n * np.diff(histogram.edges)), np.float64)


def tail_line(fit: PowerLawFit, n: int) -> tuple[Floats, Floats]:
    """Both ends of the fitted density, times the share of n eigenvalues that is tail: a straight line in log-log."""
    x = np.array([fit.xmin, fit.xmax])
    return x, (fit.alpha - 1.0) / fit.xmin * (x / fit.xmin) ** -fit.alpha * fit.n_tail / n


def _spectrum(part: LayerPart, histogram: Histogram) -> Figure:
    density, edges, n = density_of(histogram), histogram.edges, histogram.n
    seen = density[histogram.counts > 0]
    floor = float(seen.min()) / 3.0
    traces = [stairs(edges, density, style.SKY, "eigenvalues", floor=floor)]
    lines, said = list[Trace](), f"{n} eigenvalues from {edges[0]:.3g} to {edges[-1]:.3g}"
    if fit := _fit(part):
        x, y = tail_line(fit, n)
        name = f"power law, {style.ALPHA} = {fit.alpha:.2f} ± {fit.sigma:.2f}"
        traces.append(line(x, y, style.BLACK, name))
        lines.append(upright(fit.xmin, style.RED, f"xmin = {fit.xmin:.3g}: the tail starts here"))
        said += (
            f". From xmin on, {fit.n_tail} of them are fitted by λ^({MINUS}{style.ALPHA}) with {style.ALPHA} = "
            f"{fit.alpha:.2f}, to a KS distance of {fit.ks_distance:.3f}: {part.row.get('power_law_reason', '')}"
        )
    elif part.fit is not None:
        said += f". No power law: {part.fit.reason}"
    said += f". {histogram.left_out} eigenvalues are zero to rounding and not drawn." if histogram.left_out else "."
    density_axis = Axis("density per unit eigenvalue", log=True, limits=(floor, float(seen.max()) * 3.0))
    return Figure("Spectrum and power-law fit", said, _across(edges), density_axis, traces, lines)


def _tail(part: LayerPart) -> Figure:
    tail, fit = part.tail, part.fit
    assert tail is not None
    assert fit is not None
    x = np.array([fit.xmin, fit.xmax])
    traces = [
        dots(tail.values, tail.share, style.BLUE, "eigenvalues of the tail", size=5.0),
        line(x, (x / fit.xmin) ** (1.0 - fit.alpha), style.BLACK, f"fit, slope {MINUS}({style.ALPHA} {MINUS} 1)"),
    ]
    shown = "" if tail.values.size == fit.n_tail else f", {tail.values.size} drawn"
    said = (
        f"Which share of the tail's {fit.n_tail} eigenvalues{shown} is as large as λ or larger. A power law is a "
        "straight line here; points that bend away from it at the right end are what the fit misses."
    )
    share = Axis("share of the tail at λ or above", log=True, limits=(0.6 / fit.n_tail, 1.6))
    return Figure("Tail, cumulative", said, _across(x), share, traces)


def _bulk(part: LayerPart, histogram: Histogram, fit: MarchenkoPasturFit) -> Figure:
    edges, n = histogram.edges, histogram.n
    density = histogram.counts / (n * np.diff(np.log(edges)))
    traces, lines = [stairs(edges, density, style.SKY, "eigenvalues")], list[Trace]()
    low = float(edges[0])
    if fit.status == "success":
        x, y = _law(fit, (n - fit.n_spikes) / n)
        traces.append(line(x, y, style.BLACK, f"Marchenko-Pastur law, {style.SIGMA} of weights {fit.sigma:.3g}"))
        lines.append(upright(fit.bulk_max, style.BLUE, f"upper edge {fit.bulk_max:.3g}"))
        if fit.bulk_min > low:
            lines.append(upright(fit.bulk_min, style.BLUE, f"lower edge {fit.bulk_min:.3g}", "dot"))
        low = max(low, _LOWEST * fit.bulk_max)
        spikes = part.spikes if part.spikes is not None else np.empty(0)
        if spikes.size:
            heights = np.full(spikes.size, 0.02 * float(density.max()))
            traces.append(dots(spikes, heights, style.RED, "spikes", symbol="line-ns-open", size=9.0))
    # a plain statement for each case: nothing beyond noise, something, or no bulk at all
    said = _said_of_bulk(fit)
    axis = Axis("density per unit of ln λ")
    return Figure("Noise bulk", said, _across(np.array([low, edges[-1]])), axis, traces, lines, bottom=True)


def _said_of_bulk(fit: MarchenkoPasturFit) -> str:
    if fit.status != "success":
        return f"What pure noise would make (Marchenko-Pastur) could not be fitted: {fit.reason}."
    said = (
        f"The law of Marchenko and Pastur is what independent random weights would make. {fit.n_spikes} eigenvalues "
        "lie beyond its edge and a margin that noise passes once in 1,000. KS distance of the rest "
        f"{fit.ks_distance:.3f}"
    )
    return f"{said}: {fit.reason}." if fit.reason else f"{said}."


def _twins(part: LayerPart) -> Figure:
    twins, row = part.twins, part.row
    assert twins is not None
    trained, permuted = (one.counts / one.n for one in (twins.trained, twins.permuted))
    edges = twins.trained.edges
    traces = [
        stairs(edges, permuted, style.ORANGE, "weights permuted"),
        stairs(edges, trained, style.BLUE, "as trained", fill=False),
    ]
    largest = float(row["max_rand_eval"])
    lines = [upright(largest, style.RED, f"largest of the permuted, {largest:.3g}")] if largest > 0.0 else []
    traps = row["num_traps"]
    said = (
        "The same weights in random places: what their sizes alone would make. Eigenvalues right of the red line are "
        f"correlations between weights. Distance of the two spectra {row['rand_distance']:.3f} (0: alike). "
    )
    said += (
        "Traps, made by a few very large weights, were not counted: no noise bulk fitted."
        if np.isnan(traps)
        else f"Of the permuted, {traps:g} lie beyond their own noise bulk: traps, made by a few very large weights."
    )
    axis = Axis("fraction of eigenvalues per bin")
    return Figure("Against its randomised twin", said, _across(edges), axis, traces, lines, bottom=True)


def _effective(part: LayerPart, histogram: Histogram) -> Figure:
    row, mean = part.row, part.mean
    edges = histogram.edges / mean
    traces, lines = [stairs(edges, histogram.counts, style.SKY, "eigenvalues")], list[Trace]()
    if fit := _fit(part):
        lines.append(upright(fit.xmin / mean, style.RED, f"power law: {fit.n_tail} eigenvalues from xmin on"))
    n_tail = int(row["detX_num"])
    if n_tail:
        name = f"det X = 1: {n_tail} eigenvalues from λ_ERG on"
        lines.append(upright(float(row["detX_val_unrescaled"]), style.PURPLE, name, "solid"))
    said = (
        "SETOL's effective correlation space: the largest eigenvalues whose product, over their mean, is 1. In an "
        f"ideal layer it starts where the power law does, and {style.ALPHA} is 2. Here: {row['ERG_verdict']}; "
        f"{row['ERG_reason']}."
    )
    return Figure("det X = 1 tail (SETOL)", said, _across(edges, " / mean"), Axis(_BIN), traces, lines, bottom=True)


def _across(edges: Floats, unit: str = "") -> Axis:
    return Axis(EIGENVALUE + unit, log=True, limits=span(edges))


def _fit(part: LayerPart) -> PowerLawFit | None:
    return part.fit if style.fitted(part.fit) else None


def _law(fit: MarchenkoPasturFit, share: float) -> tuple[Floats, Floats]:
    """The law per unit of ln eigenvalue, integral `share`; both edges tell the aspect ratio of what is left as bulk."""
    root = np.sqrt(fit.bulk_min / fit.bulk_max)
    law = MarchenkoPastur(float(((1.0 + root) / (1.0 - root)) ** 2), fit.sigma)
    unit = fit.bulk_max / law.upper
    x = np.geomspace(max(fit.bulk_min, 0.01 * _LOWEST * fit.bulk_max), fit.bulk_max, _LAW_POINTS)
    return x, share * law.pdf(x / unit) * x / unit
