"""Figures of the search for a tail's start: KS distance and alpha against xmin, and the tail with det X = 1."""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinspectra.spectra.effective_space import EffectiveSpace
    from spinspectra.spectra.esd import Spectrum
    from spinspectra.spectra.powerlaw import PowerLawFit, XminScan

_XMIN = "xmin, " + style.EIGENVALUE
_NO_CANDIDATE = "no candidate for xmin"
_LARGEST_ALPHA = 8.0  # drawn at least to here


def ks_against_xmin(
    scan: "XminScan", fit: "PowerLawFit | None" = None, *, name: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Kolmogorov-Smirnov distance of the best power law from each candidate xmin, and the one chosen."""
    ax = style.axes_or_new(ax)
    if scan.xmin.size:
        ax.set_xscale("log")
        ax.plot(scan.xmin, scan.ks_distance, ".-", color=style.BLUE, markersize=3, linewidth=0.6, label="candidates")
        ax.set_ylim(bottom=0.0)
        if fit is not None and style.fitted(fit):
            style.vertical(ax, fit.xmin, f"xmin = {fit.xmin:.4g}, D = {fit.ks_distance:.3f}", style.RED)
    notes = [] if scan.xmin.size else [_NO_CANDIDATE]
    return style.finish(ax, name, _XMIN, "KS distance D", notes + style.fit_notes(fit))


def alpha_against_xmin(
    scan: "XminScan", fit: "PowerLawFit | None" = None, *, name: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Alpha of the tail from each candidate xmin, and the one chosen; 2 to 6, heavy tails, is shaded.

    Drawn up to 8 or twice the chosen alpha; the shortest tails often lie far above, and a note counts them.
    """
    ax = style.axes_or_new(ax)
    notes = [] if scan.xmin.size else [_NO_CANDIDATE]
    if scan.xmin.size:
        chosen = fit if fit is not None and style.fitted(fit) else None
        top = max(_LARGEST_ALPHA, 2.0 * chosen.alpha) if chosen else _LARGEST_ALPHA
        ax.set_xscale("log")
        ax.axhspan(2.0, 6.0, color=style.GREEN, alpha=0.12, linewidth=0.0, label=style.HEAVY_TAILED)
        ax.plot(scan.xmin, scan.alpha, ".-", color=style.BLUE, markersize=3, linewidth=0.6, label="candidates")
        ax.set_ylim(1.0, top)
        if chosen:
            style.vertical(ax, chosen.xmin, f"xmin = {chosen.xmin:.4g}, {style.ALPHA} = {chosen.alpha:.2f}", style.RED)
        if beyond := int(np.count_nonzero(scan.alpha > top)):
            notes.append(f"{beyond} of {scan.xmin.size} candidates above {style.ALPHA} = {top:.3g}: not drawn")
    return style.finish(ax, name, _XMIN, style.EXPONENT, notes + style.fit_notes(fit))


def det_x(
    spectrum: "Spectrum",
    space: "EffectiveSpace",
    fit: "PowerLawFit | None" = None,
    *,
    name: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Eigenvalues over their mean, with the two starts of the tail: power-law xmin (red) and det X = 1 (purple).

    For an ideally trained layer the two lines coincide (SETOL).
    """
    ax = style.axes_or_new(ax)
    values, notes = style.shown_values(spectrum)
    if values.size:
        mean = float(spectrum.eigenvalues.mean())
        edges = style.log_bins(values / mean)
        ax.set_xscale("log")
        ax.stairs(np.histogram(values / mean, edges)[0], edges, fill=True, color=style.SKY, alpha=0.6, label="ESD")
        ax.set_ylim(bottom=0.0)
        if fit is not None and style.fitted(fit):
            style.vertical(ax, fit.xmin / mean, f"power law: xmin, {fit.n_tail} eigenvalues", style.RED)
        if space.n_tail:
            label = f"det X = 1: λ_ERG, {space.n_tail} eigenvalues"
            style.vertical(ax, space.lambda_min_rescaled, label, style.PURPLE, "-")
    if not space.n_tail:
        notes.append("no tail with det X = 1")
    xlabel = style.EIGENVALUE + " / mean eigenvalue"
    return style.finish(ax, name, xlabel, "eigenvalues per bin", notes + style.fit_notes(fit))
