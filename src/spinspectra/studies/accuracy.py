"""How good a network is at its task after a fraction of its weights is shuffled, beside its range of energies.

The experiment of arXiv 2209.08678: as weights are shuffled, the width W of the density of states falls and the task
error grows. Each point writes a checkpoint with so much of its chain shuffled, evaluates it, and finds the width of the
very weights it evaluated.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.ising.anneal import anneal
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.heat_bath import one_thread
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.studies.fractions import Shuffled, checked_fractions, shuffled_points
from spinspectra.studies.model_workers import interruptible
from spinspectra.studies.points import read_record, run_points
from spinspectra.studies.shuffled_weights import (
    Reading,
    check_reading,
    checkpoint_digest,
    local_checkpoint,
    require_kept,
    write_model,
)
from spinspectra.studies.tasks.base import is_accuracy
from spinspectra.studies.widths import FromGround, require_at_least
from spinspectra.weights.writing import Checkpoint, open_checkpoint

if TYPE_CHECKING:
    import pandas as pd

FRACTIONS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
SHUFFLES = 3
SWEEPS = 300

_LAYOUT = 1  # of a record's points and of which seed draws what; a change makes old records another study's
_SEEDS = 12  # purpose of random numbers, first in the spawn key; then fraction, shuffle, and what the number is for
_SHUFFLE, _SEARCH = 0, 1

Evaluate = Callable[[Path], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class AccuracyStudy:
    """What a study found.

    points: a row a checkpoint and metric: fraction, shuffle (0: trained), metric, value, task_error, points_lost,
    width_per_spin, seconds. summary: a row a fraction and metric: fraction, metric, shuffles, and of value, task_error,
    points_lost and width_per_spin the mean over shuffles and, under `..._err`, its standard error, NaN of a single one.

    task_error: |M_trained - M_shuffled| / |M_trained| * 100, percent, M_trained being the metric at fraction 0.
    points_lost: (M_trained - M_shuffled) * 100 for accuracies (`tasks.is_accuracy`), NaN for other metrics.
    width_per_spin: W / N with W = 2 |E_min|, E_min from annealing.
    """

    points: "pd.DataFrame"
    summary: "pd.DataFrame"


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done at each point, in whichever process."""

    source: str
    task: Evaluate
    reading: Reading
    prefix: str | None
    how: FromGround
    root: np.random.SeedSequence
    keep: Path | None

    def __call__(self, point: Shuffled) -> dict[str, Any]:
        with interruptible(), self._folder(point) as folder:
            metrics = {str(name): float(value) for name, value in self.task(folder).items()}
            chain = IsingChain.from_weights(folder, prefix=self.prefix)
            seed = point.seed(self.root, _SEEDS, _SEARCH)
            with one_thread(None):  # as for other widths: more threads would change the last digits of sums
                found = anneal(chain, self.how.sweeps, seed, self.how.restarts_of(chain))
        return {"metrics": metrics, "width_per_spin": 2.0 * abs(found.energy) / chain.n_spins}

    @contextmanager
    def _folder(self, point: Shuffled) -> Iterator[Path]:
        """The checkpoint of a point, which goes after the block unless it is to be kept."""
        with tempfile.TemporaryDirectory(prefix="spinspectra-") as temporary:
            folder = Path(temporary) / "model" if self.keep is None else self.keep / point.name
            seed = point.seed(self.root, _SEEDS, _SHUFFLE)
            write_model(open_checkpoint(self.source), folder, point.fraction, self.reading, self.prefix, seed)
            yield folder


