"""Figures of one layer's spectrum and its power-law tail: log-log, lin-lin, log-lin, and against its permuted self."""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.plots import style
from spinspectra.plots.style import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinspectra.spectra.esd import Spectrum
    from spinspectra.spectra.powerlaw import PowerLawFit
    from spinspectra.spectra.randomize import Randomized
    from spinspectra.spectra.tails import Law

_LINEAR_BINS = 100
_CURVE = 200  # points of a fitted line


def esd_log_log(
    spectrum: "Spectrum", fit: "PowerLawFit | None" = None, *, name: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Density over eigenvalue, both logarithmic, in logarithmic bins; the fitted tail as a line from xmin to xmax.

    The line is the fitted density times the fraction of eigenvalues in the tail, so it lies on the histogram.
    """
    ax = style.axes_or_new(ax)
    values, notes = style.shown_values(spectrum)
    if values.size:
        edges = style.log_bins(values)
        counts, _ = np.histogram(values, edges)
        density = counts / (values.size * np.diff(edges))
        ax.set_xscale("log")
        ax.set_yscale("log")
        seen = density[counts > 0]
        floor = float(seen.min()) / 3.0
        ax.stairs(np.maximum(density, floor), edges, baseline=floor, fill=True, color=style.SKY, alpha=0.6, label="ESD")
        ax.set_ylim(floor, float(seen.max()) * 3.0)
        if fit is not None and style.fitted(fit):
            x = np.geomspace(fit.xmin, fit.xmax, _CURVE)
            y = np.exp(_log_density(fit, x)) * fit.n_tail / values.size
            ax.plot(x, y, color=style.BLACK, linewidth=1.4, label=_law(fit))
            _xmin_line(ax, fit)
    return style.finish(ax, name, style.EIGENVALUE, style.DENSITY, notes + style.fit_notes(fit))


def esd_linear(
    spectrum: "Spectrum", fit: "PowerLawFit | None" = None, *, name: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Density over eigenvalue, both linear, in 100 bins, with xmin. All eigenvalues are drawn, zeros too."""
    ax = style.axes_or_new(ax)
    values = spectrum.eigenvalues[np.isfinite(spectrum.eigenvalues)]
    notes = [] if values.size else ["no finite eigenvalue"]
    if values.size:
        counts, edges = np.histogram(values, _LINEAR_BINS)
        density = counts / (values.size * np.diff(edges))
        ax.stairs(density, edges, fill=True, color=style.SKY, alpha=0.6, label="ESD")
        ax.set_ylim(bottom=0.0)
        if fit is not None and style.fitted(fit):
            _xmin_line(ax, fit)
    return style.finish(ax, name, style.EIGENVALUE, style.DENSITY, notes + style.fit_notes(fit))


def esd_log_lin(
    spectrum: "Spectrum", fit: "PowerLawFit | None" = None, *, name: str = "", ax: "Axes | None" = None
) -> "Axes":
    """How many eigenvalues fall in each logarithmic bin, with xmin and xmax: a heavy tail leans to the right."""
    ax = style.axes_or_new(ax)
    values, notes = style.shown_values(spectrum)
    if values.size:
        edges = style.log_bins(values)
        ax.set_xscale("log")
        ax.stairs(np.histogram(values, edges)[0], edges, fill=True, color=style.SKY, alpha=0.6, label="ESD")
        ax.set_ylim(bottom=0.0)
        if fit is not None and style.fitted(fit):
            _xmin_line(ax, fit)
            style.vertical(ax, fit.xmax, f"xmax = {fit.xmax:.4g}", style.ORANGE, ":")
    return style.finish(ax, name, style.EIGENVALUE, "eigenvalues per bin", notes + style.fit_notes(fit))


def esd_randomized(
    spectrum: "Spectrum", randomized: "Randomized", *, name: str = "", ax: "Axes | None" = None
) -> "Axes":
    """The spectrum over that of the permuted weights, each as fractions per logarithmic bin, with max_rand_eval.

    Eigenvalues of the original beyond that line are correlations; eigenvalues of the permuted weights beyond the edge
    of their own bulk are correlation traps.
    """
    ax = style.axes_or_new(ax)
    (values, notes), (random, _) = style.shown_values(spectrum), style.shown_values(randomized.spectrum)
    both = np.concatenate([values, random])
    if both.size:
        edges = style.log_bins(both)
        ax.set_xscale("log")
        if random.size:
            share = np.histogram(random, edges)[0] / random.size
            ax.stairs(share, edges, fill=True, color=style.ORANGE, alpha=0.6, label="weights permuted")
        if values.size:
            share = np.histogram(values, edges)[0] / values.size
            ax.stairs(share, edges, color=style.BLUE, linewidth=1.2, label="as trained")
        ax.set_ylim(bottom=0.0)
    if randomized.max_rand_eval > 0.0:
        label = f"max_rand_eval = {randomized.max_rand_eval:.4g}"
        style.vertical(ax, randomized.max_rand_eval, label, style.RED)
    if randomized.num_traps > 0.0:
        notes.append(f"{randomized.num_traps:g} correlation trap{'s' if randomized.num_traps != 1.0 else ''}")
    if randomized.fit.status == "failed":
        notes.append(f"traps not counted: {randomized.fit.reason}")
    return style.finish(ax, name, style.EIGENVALUE, "fraction of eigenvalues per bin", notes)


def _xmin_line(ax: "Axes", fit: "PowerLawFit") -> None:
    style.vertical(ax, fit.xmin, f"xmin = {fit.xmin:.4g}, {fit.n_tail} eigenvalues in the tail", style.RED)


def _law(fit: "PowerLawFit") -> str:
    cut = f", Λ = {fit.cutoff:.3g}" if np.isfinite(fit.cutoff) else ""
    return f"{fit.kind}: {style.ALPHA} = {fit.alpha:.2f} ± {fit.sigma:.2f}{cut}, D = {fit.ks_distance:.3f}"


def _log_density(fit: "PowerLawFit", x: Floats) -> Floats:
    from spinspectra.spectra.tails import TailModel, log_density

    law: Law = "power_law" if fit.kind == "PL" else "truncated_power_law"
    end = fit.xmax if fit.bounded else np.inf
    return log_density(TailModel(law, fit.xmin, fit.n_tail, alpha=fit.alpha, cutoff=fit.cutoff, xmax=end), x)
