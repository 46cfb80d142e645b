"""The process that measures: what it answers, that it stays small, and that its end is heard of."""

import io
import os
import signal
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from spinspectra import analyze
from spinspectra.monitor import child
from spinspectra.monitor.helper import Helper, HelperError
from spinspectra.monitor.messages import Request, receive_values, send_values
from spinspectra.monitor.snapshot import Snapshot, choose_layers, take_snapshot
from tests.monitor.helpers import heavy, weights


def snapshot_of(tensors: dict[str, np.ndarray]) -> Snapshot:
    return take_snapshot(tensors, choose_layers(tensors, None))


def test_it_answers_as_analyze_does_and_its_end_is_told() -> None:
    tensors = {**weights(2), "half.weight": heavy(seed=7).astype(ml_dtypes.bfloat16)}
    expected = analyze(tensors).set_index("longname")
    helper = Helper()
    try:
        ready = helper.start()
        assert ready.rate > 1e8
        copy = snapshot_of(tensors)
        answer = helper.measure("spectra", copy)
        assert copy.values == {}  # let go of as they were sent
        assert answer.unexpected == ""
        assert 0.0 < answer.seconds < 60.0
        for layer in answer.layers:
            assert layer.alpha == pytest.approx(expected.alpha[layer.longname], rel=1e-9)
        assert {layer.longname for layer in answer.layers} == set(expected.index)
        cheap = helper.measure("cheap", snapshot_of(tensors)).layers
        assert [layer.stable_rank for layer in cheap] == pytest.approx([one.stable_rank for one in answer.layers])

        assert helper.pid is not None
        loaded = Path(f"/proc/{helper.pid}/maps").read_text()
        assert "llvmlite" in loaded
        assert "libtorch" not in loaded  # nor any other framework of training
        os.kill(helper.pid, signal.SIGKILL)
        with pytest.raises(HelperError, match="ended"):
            helper.measure("spectra", snapshot_of({"a.weight": heavy((2000, 500))}))
        with pytest.raises(HelperError, match="was ended"):
            helper.measure("cheap", snapshot_of(tensors))
    finally:
        helper.close()


def test_without_a_python_that_has_the_package_it_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(HelperError, match=r"ended \(with status 1\)"):
        Helper().start()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(HelperError, match="cannot be started"):
        Helper().start()


def test_what_fails_unforeseen_costs_a_layers_row_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = child.measure

    def sometimes(clock: str, layer: object) -> object:
        if layer.name == "layers.1.weight":  # type: ignore[attr-defined]
            raise ZeroDivisionError("by nothing")
        return measure(clock, layer)  # type: ignore[arg-type]

    monkeypatch.setattr(child, "measure", sometimes)
    copy, stream = snapshot_of(weights(3)), io.BytesIO()
    for value in copy.values.values():
        send_values(stream, value)
    stream.seek(0)
    order = [(name, value.dtype) for name, value in copy.values.items()]
    answer = child.answer(Request("spectra", copy.source, copy.infos, order), stream)
    assert [layer.status for layer in answer.layers] == ["success", "failed", "success"]
    assert answer.layers[1].reason == "ZeroDivisionError: by nothing"
    assert answer.unexpected == "layers.1.weight: ZeroDivisionError: by nothing"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_values_come_through_a_pipe_bit_by_bit(dtype: type) -> None:
    values, stream = heavy((30, 7)).astype(dtype), io.BytesIO()
    send_values(stream, values.T)
    stream.seek(0)
    found = receive_values(stream, (7, 30), np.dtype(dtype))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values.T)
    with pytest.raises(EOFError):
        receive_values(stream, (7, 30), np.dtype(dtype))
