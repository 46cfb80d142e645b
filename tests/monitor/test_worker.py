"""One job at a time, behind the training, its errors kept."""

import threading
import time

import pytest

from spinspectra.monitor.worker import Worker


def test_a_second_job_is_refused_until_the_end_of_the_first_was_taken() -> None:
    worker, go = Worker(), threading.Event()
    assert worker.start(lambda: go.wait(10.0) and "done")
    assert not worker.start(lambda: "second")
    assert worker.finished() is None
    go.set()
    done = worker.wait(10.0)
    assert done is not None
    assert (done.result, done.error) == ("done", None)
    assert worker.finished() is None
    assert worker.start(lambda: "second")
    assert worker.wait(10.0).result == "second"  # type: ignore[union-attr]


@pytest.mark.parametrize("error", [RuntimeError("no"), MemoryError(), SystemExit(3), KeyboardInterrupt()])
def test_an_error_of_any_kind_stays_in_its_end(error: BaseException) -> None:
    def job() -> None:
        raise error

    worker = Worker()
    worker.start(job)
    done = worker.wait(10.0)
    assert done is not None
    assert done.error is error


def test_waiting_has_an_end() -> None:
    worker, go = Worker(), threading.Event()
    worker.start(go.wait)
    assert worker.wait(0.01) is None
    assert not worker.free
    go.set()
    assert worker.wait(10.0) is not None


def test_seconds_are_of_processor_time() -> None:
    worker = Worker()
    worker.start(lambda: time.sleep(0.3))
    assert worker.wait(10.0).seconds < 0.2  # type: ignore[union-attr]

    def busy() -> None:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass

    worker.start(busy)
    assert worker.wait(10.0).seconds >= 0.05  # type: ignore[union-attr]
