"""What moved between checkpoints: each layer's numbers over two of them, or over the steps of a series."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.report.parts import Floats
from spinspectra.studies.layer_by_layer import compare
from spinspectra.weights import Weights

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str], None]

# Numbers of a layer that are followed over checkpoints, where they are known.
FOLLOWED = ("alpha", "change", "log_norm", "log_spectral_norm", "stable_rank", "D")
_FROM_FIRST = ("change", "change_top", "change_stable_rank")  # of `compare`, 0 at the first checkpoint
_NEEDED = ("step", "longname", "alpha")
ROWS = (".parquet", ".csv", ".json")  # files of rows

IN_ORDER, BY_NAME, AS_SAID = "checkpoint, in the order given", "training step, from the names", "training step"


@dataclass(frozen=True, slots=True)
class Moved:
    """L layers over S checkpoints.

    labels: of the checkpoints, (S,). steps: where they stand on the axis called `axis`, (S,). names, kinds, reasons:
    of the layers, (L,); a reason where one failed somewhere. others: each layer's name in the last checkpoint. values:
    arrays (L, S) by name, NaN where unknown. only_first, only_last: tensors that have no partner, of the last pair.
    """

    labels: tuple[str, ...]
    steps: Floats
    axis: str
    names: tuple[str, ...]
    others: tuple[str, ...]
    kinds: tuple[str, ...]
    reasons: tuple[str, ...]
    values: dict[str, Floats]
    only_first: tuple[str, ...] = ()
    only_last: tuple[str, ...] = ()

    def by_change(self) -> list[int]:
        """Layers in order of how much they moved, the most first: by the change since the first, or by alpha's."""
        size = self.moved("change") if "change" in self.values else np.abs(self.moved("alpha"))
        return [int(i) for i in np.argsort(np.where(np.isfinite(size), -size, np.inf), kind="stable")]

    def moved(self, name: str) -> Floats:
        """Last known minus first known value, (L,); NaN where fewer than two are known."""
        values = self.values[name]
        return np.array([_last_minus_first(row) for row in values], np.float64)


def compared(models: Sequence[Weights], labels: Sequence[str], progress: Progress | None, **options: Any) -> Moved:
    """By `compare`, each beside the first. Raises what `compare` raises."""
    found = compare(models, progress, **options)
    pairs = list(_pairs(found))
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    n = len(models)
    rows = [[pair.get(name, {}) for pair in pairs] for name in names]
    values = {name: _followed(rows, name, n) for name in (*FOLLOWED, "change_top", "change_stable_rank")}
    any_row = [next(row for row in of_layer if row) for of_layer in rows]
    steps, axis = steps_of(labels)
    return Moved(
        tuple(labels),
        steps,
        axis,
        tuple(names),
        tuple(next((row["longname_b"] for row in reversed(of_layer) if row), "") for of_layer in rows),
        tuple(row["layer_type"] for row in any_row),
        tuple(_joined(row.get("reason", "not in all checkpoints") for row in of_layer) for of_layer in rows),
        values,
        tuple(found.attrs["only_a"]),
        tuple(found.attrs["only_b"]),
    )


def read_rows(path: Path) -> "pd.DataFrame":
    """A file of rows, one a layer and training step, as a monitor of a training writes them (docs/report.md).

    .parquet, .csv, or .json of records, with the columns step, longname and alpha at least. Raises OptionError for a
    file that cannot be read or lacks one of them, MissingExtraError for Parquet without pyarrow.
    """
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_json(path, orient="records")
    except ImportError:
        raise MissingExtraError(f"{path}: Parquet needs pyarrow: pip install pyarrow") from None
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: no table can be read from it ({error})") from None
    if missing := [name for name in _NEEDED if name not in frame]:
        raise OptionError(f"{path}: has no column {missing[0]!r}; a table over training needs {', '.join(_NEEDED)}")
    if not len(frame):
        raise OptionError(f"{path}: has no rows")
    return frame


def followed(frame: "pd.DataFrame") -> Moved:
    """Rows over training steps (`read_rows`); of several rows for a layer and step the last known numbers count."""
    import pandas as pd

    known = [name for name in FOLLOWED if name in frame]
    numbers = frame[known].apply(pd.to_numeric, errors="coerce")
    table = numbers.assign(step=pd.to_numeric(frame["step"], errors="coerce"), longname=frame["longname"].astype(str))
    table = table.dropna(subset=["step"])
    names = list(dict.fromkeys(table["longname"]))
    steps = np.sort(table["step"].unique()).astype(np.float64)
    last = table.groupby(["longname", "step"]).last()
    values = {name: last[name].unstack("step").reindex(index=names, columns=steps).to_numpy() for name in known}
    kinds = dict(zip(frame["longname"], frame["layer_type"], strict=True)) if "layer_type" in frame else {}
    reasons = _reasons(frame)
    return Moved(
        tuple(f"{step:g}" for step in steps),
        steps,
        AS_SAID,
        tuple(names),
        tuple(names),
        tuple(str(kinds.get(name, "")) for name in names),
        tuple(reasons.get(name, "") for name in names),
        values,
    )


def steps_of(labels: Sequence[str]) -> tuple[Floats, str]:
    """Training steps from the names of three checkpoints or more: the last number in them that rises; else 0, 1, 2, ...

    >>> steps_of(["run2/step-100", "run2/step-500", "run2/step-900"])[0].tolist(), steps_of(["a", "b", "c"])[0].tolist()
    ([100.0, 500.0, 900.0], [0.0, 1.0, 2.0])
    """
    found = [[float(one) for one in re.findall(r"\d+", str(Path(label).with_suffix("")))] for label in labels]
    if len(labels) > 2 and len({len(one) for one in found}) == 1:
        for numbers in np.array(found).T[::-1]:
            if np.all(np.diff(numbers) > 0.0):
                return numbers, BY_NAME
    return np.arange(len(labels), dtype=np.float64), IN_ORDER


def _pairs(found: "pd.DataFrame") -> Iterator[dict[str, dict[Any, Any]]]:
    """The rows of each pair, by the layer's name; where a name comes again the next pair has begun."""
    pair: dict[str, dict[Any, Any]] = {}
    model = None
    for row in found.to_dict("records"):
        if pair and (row["model"] != model or row["longname"] in pair):
            yield pair
            pair = {}
        model = row["model"]
        pair[str(row["longname"])] = row
    yield pair


def _followed(rows: list[list[dict[Any, Any]]], name: str, n: int) -> Floats:
    """(L, S): what `compare` calls NAME_a at the first checkpoint, NAME_b at others, or a change since the first."""
    values = np.full((len(rows), n), np.nan)
    for i, of_layer in enumerate(rows):
        values[i, 1:] = [row.get(name if name in _FROM_FIRST else f"{name}_b", np.nan) for row in of_layer]
        known = [row[f"{name}_a"] for row in of_layer if row and name not in _FROM_FIRST]
        values[i, 0] = 0.0 if name in ("change", "change_top") else known[0] if known else np.nan
    return values


def _last_minus_first(row: Floats) -> float:
    known = row[np.isfinite(row)]
    return float(known[-1] - known[0]) if known.size > 1 else float("nan")


def _joined(reasons: "Iterator[str]") -> str:
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _reasons(frame: "pd.DataFrame") -> dict[str, str]:
    """Why a layer failed at some step, by name."""
    if "reason" not in frame:
        return {}
    said = frame[frame["reason"].notna() & (frame["reason"].astype(str) != "")]
    return {str(name): _joined(iter(group["reason"].astype(str))) for name, group in said.groupby("longname")}
