"""Fits of eigenvalues given as an array, in the peer's tuples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from spinspectra.compat.weightwatcher.constants import EVALS_THRESH, OVER_TRAINED, UNDER_TRAINED
from spinspectra.compat.weightwatcher.options import tail_options
from spinspectra.errors import OptionError
from spinspectra.spectra.esd import Spectrum
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from spinspectra.spectra.measure import LayerResults, Measures
from spinspectra.spectra.powerlaw import PowerLawFit
from spinspectra.spectra.vectors import norm_entropy, vector_metrics


def fit_tail(evals: ArrayLike, given: Mapping[str, Any]) -> tuple[LayerResults, Measures]:
    """The tail fit of eigenvalues with the peer's arguments `given`: xmin, thresh, sample and those of `analyze`."""
    values = np.sort(np.asarray(evals, np.float64).ravel())
    if given["sample"]:
        size = given["sample_size"] or values.size
        rng = np.random.default_rng(given["seed"])
        values = np.sort(rng.choice(values, min(int(size), values.size), replace=False))
    xmin, thresh = given["xmin"], given["thresh"]
    if xmin is not None and not isinstance(xmin, int | float | np.number):
        raise OptionError(f"xmin={xmin!r}: give a number, below which eigenvalues are left out, or None")
    if xmin is not None and values.size:
        values = values[int(np.argmin(np.abs(values - xmin))) :]  # the peer starts at the nearest datum
    elif thresh != EVALS_THRESH:
        values = values[values > thresh]
    measures = Measures(**tail_options({**given, "fit": given["fit_type"]}))
    floor = values.size * float(np.finfo(np.float64).eps)
    spectrum = Spectrum(values if values.size else np.zeros(1), values.size or 1, values.size or 1)
    return LayerResults(spectrum, fit=measures.fit_tail(values, floor)), measures


def tail_tuple(fit: PowerLawFit) -> tuple[Any, ...]:
    """(alpha, Lambda, xmin, xmax, D, sigma, num_pl_spikes, num_fingers, raw_alpha, status, warning)."""
    warning = OVER_TRAINED if fit.alpha < 2.0 else UNDER_TRAINED if fit.alpha > 6.0 else ""
    numbers = (fit.alpha, fit.cutoff, fit.xmin, fit.xmax, fit.ks_distance, fit.sigma, fit.n_tail)
    return (*numbers, fit.n_fingers, fit.raw_alpha, fit.status, warning)


def fit_bulk(evals: ArrayLike, N: int, M: int, rf: int) -> tuple[Spectrum, MarchenkoPasturFit]:
    """The Marchenko-Pastur fit of the pooled eigenvalues of rf slices N x M."""
    values = np.sort(np.asarray(evals, np.float64).ravel())
    if min(N, M, rf) < 1 or values.size == 0:
        raise OptionError(f"mp_fit: {values.size} eigenvalues of {rf} slices {N} x {M}; give at least one of each")
    spectrum = Spectrum(values, max(N, M), min(N, M), rf)
    return spectrum, fit_marchenko_pastur(spectrum)


def bulk_tuple(fit: MarchenkoPasturFit) -> tuple[float, ...]:
    """(num_spikes, sigma_mp, mp_softrank, bulk_min, bulk_max, W_scale)."""
    return (fit.n_spikes, fit.sigma_rescaled, fit.softrank, fit.bulk_min, fit.bulk_max, fit.scale)


def vector_table(vectors: Any) -> pd.DataFrame:
    """One row a vector: length (number of coordinates) and the peer's metrics. One vector, a list, or rows."""
    if vectors is None:
        raise OptionError("vector_metrics: give one vector, a list of vectors, or a matrix of rows")
    rows = [np.asarray(vectors)] if np.ndim(vectors[0]) == 0 else [np.asarray(one) for one in vectors]
    found = [(one.size, norm_entropy(one)[0], vector_metrics(one)) for one in rows]
    return pd.DataFrame(
        {
            "length": [float(size) for size, _entropy, _metrics in found],
            "entropy": [entropy for _size, entropy, _metrics in found],
            "discrete_entropy": [metrics.vec_entropy[0] for _size, _entropy, metrics in found],
            "localization_ratio": [metrics.loc_ratio[0] for _size, _entropy, metrics in found],
            "participation_ratio": [metrics.part_ratio[0] for _size, _entropy, metrics in found],
        }
    )


def figure_target(savefig: Any, savedir: Any) -> Path | None:
    """Where fit_powerlaw and mp_fit save: savedir, unless savefig is False."""
    return Path(savedir) if savefig else None
