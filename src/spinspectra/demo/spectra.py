"""What the embedded checkpoints' spectra show: averages over layers, and whether they follow the known accuracies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spinspectra.demo import Checkpoint, checkpoints
from spinspectra.spectra.analyze import analyze

if TYPE_CHECKING:
    import pandas as pd

# Columns of `analyze`, and the digits that tell the four checkpoints apart.
MEASURES = {
    "alpha": 2,
    "stable_rank": 1,
    "mp_softrank": 3,
    "rand_distance": 3,
    "Q_computed": 2,
    "log_spectral_norm": 2,
}


@dataclass(frozen=True, slots=True)
class SpectralChapter:
    """One checkpoint's spectra. details: the table of `analyze`, one row a layer."""

    checkpoint: Checkpoint
    details: "pd.DataFrame"

    def mean(self, column: str) -> float:
        """Over the layers that could be analysed and have a finite value; NaN without any."""
        values = self.details.loc[self.details["status"] == "success", column].to_numpy(np.float64)
        values = values[np.isfinite(values)]
        return float(values.mean()) if values.size else float("nan")

    def called(self, word: str) -> int:
        """How many layers have this SETOL verdict."""
        return int((self.details["ERG_verdict"] == word).sum())


def tell_spectra(progress: Callable[[str], None] = lambda _: None) -> list[SpectralChapter]:
    """Analyse the four checkpoints from their weights alone; `progress` is called with each one's name."""
    chapters = []
    for checkpoint in checkpoints():
        progress(checkpoint.name)
        details = analyze(checkpoint.weights, randomize=True, mp_fit=True, detx=True)
        chapters.append(SpectralChapter(checkpoint, details))
    return chapters


def ranks(chapters: Sequence[SpectralChapter], column: str) -> bool:
    """Whether the mean of the column only rises, or only falls, as the test accuracy rises."""
    return _one_way(np.array([[chapter.mean(column) for chapter in _by_accuracy(chapters)]])) == 1


def layers_in_order(chapters: Sequence[SpectralChapter], column: str) -> int:
    """In how many layers the column itself does so; the checkpoints have the same layers in the same order."""
    values = [chapter.details[column].to_numpy(np.float64) for chapter in _by_accuracy(chapters)]
    return _one_way(np.stack(values, axis=1))


def way(chapters: Sequence[SpectralChapter], values: Sequence[float]) -> list[float]:
    """Each checkpoint's value on the way from the least accurate one's, 0, to the most accurate one's, 1."""
    accuracies = [chapter.checkpoint.test_accuracy for chapter in chapters]
    start, end = values[int(np.argmin(accuracies))], values[int(np.argmax(accuracies))]
    return [(value - start) / (end - start) for value in values]


def _by_accuracy(chapters: Sequence[SpectralChapter]) -> list[SpectralChapter]:
    return sorted(chapters, key=lambda chapter: chapter.checkpoint.test_accuracy)


def _one_way(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> int:
    """Rows that rise or fall at every step; NaN does neither."""
    steps = np.diff(values, axis=1)
    return int(np.count_nonzero((steps > 0.0).all(axis=1) | (steps < 0.0).all(axis=1)))
