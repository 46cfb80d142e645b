"""A series of models side by side: one row of measures each, and how their order follows a quality that is known."""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from spinspectra import __version__
from spinspectra.errors import DoubtWarning, OptionError, SpinSpectraError
from spinspectra.ising.shuffle import Within
from spinspectra.studies.chance import Correlation, false_discovery_rates
from spinspectra.studies.measures import HEAT, SHARES, SPECTRAL, SPINS, measure_model
from spinspectra.studies.null import SHUFFLES, SWEEPS
from spinspectra.studies.points import run_points
from spinspectra.studies.quality import Quality
from spinspectra.studies.rank_correlation import LEVEL, REPLICAS, rank_correlation
from spinspectra.weights import Weights, open_weights
from spinspectra.weights.opening import READERS

if TYPE_CHECKING:
    import pandas as pd

SIZES = ("n_layers", "n_weights", "n_spins", "n_bonds")
ERRORS = ("null_sd", "null_p", "T_c_err", "T_c_shuffled_err")  # of other measures: no order is sought in them

_MEASURES = (*SIZES, *SPECTRAL, *SHARES, *SPINS, *HEAT)
_COLUMNS = ("status", "reason", "seconds", *_MEASURES)
_PARTS = {"spectra": "spectra", "ising": "lowest energy", "heat": "T_c"}  # of `measure_model`, and how each is called
_blas_limits: Any = threadpool_limits  # which has no annotations

_WEIGHT_FILES = ("model", "pytorch_model", "model.safetensors.index", "pytorch_model.bin.index", "adapter_model")


