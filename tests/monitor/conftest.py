"""The process that measures, at the tests' own priority; and one that is no process, for tests of all around it."""

import io
import os

import pytest

from spinspectra.monitor import child, helper, watch
from spinspectra.monitor.messages import Answer, Clock, Ready, Request, send_values
from spinspectra.monitor.snapshot import Snapshot

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture(autouse=True)
def without_waiting_behind_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "NICENESS", 0)


class HelperHere:
    """As `Helper`, in the tests' own process."""

    pid = None

    def start(self) -> Ready:
        return Ready(1e10, 0.0)

    def measure(self, clock: Clock, snapshot: Snapshot) -> Answer:
        stream, values = io.BytesIO(), snapshot.values
        for one in values.values():
            send_values(stream, one)
        stream.seek(0)
        order = [(name, one.dtype) for name, one in values.items()]
        return child.answer(Request(clock, snapshot.source, snapshot.infos, order), stream)

    def close(self) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements in the background thread of this process."""
    monkeypatch.setattr(watch, "Helper", HelperHere)
