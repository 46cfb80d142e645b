"""Figures as PNG files: one layer's, or all layers' of a checkpoint with the overviews of the network."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinspectra.files import whole_file
from spinspectra.layers.kinds import Channels
from spinspectra.layers.selection import MIN_EVALS, Choice, long_name
from spinspectra.plots import bulk as bulk_figures
from spinspectra.plots import esd as esd_figures
from spinspectra.plots import overview, scan
from spinspectra.spectra.analyze import analyze, blas_threads, to_analyze
from spinspectra.spectra.esd import Spectrum
from spinspectra.spectra.measure import LayerResults, Measures, measure_layer, relative_floor
from spinspectra.spectra.powerlaw import xmin_scan

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_DPI = 200
_STEM_CHARACTERS = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_LOOKS_HASHED = re.compile(r"-[0-9a-f]{16}$")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)  # of Windows


def layer_figures(name: str, results: LayerResults) -> Iterator[tuple[str, "Axes"]]:
    """Each figure of a layer with its short name, drawn when asked for."""
    r = results
    yield "esd", esd_figures.esd_log_log(r.spectrum, r.fit, name=name)
    yield "esd-linear", esd_figures.esd_linear(r.spectrum, r.fit, name=name)
    yield "esd-log-linear", esd_figures.esd_log_lin(r.spectrum, r.fit, name=name)
    if r.scan is not None:
        yield "ks-xmin", scan.ks_against_xmin(r.scan, r.fit, name=name)
        yield "alpha-xmin", scan.alpha_against_xmin(r.scan, r.fit, name=name)
    if r.space is not None:
        yield "detx", scan.det_x(r.spectrum, r.space, r.fit, name=name)
    if r.randomized is not None:
        yield "randomized", esd_figures.esd_randomized(r.spectrum, r.randomized, name=name)
    if r.bulk is not None:
        yield "marchenko-pastur", bulk_figures.marchenko_pastur_bulk(r.spectrum, r.bulk, name=name)


def save_layer_figures(
    layer_name: str, results: LayerResults, folder: str | os.PathLike[str], stem: str | None = None
) -> list[Path]:
    """Write `<stem>.<figure>.png` for each figure of a layer; returns the paths. The folder is made if missing.

    stem: default the layer's name, made safe (`safe_stem`); a stem given is made safe too. Files of those names are
    replaced whole: a reader never sees half a figure. Raises OSError if they cannot be written.
    """
    start = safe_stem(layer_name if stem is None else stem)
    return [save_png(ax, Path(folder) / f"{start}.{figure}.png") for figure, ax in layer_figures(layer_name, results)]


def save_figures(
    source: Any,
    folder: str | os.PathLike[str],
    details: "pd.DataFrame | None" = None,
    *,
    layers: Choice = None,
    min_evals: int = MIN_EVALS,
    max_evals: int | None = None,
    pool: bool = True,
    channels: Channels | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> list[Path]:
    """Write the figures of every layer analysed and the overviews; returns the paths.

    details: the table of `analyze` with the same options, computed if not given. options: those of `analyze`, and the
    figures show its numbers. Files: `<index>-<name>.<figure>.png` for a layer, with the slice
    after the index where pool is False; `alpha-depth.png`, `esd-ridge.png` and, with detx, `alpha-gap.png`.
    A layer that cannot be read or has NaN has no figures; the table says why.
    """
    selection: dict[str, Any] = {"layers": layers, "min_evals": min_evals, "max_evals": max_evals, "channels": channels}
    if details is None:
        details = analyze(source, pool=pool, **selection, **options)
    target, paths = Path(folder), list[Path]()
    measures = Measures(**options)
    spectra: list[Spectrum] = []
    names: list[str] = []
    for layer in to_analyze(source, **selection):
        with blas_threads(layer):
            found = measure_layer(measures, pool, layer)
        for measured in found:
            if measured.results is None:
                continue  # its row in the table has the reason
            name = long_name(layer) if pool else f"{long_name(layer)} [{measured.slice_id}]"
            number = f"{layer.index:03d}" if pool else f"{layer.index:03d}.{measured.slice_id}"
            results = with_scan(measured.results, measures)
            paths += save_layer_figures(name, results, target, stem=f"{number}-{safe_stem(long_name(layer))}")
            spectra.append(results.spectrum)
            names.append(name)
        if progress is not None:
            progress(layer.name)
    paths.append(save_png(overview.alpha_along_depth(details), target / "alpha-depth.png"))
    if spectra:
        paths.append(save_png(overview.esd_ridge(spectra, names), target / "esd-ridge.png"))
    if "ERG_gap" in details:
        paths.append(save_png(overview.alpha_against_gap(details), target / "alpha-gap.png"))
    return paths


def with_scan(results: LayerResults, measures: Measures) -> LayerResults:
    """With the scan over xmin that its figures show."""
    spectrum = results.spectrum
    xmax = None if results.fit is None or results.fit.n_fingers or measures.clip_top else measures.xmax
    number = xmax if isinstance(xmax, int | float) else None
    return replace(
        results, scan=xmin_scan(spectrum.eigenvalues, ks=measures.ks, xmax=number, floor=relative_floor(spectrum))
    )


def save_png(ax: "Axes", path: str | os.PathLike[str]) -> Path:
    """Write the figure that holds the Axes to a file, whole or not at all; its folder is made if missing."""
    from matplotlib.figure import Figure

    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as part, part.open("xb") as file:
        figure.savefig(file, format="png", dpi=_DPI)
    return target


def safe_stem(name: str) -> str:
    """A file name for any layer name, different for different names: no separators, not hidden, not too long.

    Names of ASCII letters, digits and ._- stay; others are changed and end in 16 digits of their SHA-256.

    >>> safe_stem("encoder.layer.0.query"), safe_stem("../../etc/passwd")
    ('encoder.layer.0.query', '_.._etc_passwd-3754d6cb3a38e118')
    """
    stem = _UNSAFE.sub("_", name).lstrip(".")[:_STEM_CHARACTERS]
    if stem == name and stem and not _LOOKS_HASHED.search(stem) and not _RESERVED.match(stem):
        return stem
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{'_' if _RESERVED.match(stem) else ''}{stem}-{digest[:16]}"
