"""The watch over a loop: when it measures, what it keeps and shows, when it asks for a stop, what goes wrong."""

import os
import random
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spinspectra as ss
from spinspectra.errors import OptionError
from spinspectra.monitor import MonitorWarning, Watch
from spinspectra.monitor import watch as module
from spinspectra.monitor.helper import HelperError
from spinspectra.monitor.messages import Answer, Clock
from spinspectra.monitor.snapshot import Snapshot
from tests.monitor.conftest import HelperHere
from tests.monitor.helpers import heavy, loop, rows, settle, weights


def train(watch: Watch | None, steps: int = 12) -> tuple[list[float], list[Any], torch.nn.Module]:
    """Losses, the states of all random numbers afterwards, and the network."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  the global state is what may not be touched
    random.seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(30, 50), torch.nn.Dropout(0.2), torch.nn.Linear(50, 30))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for step in range(1, steps + 1):
        x = torch.randn(16, 30) * random.random() + float(np.random.rand())  # noqa: NPY002
        loss = ((network(x) - x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if watch is not None:
            watch.step(step, network)
            settle(watch)
    if watch is not None:
        watch.close()
    states = [torch.get_rng_state(), torch.tensor(np.random.get_state()[1]), random.getstate()]  # noqa: NPY002
    return losses, states, network


def test_a_training_is_the_same_with_and_without_and_its_threads_too(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    losses, states, _network = train(None)
    watch = Watch(tmp_path / "run.parquet", every=1, spectra_every=3, budget=None)
    watched, after, network = train(watch)
    assert watched == losses
    assert all(torch.equal(one, other) for one, other in zip(states[:2], after[:2], strict=True))
    assert states[2] == after[2]
    assert torch.get_num_threads() == threads
    assert watch.errors == []
    assert watch.measured == [3, 6, 9, 12]
    watch.step(13, network, now=True)  # closed, so not watched any more
    last = rows(tmp_path / "run.parquet").query("step == 12").set_index("longname")
    assert last.alpha.to_dict() == pytest.approx(ss.analyze(network).set_index("longname").alpha.to_dict(), rel=1e-9)
    assert watch.measured == [3, 6, 9, 12]


@pytest.mark.usefixtures("here")
def test_clocks_are_apart_and_spectra_have_the_cheap_numbers_too(tmp_path: Path) -> None:
    shown: dict[int, dict[str, float]] = {}
    watch = Watch(
        tmp_path / "run.parquet",
        every=3,
        spectra_every=6,
        budget=None,
        log=lambda numbers, step: shown.update({step: dict(numbers)}),
    )
    watch.begin(weights(), 0)
    watch.step(1, weights())  # nothing is due
    assert watch.budget.elapsed() < 60.0
    loop(watch, range(2, 14), weights())
    watch.close()
    found = rows(tmp_path / "run.parquet")
    # the first due step starts what measures, and the measurement is made at the next
    assert found.groupby("step").clock.first().to_dict() == {4: "cheap", 6: "spectra", 9: "cheap", 12: "spectra"}
    assert watch.measured == [6, 12]
    assert found.alpha[found.clock == "cheap"].isna().all()
    assert found.alpha[found.clock == "spectra"].notna().all()
    assert found.stable_rank.notna().all()
    expected = ss.analyze(weights()).set_index("longname")
    assert set(shown) == {4, 6, 9, 12}
    assert shown[6]["spinspectra/alpha/layers.1"] == expected.alpha["layers.1"]
    assert shown[6]["spinspectra/alpha/mean"] == pytest.approx(expected.alpha.mean())
    assert "spinspectra/alpha/mean" not in shown[4]
    assert shown[4]["spinspectra/stable_rank/mean"] == pytest.approx(expected.stable_rank.mean(), rel=1e-5)


@pytest.mark.usefixtures("here")
def test_what_is_asked_for_now_waits_until_the_thread_is_free(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "run.parquet", every=2, spectra_every=None, budget=None)
    loop(watch, range(1, 5), weights())
    watch.step(5, weights(), now=True)
    watch.step(6, weights())
    settle(watch)
    watch.step(6, weights(), now=True)
    settle(watch)
    watch.step(7, weights())
    settle(watch)
    watch.close()
    assert watch.measured[0] in (5, 6)
    assert len(watch.measured) == 2


@pytest.mark.usefixtures("here")
def test_a_run_that_resumes_goes_on_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "run.parquet"
    for steps in (range(1, 9), range(5, 13)):
        with Watch(path, every=2, spectra_every=None, budget=None) as watch:
            loop(watch, steps, weights())
    found = rows(path)
    assert found.step.is_monotonic_increasing
    assert found.seconds.is_monotonic_increasing
    assert not found.duplicated(["step", "longname"]).any()
    assert found.step.max() == 12
    assert found.step.min() < 5


@pytest.mark.usefixtures("here")
def test_within_a_budget_that_is_too_small_nothing_is_measured_and_it_is_told(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "run.parquet", every=1, spectra_every=1)
    loop(watch, range(1, 50), weights())
    with pytest.warns(MonitorWarning, match=r"no spectra were measured: 1.0 s for once, and 5 % of 0 s"):
        watch.close()
    assert not (tmp_path / "run.parquet").exists()
    assert watch.budget.spent < 0.05


@pytest.mark.usefixtures("here")
def test_the_budget_holds_with_measurements_that_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START", 0.0)
    watch = Watch(every=1, spectra_every=1, budget=0.2)
    watch.begin(weights())
    began = time.perf_counter()
    for step in range(1, 150):
        time.sleep(0.01)
        watch.step(step, weights())
    watch.close()
    assert watch.measured
    assert watch.budget.spent <= 0.2 * (time.perf_counter() - began) + max(watch._cost.values())


@pytest.mark.usefixtures("here")
def test_two_means_in_a_row_below_the_limit_ask_for_a_stop() -> None:
    light, steep = weights(exponent=1.8), weights(exponent=3.5)
    assert ss.analyze(light).alpha.mean() < 2.0 < ss.analyze(steep).alpha.mean()

    def source(step: int) -> dict[str, np.ndarray]:
        return light if step in (4, 6, 8) else steep

    watch = Watch(every=None, spectra_every=2, budget=None, stop_below=2.0)
    with pytest.warns(MonitorWarning, match=r"asks the training to stop: mean alpha 1\.\d\d and 1\.\d\d, the latter"):
        last = loop(watch, range(1, 20), source)
    assert last == 7
    assert watch.stop_reason.endswith("at step 6, below stop_below=2.0")
    watch.close()

    with Watch(every=None, spectra_every=2, budget=None) as never:
        assert loop(never, range(1, 10), light) == 9
    assert never.stop_reason == ""


@pytest.mark.usefixtures("here")
def test_nan_weights_cost_their_rows_and_no_error(tmp_path: Path) -> None:
    bad = weights()
    bad["layers.0.weight"][0, 0] = np.nan
    with Watch(tmp_path / "run.parquet", every=1, spectra_every=2, budget=None, stop_below=2.0) as watch:
        loop(watch, range(1, 7), bad)
    found = rows(tmp_path / "run.parquet")
    assert watch.errors == []
    assert set(found.status[found.longname == "layers.0"]) == {"failed"}
    assert found.reason[found.longname == "layers.0"].str.contains("1 of 2400 values are NaN").all()
    assert found.stable_rank[found.longname == "layers.1"].notna().all()


def test_a_network_without_a_layer_to_measure_is_told_of_and_left_alone(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "run.parquet", every=1, spectra_every=1, budget=None)
    with pytest.warns(MonitorWarning, match="nothing is measured: no layer to measure among 2 tensors"):
        assert loop(watch, range(1, 5), torch.nn.Linear(4, 4)) == 4
    watch.close()
    assert not (tmp_path / "run.parquet").exists()


def test_a_layer_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match="nothing is called 'fc9'"):
        Watch(layers=["fc9"]).begin(weights())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"every": 0}, "every=0"),
        ({"spectra_every": 1.5}, "spectra_every=1.5"),
        ({"budget": 0.0}, "budget=0.0"),
        ({"budget": 5}, "budget=5"),
        ({"stop_below": 0.5}, "stop_below=0.5"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        Watch(**options)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("where", ["copy", "measure", "record", "log", "start"])
def test_a_crash_is_told_once_and_stops_nothing(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_arguments: object) -> None:
        raise RuntimeError(f"crash in {where}")

    watch = Watch(tmp_path / "run.parquet", every=1, spectra_every=2, budget=None, log=crash if where == "log" else ())
    watch.begin(weights())
    if where == "copy":
        monkeypatch.setattr(module, "take_snapshot", crash)
    elif where == "record":
        monkeypatch.setattr(watch._record, "write", crash)
    elif where != "log":
        monkeypatch.setattr(watch._helper, where, crash, raising=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert loop(watch, range(1, 9), weights()) == 8
        watch.close()
    assert [str(one.message) for one in told] == [
        f"spinspectra: a measurement failed, the training goes on: RuntimeError: crash in {where}"
    ]
    assert len(watch.errors) > (where != "start")


def test_warnings_that_are_errors_do_not_stop_it_either(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(every=1, budget=None)
    watch.begin(weights())

    def crash(*_arguments: object) -> None:
        raise ValueError("no copy")

    monkeypatch.setattr(watch, "_due", crash)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loop(watch, range(1, 4), weights()) == 3
        watch.close()
    assert "ValueError: no copy" in caplog.text


def test_a_process_that_is_killed_is_told_of_and_started_anew(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "run.parquet", every=1, spectra_every=None, budget=None)
    loop(watch, range(1, 4), weights())
    assert watch._helper.pid is not None
    os.kill(watch._helper.pid, signal.SIGKILL)
    with pytest.warns(MonitorWarning, match=r"the process that measures ended \(killed by signal 9\)"):
        loop(watch, range(4, 12), {"a.weight": heavy((400, 100)), **weights()})
    watch.close()
    steps = set(rows(tmp_path / "run.parquet").step)
    assert 2 in steps
    assert 11 in steps
    assert len(steps) < 10


def test_a_measurement_that_hangs_does_not_keep_the_training_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    class Hangs(HelperHere):
        def measure(self, clock: Clock, snapshot: Snapshot) -> Answer:
            ended.wait(60.0)
            raise HelperError("the process that measures was ended")

        def close(self) -> None:
            ended.set()

    monkeypatch.setattr(module, "Helper", Hangs)
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    watch = Watch(every=1, budget=None)
    watch.step(1, weights())
    settle(watch)
    watch.step(2, weights())
    began = time.perf_counter()
    with pytest.warns(MonitorWarning, match="HelperError: the process that measures was ended"):
        watch.close()
    assert time.perf_counter() - began < 30.0
