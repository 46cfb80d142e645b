"""From a checkpoint to the part of it that a page shows, one layer in memory at a time."""

from collections.abc import Callable

import numpy as np

from spinspectra.layers import read_layers
from spinspectra.layers.describe import summarise_chain
from spinspectra.layers.selection import MIN_EVALS, Choice
from spinspectra.plots import style
from spinspectra.report.parts import Floats, Histogram, LayerPart, ModelPart, Tail, Twins
from spinspectra.spectra.analyze import blas_threads, to_analyze
from spinspectra.spectra.columns import row_of
from spinspectra.spectra.esd import Spectrum
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit
from spinspectra.spectra.measure import LayerResults, Measured, Measures, measure_layer
from spinspectra.spectra.powerlaw import PowerLawFit
from spinspectra.spectra.randomize import Randomized
from spinspectra.weights import Weights

MOST_POINTS = 200  # of a tail, and spikes

Progress = Callable[[str], None]


def collect(weights: Weights, measures: Measures, layers: Choice = None, progress: Progress | None = None) -> ModelPart:
    """Measure the layers that `analyze` takes, and keep what the page shows. progress: called with each layer's name.

    The rows are those of `analyze` with the same options. A layer that cannot be measured has its row with the reason.
    Raises what `analyze` raises.
    """
    parts = []
    for layer in to_analyze(weights, layers, MIN_EVALS, None, None):
        with blas_threads(layer):
            (measured,) = measure_layer(measures, True, layer)
        parts.append(_part(measured))
        if progress is not None:
            progress(layer.name)
    every = [layer for layer in read_layers(weights) if not layer.same_as]
    n_parameters = sum(weights.info(layer.name).size for layer in every)
    return ModelPart(weights.source, len(every), n_parameters, summarise_chain(weights), tuple(parts))


def histogram_of(values: Floats, edges: Floats | None = None, left_out: int = 0) -> Histogram | None:
    """Of positive values, in logarithmic bins of their own unless edges are given; None for none."""
    if not values.size:
        return None
    bins = style.log_bins(values) if edges is None else edges
    return Histogram(bins, np.histogram(values, bins)[0].astype(np.int64), left_out)


def _part(measured: Measured) -> LayerPart:
    row = row_of(measured, pool=True)
    if measured.results is None:
        return LayerPart(row)
    results: LayerResults = measured.results
    spectrum = results.spectrum
    values, _ = style.shown_values(spectrum)
    return LayerPart(
        row,
        histogram=histogram_of(values, left_out=spectrum.eigenvalues.size - values.size),
        mean=float(spectrum.eigenvalues.mean()),
        fit=results.fit,
        tail=_tail(spectrum, results.fit),
        bulk=results.bulk,
        spikes=_spikes(values, results.bulk),
        twins=_twins(values, results.randomized),
    )


def _tail(spectrum: Spectrum, fit: PowerLawFit | None) -> Tail | None:
    """All of it, or points spread evenly over the logarithm of their rank, the largest value and xmin among them."""
    if fit is None or not style.fitted(fit):
        return None
    values = spectrum.eigenvalues[::-1]
    tail = values[(values >= fit.xmin) & (values <= fit.xmax)]
    ranks = np.arange(1, tail.size + 1)
    if tail.size > MOST_POINTS:
        ranks = np.unique(np.geomspace(1, tail.size, MOST_POINTS).round().astype(np.int64))
    return Tail(tail[ranks - 1], ranks / tail.size)


def _spikes(values: Floats, bulk: MarchenkoPasturFit | None) -> Floats | None:
    if bulk is None or bulk.status != "success":
        return None
    return values[values > bulk.bulk_max + bulk.margin][::-1][:MOST_POINTS]


def _twins(values: Floats, randomized: Randomized | None) -> Twins | None:
    if randomized is None:
        return None
    permuted, _ = style.shown_values(randomized.spectrum)
    if not (values.size and permuted.size):
        return None
    edges = style.log_bins(np.concatenate([values, permuted]))
    one, other = histogram_of(values, edges), histogram_of(permuted, edges)
    return Twins(one, other) if one is not None and other is not None else None
