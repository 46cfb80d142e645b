"""The points of a study: independent pieces of work on all cores, each kept in a file as soon as it is known."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from spinspectra.cores import n_cores
from spinspectra.errors import OptionError
from spinspectra.files import whole_file
from spinspectra.identity import differences_of, plain
from spinspectra.ising.checkpoint import CheckpointError
from spinspectra.text import shown

Found = Mapping[str, Any]  # what is known of a point: numbers and text by name
P = TypeVar("P")


def run_points(
    points: Mapping[str, P],
    work: Callable[[P], Found],
    identity: Mapping[str, Any],
    record: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[str, int], None] | None = None,
    stop: Event | None = None,
    again: Callable[[Found], bool] | None = None,
) -> dict[str, dict[str, Any]]:
    """`work` of every point by its name, in the order of `points`; `seconds` of each is added.

    record: a JSON file, read if it is there and written whole at the start and after each point, so that an
    interrupted study goes on where it was and ends the same. identity: what the study is (weights, parameters, seed),
    values that JSON knows; not its points, so that a study can be asked for more of them, or for fewer: the record
    keeps all. executor: default threads on all cores; with processes `work` and the points must be picklable.
    progress: called with a point's name and how many are known by then; once, with an empty name, at the start.
    again: whether what the record has of a point is to be found anew; it stays there until it is.
    stop: set once the study has to end early, for `work` in threads that looks at it and raises to end sooner.

    Raises CheckpointError if the record is another study's or damaged, OptionError for what JSON does not know, and
    what `work` raises first, or KeyboardInterrupt: points that were begun then end, are kept, and no other is begun.
    """
    known = {} if record is None else read_record(record, identity)
    missing = {
        name: point for name, point in points.items() if name not in known or (again is not None and again(known[name]))
    }
    n_known = len(points) - len(missing)
    if record is not None and missing:
        _write(record, identity, known)  # a folder that cannot be written to is found out before the work
    if progress is not None:
        progress("", n_known)
    with _pool(executor, len(missing)) as pool:
        waiting: dict[Future[dict[str, Any]], str] = {}
        try:
            for name, point in missing.items():
                waiting[pool.submit(_timed, partial(work, point))] = name
            for done in as_completed(waiting):
                known[waiting[done]] = done.result()
                if record is not None:
                    _write(record, identity, known)
                n_known += 1
                if progress is not None:
                    progress(waiting[done], n_known)
        except BaseException:
            if stop is not None:
                stop.set()
            for done in as_completed([future for future in waiting if not future.cancel()]):
                if done.exception() is None:
                    known[waiting[done]] = done.result()
            if record is not None:
                _write(record, identity, known)
            raise
    return {name: known[name] for name in points}


def read_record(record: Path, identity: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The points that a record holds, nothing if there is no such file. Raises CheckpointError as `run_points` does."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        known = {str(name): dict(found) for name, found in kept["points"].items()}
        differing = differences_of(kept["identity"], json.loads(_to_json(identity)))
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{record}: no record of a study, or a damaged one ({shown(str(error))})") from None
    if differing:
        raise CheckpointError(
            f"{record}: of another study: {'; '.join(differing)}; ask for the same study again, or name another folder"
        )
    return known


def _timed(work: Callable[[], Found]) -> dict[str, Any]:
    """What is found, as the record will give it back: the same whether it was interrupted or not."""
    began = time.perf_counter()
    found = json.loads(_to_json(dict(work())))
    return {**found, "seconds": time.perf_counter() - began}


@contextmanager
def _pool(executor: Executor | None, n_points: int) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    with ThreadPoolExecutor(max(1, min(n_cores(), n_points))) as threads:
        yield threads


def _write(record: Path, identity: Mapping[str, Any], known: Mapping[str, Found]) -> None:
    text = _to_json({"identity": identity, "points": known}, indent=1)
    record.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(record) as part, part.open("x", encoding="utf-8") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def _to_json(value: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(value, default=plain, indent=indent)
    except (TypeError, ValueError) as error:
        raise OptionError(f"a study's record: {error}") from None
