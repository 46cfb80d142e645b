"""Figure of the noise in a layer: the Marchenko-Pastur law on the bulk of its spectrum, edges and spikes."""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.plots import style
from spinspectra.plots.style import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinspectra.spectra.esd import Spectrum
    from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit

_CURVE = 400  # points of the law
_LOWEST = 1e-4  # of the upper edge; square matrices have eigenvalues far below


def marchenko_pastur_bulk(
    spectrum: "Spectrum", fit: "MarchenkoPasturFit", *, name: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Density per ln eigenvalue with the fitted law, its edges, and every spike as a tick.

    The logarithmic axis has room for the bulk and for spikes far out; on it the law of a square matrix is finite too.
    """
    ax = style.axes_or_new(ax)
    values, notes = style.shown_values(spectrum)
    good = fit.status == "success"
    if values.size:
        edges = style.log_bins(values)
        counts, _ = np.histogram(values, edges)
        ax.set_xscale("log")
        density = counts / (values.size * np.diff(np.log(edges)))
        ax.stairs(density, edges, fill=True, color=style.SKY, alpha=0.6, label="ESD")
        top = float(density.max())
        if good:
            x, law = _law(fit, (values.size - fit.n_spikes) / values.size)
            top = max(top, float(law.max()))
            ax.plot(
                x,
                law,
                color=style.BLACK,
                linewidth=1.4,
                label=f"Marchenko-Pastur, {style.SIGMA} of weights {fit.sigma:.3g}",
            )
            if fit.bulk_min > 0.0:
                style.vertical(ax, fit.bulk_min, f"lower edge {fit.bulk_min:.4g}", style.BLUE, ":")
            style.vertical(ax, fit.bulk_max, f"upper edge {fit.bulk_max:.4g}", style.BLUE)
            _spikes(ax, values, fit)
            ax.set_xlim(left=max(0.8 * values[0], _LOWEST * fit.bulk_max))
        ax.set_ylim(0.0, 1.05 * top)
    if not good:
        notes.append(f"no bulk fitted: {fit.reason}")
    elif fit.reason:
        notes.append(fit.reason)
    return style.finish(ax, name, style.EIGENVALUE, "density per ln eigenvalue", notes)


def _spikes(ax: "Axes", values: Floats, fit: "MarchenkoPasturFit") -> None:
    spikes = values[values > fit.bulk_max + fit.margin]
    if spikes.size:
        low = np.zeros(spikes.size)
        at = ax.get_xaxis_transform()
        label = f"{spikes.size} spike{'s' if spikes.size > 1 else ''}, largest {spikes[-1]:.4g}"
        ax.plot(spikes, low + 0.03, "|", color=style.RED, transform=at, markersize=7, label=label)


def _law(fit: "MarchenkoPasturFit", fraction: float) -> tuple[Floats, Floats]:
    """Eigenvalues, and their density per ln eigenvalue, which integrates to the fraction that is bulk.

    The edges sigma^2 (sqrt n -+ sqrt m)^2 tell the shape n x m of what is left without the spikes.
    """
    from spinspectra.spectra.marchenko_pastur import MarchenkoPastur

    ratio = (fit.bulk_min / fit.bulk_max) ** 0.5
    law = MarchenkoPastur(((1.0 + ratio) / (1.0 - ratio)) ** 2, fit.sigma)
    n = fit.bulk_max / law.upper
    x = np.geomspace(max(fit.bulk_min, 1e-2 * _LOWEST * fit.bulk_max), fit.bulk_max, _CURVE)
    return x, fraction * law.pdf(x / n) * x / n
