"""A callback for Keras 3 on any backend: `model.fit(..., callbacks=[SpinSpectraCallback(every=100)])`."""

from collections.abc import Mapping, Sequence
from functools import cache
from os import PathLike
from typing import Any

from spinspectra.monitor.hooks import Hooks, callback_class, framework
from spinspectra.monitor.loggers import Log, MlflowLog, TensorBoardLog, WandbLog


class _Hooks(Hooks):
    """Watches a Keras model while it is fitted.

    record: relative to the working directory. log_dir: folder of a TensorBoard run of its own; None for none. Numbers
    go to the Weights & Biases run and the MLflow run that are active, if any, and the newest `mean_alpha` and
    `mean_stable_rank` to the logs of each epoch, for callbacks listed later (NaN before the first). on_save: spectra
    are due at the end of each epoch, when Keras saves. Steps are batches, counted on from the optimizer's. Options and
    errors as for `Hooks`.
    """

    def __init__(
        self,
        record: str | PathLike[str] | None = "spinspectra.parquet",
        *,
        log_dir: str | PathLike[str] | None = None,
        on_save: bool = False,
        log: Log | Sequence[Log] = (),
        **options: Any,
    ) -> None:
        super().__init__(record, on_save=on_save, log=log, **options)
        self._log_dir = log_dir
        self._means: dict[str, float] = {}
        self._epoch_began = self._now = 0

    def on_train_begin(self, logs: Any = None) -> None:
        places: list[Log] = [self._remember, WandbLog(), MlflowLog()]
        if self._log_dir is not None:
            places.append(TensorBoardLog(self._log_dir))
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        self._now = 0 if iterations is None else int(iterations)
        self._means = dict.fromkeys(_SHOWN.values(), float("nan"))
        self._begin(self.model, self._now, ".", places)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_began = self._now

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._now = self._epoch_began + batch + 1
        if self._step(self._now, self._get_model):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._on_save:
            self._step(self._now, self._get_model, now=True)
        if logs is not None:
            logs |= self._means

    def on_train_end(self, logs: Any = None) -> None:
        self._end()

    def _get_model(self) -> Any:
        """Asked for only where it is copied: on JAX it has to be brought up to date first."""
        return self.model

    def _remember(self, numbers: Mapping[str, float], step: int) -> None:
        self._means |= {shown: numbers[name] for name, shown in _SHOWN.items() if name in numbers}

    model: Any


_SHOWN = {"spinspectra/alpha/mean": "mean_alpha", "spinspectra/stable_rank/mean": "mean_stable_rank"}


@cache
def _made() -> Any:
    return callback_class("SpinSpectraCallback", __name__, _Hooks, framework("keras", "keras").callbacks.Callback)


def __getattr__(name: str) -> Any:
    if name != "SpinSpectraCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _made()