def study_accuracy(
    source: str | Path,
    task: Evaluate,
    fractions: Sequence[float] = FRACTIONS,
    shuffles: int = SHUFFLES,
    reading: Reading = "elements",
    seed: Seed = 0,
    how: FromGround = FromGround(SWEEPS),  # noqa: B008, frozen
    prefix: str | None = None,
    keep: Path | None = None,
    record: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> AccuracyStudy:
    """Shuffle fractions of a network's chain, evaluate each, and find its width.

    source: a checkpoint's folder, weight file (the task gets it with its config.json only), or hub id, resolved once.
    task: `studies.tasks` has some; any function from a folder to metrics by name will do, of a module if it is to run
    in other processes. fractions: of the chain's elements or couplings (`reading`, see `write_shuffled`), 0 always
    among them, once. shuffles: independent ones of each other fraction. how: of the search behind the widths. keep: a
    new folder for the checkpoints that were evaluated, or one that has some of the same network, prefix, reading and
    seed, which are not written again; default none. record, executor, progress: as for `run_points`, but by default
    one point at a time, with torch on all cores; see `model_workers`.

    A point depends on the seed, its fraction and its number only. Raises, before the work, OptionError for fractions
    that are no numbers from 0 to 1 or twice there, other numbers out of range and another `keep`, CheckpointError for
    the record of another study, and what `open_checkpoint` and `IsingChain.from_weights` raise; then what the task
    does.
    """
    check_reading(reading)
    require_at_least("shuffles", shuffles, 1)
    points = _points(fractions, shuffles)
    root = seed_sequence(seed)
    checkpoint = local_checkpoint(source)
    IsingChain.from_weights(checkpoint.weights, prefix=prefix)  # what makes no chain is found out before it is paid for
    made = _identity(checkpoint, reading, prefix, root)
    identity = {"study": "accuracy", **made, "task": task_identity(task), **asdict(how)}
    if record is not None:
        read_record(record, identity)
    if keep is not None:
        require_kept(keep, made)
    work = _Work(_path(checkpoint, source), task, reading, prefix, how, root, keep)
    with _one_at_a_time(executor) as pool:
        found = run_points({point.name: point for point in points}, work, identity, record, pool, progress)
    table = _points_table(points, found)
    return AccuracyStudy(table, _summary_of(table))


def n_points(fractions: Sequence[float], shuffles: int) -> int:
    """How many checkpoints a study evaluates. Raises OptionError as it does for fractions."""
    return len(_points(fractions, shuffles))


def task_identity(task: Any) -> Mapping[str, Any]:
    """What a task says it is; of a plain function its name."""
    own: Any = getattr(task, "identity", None)
    if isinstance(own, Mapping):
        return own
    return {"task": "function", "function": f"{getattr(task, '__module__', '')}.{getattr(task, '__qualname__', '')}"}


def task_error(trained: float, shuffled: float) -> float:
    """|M_trained - M_shuffled| / |M_trained| * 100, percent (arXiv 2209.08678); NaN where M_trained is 0.

    >>> task_error(20.0, 25.0)
    25.0
    """
    return abs(trained - shuffled) / abs(trained) * 100.0 if trained else float("nan")


def _points(fractions: Sequence[float], shuffles: int) -> list[Shuffled]:
    """With the trained network, which all others are compared with."""
    wanted = checked_fractions(fractions)
    return shuffled_points(wanted if 0.0 in wanted else [0.0, *wanted], shuffles)


def _identity(
    checkpoint: Checkpoint, reading: Reading, prefix: str | None, root: np.random.SeedSequence
) -> dict[str, Any]:
    """What the checkpoints that are evaluated depend on, besides fraction and number."""
    return {
        "layout": _LAYOUT,
        "weights": checkpoint_digest(checkpoint),
        "reading": reading,
        "prefix": prefix,
        "seed": [str(root.entropy), *(int(key) for key in root.spawn_key)],
    }


def _path(checkpoint: Checkpoint, source: str | Path) -> str:
    """The source for all points: as it was named, for an index names its shards, but a hub id as its folder here."""
    given = Path(source)
    return str(given.absolute() if given.exists() else checkpoint.root)


@contextmanager
def _one_at_a_time(executor: Executor | None) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool


def _points_table(points: Sequence[Shuffled], found: Mapping[str, Mapping[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    trained = found[points[0].name]["metrics"]
    rows = [
        {
            "fraction": point.fraction,
            "shuffle": point.number,
            "metric": metric,
            "value": value,
            "task_error": task_error(trained.get(metric, 0.0), value),
            "points_lost": (trained[metric] - value) * 100.0 if is_accuracy(metric) and metric in trained else np.nan,
            "width_per_spin": found[point.name]["width_per_spin"],
            "seconds": found[point.name]["seconds"],
        }
        for point in points
        for metric, value in found[point.name]["metrics"].items()
    ]
    if not rows:
        raise OptionError("the task gave no metric; return at least one number by its name")
    return pd.DataFrame(rows)


def _summary_of(points: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for (fraction, metric), group in points.groupby(["fraction", "metric"], sort=False):
        row: dict[str, Any] = {"fraction": fraction, "metric": metric, "shuffles": len(group)}
        for column in ("value", "task_error", "points_lost", "width_per_spin"):
            row[column] = group[column].mean(skipna=False)
            row[f"{column}_err"] = group[column].sem(skipna=False)
        rows.append(row)
    return pd.DataFrame(rows)
