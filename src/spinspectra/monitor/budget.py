"""How many seconds measuring has taken, and whether the next measurement may begin; nothing is measured here.

Seconds are of two kinds. In front: the training waits (copying weights, handing numbers to loggers). Behind: processor
time of the background thread, each second of which takes at most one from the training. What both come to is held
against what the training would have taken without them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Budget:
    """Seconds spent against a share of the training's own seconds.

    share: 0.05 for 5 %, None for no limit. clock: seconds, as `time.perf_counter`. Time runs from `begin`.
    """

    def __init__(self, share: float | None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.share = share
        self.spent = 0.0
        self._clock = clock
        self._began = clock()

    def begin(self) -> None:
        """The training begins now, with nothing spent."""
        self._began, self.spent = self._clock(), 0.0

    def elapsed(self) -> float:
        """Seconds since `begin`, measuring and all."""
        return self._clock() - self._began

    def training(self) -> float:
        """Seconds that the training has had for itself so far; all that was spent is taken off, wherever it was."""
        return max(0.0, self.elapsed() - self.spent)

    def allows(self, expected: float) -> bool:
        """Whether a measurement expected to take so many seconds keeps all of them within the share."""
        return self.share is None or self.spent + expected <= self.share * self.training()

    def spend(self, seconds: float) -> None:
        self.spent += seconds

    @contextmanager
    def in_front(self) -> Iterator[None]:
        """What the block takes is spent, whatever becomes of it."""
        start = self._clock()
        try:
            yield
        finally:
            self.spend(self._clock() - start)
