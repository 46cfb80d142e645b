"""What is logged, under which names, read back from each logger's own files."""

import math
import time
from pathlib import Path

import pytest

from spinspectra.errors import MissingExtraError
from spinspectra.monitor import MlflowLog, TensorBoardLog, WandbLog, loggers
from spinspectra.monitor.messages import Numbers
from tests.monitor.readers import mlflow_metrics, tensorboard_scalars, wandb_history

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
NUMBERS = {"spinspectra/alpha/mean": 2.5, "spinspectra/alpha/a[0]": 3.0}


def numbers(name: str, alpha: float, norm: float = 1.0) -> Numbers:
    return Numbers(name, alpha, 0.1, 5.0, norm, 0.5, "success", "")


def test_names_and_means_of_all_that_is_finite() -> None:
    found = loggers.named_numbers([numbers("a", 3.0, -math.inf), numbers("b", 4.0), numbers("c", math.nan)])
    assert {name: value for name, value in found.items() if "alpha" in name or "log_norm" in name} == {
        "spinspectra/alpha/a": 3.0,
        "spinspectra/alpha/b": 4.0,
        "spinspectra/alpha/mean": 3.5,
        "spinspectra/log_norm/b": 1.0,
        "spinspectra/log_norm/c": 1.0,
        "spinspectra/log_norm/mean": 1.0,
    }
    assert {name.split("/")[1] for name in found} == {"alpha", "D", "stable_rank", "log_norm", "log_spectral_norm"}


def test_no_alpha_has_no_mean() -> None:
    assert "spinspectra/alpha/mean" not in loggers.named_numbers([numbers("a", math.nan)])


def test_tensorboard_reads_them_back(tmp_path: Path) -> None:
    log = TensorBoardLog(tmp_path / "board")
    log(NUMBERS, 10)
    log({"spinspectra/alpha/mean": 2.25}, 20)
    log.close()
    found = tensorboard_scalars(tmp_path / "board")
    assert found["spinspectra/alpha/mean"] == {10: 2.5, 20: 2.25}
    assert found["spinspectra/alpha/a[0]"] == {10: 3.0}


def test_without_tensorboard_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match="pip install tensorboard"):
        TensorBoardLog("board")


def test_mlflow_reads_them_back_also_after_its_run_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    MlflowLog()(NUMBERS, 1)  # no run, nothing to do
    with mlflow.start_run() as run:
        log = MlflowLog()
        log(NUMBERS, 10)
    log({**NUMBERS, **{f"many/{i}": 1.0 for i in range(1200)}}, 20)
    assert mlflow_metrics(run.info.run_id, "spinspectra/alpha/mean") == {10: 2.5, 20: 2.5}
    assert mlflow_metrics(run.info.run_id, "spinspectra/alpha/a_0_") == {10: 3.0, 20: 3.0}
    assert mlflow_metrics(run.info.run_id, "many/1199") == {20: 1.0}


def test_weights_and_biases_reads_them_back_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    log = WandbLog(step_name="train/global_step")
    log(NUMBERS, 1)  # no run, nothing to do
    run = wandb.init(project="monitor", mode="offline", dir=tmp_path, settings=wandb.Settings(console="off"))
    try:
        run.log({"loss": 1.0, "train/global_step": 30})
        log(NUMBERS, 10)  # of an earlier step
    finally:
        run.finish()
    (path,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    until = time.monotonic() + 30.0
    while len(rows := wandb_history(path)) < 2 and time.monotonic() < until:
        time.sleep(0.05)  # its service writes on for a moment
    history = [row for row in rows if "spinspectra/alpha/mean" in row]
    assert [(row["spinspectra/alpha/mean"], row["train/global_step"]) for row in history] == [(2.5, 10)]
    assert history[0]["spinspectra/alpha/a[0]"] == 3.0


def test_closing_closes_those_that_can_be() -> None:
    closed = []

    class Closes:
        def __call__(self, _numbers: object, _step: int) -> None:
            pass

        def close(self) -> None:
            closed.append(True)

    loggers.close_all([print, Closes()])
    assert closed == [True]
