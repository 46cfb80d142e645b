"""Every layer's spectrum in one table: `analyze` streams a checkpoint layer by layer, `summarize` averages it."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.layers import Layer, read_layers
from spinspectra.layers.selection import MIN_EVALS, Choice, choose, long_name, why_skipped
from spinspectra.spectra.effective_space import EffectiveSpace
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit
from spinspectra.spectra.measure import LayerResults, Measures, measure
from spinspectra.spectra.metrics import alpha_metrics, spectral_metrics
from spinspectra.spectra.powerlaw import Kind, PowerLawFit
from spinspectra.spectra.randomize import Randomized

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = (
    "log_norm",
    "alpha",
    "alpha_weighted",
    "log_alpha_norm",
    "log_spectral_norm",
    "stable_rank",
    "mp_softrank",
)

# Martin, Peng, Mahoney 2021: heavy tails of a well-trained layer have alpha from 2 to 6.
OVER_TRAINED_BELOW = 2.0
UNDER_TRAINED_ABOVE = 6.0

Row = dict[str, Any]


def analyze(
    source: Any,
    fit: Kind = "PL",
    randomize: bool = False,
    mp_fit: bool = False,
    detx: bool = False,
    layers: Choice = None,
    min_evals: int = MIN_EVALS,
    max_evals: int | None = None,
    pool: bool = True,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Callable[[str], None] | None = None,
) -> "pd.DataFrame":
    """One row a layer with at least `min_evals` eigenvalues; columns have WeightWatcher's names where it has them.

    source: as for `open_weights`. fit: kind of tail, "PL" for a power law (`fit_power_law`). randomize: compare with
    the weights permuted (`randomize`). mp_fit: Marchenko-Pastur bulk and spikes. detx: SETOL's effective correlation
    space. layers: ids, names or kinds to keep, or to leave out (`choose`). pool: eigenvalues of a convolution's
    slices together, else a row a slice. seed: behind all randomised columns, a child of it for each layer, so that a
    layer's numbers do not depend on which others are analysed. executor: one task a layer; the table does not depend
    on it. progress: called with each layer's name when its rows are there.

    A layer that cannot be analysed has its row, status "failed" and the reason; its numbers are NaN and stay out of
    averages. Raises OptionError if no layer is left to analyse, and what `open_weights` raises.
    """
    import pandas as pd

    chosen = choose(list(read_layers(source)), layers)
    taken = [layer for layer in chosen if not why_skipped(layer, min_evals, max_evals)]
    if not taken:
        reason = why_skipped(chosen[0], min_evals, max_evals)
        raise OptionError(f"no layer to analyse among {len(chosen)} tensors; the first, {chosen[0].name}, is {reason}")
    work = partial(_rows_of, Measures(fit, randomize, mp_fit, detx, seed), pool)
    done = map(work, taken) if executor is None else executor.map(work, taken)
    rows: list[Row] = []
    for layer, found in zip(taken, done, strict=True):
        rows += found
        if progress is not None:
            progress(layer.name)
    return pd.DataFrame(rows)


def summarize(details: "pd.DataFrame") -> dict[str, float]:
    """Averages over layers of the columns that judge a whole model, those that are there.

    Failed rows and infinite values stay out. NaN for a column without a single good value.
    """
    good = details[details["status"] == "success"]
    made = {}
    for column in SUMMARY:
        if column in details:
            values = good[column].to_numpy(np.float64)
            values = values[np.isfinite(values)]
            made[column] = float(values.mean()) if values.size else float("nan")
    return made


def _rows_of(measures: Measures, pool: bool, layer: Layer) -> list[Row]:
    """A layer's row, or a row a slice."""
    about: Row = {
        "layer_id": layer.index,
        "name": long_name(layer).rpartition(".")[2],
        "longname": long_name(layer),
        "layer_type": layer.kind,
        "N": max(layer.matrix_shape),
        "M": min(layer.matrix_shape),
        "Q": max(layer.matrix_shape) / min(layer.matrix_shape),
        "rf": layer.n_matrices,
    }
    try:
        matrices = layer.matrices()
    except SpinSpectraError as error:
        return [about | _failure(error)]
    groups = [matrices] if pool else [[matrix] for matrix in matrices]
    rows = []
    for slice_id, group in enumerate(groups):
        row = about if pool else about | {"slice_id": slice_id, "rf": 1}
        try:
            rows.append(row | _columns(measure(measures, layer, group, slice_id)))
        except SpinSpectraError as error:
            rows.append(row | _failure(error))
    return rows


def _columns(results: LayerResults) -> Row:
    spectrum, tail = results.spectrum, results.fit
    assert tail is not None  # `measure` always fits one
    found: Row = {"has_esd": True, **spectral_metrics(spectrum)}
    found |= _tail_columns(tail) | alpha_metrics(spectrum, tail.alpha)
    if results.space is not None:
        found |= _effective_columns(results.space, tail)
    if results.bulk is not None:
        found |= _bulk_columns(results.bulk)
    if results.randomized is not None:
        found |= _random_columns(results.randomized)
    return found | {"status": tail.status, "reason": tail.reason, "warning": _warning(tail.alpha)}


def _tail_columns(tail: PowerLawFit) -> Row:
    return {
        "alpha": tail.alpha,
        "xmin": tail.xmin,
        "xmax": tail.xmax,
        "D": tail.ks_distance,
        "sigma": tail.sigma,
        "num_pl_spikes": tail.n_tail,
        "Lambda": tail.cutoff,
    }


def _effective_columns(space: EffectiveSpace, tail: PowerLawFit) -> Row:
    """The peer's names; its detX_val and detX_val_unrescaled hold each other's values, and so they do here."""
    gap = space.n_tail - tail.n_tail if tail.status == "success" else float("nan")
    return {
        "detX_num": space.n_tail,
        "num_ERG_spikes": space.n_tail,
        "ERG_gap": gap,
        "lambda_ERG": space.lambda_min,
        "detX_val": space.lambda_min,
        "detX_val_unrescaled": space.lambda_min_rescaled,
    }


def _bulk_columns(fit: MarchenkoPasturFit) -> Row:
    """sigma_mp as the peer has it, for eigenvalues rescaled to mean 1; edges in the unit of the eigenvalues."""
    return {
        "num_spikes": fit.n_spikes,
        "sigma_mp": fit.sigma_rescaled,
        "mp_softrank": fit.softrank,
        "W_scale": fit.scale,
        "bulk_min": fit.bulk_min,
        "bulk_max": fit.bulk_max,
        "signal_to_noise": fit.signal_to_noise,
        "mp_D": fit.ks_distance,
    }


def _random_columns(found: Randomized) -> Row:
    """All from one set of permutations; num_traps is their mean, so one trap counts 1 however many there were."""
    bulk = {f"rand_{name}": value for name, value in _bulk_columns(found.fit).items()}
    return bulk | {
        "max_rand_eval": found.max_rand_eval,
        "rand_distance": found.rand_distance,
        "ww_softrank": found.ww_softrank,
        "ww_maxdist": found.ww_maxdist,
        "num_traps": found.num_traps,
        "rand_num_spikes": found.num_traps,
    }


def _failure(error: SpinSpectraError) -> Row:
    return {"has_esd": False, "status": "failed", "reason": str(error), "warning": ""}


def _warning(alpha: float) -> str:
    if alpha < OVER_TRAINED_BELOW:
        return "over-trained"
    return "under-trained" if alpha > UNDER_TRAINED_ABOVE else ""