@dataclass(frozen=True, slots=True)
class Measuring:
    """How every model is measured; see `measure_model`. blocks, prefix: of all of them."""

    shuffles: int = SHUFFLES
    sweeps: int = SWEEPS
    within: Within = "network"
    heat: bool = False
    blocks: int | None = None
    prefix: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Correlating:
    """How rank correlations are taken; see `rank_correlation`."""

    kind: Correlation = "kendall"
    replicas: int = REPLICAS
    level: float = LEVEL
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found.

    table: a row a model in the order given: `model`, `status` (success, failed, or partial: without some of spectra,
    lowest energy and T_c), `reason`, `seconds`, the columns of `measure_model`, and those of the quality.
    correlations: a row a quality and measure: `quality`, `measure`, `kind`, `n`, `value`, `low`, `high`, `p`, `q` (the
    false discovery rate over the measures of this quality; Benjamini, Hochberg 1995), `left_out`, `reason`; empty
    without a quality. notes: what of the quality fits nothing.
    """

    table: "pd.DataFrame"
    correlations: "pd.DataFrame"
    notes: tuple[str, ...] = ()


def compare_models(
    sources: Sequence[Any] | Mapping[str, Any],
    names: Sequence[str] | None = None,
    quality: Quality | None = None,
    measuring: Measuring = Measuring(),
    correlating: Correlating = Correlating(),
    record: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Comparison:
    """Measure every model of a series, and correlate every measure with every column of the quality.

    sources: as for `open_weights`, or by name. names: default from the sources (`names_of`). quality: what is known of
    the models, matched by name or by source as given. record, executor, progress: as for `run_points`, a point a
    model; a file that has changed since it was recorded is measured anew, and so is a model that was failed or partial,
    for the reason may be gone. With processes the sources must be picklable.

    A model that cannot be measured has its row with the reason. Raises OptionError if no model can be opened, if two
    have one name, if no model has a quality or its column has a measure's name; CheckpointError for a record of another
    study.
    """
    if isinstance(sources, Mapping):
        names, sources = list(sources), list(sources.values())
    given = names_of(sources) if names is None else list(names)
    _check(sources, given, () if quality is None else quality.columns)
    known, notes = ({}, ()) if quality is None else quality.of(given, sources)
    stamps, refused = _open_all(sources, given)
    points = {f"{name} {stamps[name]}": one for name, one in zip(given, sources, strict=True) if name in stamps}
    found = _measure_all(points, measuring, record, executor, progress)
    rows = [refused[name] if name in refused else found[f"{name} {stamps[name]}"] for name in given]
    table = _table(given, rows, known)
    return Comparison(table, correlations_of(table, list(known), correlating), notes)


def names_of(sources: Sequence[Any]) -> list[str]:
    """A short name each: of a file without its suffix, of a folder, also where a file has but the usual name in it.

    Whole paths where short names would be alike; what is no path is called by its place.

    >>> names_of(["runs/a/model.safetensors", "runs/b/model.safetensors", "c.npz"])
    ['a', 'b', 'c']
    """
    whole = [str(one) if isinstance(one, str | Path) else f"model {i}" for i, one in enumerate(sources)]
    short = [_short(name) for name in whole]
    return [name if short.count(name) == 1 else long for name, long in zip(short, whole, strict=True)]


def correlations_of(table: "pd.DataFrame", qualities: Sequence[str], correlating: Correlating) -> "pd.DataFrame":
    """Every measure that the table has against every quality; see `Comparison`."""
    import pandas as pd

    columns = ["quality", "measure", "kind", "n", "value", "low", "high", "p", "q", "left_out", "reason"]
    rows: list[dict[str, Any]] = []
    for quality in qualities:
        y = table[quality].to_numpy(np.float64)
        found = {
            name: rank_correlation(table[name].to_numpy(np.float64), y, **asdict(correlating))
            for name in measures_in(table)
        }
        q = false_discovery_rates([one.p for one in found.values()])
        rows += [
            {"quality": quality, "measure": name, "kind": correlating.kind, **asdict(one), "q": float(rate)}
            for (name, one), rate in zip(found.items(), q, strict=True)
        ]
    return pd.DataFrame(rows, columns=columns)


def measures_in(table: "pd.DataFrame") -> list[str]:
    """The columns that an order may be sought in: sizes, which are the baseline, spectra, spins and heat."""
    return [name for name in _MEASURES if name in table and name not in ERRORS]


def _check(sources: Sequence[Any], names: Sequence[str], qualities: Sequence[str]) -> None:
    if not sources:
        raise OptionError("nothing to compare: give at least one model")
    if len(names) != len(sources):
        raise OptionError(f"{len(sources)} models and {len(names)} names: give one for each")
    if twice := [name for name in names if names.count(name) > 1]:
        raise OptionError(f"{twice[0]}: is given twice; give each model once, or names that differ")
    if ours := [name for name in qualities if name in ("model", *_COLUMNS)]:
        raise OptionError(f"quality: {ours[0]} is the name of a measure; give that column another")


def _short(name: str) -> str:
    path = Path(name)
    if path.suffix not in (*READERS, ".json"):
        return path.name or name
    return path.parent.name if path.stem in _WEIGHT_FILES and path.parent.name else path.stem


def _open_all(sources: Sequence[Any], names: Sequence[str]) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """By name: what tells the weights from those of another day, or the row of a model that cannot be opened."""
    stamps: dict[str, str] = {}
    refused: dict[str, dict[str, Any]] = {}
    for name, source in zip(names, sources, strict=True):
        try:
            stamps[name] = _stamp(open_weights(source))
        except (SpinSpectraError, OSError) as error:
            refused[name] = _failed(str(error))
    if not stamps:
        first = next(iter(refused.values()))["reason"]
        raise OptionError(f"none of {len(names)} models can be opened; the first: {first}")
    return stamps, refused


def _stamp(weights: Weights) -> str:
    """Size and time of every file, or for weights in memory their values, as a short word."""
    infos = {name: weights.info(name) for name in weights.names()}
    files = {info.file for info in infos.values()}
    digest = hashlib.blake2b(digest_size=8)
    if files and all(Path(file).is_file() for file in files):
        for file in sorted(files):
            about = Path(file).stat()
            digest.update(f"{file} {about.st_size} {about.st_mtime_ns}\n".encode())
    else:
        for name, info in infos.items():
            digest.update(f"{name} {info.shape} {info.stored_as}\n".encode())
            digest.update(np.ascontiguousarray(weights.read(name)).tobytes())
    return digest.hexdigest()


def _measure_all(
    points: Mapping[str, Any],
    measuring: Measuring,
    record: Path | None,
    executor: Executor | None,
    progress: Callable[[str, int], None] | None,
) -> dict[str, dict[str, Any]]:
    identity = {"study": "compare", "version": __version__, **asdict(measuring)}

    def by_name(point: str, n_known: int) -> None:
        assert progress is not None
        progress(point.rpartition(" ")[0], n_known)

    with warnings.catch_warnings(), _blas_limits(None if len(points) == 1 else 1, user_api="blas"):
        warnings.simplefilter("ignore", DoubtWarning)  # here, since threads that do so undo it for one another
        work = partial(_measure, measuring)
        tell = None if progress is None else by_name
        return run_points(points, work, identity, record, executor, tell, again=_is_failure)


def _is_failure(found: Mapping[str, Any]) -> bool:
    return bool(found["status"] != "success")


def _measure(measuring: Measuring, source: Any) -> dict[str, Any]:
    """Each part on its own, so that a model without a chain has its spectra, and one without heat its lowest energy."""
    options = asdict(measuring)
    asked = [part for part in _PARTS if part != "heat" or measuring.heat]
    found: dict[str, Any] = {}
    failed: dict[str, list[str]] = {}  # parts by reason
    for part in asked:
        try:
            found |= measure_model(source, **(options | {name: name == part for name in _PARTS}))
        except (SpinSpectraError, OSError) as error:
            failed.setdefault(str(error), []).append(_PARTS[part])
    reason = "; ".join(f"no {', no '.join(parts)}: {why}" for why, parts in failed.items())
    if sum(map(len, failed.values())) == len(asked):
        return _failed("; ".join(failed) if len(failed) == 1 else reason)
    return {"status": "partial" if failed else "success", "reason": reason, **found}


def _failed(reason: str) -> dict[str, Any]:
    return {"status": "failed", "reason": reason}


def _table(
    names: Sequence[str], rows: Sequence[Mapping[str, Any]], known: Mapping[str, Sequence[float]]
) -> "pd.DataFrame":
    """Columns in one order, whatever the first row has; numbers that a row lacks are NaN."""
    import pandas as pd

    there = [name for name in _COLUMNS if any(name in row for row in rows)]
    made = pd.DataFrame([dict(row) for row in rows], columns=there)
    made.insert(0, "model", list(names))
    for quality, values in known.items():
        made[quality] = np.asarray(values, np.float64)
    return made
