"""How good a network is at its task after a fraction of its weights is shuffled, beside its range of energies.

The experiment of arXiv 2209.08678: as weights are shuffled, the width W of the density of states falls and the task
error grows. Each point writes a checkpoint with so much of its chain shuffled, evaluates it, and finds the width of the
very weights it evaluated.
"""

import hashlib
import struct
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
from spinspectra.seeds import Seed, child_seed, seed_sequence
from spinspectra.studies.fraction import named
from spinspectra.studies.model_workers import interruptible
from spinspectra.studies.points import run_points
from spinspectra.studies.shuffled_weights import Reading, check_reading, write_shuffled
from spinspectra.studies.tasks.base import is_accuracy
from spinspectra.studies.widths import FromGround, require_at_least
from spinspectra.weights.writing import open_checkpoint

if TYPE_CHECKING:
    import pandas as pd

FRACTIONS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
SHUFFLES = 3
SWEEPS = 300

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
class _Point:
    fraction: float
    shuffle: int

    @property
    def name(self) -> str:
        return named(self.fraction) if self.shuffle == 0 else f"{named(self.fraction)}_{self.shuffle}"


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

    def __call__(self, point: _Point) -> dict[str, Any]:
        with interruptible(), self._folder(point) as folder:
            metrics = {str(name): float(value) for name, value in self.task(folder).items()}
            chain = IsingChain.from_weights(folder, prefix=self.prefix)
            found = anneal(chain, self.how.sweeps, self._seed(point, _SEARCH), self.how.restarts_of(chain))
        return {"metrics": metrics, "width_per_spin": 2.0 * abs(found.energy) / chain.n_spins}

    @contextmanager
    def _folder(self, point: _Point) -> Iterator[Path]:
        """The checkpoint of a point, which goes after the block unless it is to be kept."""
        with tempfile.TemporaryDirectory(prefix="spinspectra-") as temporary:
            folder = Path(temporary) / "model" if self.keep is None else self.keep / point.name
            checkpoint = open_checkpoint(self.source)
            out = folder if checkpoint.is_folder else folder / checkpoint.root.name
            if not out.exists():  # one that was kept is whole, and the same
                out.parent.mkdir(parents=True, exist_ok=True)
                write_shuffled(checkpoint, out, point.fraction, self.reading, self.prefix, self._seed(point, _SHUFFLE))
            yield folder

    def _seed(self, point: _Point, purpose: int) -> np.random.SeedSequence:
        """By the point itself, so that it is the same whichever others there are."""
        words = struct.unpack(">II", struct.pack(">d", point.fraction))
        return child_seed(self.root, _SEEDS, *words, point.shuffle, purpose)


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

    source: a checkpoint's folder, weight file, or hub id. task: `studies.tasks` has some; any function from a folder to
    metrics by name will do, of a module if it is to run in other processes. fractions: of the chain's elements or
    couplings (`reading`, see `write_shuffled`), 0 always among them, once. shuffles: independent ones of each other
    fraction. how: of the search behind the widths. keep: a folder for the checkpoints that were evaluated, default
    none. record, executor, progress: as for `run_points`, but by default one point at a time, with torch on all cores;
    see `model_workers`.

    A point depends on the seed, its fraction and its number only. Raises OptionError for numbers out of range, what
    `write_shuffled` and `anneal` raise, and what the task does.
    """
    fractions = _checked(fractions, reading)
    require_at_least("shuffles", shuffles, 1)
    root = seed_sequence(seed)
    work = _Work(str(source), task, reading, prefix, how, root, keep)
    points = [_Point(f, number) for f in fractions for number in (range(1, shuffles + 1) if f else [0])]
    identity = {
        "study": "accuracy",
        "weights": weights_digest(source),
        "task": task_identity(task),
        "reading": reading,
        "prefix": prefix,
        **asdict(how),
        "seed": [str(root.entropy), *(int(key) for key in root.spawn_key)],
    }
    with _one_at_a_time(executor) as pool:
        found = run_points({point.name: point for point in points}, work, identity, record, pool, progress)
    table = _points_table(points, found)
    return AccuracyStudy(table, _summary_of(table))


def n_points(fractions: Sequence[float], shuffles: int) -> int:
    """How many checkpoints a study evaluates."""
    return 1 + shuffles * len({float(f) for f in fractions} - {0.0})


def weights_digest(source: Any) -> str:
    """Hex SHA-256 of a checkpoint's weight files, whatever they are called."""
    digest = hashlib.sha256()
    for file in sorted(open_checkpoint(source).names_in):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


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


def _checked(fractions: Sequence[float], reading: str) -> list[float]:
    """The fractions in order, each once, 0 first."""
    check_reading(reading)
    for fraction in fractions:
        if not 0.0 <= fraction <= 1.0:
            raise OptionError(f"fractions: {fraction} is no number from 0 to 1")
    return sorted({0.0, *(float(fraction) + 0.0 for fraction in fractions)})  # + 0.0: no -0.0


@contextmanager
def _one_at_a_time(executor: Executor | None) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool


def _points_table(points: Sequence[_Point], found: Mapping[str, Mapping[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    trained = found[points[0].name]["metrics"]
    rows = [
        {
            "fraction": point.fraction,
            "shuffle": point.shuffle,
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
