"""A callback for PyTorch Lightning: `Trainer(..., callbacks=[SpinSpectraCallback(every=100)])`."""

from collections.abc import Mapping
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

from spinspectra.monitor.hooks import Hooks, callback_class, framework


class _Hooks(Hooks):
    """Watches a LightningModule while it trains.

    record: relative to the logger's folder (`trainer.log_dir`), or to `default_root_dir` where no logger has one.
    Numbers go to all loggers of the trainer. on_save measures spectra whenever a checkpoint is saved. Of several
    processes the first measures; sharded weights are told of and left alone. Options and errors as for `Hooks`.
    """

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        folder = trainer.log_dir or trainer.default_root_dir  # asked for in all processes: they exchange it
        for one in trainer.loggers:
            one.experiment  # noqa: B018  makes its folder, some only if nothing is there yet
        if trainer.is_global_zero:
            self._begin(pl_module, trainer.global_step, folder, [partial(_log, one) for one in trainer.loggers])

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        stop = self._step(trainer.global_step, pl_module)
        if self.settings.stop_below is None:
            return
        if trainer.world_size > 1:  # all processes come here at the same steps
            is_time = trainer.global_step % self.settings.cadence == 0
            stop = is_time and trainer.strategy.reduce_boolean_decision(stop, all=False)
        trainer.should_stop = trainer.should_stop or stop

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        if self._on_save and trainer.training:
            self._step(trainer.global_step, pl_module, now=True)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._end()


def _log(logger: Any, numbers: Mapping[str, float], step: int) -> None:
    logger.log_metrics(dict(numbers), step=step)


@cache
def _made() -> Any:
    """Lightning has two packages with the same classes."""
    module = "lightning.pytorch" if find_spec("lightning") else "pytorch_lightning"
    return callback_class("SpinSpectraCallback", __name__, _Hooks, framework(module, "lightning").Callback)


def __getattr__(name: str) -> Any:
    if name != "SpinSpectraCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _made()
