"""What the callbacks of all frameworks share: options checked when they are made, a watch for each training."""

from collections.abc import Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.monitor.loggers import Log
from spinspectra.monitor.record import require_pyarrow
from spinspectra.monitor.settings import Settings
from spinspectra.monitor.snapshot import Source
from spinspectra.monitor.watch import Watch


class Hooks:
    """The part of a callback that knows no framework.

    record: Parquet file of all rows, a relative path taken from the training's own folder; None for none. on_save:
    spectra are due whenever the training saves a checkpoint. log: further functions to log with (`Watch`). options:
    every, spectra_every, layers, budget, stop_below, as for `Watch`.

    Raises OptionError for options out of range, or if nothing would ever be measured, MissingExtraError without pyarrow
    for a record.
    """

    def __init__(
        self,
        record: str | PathLike[str] | None = "spinspectra.parquet",
        *,
        on_save: bool = False,
        log: Log | Sequence[Log] = (),
        **options: Any,
    ) -> None:
        super().__init__()
        self.settings = Settings(**options)
        self._options = options
        if self.settings.every is None and self.settings.spectra_every is None and not on_save:
            raise OptionError("every, spectra_every and on_save: nothing is ever measured; give one of them")
        if record is not None:
            require_pyarrow(Path(record))
        self.watch: Watch | None = None
        self._record = None if record is None else Path(record)
        self._on_save = on_save
        self._log: list[Log] = [log] if callable(log) else list(log)

    def _begin(self, source: Source, step: int, folder: str | PathLike[str], logs: Sequence[Log]) -> None:
        """A new watch for a training that has made so many steps; that of one that broke off is closed."""
        self._end()
        record = None if self._record is None else Path(folder) / self._record
        self.watch = Watch(record, log=[*logs, *self._log], **self._options)
        self.watch.begin(source, step)

    def _step(self, step: int, source: Source, now: bool = False) -> bool:
        return self.watch is not None and self.watch.step(step, source, now)

    def _end(self) -> None:
        """The watch stays, for what it measured; only its work ends."""
        if self.watch is not None:
            self.watch.close()


def framework(module: str, package: str) -> Any:
    """The module of a framework. Raises MissingExtraError without it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(f"this callback needs {package}; pip install {package}") from None


def callback_class(name: str, module: str, *bases: type) -> Any:
    """A class that pickles and shows as one written in that module."""
    return type(name, bases, {"__module__": module, "__doc__": bases[0].__doc__})
