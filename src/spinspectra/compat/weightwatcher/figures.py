"""The peer's figures of one layer: its file names, spinspectra's drawings, and those of the peer's extra modes."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.compat.weightwatcher.models import Entry
from spinspectra.compat.weightwatcher.options import Plan
from spinspectra.plots import bulk, layer_figures, save_png, style
from spinspectra.plots.save import with_scan
from spinspectra.spectra.esd import Spectrum
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit
from spinspectra.spectra.measure import LayerResults, Measured, Measures
from spinspectra.spectra.vectors import COLUMNS, Localisation, localisation

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

# Names of spinspectra's figures as the peer's files end; a second one is a copy for those who look for it.
_PEER_NAMES = {
    "esd": "esd",
    "esd-linear": "esd2",
    "esd-log-linear": "esd3",
    "ks-xmin": "esd4",
    "alpha-xmin": "esd5",
    "detx": "detX",
    "randomized": "randesd2",
    "marchenko-pastur": "mpfit2",
}
_BINS = 40

Floats = NDArray[np.float64]


def draw_layer(entry: Entry, measured: Measured, measures: Measures, plan: Plan) -> None:
    """Draw, save and show the figures of a layer, or of one slice of it, as the plan asks."""
    if measured.results is None:
        return
    sliced = not plan.limits.pool and entry.layer.n_matrices > 1
    label = f"{entry.layer_id}:{measured.slice_id}" if sliced else f"{entry.layer_id}"
    name = f"Layer {label} ({entry.longname})"
    deliver(peer_figures(name, with_scan(measured.results, measures)), plan.folder, label)
    if plan.deltas:
        deliver(delta_figures(name, measured.results.spectrum), plan.folder, label)
    if measures.vectors and measured.results.fit is not None:
        matrices = entry.layer.matrices()
        found = localisation([matrices[measured.slice_id]] if sliced else matrices)
        deliver(vector_figures(name, found, measured.results.fit.xmin), plan.folder, label)


def deliver(figures: Iterator[tuple[str, "Axes"]], folder: "Path | None", label: str) -> None:
    """Save each figure as `ww.layer<label>.<figure>.png` and show it in a notebook; nothing drawn if neither is due."""
    in_notebook = _in_notebook()
    if folder is None and not in_notebook:
        return
    for name, ax in figures:
        if folder is not None:
            save_png(ax, folder / f"ww.layer{label}.{name}.png")
        if in_notebook:
            from IPython.display import display  # type: ignore[import-not-found]

            display(ax.get_figure(root=True))


def peer_figures(name: str, results: LayerResults) -> Iterator[tuple[str, "Axes"]]:
    """spinspectra's figures of a layer under the peer's names."""
    for figure, ax in layer_figures(name, results):
        yield _PEER_NAMES.get(figure, figure), ax
        if figure == "marchenko-pastur" and results.spectrum.n_rows == results.spectrum.n_cols:
            yield "mpfit1", ax
        if figure == "randomized":
            ax.set_xscale("linear")
            yield "randesd1", ax


def delta_figures(name: str, spectrum: Spectrum) -> Iterator[tuple[str, "Axes"]]:
    """Spacings between neighbouring eigenvalues: in their order, and how often each size occurs."""
    spacings = np.diff(spectrum.eigenvalues)
    logs = np.log10(spacings[spacings > 0.0])
    ax = style.axes_or_new(None)
    ax.plot(logs, ".", color=style.BLUE, markersize=3)
    yield "deltaEs", style.finish(ax, name, "spacing, ascending in eigenvalue", "log10 spacing", _notes(logs))
    ax = style.axes_or_new(None)
    ax.hist(logs, bins=_BINS, color=style.SKY)
    yield "level-stats", style.finish(ax, name, "log10 spacing", "spacings per bin", _notes(logs))


def vector_figures(name: str, found: Localisation, xmin: float) -> Iterator[tuple[str, "Axes"]]:
    """Metrics of the eigenvectors over their eigenvalues, and their histograms in the bulk and in the tail."""
    metrics = {metric: getattr(found.metrics, metric) for metric in COLUMNS}
    tail = found.eigenvalues >= xmin - found.error
    axes = _panels(1 + len(metrics))
    order = np.argsort(found.eigenvalues)
    for ax, (metric, values) in zip(axes, {"eigenvalue": found.eigenvalues, **metrics}.items(), strict=True):
        ax.plot(values[order], ".", color=style.BLUE, markersize=3)
        style.finish(ax, name if ax is axes[0] else "", "", metric, [])
    yield "vector_metrics", axes[0]
    axes = _panels(len(metrics))
    for ax, (metric, values) in zip(axes, metrics.items(), strict=True):
        for side, label, colour in ((~tail, "bulk", style.SKY), (tail, "tail", style.RED)):
            if np.any(side):
                ax.hist(values[side], bins=_BINS, density=True, alpha=0.6, color=colour, label=label)
        style.finish(ax, name if ax is axes[0] else "", metric, "density", [])
    yield "vector_histograms", axes[0]


def _panels(n: int) -> list["Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.WIDTH, 0.6 * n * style.HEIGHT), dpi=200, layout="constrained")
    return list(figure.subplots(n, 1))


def _notes(logs: Floats) -> list[str]:
    return [] if logs.size else ["all eigenvalues are equal"]


def _in_notebook() -> bool:
    ipython: Any = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def bulk_figures(name: str, spectrum: Spectrum, fit: MarchenkoPasturFit) -> Iterator[tuple[str, "Axes"]]:
    """The Marchenko-Pastur fit alone."""
    yield "mpfit2", bulk.marchenko_pastur_bulk(spectrum, fit, name=name)
