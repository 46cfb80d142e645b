"""A callback for Hugging Face's Trainer: `Trainer(..., callbacks=[SpinSpectraCallback(every=100)])`."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from spinspectra.monitor.hooks import Hooks, callback_class, framework
from spinspectra.monitor.loggers import Log, MlflowLog, TensorBoardLog, WandbLog
from spinspectra.monitor.ranks import agree


class _Hooks(Hooks):
    """Watches the model of a `transformers.Trainer` while it trains.

    record: relative to `output_dir`. Numbers go to those of TensorBoard, Weights & Biases and MLflow that the trainer
    reports to (`report_to`); to TensorBoard as a run of its own, the folder `spinspectra` beside the trainer's. on_save
    measures spectra at each checkpoint. Of several processes the first measures; sharded weights (FSDP, ZeRO-3) are
    told of and left alone. Options and errors as for `Hooks`.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_more: Any) -> None:
        if state.is_world_process_zero:
            self._begin(model, state.global_step, args.output_dir, _logs(args))

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_more: Any) -> None:
        stop = self._step(state.global_step, model)
        if self.settings.stop_below is not None:
            is_time = state.global_step % self.settings.cadence == 0
            control.should_training_stop |= agree(stop, is_time, args.device)

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_more: Any) -> None:
        if self._on_save:
            self._step(state.global_step, model, now=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
        self._end()


def _logs(args: Any) -> Sequence[Log]:
    """The trainer's own callbacks write to the same places; they cannot be reached from here."""
    places = args.report_to if isinstance(args.report_to, list) else [args.report_to]
    found: list[Log] = []
    if "tensorboard" in places:
        folder = os.getenv("TENSORBOARD_LOGGING_DIR") or Path(args.output_dir) / _default_logdir()
        found.append(TensorBoardLog(Path(folder).expanduser() / "spinspectra"))
    if "wandb" in places:
        found.append(WandbLog(step_name="train/global_step"))
    if "mlflow" in places:
        found.append(MlflowLog())
    return found


def _default_logdir() -> str:
    return str(framework("transformers.training_args", "transformers").default_logdir())


@cache
def _made() -> Any:
    return callback_class(
        "SpinSpectraCallback", __name__, _Hooks, framework("transformers", "transformers").TrainerCallback
    )


def __getattr__(name: str) -> Any:
    if name != "SpinSpectraCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _made()
