"""The watch over any training loop: it decides when to measure, copies, has it measured behind, keeps and logs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from statistics import fmean
from typing import Self

from spinspectra.errors import OptionError
from spinspectra.layers.selection import Choice
from spinspectra.monitor.budget import Budget
from spinspectra.monitor.expected import START, expected_seconds
from spinspectra.monitor.helper import Helper
from spinspectra.monitor.loggers import Log, close_all, named_numbers
from spinspectra.monitor.messages import Answer, Clock, Numbers, Ready
from spinspectra.monitor.record import Record
from spinspectra.monitor.settings import Settings, tell
from spinspectra.monitor.snapshot import Snapshot, Source, Watched, choose_layers, take_snapshot
from spinspectra.monitor.worker import Done, Worker

_KEEP_AFTER = 60.0  # seconds between writes of the record where only cheap rows are new
_IN_A_ROW = 2  # measurements with a mean alpha below the limit, for a stop
_PATIENCE = 60.0  # seconds for the last measurement at the end, or twenty times what one takes


@dataclass(frozen=True, slots=True)
class _Begun:
    """A measurement that is running."""

    clock: Clock
    step: int
    seconds_in_front: float


@dataclass(frozen=True, slots=True)
class _Found:
    """What a measurement found, and what kept it out of the record, if anything."""

    answer: Answer
    not_kept: Exception | None = None


class Watch:
    """Measures a network while it trains, from a copy of its weights, in the background.

        with Watch("run.parquet", every=100, spectra_every=1000) as watch:
            for step, batch in enumerate(batches, 1):
                ...
                if watch.step(step, model):
                    break

    record: Parquet file of all rows (`record.COLUMNS`), None for none; a run that resumes takes it up where it was.
    every, spectra_every, layers, budget, stop_below: see `Settings`. log: functions called with numbers by name and
    their step (`loggers`), on the training's own thread.

    stop_reason: one line, once `stop_below` asks for a stop; else empty. measured: steps with spectra so far. errors:
    what went wrong while measuring. It is never raised, and the first is told as a MonitorWarning.

    Raises OptionError for options out of range or a record that cannot be, MissingExtraError without pyarrow for one.
    """

    def __init__(
        self,
        record: str | PathLike[str] | None = None,
        *,
        every: int | None = 100,
        spectra_every: int | None = 1000,
        layers: Choice = None,
        budget: float | None = 0.05,
        stop_below: float | None = None,
        log: Log | Sequence[Log] = (),
    ) -> None:
        self.settings = Settings(every, spectra_every, layers, budget, stop_below)
        self.budget = Budget(budget)
        self.stop_reason = ""
        self.measured: list[int] = []
        self.errors: list[BaseException | str] = []
        self._record = None if record is None else Record(record)
        self._logs = [log] if callable(log) else list(log)
        self._worker, self._helper = Worker(), Helper()
        self._is_on = self._is_closed = False
        self._watched: Watched | None = None
        self._ready: Ready | None = None
        self._begun: _Begun | None = None
        self._last: dict[Clock, int] = {}
        self._cost: dict[Clock, float] = {}
        self._asked = self._waited = False
        self._means: list[float] = []
        self._seconds_before = self._written = 0.0

    def begin(self, source: Source, step: int = 0) -> None:
        """Choose the layers of a network that has made so many steps; called by the first `step` where it was not.

        source: a torch module, a Keras model, a mapping from names to arrays, or a function that gives one of these.
        Raises OptionError if `layers` names what is not there or the record is no record; a network without a layer to
        measure is told of and not watched.
        """
        self._finish()
        self.budget.begin()
        with self.budget.in_front():
            self._is_on, self._is_closed = True, False
            self._last = {"cheap": step, "spectra": step}
            self._means, self.stop_reason, self._asked = [], "", False
            if self._record is not None:
                self._seconds_before = self._record.begin(step + 1)
            try:
                self._watched = choose_layers(source, self.settings.layers)
            except OptionError as error:
                if self.settings.layers is not None:
                    raise
                tell(f"nothing is measured: {error}")
            except Exception as error:
                self._fail(error)

    def step(self, step: int, source: Source, now: bool = False) -> bool:
        """After each step of the training, with its number; whether it is to stop.

        source: as for `begin`. now: spectra are due, whatever the clocks say, as where a checkpoint is saved. What is
        due waits until nothing else is measured and the budget allows it, and then takes the weights of that step.
        """
        if self._is_closed:
            return False
        if not self._is_on:
            self.begin(source, step - 1)
        self._asked |= now
        try:
            self._take(self._worker.finished())
            clock = self._due(step)
            if clock is not None and self._is_ready() and self._may(clock):
                self._start(clock, step, source)
        except Exception as error:
            self._fail(error)
        return bool(self.stop_reason)

    def close(self) -> None:
        """Wait for the measurement that is running, keep and log it, and say if the budget left no room for any.

        Steps after it are not watched, unless `begin` is called again.
        """
        if self._is_closed:
            return
        self._finish()
        self._is_closed = True
        try:
            if self._record is not None:
                self._record.write()
            close_all(self._logs)
        except Exception as error:
            self._fail(error)
        if self._waited and not self.measured and not self.errors:
            share, needed = self.settings.budget or 0.0, self._expected("spectra")
            tell(
                f"no spectra were measured: {needed:.1f} s for once, and {100.0 * share:.2g} % of "
                f"{self.budget.training():.0f} s of training may go to measuring; give a larger budget or fewer layers"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def _finish(self) -> None:
        """Wait for what is running, though not for ever, and let the process go."""
        try:
            patience = max(_PATIENCE, 20.0 * max(self._cost.values(), default=0.0))
            with self.budget.in_front():
                done = self._worker.wait(patience)
            self._take(done)
            self._helper.close()
            if not self._worker.free:
                self._take(self._worker.wait(_PATIENCE))
        except Exception as error:
            self._fail(error)
        self._ready, self._is_on = None, False

    def _due(self, step: int) -> Clock | None:
        """Spectra before cheap numbers, which they bring along; due at multiples, and from then until measured."""
        if self._watched is None:
            return None
        if self._asked or _is_past(step, self._last["spectra"], self.settings.spectra_every):
            self._waited = True
            if self._ready is None or self._may("spectra"):
                return "spectra"
        return "cheap" if _is_past(step, self._last["cheap"], self.settings.every) else None

    def _is_ready(self) -> bool:
        """Whether the process that measures runs; it is started once the budget allows it."""
        if self._ready is None and self._worker.free and self.budget.allows(START):
            self._worker.start(self._helper.start)
        return self._ready is not None

    def _may(self, clock: Clock) -> bool:
        return self._worker.free and self.budget.allows(self._expected(clock))

    def _expected(self, clock: Clock) -> float:
        """Seconds that one took last; at first, what it should take."""
        if clock in self._cost or self._watched is None:
            return self._cost.get(clock, 0.0)
        if self._ready is None:
            return START
        return expected_seconds(clock, self._watched, self._ready.rate)

    def _start(self, clock: Clock, step: int, source: Source) -> None:
        assert self._watched is not None
        seconds, before = self._seconds_before + self.budget.elapsed(), self.budget.spent
        self._last["cheap"] = step
        if clock == "spectra":
            self._last["spectra"], self._asked = step, False
        with self.budget.in_front():
            snapshot = take_snapshot(source, self._watched)
        self._begun = _Begun(clock, step, self.budget.spent - before)
        self._worker.start(partial(self._work, clock, snapshot, step, seconds))

    def _work(self, clock: Clock, snapshot: Snapshot, step: int, seconds: float) -> _Found:
        """In the background. Numbers that cannot be kept are shown all the same."""
        answer = self._helper.measure(clock, snapshot)
        try:
            if self._record is not None:
                self._record.add(step, seconds, clock, answer.layers)
                if clock == "spectra" or seconds > self._written + _KEEP_AFTER:
                    self._record.write()
                    self._written = seconds
        except Exception as error:
            return _Found(answer, error)
        return _Found(answer)

    def _take(self, done: Done | None) -> None:
        """What the background ended with: count it, log it, judge it."""
        if done is None:
            return
        begun, self._begun = self._begun, None
        self.budget.spend(done.seconds)
        if done.error is not None:
            self._fail(done.error)
            self._ready = None
            if begun is None:  # it could not even be started, and will not be the next time
                self._watched = None
        elif begun is None:
            self._ready = done.result
            self.budget.spend(done.result.seconds)
        else:
            self._cost[begun.clock] = begun.seconds_in_front + done.seconds + self._show(begun, done.result)

    def _show(self, begun: _Begun, found: _Found) -> float:
        """Log and judge; seconds that were spent on it, in the background and here."""
        before = self.budget.spent
        self.budget.spend(found.answer.seconds)
        with self.budget.in_front():
            if begun.clock == "spectra":
                self.measured.append(begun.step)
                self._judge(begun.step, found.answer.layers)
            for log in self._logs:
                try:
                    log(named_numbers(found.answer.layers), begun.step)
                except Exception as error:
                    self._fail(error)
            for wrong in (found.not_kept, found.answer.unexpected):
                if wrong:
                    self._fail(wrong)
        return self.budget.spent - before

    def _judge(self, step: int, layers: Sequence[Numbers]) -> None:
        limit = self.settings.stop_below
        alphas = [layer.alpha for layer in layers if math.isfinite(layer.alpha)]
        self._means = [*self._means, fmean(alphas) if alphas else math.nan][-_IN_A_ROW:]
        if limit is None or self.stop_reason or len(self._means) < _IN_A_ROW:
            return
        if all(mean < limit for mean in self._means):
            means = " and ".join(f"{mean:.2f}" for mean in self._means)
            self.stop_reason = f"mean alpha {means}, the latter at step {step}, below stop_below={limit}"
            tell(f"asks the training to stop: {self.stop_reason}")

    def _fail(self, error: BaseException | str) -> None:
        """Kept, and the first told; measuring goes on, for the next may well succeed."""
        self.errors.append(error)
        if len(self.errors) == 1:
            text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
            tell(f"a measurement failed, the training goes on: {text}")


def _is_past(step: int, last: int, every: int | None) -> bool:
    """Whether a multiple of `every` was reached since the last measurement."""
    return every is not None and step // every > last // every
