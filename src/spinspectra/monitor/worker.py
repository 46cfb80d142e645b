"""A background thread for one job at a time, which keeps what went wrong to itself."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a job: what it returned, or what it raised. seconds: of processor time of its thread."""

    result: Any = None
    error: BaseException | None = None
    seconds: float = 0.0


class Worker:
    """Runs one job at a time; one that comes while another runs is refused, so that weights never wait and grow old.

    A thread does not keep the interpreter from ending.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._done: Done | None = None

    @property
    def free(self) -> bool:
        return self._thread is None

    def start(self, job: Callable[[], Any]) -> bool:
        """Begin a job, unless another is running or its end was not yet taken; False if so."""
        if not self.free:
            return False
        self._done = None
        self._thread = threading.Thread(target=self._run, args=(job,), name="spinspectra-monitor", daemon=True)
        self._thread.start()
        return True

    def finished(self) -> Done | None:
        """The end of the job, once; None while it runs or if there is none."""
        if self._thread is None or self._done is None:
            return None
        self._thread.join()
        self._thread = None
        return self._done

    def wait(self, seconds: float) -> Done | None:
        """The end of the job, for which it waits so long at most; None if there is none by then."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.finished()

    def _run(self, job: Callable[[], Any]) -> None:
        result, error, start = None, None, time.thread_time()
        try:
            result = job()
        except BaseException as raised:
            error = raised
        self._done = Done(result, error, time.thread_time() - start)
