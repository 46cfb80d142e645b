"""Studies' points: what is kept, what is refused, and that no interruption changes what comes out."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinspectra.errors import OptionError
from spinspectra.ising.checkpoint import CheckpointError
from spinspectra.studies import points as module
from spinspectra.studies.points import read_record, run_points

IDENTITY = {"study": "squares", "seed": 3}
POINTS = {f"{number}": number for number in range(6)}

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork as POSIX has them")


def square(number: int) -> dict[str, float]:
    return {"square": number**2, "third": number / 3.0}


def without_seconds(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in one.items() if key != "seconds"} for name, one in found.items()}


SQUARES = {name: dict(square(number)) for name, number in POINTS.items()}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "study.json"


def failing(at: int, error: BaseException, other: Callable[[int], dict[str, float]] = square) -> Any:
    def work(number: int) -> dict[str, float]:
        if number == at:
            raise error
        return other(number)

    return work


def test_every_point_by_its_name_in_their_order_with_its_seconds(record: Path) -> None:
    def work(number: int) -> dict[str, float]:
        time.sleep(0.02 * (6 - number))  # so that the last is known first
        return square(number)

    found = run_points(POINTS, work, IDENTITY, record)
    assert without_seconds(found) == SQUARES
    assert list(found) == list(POINTS)
    assert all(found[name]["seconds"] >= 0.02 * (6 - number) for name, number in POINTS.items())
    assert read_record(record, IDENTITY) == found
    assert [path.name for path in record.parent.iterdir()] == ["study.json"]


def test_without_a_record_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert without_seconds(run_points(POINTS, square, IDENTITY)) == SQUARES
    assert not list(tmp_path.iterdir())


def test_processes_threads_and_one_thread_give_the_same() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes, ThreadPoolExecutor(1) as one:
        found = [run_points(POINTS, square, IDENTITY, executor=executor) for executor in (processes, one, None)]
    assert all(without_seconds(each) == SQUARES for each in found)
    assert all(list(each) == list(POINTS) for each in found)


def test_what_comes_back_is_what_the_record_gives_back(record: Path) -> None:
    """Numpy numbers, tuples and NaN are the same in a run that was interrupted and in one that was not."""

    def work(_: int) -> dict[str, Any]:
        return {"float": np.float64(0.1), "whole": np.int64(3), "pair": (1, 2), "none": np.float32("nan")}

    first = run_points({"a": 0}, work, IDENTITY, record)
    again = run_points({"a": 0}, failing(0, AssertionError()), IDENTITY, record)
    assert repr(first) == repr(again)  # types too
    assert first["a"]["pair"] == [1, 2]


def test_known_points_are_not_worked_on_again(record: Path) -> None:
    worked: list[int] = []

    def work(number: int) -> dict[str, float]:
        worked.append(number)
        return square(number)

    run_points({name: POINTS[name] for name in ("1", "4")}, work, IDENTITY, record)
    seen: list[tuple[str, int]] = []
    found = run_points(POINTS, work, IDENTITY, record, progress=lambda name, known: seen.append((name, known)))
    assert sorted(worked) == list(range(6))
    assert without_seconds(found) == SQUARES
    assert seen[0] == ("", 2)
    assert [known for _, known in seen] == [2, 3, 4, 5, 6]
    assert {name for name, _ in seen[1:]} == {"0", "2", "3", "5"}


def test_fewer_points_may_be_asked_for_and_the_others_stay(record: Path) -> None:
    run_points(POINTS, square, IDENTITY, record)
    assert list(run_points({"2": 2}, square, IDENTITY, record)) == ["2"]
    run_points({"new": 7}, square, IDENTITY, record)
    assert set(read_record(record, IDENTITY)) == {*POINTS, "new"}


def test_a_failing_point_raises_and_the_others_are_kept(record: Path) -> None:
    """Those known before it, those begun beside it; what was not begun is left."""
    beside, go_on, worked = threading.Event(), threading.Event(), []

    def work(number: int) -> dict[str, float]:
        worked.append(number)
        if number == 1:
            beside.wait(10)
            raise OptionError("the second point cannot be")
        if number >= 2:  # begun before the failure or while it was told, known only after it
            beside.set()
            go_on.wait(10)
        return square(number)

    stop = threading.Event()
    threading.Thread(target=lambda: stop.wait(10) and go_on.set()).start()
    with ThreadPoolExecutor(2) as pool, pytest.raises(OptionError, match="the second point cannot be"):
        run_points(POINTS, work, IDENTITY, record, pool, stop=stop)
    kept = read_record(record, IDENTITY)
    assert {"0", "2"} <= set(kept)
    assert "1" not in kept
    assert set(kept) == {str(number) for number in worked} - {"1"}
    assert len(worked) <= 4  # 0, 1, 2, and what the thread of the failing one took up before it was told not to
    assert without_seconds(run_points(POINTS, square, IDENTITY, record)) == SQUARES


def test_ctrl_c_keeps_what_is_known_and_what_was_begun(record: Path) -> None:
    """The interruption comes in the main thread, here while progress is shown, as Ctrl-C does."""

    def interrupt(_: str, known: int) -> None:
        if known == 2:
            raise KeyboardInterrupt

    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        run_points(POINTS, square, IDENTITY, record, pool, interrupt, stop)
    assert stop.is_set()
    assert len(read_record(record, IDENTITY)) >= 2
    assert without_seconds(run_points(POINTS, square, IDENTITY, record)) == SQUARES


def test_ctrl_c_while_points_are_handed_out_ends_those_begun_too(record: Path) -> None:
    """An executor that is interrupted when it is handed the second point, while the first waits to be stopped."""
    stop = threading.Event()

    class Interrupted(ThreadPoolExecutor):
        def submit(self, *arguments: Any, **options: Any) -> Any:
            if self.handed:
                raise KeyboardInterrupt
            self.handed = True
            return super().submit(*arguments, **options)

        handed = False

    def work(_: int) -> dict[str, bool]:
        return {"stopped": stop.wait(30)}

    began = time.monotonic()
    with Interrupted(2) as pool, pytest.raises(KeyboardInterrupt):
        run_points(POINTS, work, IDENTITY, record, pool, stop=stop)
    assert time.monotonic() - began < 20.0
    assert without_seconds(read_record(record, IDENTITY)) == {"0": {"stopped": True}}


def test_stop_is_not_set_where_all_goes_well() -> None:
    stop = threading.Event()
    run_points(POINTS, square, IDENTITY, stop=stop)
    assert not stop.is_set()


def test_another_study_is_refused_naming_what_differs(record: Path) -> None:
    run_points(POINTS, square, IDENTITY, record)
    before = record.read_bytes()
    for identity, said in (
        (IDENTITY | {"seed": 4}, "seed: 3 in the file, 4 asked for"),
        (IDENTITY | {"sweeps": 10}, "sweeps: nothing in the file, 10 asked for"),
        ({"seed": 3}, "study: squares in the file, nothing asked for"),
    ):
        with pytest.raises(CheckpointError, match="of another study: ") as caught:
            run_points(POINTS, failing(0, AssertionError("worked")), identity, record)
        assert said in str(caught.value)
        assert str(record) in str(caught.value)
        assert "name another folder" in str(caught.value)
    assert record.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'{"identity": {}}',
        b'{"points": {"0": {}}}',
        b'{"identity": {"study": "squares", "seed": 3}, "points": []}',
        b'{"identity": {"study": "squares", "seed": 3}, "points": {"0": 5}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_record_is_one_clear_line(record: Path, content: bytes) -> None:
    record.parent.mkdir()
    record.write_bytes(content)
    with pytest.raises(CheckpointError, match="no record of a study, or a damaged one") as caught:
        run_points(POINTS, failing(0, AssertionError("worked")), IDENTITY, record)
    assert "\n" not in str(caught.value)
    assert record.read_bytes() == content


def test_every_byte_cut_off_is_noticed(record: Path) -> None:
    run_points({"0": 0}, square, IDENTITY, record)
    whole = record.read_bytes().rstrip()
    for length in range(len(whole)):
        record.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_record(record, IDENTITY)


def test_what_json_does_not_know_is_refused(record: Path) -> None:
    with pytest.raises(OptionError, match="a study's record"):
        run_points({"0": 0}, lambda _: {"set": {1}}, IDENTITY, record)
    with pytest.raises(OptionError, match="a study's record"):
        run_points({"0": 0}, square, {"function": square}, record)


@posix
def test_a_folder_that_cannot_be_written_to_is_found_out_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        run_points(POINTS, failing(0, AssertionError("worked")), IDENTITY, tmp_path / "file" / "study.json")


def test_a_write_that_fails_leaves_the_record_before_it(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_points({"0": 0}, square, IDENTITY, record)
    before = record.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run_points(POINTS, square, IDENTITY, record)
    assert record.read_bytes() == before
    assert [path.name for path in record.parent.iterdir()] == ["study.json"]


KILLS = """
import json, os, random, signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from spinspectra.studies.points import read_record, run_points

