"""What every task is: called with a folder it gives metrics, and it can say what it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Task(Protocol):
    """A function from the folder of a checkpoint to its metrics, picklable, so that other processes can run it.

    identity: what decides the metrics besides the weights (text, images, windows), values that JSON knows; how they
    are computed (device, batch) is no part of it.
    """

    @property
    def identity(self) -> Mapping[str, Any]: ...

    def __call__(self, folder: Path) -> Mapping[str, float]: ...


def is_accuracy(metric: str) -> bool:
    """Whether a metric is a share of right answers from 0 to 1, whose loss is also told in points, by its name.

    >>> is_accuracy("top1"), is_accuracy("test_accuracy"), is_accuracy("perplexity")
    (True, True, False)
    """
    return metric in ("top1", "top5") or metric.endswith("accuracy")
