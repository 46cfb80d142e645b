"""What a point of the studies costs, and how much of the cores a study uses.

    python benchmarks/studies.py MODEL [--shuffles 3] [--sweeps 1000] [--dos] [--dos-sweeps 1000] [--bins 2000]
                                       [--text FILE]

Runs `study_blocks` and `study_fraction` (8 points or more each) once, with widths from the ground state, or with --dos
from densities of states; without it `compare_models` too, on the model eight times over, and with --text
`study_accuracy`, each checkpoint's perplexity on that file. Prints a line for each: points, seconds of wall clock,
seconds of one core a point, and the share of all cores used, that is CPU time over wall clock times cores, reading and
all else included.

On a machine with other work the share falls, whatever the study does. So where the system tells (Linux), a second share
counts also the time in which the study's threads were ready to run and waited for a core: what it would be on an idle
machine. It is taken thread by thread every tenth of a second.

A point measured alone, on one thread, must be the same to the last digit.
"""

import argparse
import os
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinspectra.cores import n_cores
from spinspectra.errors import DoubtWarning
from spinspectra.studies.accuracy import AccuracyStudy, study_accuracy
from spinspectra.studies.blocks import study_blocks
from spinspectra.studies.comparison import Comparison, compare_models
from spinspectra.studies.fraction import study_fraction
from spinspectra.studies.model_workers import model_workers
from spinspectra.studies.tasks import text_file, text_task
from spinspectra.studies.tasks.model_folder import model_folder
from spinspectra.studies.widths import FromDensity, FromGround, How

TASKS = Path("/proc/self/task")
EVERY = 0.1  # seconds


@dataclass(frozen=True)
class Used:
    points: int
    seconds: float
    cpu: float
    waited: float | None  # for a core, all threads together; None: the system does not tell

    def share(self, more: float = 0.0) -> float:
        return (self.cpu + more) / (self.seconds * n_cores())


class Waiting:
    """Seconds that this process's threads, the one that looks left out, were ready to run and did not."""

    def __init__(self) -> None:
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Waiting":
        self._first = self._read()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def seconds(self) -> float | None:
        if not self._last:
            return None
        return sum(waited - self._first.get(name, 0.0) for name, waited in self._last.items())

    def _watch(self) -> None:
        own = str(threading.get_native_id())
        while not self._stop.wait(EVERY):
            self._last |= {name: waited for name, waited in self._read().items() if name != own}

    def _read(self) -> dict[str, float]:
        found = {}
        for task in TASKS.iterdir() if TASKS.is_dir() else []:
            try:
                found[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
            except (OSError, IndexError):  # ended meanwhile, or not told
                continue
        return found


def used(work: Callable[[], Any]) -> tuple[Any, Used]:
    began, cpu = time.perf_counter(), os.times()
    with Waiting() as waiting:
        study = work()
    seconds, after = time.perf_counter() - began, os.times()
    spent = sum(after[:4]) - sum(cpu[:4])  # those of processes that have ended included
    table = study.table if isinstance(study, Comparison) else study.points
    return study, Used(len(table), seconds, spent, waiting.seconds)


def show(name: str, row: Used) -> None:
    idle = "" if row.waited is None else f"; {100 * row.share(row.waited):3.0f} % with the waiting for a core"
    print(
        f"  {name:9} {row.points:3} points, {row.seconds:7.1f} s, {row.cpu / row.points:6.2f} s of a core a point, "
        f"{100 * row.share():3.0f} % of {n_cores()} cores{idle}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--shuffles", type=int, default=3)
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--dos", action="store_true")
    parser.add_argument("--dos-sweeps", type=int, default=1000)
    parser.add_argument("--bins", type=int, default=2000)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--fractions", default="0,0.01,0.025,0.05,0.1,0.2,0.3,0.5,1")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DoubtWarning)  # short runs, timed and not believed
    how: How = FromGround(arguments.sweeps)
    if arguments.dos:
        how = FromDensity(arguments.bins, arguments.dos_sweeps)
    fractions = [float(part) for part in arguments.fractions.split(",")]
    with ThreadPoolExecutor(1) as one:  # compiles, too
        alone = study_fraction(arguments.model, fractions[:1], 1, how, executor=one).points.iloc[0]
    print(f"{arguments.model}: N = {int(alone['n_spins']):,}; {how}", flush=True)
    _, blocks_row = used(lambda: study_blocks(arguments.model, shuffles=arguments.shuffles, how=how))
    show("blocks", blocks_row)
    fraction, fraction_row = used(lambda: study_fraction(arguments.model, fractions, arguments.shuffles, how))
    assert fraction.points["width"][0] == alone["width"], "a point alone is not that of the study"
    show("fraction", fraction_row)
    if not arguments.dos:
        names = [str(number) for number in range(8)]
        _, compare_row = used(lambda: compare_models([arguments.model] * len(names), names))
        show("compare", compare_row)
    if arguments.text is not None:
        _, accuracy_row = used(lambda: evaluated(arguments.model, arguments.text, fractions))
        show("accuracy", accuracy_row)


def evaluated(model: str, text: Path, fractions: list[float]) -> AccuracyStudy:
    folder, config = model_folder(model)
    with model_workers() as pool:
        return study_accuracy(folder, text_task(model, config, text_file(text)), fractions, 1, executor=pool)


if __name__ == "__main__":
    main()
