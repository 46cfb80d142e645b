"""Real short trainings with PyTorch Lightning: its loggers, its checkpoints, its stop, its errors."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from spinspectra import analyze
from spinspectra.monitor import MonitorWarning
from tests.monitor.helpers import rows, settle
from tests.monitor.readers import tensorboard_scalars

lightning = pytest.importorskip("lightning.pytorch")
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger  # noqa: E402

from spinspectra.monitor.lightning import SpinSpectraCallback  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),  # of few workers, few batches and the like
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Network(lightning.LightningModule):  # type: ignore[misc]
    def __init__(self, breaks_at: int = -1) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(12, 20), torch.nn.Dropout(0.1), torch.nn.Linear(20, 12))
        self.losses: list[float] = []
        self.breaks_at = breaks_at

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        if index == self.breaks_at:
            raise RuntimeError("the training broke")
        loss = torch.nn.functional.mse_loss(self.layers(batch), batch)
        self.losses.append(float(loss.detach()))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


class Settled(lightning.Callback):  # type: ignore[misc]
    def on_train_batch_end(self, trainer: Any, *_more: Any) -> None:
        for callback in trainer.callbacks:
            if getattr(callback, "watch", None) is not None:
                settle(callback.watch)


def fit(folder: Path, callback: Any, steps: int = 8, breaks_at: int = -1, **options: Any) -> tuple[Any, Network]:
    lightning.seed_everything(0, verbose=False)
    network = Network(breaks_at)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=steps,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[] if callback is None else [callback, Settled()],
        **{"logger": False, "enable_checkpointing": False, **options},
    )
    trainer.fit(network, torch.utils.data.DataLoader(torch.randn(256, 12), batch_size=8, shuffle=True))
    return trainer, network


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    import logging

    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)


def test_a_training_is_the_same_and_its_record_lies_in_its_folder(tmp_path: Path) -> None:
    _trainer, plain = fit(tmp_path, None)
    callback = SpinSpectraCallback(every=2, spectra_every=4, budget=None)
    _trainer, watched = fit(tmp_path, callback)
    assert watched.losses == plain.losses
    assert callback.watch.errors == []
    found = rows(tmp_path / "spinspectra.parquet")
    assert set(found.longname) == {"layers.0", "layers.2"}
    last = found[found.step == 8].set_index("longname")
    assert last.alpha.to_dict() == pytest.approx(analyze(watched).set_index("longname").alpha.to_dict(), rel=1e-9)


@pytest.mark.usefixtures("here")
def test_numbers_go_to_all_loggers(tmp_path: Path) -> None:
    callback = SpinSpectraCallback(every=None, spectra_every=3, budget=None)
    loggers = [TensorBoardLogger(tmp_path, name="board"), CSVLogger(tmp_path, name="table")]
    trainer, _network = fit(tmp_path, callback, logger=loggers, log_every_n_steps=2)
    assert callback.watch.errors == []
    assert callback.watch.measured == [4, 6]
    found = rows(Path(trainer.log_dir) / "spinspectra.parquet")
    means = found.groupby("step").alpha.mean().to_dict()
    board = tensorboard_scalars(Path(loggers[0].log_dir))
    assert board["spinspectra/alpha/mean"] == pytest.approx(means)
    import pandas as pd

    table = pd.read_csv(Path(loggers[1].log_dir) / "metrics.csv").dropna(subset="spinspectra/alpha/mean")
    assert dict(zip(table.step, table["spinspectra/alpha/mean"], strict=True)) == pytest.approx(means)


@pytest.mark.usefixtures("here")
def test_checkpoints_have_their_spectra(tmp_path: Path) -> None:
    callback = SpinSpectraCallback(every=1, spectra_every=None, on_save=True, budget=None)
    saver = lightning.callbacks.ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=4, save_top_k=-1)
    lightning.seed_everything(0, verbose=False)
    network = Network()
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=8, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, logger=False, callbacks=[callback, Settled(), saver],
    )  # fmt: skip
    trainer.fit(network, torch.utils.data.DataLoader(torch.randn(256, 12), batch_size=8))
    assert callback.watch.measured == [4, 8]
    state = torch.load(tmp_path / "step=4.ckpt", weights_only=True)["state_dict"]
    found = rows(tmp_path / "spinspectra.parquet").query("step == 4").set_index("longname")
    assert found.alpha.to_dict() == pytest.approx(analyze(state).set_index("longname").alpha.to_dict(), rel=1e-9)


@pytest.mark.usefixtures("here")
def test_a_mean_alpha_below_the_limit_stops_it(tmp_path: Path) -> None:
    callback = SpinSpectraCallback(None, every=None, spectra_every=1, budget=None, stop_below=50.0)
    with pytest.warns(MonitorWarning, match="asks the training to stop: mean alpha"):
        trainer, _network = fit(tmp_path, callback, 30)
    assert trainer.global_step == 4


@pytest.mark.usefixtures("here")
def test_a_training_that_breaks_leaves_its_record(tmp_path: Path) -> None:
    callback = SpinSpectraCallback(every=1, spectra_every=None, budget=None)
    with pytest.raises(RuntimeError, match="the training broke"):
        fit(tmp_path, callback, breaks_at=5)
    assert set(rows(tmp_path / "spinspectra.parquet").step) == {2, 3, 4, 5}


def test_the_callback_can_be_sent_to_another_process() -> None:
    callback = pickle.loads(pickle.dumps(SpinSpectraCallback(every=7)))
    assert isinstance(callback, lightning.Callback)
    assert callback.settings.every == 7
