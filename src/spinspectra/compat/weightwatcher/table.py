"""The table of `analyze` and that of `describe`: spinspectra's numbers in the peer's columns."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.compat.weightwatcher.constants import WEAK_RANK_LOSS_TOLERANCE
from spinspectra.compat.weightwatcher.models import Entry, Model
from spinspectra.compat.weightwatcher.options import Plan
from spinspectra.layers.selection import n_evals

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("layer_id", "name")
_ALWAYS = [
    "N",
    "M",
    "Q",
    "rf",
    "longname",
    "layer_type",
    "has_esd",
    "num_evals",
    "sv_max",
    "sv_min",
    "rank_loss",
    "weak_rank_loss",
    "lambda_max",
    "spectral_norm",
    "norm",
    "log_norm",
    "log_spectral_norm",
    "alpha",
    "xmin",
    "xmax",
    "D",
    "sigma",
    "num_pl_spikes",
    "alpha_weighted",
    "log_alpha_norm",
    "stable_rank",
    "matrix_rank",
    "entropy",
    "status",
    "warning",
    "reason",
]
_DESCRIBED = ["N", "M", "Q", "rf", "longname", "layer_type", "num_evals"]
_BULK = ["num_spikes", "sigma_mp", "mp_softrank", "W_scale", "bulk_max", "bulk_min"]
_RANDOM = ["max_rand_eval", "rand_distance", "ww_softrank", "ww_maxdist", "num_traps", *(f"rand_{n}" for n in _BULK)]
_DETX = ["detX_num", "num_ERG_spikes", "ERG_gap", "detX_val", "detX_val_unrescaled"]
_VECTORS = [
    f"{side}_{moment}_{metric}"
    for side in ("bulk", "tail")
    for moment in ("mean", "var")
    for metric in ("vec_entropy", "loc_ratio", "part_ratio")
]


def analyze_entries(model: Model, entries: Sequence[Entry], plan: Plan) -> "pd.DataFrame":
    """One row an entry, or a slice of one, in the order given; figures are drawn on the way if the plan says so."""
    import pandas as pd

    columns = _columns(plan)
    if not entries:
        return pd.DataFrame(columns=columns)
    by_index = {entry.layer.index: entry for entry in entries}
    found = _measure_all(model, entries, plan)
    place = {index: i for i, index in enumerate(by_index)}
    found = found.sort_values("layer_id", key=lambda ids: ids.map(place), kind="stable", ignore_index=True)
    whose = [by_index[index] for index in found["layer_id"]]
    for column, values in _about(whose).items():
        found[column] = values
    return found.reindex(columns=columns)


def describe_entries(
    entries: Sequence[Entry], plan: Plan, left_out: Sequence[tuple[Entry, str]] | None = None
) -> "pd.DataFrame":
    """One row an entry, or a slice of one, from the headers; with left_out also theirs, column `skipped` saying why."""
    import pandas as pd

    reasons = None if left_out is None else {entry.layer.index: reason for entry, reason in left_out}
    shown = [*entries, *(entry for entry, _reason in left_out or ())]
    rows = [row for entry in sorted(shown, key=lambda one: one.layer_id) for row in _described(entry, plan, reasons)]
    columns = _ordered([*_DESCRIBED, *_mode_columns(plan)]) + ([] if left_out is None else ["skipped"])
    return pd.DataFrame(rows, columns=columns)


def _measure_all(model: Model, entries: Sequence[Entry], plan: Plan) -> "pd.DataFrame":
    if plan.plot or plan.tolerance != WEAK_RANK_LOSS_TOLERANCE:
        import pandas as pd

        return pd.DataFrame(list(_one_by_one(entries, plan)))
    from spinspectra.spectra.analyze import analyze

    indices = [entry.layer.index for entry in entries]
    return analyze(
        model.weights,
        layers=indices,
        min_evals=1,
        pool=plan.limits.pool,
        channels=plan.channels,
        **plan.measures,
    )


def _one_by_one(entries: Sequence[Entry], plan: Plan) -> Iterator[dict[str, Any]]:
    """Rows as spinspectra.analyze makes them, from spectra that are at hand for figures and for a tolerance."""
    from spinspectra.compat.weightwatcher.figures import draw_layer
    from spinspectra.spectra.columns import row_of
    from spinspectra.spectra.measure import Measures, measure_layer

    measures = Measures(**plan.measures)
    for entry in entries:
        for measured in measure_layer(measures, plan.limits.pool, entry.layer):
            row = row_of(measured, plan.limits.pool)
            if measured.results is not None:
                values = measured.results.spectrum.eigenvalues
                row["weak_rank_loss"] = int(np.count_nonzero(values < plan.tolerance))
                if plan.plot:
                    draw_layer(entry, measured, measures, plan)
            yield row


def _about(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    return {
        "layer_id": [entry.layer_id for entry in entries],
        "name": [entry.name for entry in entries],
        "longname": [entry.longname for entry in entries],
        "layer_type": [entry.layer_type for entry in entries],
        "rf": [entry.layer.n_matrices for entry in entries],
        "peft": [bool(entry.peft) for entry in entries],
    }


def _described(entry: Entry, plan: Plan, reasons: dict[int, str] | None) -> Iterator[dict[str, Any]]:
    rows, columns = entry.layer.matrix_shape
    larger, smaller = max(rows, columns), min(rows, columns)
    about = {name: values[0] for name, values in _about([entry]).items()}
    about |= {"N": larger, "M": smaller, "Q": larger / smaller if smaller else np.nan}
    if reasons is not None:
        about["skipped"] = reasons.get(entry.layer.index, "")
    if plan.limits.pool or not entry.layer.n_matrices:
        yield about | {"num_evals": n_evals(entry.layer), "slice_id": 0}
    else:
        yield from (about | {"num_evals": smaller, "slice_id": i} for i in range(entry.layer.n_matrices))


def _columns(plan: Plan) -> list[str]:
    wanted = plan.measures
    names = [*_ALWAYS, *_mode_columns(plan)]
    names += ["Lambda"] if wanted["fit"] != "PL" else []
    names += ["num_fingers", "raw_alpha"] if wanted["fix_fingers"] == "clip_xmax" else []
    names += _DETX if wanted["detx"] else []
    names += _BULK if wanted["mp_fit"] else []
    names += _RANDOM if wanted["randomize"] else []
    names += _VECTORS if wanted["vectors"] else []
    return _ordered(names)


def _mode_columns(plan: Plan) -> list[str]:
    return (["slice_id"] if not plan.limits.pool else []) + (["peft"] if plan.peft else [])


def _ordered(names: Sequence[str]) -> list[str]:
    """The peer's order: id and name, then by code point, capitals first."""
    return [*_FIRST, *sorted(names)]
