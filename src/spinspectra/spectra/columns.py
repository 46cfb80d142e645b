"""What was found of a layer as the columns of one row, under weightwatcher's names where it has them."""

from typing import Any

from spinspectra.layers import Layer
from spinspectra.layers.selection import long_name
from spinspectra.spectra.effective_space import IDEAL_ALPHA, UNDER_TRAINED_ABOVE, EffectiveSpace, SetolVerdict
from spinspectra.spectra.layer_quality import QUALITIES, LayerQuality
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit
from spinspectra.spectra.measure import LayerResults, Measured
from spinspectra.spectra.metrics import alpha_metrics, spectral_metrics
from spinspectra.spectra.powerlaw import PowerLawFit
from spinspectra.spectra.randomize import Randomized

OVER_TRAINED_BELOW = IDEAL_ALPHA

Row = dict[str, Any]


def row_of(measured: Measured, pool: bool) -> Row:
    """The row of a layer, or with `pool` False of one slice of it, which then has its slice_id and rf 1."""
    row = _about(measured.layer)
    if not pool:
        row |= {"slice_id": measured.slice_id, "rf": 1}
    if measured.results is None:
        return row | {"has_esd": False, "status": "failed", "reason": measured.reason, "warning": ""}
    return row | _columns(measured.results)


def _about(layer: Layer) -> Row:
    n_rows, n_cols = layer.matrix_shape
    return {
        "layer_id": layer.index,
        "name": long_name(layer).rpartition(".")[2],
        "longname": long_name(layer),
        "layer_type": layer.kind,
        "N": max(n_rows, n_cols),
        "M": min(n_rows, n_cols),
        "Q": max(n_rows, n_cols) / min(n_rows, n_cols),
        "rf": layer.n_matrices,
    }


def _columns(results: LayerResults) -> Row:
    spectrum, tail = results.spectrum, results.fit
    assert tail is not None  # measuring always fits one
    found: Row = {"has_esd": True, **spectral_metrics(spectrum)}
    found |= _tail_columns(tail) | alpha_metrics(spectrum, tail.alpha)
    if results.space is not None:
        found |= _effective_columns(results.space, tail)
    if results.setol is not None:
        found |= _setol_columns(results.setol)
    if results.quality is not None:
        found |= _quality_columns(results.quality)
    if results.bulk is not None:
        found |= _bulk_columns(results.bulk)
    if results.randomized is not None:
        found |= _random_columns(results.randomized)
    found |= results.more
    return found | {"status": tail.status, "reason": tail.reason, "warning": _warning(tail.alpha)}


def _tail_columns(tail: PowerLawFit) -> Row:
    return {
        "alpha": tail.alpha,
        "raw_alpha": tail.raw_alpha,
        "num_fingers": tail.n_fingers,
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


def _setol_columns(setol: SetolVerdict) -> Row:
    return {"ERG_verdict": setol.word, "ERG_reason": setol.reason, "ERG_start_gap": setol.start_gap}


def _quality_columns(quality: LayerQuality) -> Row:
    return {f"Q_{name}": getattr(quality, name) for name in QUALITIES}


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


def _warning(alpha: float) -> str:
    """HT-SR's reading (Martin, Peng, Mahoney 2021): heavy tails of a well-trained layer have alpha from 2 to 6."""
    if alpha < OVER_TRAINED_BELOW:
        return "over-trained"
    return "under-trained" if alpha > UNDER_TRAINED_ABOVE else ""
