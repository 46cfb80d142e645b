"""Real short trainings with Hugging Face's Trainer: its loggers, its saves, its stop, its resuming."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from spinspectra import analyze
from spinspectra.errors import OptionError
from spinspectra.monitor import MonitorWarning
from spinspectra.monitor.trainer import SpinSpectraCallback
from tests.monitor.helpers import rows, settle
from tests.monitor.readers import mlflow_metrics, tensorboard_scalars

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the trainer and of what it logs to
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Tokens(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = torch.arange(index, index + 8) % 50
        return {"input_ids": tokens, "labels": tokens}


def trainer(folder: Path, callbacks: list[Any], steps: int = 8, **options: Any) -> transformers.Trainer:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=50, n_positions=8, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=4,
        logging_steps=2,
        learning_rate=1e-2,
        use_cpu=True,
        disable_tqdm=True,
        **{"report_to": "none", "save_strategy": "no", **options},
    )
    made = transformers.Trainer(transformers.GPT2LMHeadModel(config), arguments, train_dataset=Tokens())
    for callback in [*callbacks, Settled(callbacks)]:
        made.add_callback(callback)
    return made


class Settled(transformers.TrainerCallback):
    """Waits for each measurement, so that the steps at which they are made are known."""

    def __init__(self, callbacks: list[Any]) -> None:
        self.callbacks = callbacks

    def on_step_end(self, *_arguments: Any, **_more: Any) -> None:
        for callback in self.callbacks:
            if getattr(callback, "watch", None) is not None:
                settle(callback.watch)


def losses(one: transformers.Trainer) -> list[float]:
    return [entry["loss"] for entry in one.state.log_history if "loss" in entry]


def test_a_training_with_a_process_that_is_killed_is_the_training_without(tmp_path: Path) -> None:
    plain = trainer(tmp_path / "plain", [], seed=3)
    plain.train()
    callback = SpinSpectraCallback(every=1, spectra_every=2, budget=None)

    class Kill(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
            if state.global_step == 5:
                settle(callback.watch)
                os.kill(callback.watch._helper.pid, signal.SIGKILL)

    watched = trainer(tmp_path / "watched", [callback, Kill()], seed=3)
    with pytest.warns(MonitorWarning, match="the training goes on: HelperError"):
        watched.train()
    assert watched.state.global_step == 8
    assert losses(watched) == losses(plain)
    assert len(losses(plain)) == 4
    assert {2, 3} <= set(rows(tmp_path / "watched" / "spinspectra.parquet").step)
    assert len(callback.watch.errors) == 1


@pytest.mark.usefixtures("here")
def test_numbers_go_where_the_trainer_reports_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    callback = SpinSpectraCallback(every=None, spectra_every=3, budget=None)
    one = trainer(tmp_path, [callback], report_to=["tensorboard", "mlflow"])
    one.train()
    assert callback.watch.errors == []
    assert callback.watch.measured == [4, 6]
    found = rows(tmp_path / "spinspectra.parquet")
    means = found.groupby("step").alpha.mean().to_dict()
    board = tensorboard_scalars(tmp_path / "board" / "spinspectra")
    assert board["spinspectra/alpha/mean"] == pytest.approx(means)
    assert set(board["spinspectra/log_norm/transformer.h.0.mlp.c_fc"]) == {4, 6}
    run = mlflow.last_active_run().info.run_id
    assert mlflow_metrics(run, "spinspectra/alpha/mean") == pytest.approx(means)
    assert mlflow_metrics(run, "loss")  # the trainer's own are in the same run


@pytest.mark.usefixtures("here")
def test_saved_checkpoints_have_their_spectra_and_resuming_goes_on(tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": 3, "save_only_model": False}
    first = SpinSpectraCallback(every=3, spectra_every=None, on_save=True, budget=None, layers=["c_fc", "c_proj"])
    trainer(tmp_path, [first], 7, **saving).train()
    assert first.watch.measured == [3, 6, 7]
    found = rows(tmp_path / "spinspectra.parquet").query("clock == 'spectra' and step == 6").set_index("longname")
    expected = analyze(tmp_path / "checkpoint-6", layers=["c_fc", "c_proj"]).set_index("longname")
    assert found.alpha.to_dict() == pytest.approx(expected.alpha.to_dict(), rel=1e-9)

    second = SpinSpectraCallback(every=1, spectra_every=None, budget=None)
    trainer(tmp_path, [second], 10, **saving).train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    steps = rows(tmp_path / "spinspectra.parquet").step
    assert steps.is_monotonic_increasing
    assert set(steps) == {3, 6, 8, 9, 10}


@pytest.mark.usefixtures("here")
def test_a_mean_alpha_below_the_limit_stops_it(tmp_path: Path) -> None:
    callback = SpinSpectraCallback(None, every=None, spectra_every=1, budget=None, stop_below=50.0)
    one = trainer(tmp_path, [callback], 40)
    with pytest.warns(MonitorWarning, match="asks the training to stop: mean alpha"):
        one.train()
    assert one.state.global_step == 4  # begun at 1, measured at 2 and 3, known at 4
    assert "below stop_below=50.0" in callback.watch.stop_reason
    assert not (tmp_path / "spinspectra.parquet").exists()


def test_options_are_refused_when_the_callback_is_made() -> None:
    with pytest.raises(OptionError, match="every=-1"):
        SpinSpectraCallback(every=-1)
    with pytest.raises(OptionError, match="nothing is ever measured"):
        SpinSpectraCallback(every=None, spectra_every=None)
    with pytest.raises(TypeError, match="evrey"):
        SpinSpectraCallback(evrey=10)
