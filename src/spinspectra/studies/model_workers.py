"""Processes that evaluate networks with torch, each on its share of the cores, which end with the one that asked."""

import _thread
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn

from spinspectra.cores import n_cores
from spinspectra.errors import OptionError

_LAST_SECONDS = 10.0  # to end a point and clear its files away, once nobody waits for it any more

_INTERRUPTED = threading.Event()  # in a worker: Ctrl-C was pressed, so whatever still stands in its queue is not begun


def model_workers(workers: int | None = None) -> ProcessPoolExecutor:
    """An executor of fresh processes, default one a core, that share out all cores as threads of torch.

    Processes rather than threads: loading a model takes the interpreter's lock for long, and sets defaults of torch
    that all threads share. Ctrl-C ends what is in `interruptible`. Raises OptionError for less than one.
    """
    workers = n_cores() if workers is None else workers
    if workers < 1:
        raise OptionError(f"workers={workers}: give at least 1")
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(max(1, n_cores() // workers),))


@contextmanager
def interruptible() -> Iterator[None]:
    """In a worker of `model_workers`, Ctrl-C ends the block, and no other is begun after it; elsewhere no change."""
    if multiprocessing.parent_process() is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    if _INTERRUPTED.is_set():
        raise KeyboardInterrupt
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin(threads: int) -> None:
    signal.signal(signal.SIGINT, _note)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for library in ("OMP", "MKL"):  # torch reads them when it is imported, which a task may never do
        os.environ.setdefault(f"{library}_NUM_THREADS", str(threads))


def _note(*_: Any) -> None:
    _INTERRUPTED.set()


def _interrupt(*_: Any) -> NoReturn:
    _INTERRUPTED.set()
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """A process killed outright tells its workers nothing, and they would wait for their next point for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _thread.interrupt_main()
        time.sleep(_LAST_SECONDS)
        os._exit(1)
