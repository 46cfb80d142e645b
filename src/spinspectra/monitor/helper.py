"""The process that measures, as the training's sees it: started when first needed, fed through a pipe, let go."""

import os
import subprocess
import sys
from contextlib import suppress
from typing import IO, Any

from spinspectra.errors import SpinSpectraError
from spinspectra.monitor.messages import Answer, Clock, Ready, Request, receive, send, send_values
from spinspectra.monitor.snapshot import Snapshot

# A tenth of a core that is busy otherwise, and all of an idle one. The lowest priority would leave it a sixtieth, and
# what it measures would be old when it is done.
NICENESS = 10

_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}


class HelperError(SpinSpectraError):
    """The process that measures could not be started, or has ended."""


class Helper:
    """A process of low priority and one thread, which never loads the training's framework.

    Used from one thread at a time, which waits while it measures. It ends when it is closed, or the training does.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Ready:
        """Start it, anew if it runs already, and wait until it is ready. Raises HelperError if it cannot be."""
        self.close()
        paths = os.pathsep.join(path for path in sys.path if path)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "spinspectra.monitor.child", str(NICENESS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **_ONE_THREAD, "PYTHONPATH": paths},
                creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
            )
        except OSError as error:
            raise HelperError(f"the process that measures cannot be started ({error.strerror or error})") from None
        ready: Ready = self._receive()
        return ready

    def measure(self, clock: Clock, snapshot: Snapshot) -> Answer:
        """Send the values, letting go of each, and wait for the numbers. Raises HelperError if it ended meanwhile."""
        values = snapshot.values
        order = [(name, one.dtype) for name, one in values.items()]
        try:
            pipe = self._pipes()[0]
            send(pipe, Request(clock, snapshot.source, snapshot.infos, order))
            for name, _dtype in order:
                send_values(pipe, values.pop(name))
        except OSError:
            raise self._ended() from None
        answer: Answer = self._receive()
        return answer

    def close(self) -> None:
        """End it, whatever it is at; a thread that waits for it then hears of it."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _receive(self) -> Any:
        try:
            return receive(self._pipes()[1])
        except (OSError, EOFError):
            raise self._ended() from None

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise HelperError("the process that measures was ended")
        return process.stdin, process.stdout

    def _ended(self) -> HelperError:
        """Why there is no answer; the next measurement starts another process."""
        process, self._process = self._process, None
        if process is None:
            return HelperError("the process that measures was ended")
        status = _end(process)
        how = f"killed by signal {-status}" if status < 0 else f"with status {status}"
        return HelperError(f"the process that measures ended ({how})")


def _end(process: subprocess.Popen[bytes]) -> int:
    """Its exit status."""
    process.kill()
    status = process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what it was not sent any more
                pipe.close()
    return status