record, identity, rng = Path(sys.argv[1]), {"study": "kills"}, random.Random(0)
points = {str(number): number for number in range(400)}
last = 0
for kill in range(20):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with ThreadPoolExecutor(2) as pool:
            run_points(points, lambda n: {"square": n * n, "pad": "x" * 300}, identity, record, pool,
                       lambda name, known: os.write(writer, known.to_bytes(8, "little")))
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 8)
    time.sleep(rng.random() * 0.15)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 1 << 16):
        said += more
    os.close(reader)
    kept = read_record(record, identity)
    told = int.from_bytes(said[-8:], "little")
    assert told <= len(kept) <= told + 1, (told, len(kept))
    assert len(kept) >= last
    assert all(found["square"] == int(name) ** 2 for name, found in kept.items())
    last = len(kept)
print(last)
"""


@posix
def test_killed_at_any_moment_the_record_is_whole_and_holds_all_that_was_said_to_be_known(record: Path) -> None:
    record.parent.mkdir()
    done = subprocess.run([sys.executable, "-c", KILLS, record], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
    assert json.loads(record.read_text())["identity"] == {"study": "kills"}


def test_interrupted_anywhere_any_number_of_times_it_ends_the_same(record: Path) -> None:
    rng, interruptions = random.Random(1), 0
    while True:
        at = rng.randrange(12)
        work = failing(at, RuntimeError("stopped"))
        try:
            found = run_points(POINTS, work, IDENTITY, record, ThreadPoolExecutor(1))
        except RuntimeError:
            interruptions += 1
            continue
        break
    assert interruptions > 0
    assert without_seconds(found) == SQUARES
