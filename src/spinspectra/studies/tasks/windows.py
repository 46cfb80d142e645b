"""Windows over a long text: each token is counted once, with as much before it as the stride allows."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from spinspectra.errors import OptionError

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens start to stop of a text, of which the last n_new are counted; those before are context."""

    start: int
    stop: int
    n_new: int


def windows_over(n_tokens: int, window: int, stride: int) -> list[Window]:
    """Windows of `window` tokens, each `stride` further, until the end of the text; the last may be shorter.

    >>> [(w.start, w.stop, w.n_new) for w in windows_over(11, 6, 3)]
    [(0, 6, 6), (3, 9, 3), (6, 11, 2)]
    """
    made: list[Window] = []
    counted = 0
    for start in range(0, n_tokens, stride):
        stop = min(start + window, n_tokens)
        made.append(Window(start, stop, stop - counted))
        counted = stop
        if stop == n_tokens:
            break
    return made


def check_windows(window: int | None, stride: int | None) -> None:
    """Raises OptionError for windows below 2 tokens, or strides that stand still or leave tokens out."""
    if window is not None and window < 2:
        raise OptionError(f"window={window}: give at least 2 tokens")
    if stride is not None and stride < 1:
        raise OptionError(f"stride={stride}: give at least 1 token")
    if window is not None and stride is not None and stride > window:
        raise OptionError(f"stride={stride}: is longer than the window of {window} and would leave tokens out")


def batches(rows: Iterable[R], size: int, length: Callable[[R], int]) -> Iterator[list[R]]:
    """The rows in their order, up to `size` of one length at a time, so that none needs padding.

    >>> [len(batch) for batch in batches(["ab", "cd", "ef", "g"], 2, len)]
    [2, 1, 1]
    """
    for _, alike in itertools.groupby(rows, length):
        while batch := list(itertools.islice(alike, size)):
            yield batch
