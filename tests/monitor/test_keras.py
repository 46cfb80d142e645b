"""Real short fits with Keras on torch: its logs, its stop, its steps over epochs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinspectra import analyze
from spinspectra.monitor import MonitorWarning
from spinspectra.monitor.keras import SpinSpectraCallback
from tests.monitor.helpers import rows, settle
from tests.monitor.readers import tensorboard_scalars

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Settled(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, callback: Any) -> None:
        super().__init__()
        self.callback = callback

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        settle(self.callback.watch)


def model() -> Any:
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    made = keras.Sequential([keras.Input((10,)), dense(12), dense(16, name="middle"), dense(10)])
    made.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
    return made


def fit(one: Any, callback: Any = None, epochs: int = 2, **options: Any) -> Any:
    x = np.random.default_rng(0).standard_normal((32, 10)).astype(np.float32)
    callbacks = [] if callback is None else [callback, Settled(callback)]
    return one.fit(x, x, batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks, **options)


@pytest.mark.usefixtures("here")
def test_a_fit_is_the_same_and_its_record_is_of_the_models_own_names(tmp_path: Path) -> None:
    plain = fit(model()).history["loss"]
    one, callback = model(), SpinSpectraCallback(tmp_path / "run.parquet", every=1, spectra_every=4, budget=None)
    assert fit(one, callback).history["loss"] == plain
    assert callback.watch.errors == []
    found = rows(tmp_path / "run.parquet")
    last = found[found.step == 8].set_index("longname")
    expected = analyze(one).set_index("longname")
    assert "middle.kernel" in expected.index
    assert last.alpha.to_dict() == pytest.approx(expected.alpha.to_dict(), rel=1e-9)


@pytest.mark.usefixtures("here")
def test_numbers_go_to_tensorboard_and_to_the_logs_of_epochs(tmp_path: Path) -> None:
    callback = SpinSpectraCallback(None, every=None, spectra_every=6, budget=None, log_dir=tmp_path / "board")
    one = model()
    history = fit(one, callback, epochs=3).history
    board = tensorboard_scalars(tmp_path / "board")["spinspectra/alpha/mean"]
    assert list(board) == [7, 12]
    assert history["mean_alpha"] == pytest.approx([np.nan, board[7], board[7]], nan_ok=True)
    assert len(history["mean_stable_rank"]) == 3

    # a second fit counts on from the optimizer's steps
    fit(one, callback, epochs=1)
    assert callback.watch.measured == []
    fit(one, callback, epochs=1)
    assert callback.watch.measured == [19]


@pytest.mark.usefixtures("here")
def test_each_epoch_is_measured_where_checkpoints_are_saved(tmp_path: Path) -> None:
    callback = SpinSpectraCallback(
        tmp_path / "run.parquet", every=2, spectra_every=None, on_save=True, budget=None, layers=["middle.kernel"]
    )
    fit(model(), callback, epochs=2)
    found = rows(tmp_path / "run.parquet")
    assert callback.watch.measured == [4, 8]
    assert set(found.longname) == {"middle.kernel"}


@pytest.mark.usefixtures("here")
def test_a_mean_alpha_below_the_limit_stops_it() -> None:
    callback = SpinSpectraCallback(None, every=None, spectra_every=1, budget=None, stop_below=50.0)
    with pytest.warns(MonitorWarning, match="asks the training to stop: mean alpha"):
        history = fit(model(), callback, epochs=20)
    assert len(history.history["loss"]) == 1
    assert callback.watch.measured[:2] == [2, 3]
