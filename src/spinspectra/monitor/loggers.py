"""Where measured numbers are shown: TensorBoard, Weights & Biases, MLflow, or any function of names and numbers."""

import math
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from os import PathLike, fspath
from typing import Any

from spinspectra.errors import MissingExtraError
from spinspectra.monitor.messages import NUMBERS, Numbers

# Called with numbers by name and the step at which the weights were copied; if it has a `close`, that at the end.
Log = Callable[[Mapping[str, float], int], object]

_PREFIX = "spinspectra"
_MLFLOW_AT_ONCE = 500  # its servers take at most 1,000 metrics a request


def named_numbers(layers: Sequence[Numbers]) -> dict[str, float]:
    """`spinspectra/alpha/<layer>` and so on, all that are finite, and `spinspectra/alpha/mean` over the layers."""
    found: dict[str, float] = {}
    for number in NUMBERS:
        values = {one.longname: getattr(one, number) for one in layers if math.isfinite(getattr(one, number))}
        found |= {f"{_PREFIX}/{number}/{name}": value for name, value in values.items()}
        if values:
            found[f"{_PREFIX}/{number}/mean"] = sum(values.values()) / len(values)
    return found


class TensorBoardLog:
    """Scalars in an event file of their own, below `folder`; without torch or TensorFlow.

    One folder holds one writer's files: TensorBoard follows the newest of several, so do not name a trainer's own.
    Raises MissingExtraError without tensorboard.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        if find_spec("tensorboard") is None:
            raise MissingExtraError("logging to TensorBoard needs tensorboard; pip install tensorboard")
        files: Any = import_module("tensorboard.summary.writer.event_file_writer")
        self._writer = files.EventFileWriter(fspath(folder))

    def __call__(self, numbers: Mapping[str, float], step: int) -> None:
        events: Any = import_module("tensorboard.compat.proto.event_pb2")
        summaries: Any = import_module("tensorboard.compat.proto.summary_pb2")
        values = [summaries.Summary.Value(tag=name, simple_value=number) for name, number in numbers.items()]
        self._writer.add_event(events.Event(wall_time=time.time(), step=step, summary=summaries.Summary(value=values)))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandbLog:
    """The Weights & Biases run that is active, or the one given; nothing while there is none.

    step_name: the metric that holds the step, since numbers come later than those of the steps since.
    """

    def __init__(self, run: Any = None, step_name: str = "spinspectra/step") -> None:
        self._run, self._step_name = run, step_name
        self._defined: Any = None

    def __call__(self, numbers: Mapping[str, float], step: int) -> None:
        run = self._run or getattr(sys.modules.get("wandb"), "run", None)
        if run is None:
            return
        if self._defined is not run:
            run.define_metric(f"{_PREFIX}/*", step_metric=self._step_name)
            self._defined = run
        run.log({**numbers, self._step_name: step})


class MlflowLog:
    """The MLflow run that is active when this is made or first called, also after it has ended; nothing without one."""

    def __init__(self) -> None:
        self._run_id = _active_mlflow_run()

    def __call__(self, numbers: Mapping[str, float], step: int) -> None:
        self._run_id = self._run_id or _active_mlflow_run()
        if self._run_id is None:
            return
        mlflow: Any = import_module("mlflow")
        now = int(1000 * time.time())
        # what MLflow takes in a name, beside letters and digits: _ - . space : /
        metrics = [
            mlflow.entities.Metric(re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII), number, now, step)
            for name, number in numbers.items()
        ]
        for start in range(0, len(metrics), _MLFLOW_AT_ONCE):
            mlflow.MlflowClient().log_batch(self._run_id, metrics[start : start + _MLFLOW_AT_ONCE])


def _active_mlflow_run() -> str | None:
    """Its id, if mlflow was imported at all."""
    mlflow: Any = sys.modules.get("mlflow")
    run = mlflow.active_run() if mlflow is not None else None
    return None if run is None else str(run.info.run_id)


def close_all(logs: Sequence[Log]) -> None:
    for log in logs:
        if callable(close := getattr(log, "close", None)):
            close()
