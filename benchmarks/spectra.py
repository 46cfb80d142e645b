"""`analyze` against weightwatcher, each in its own interpreter, side by side in one run.

    python benchmarks/spectra.py MODEL --peer PEER_PYTHON

MODEL: a folder with a transformer that `transformers` loads. PEER_PYTHON: the interpreter of another virtual
environment, with weightwatcher 0.7.7, torch and transformers. Both print the mean alpha of what they analysed, and the
two must agree before a ratio is printed. `seconds` is the work inside each interpreter, after one warm-up of ours
(kernels are compiled once and cached on disk), `process_seconds` the whole process from a cold start, `command` our
own command against a process of the peer's.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

PEER = """
import json, sys, time, warnings, logging
warnings.filterwarnings("ignore")
import numpy as np, torch, transformers
import weightwatcher
logging.disable(logging.CRITICAL)
task, model = sys.argv[1:3]
if task == "square":
    source = {"a.weight": np.random.default_rng(0).standard_normal((4096, 4096)).astype(np.float32)}
else:
    source = transformers.AutoModel.from_pretrained(model)
options = {"detX": True, "randomize": True, "mp_fit": True} if task == "full" else {}
began = time.perf_counter()
details = weightwatcher.WeightWatcher(model=source).analyze(**options)
print(json.dumps([time.perf_counter() - began, float(details.alpha.mean())]))
"""

OURS = """
import json, sys, time
import numpy as np
import spinspectra as ss
task, model = sys.argv[1:3]
source = model
if task == "square":
    source = {"a.weight": np.random.default_rng(0).standard_normal((4096, 4096)).astype(np.float32)}
options = {"detx": True, "randomize": True, "mp_fit": True} if task == "full" else {}
ss.analyze({"w.weight": np.random.default_rng(1).standard_normal((64, 64))}, **options)
began = time.perf_counter()
details = ss.analyze(source, **options)
print(json.dumps([time.perf_counter() - began, float(details.alpha.mean())]))
"""

TASKS = {"plain": "analyze()", "full": "with detX, randomize, mp_fit", "square": "one 4096 x 4096 matrix"}


@dataclass(frozen=True)
class Run:
    seconds: float  # inside the interpreter, of the analysis alone
    process_seconds: float  # of the whole process
    peak_mb: float
    alpha: float


def run_command(model: str) -> float:
    """Seconds of `spinspectra analyze MODEL`, all in all."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "spinspectra", "analyze", model], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def run(python: str, code: str, task: str, model: str) -> Run:
    began = time.perf_counter()
    process = subprocess.Popen([python, "-c", code, task, model], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _pid, status, usage = wait(process)
    assert status == 0, f"{python} failed on {task}"
    seconds, alpha = json.loads(printed.strip().splitlines()[-1])
    return Run(seconds, time.perf_counter() - began, usage.ru_maxrss / 1024, alpha)


def wait(process: "subprocess.Popen[str]") -> tuple[int, int, resource.struct_rusage]:
    """Wait and take the finished process's own accounting, which Popen.wait throws away."""
    import os

    pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return pid, process.returncode, usage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--peer", required=True, help="interpreter of an environment with weightwatcher 0.7.7")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    for task, title in TASKS.items():
        runs: dict[str, list[Run]] = {"ours": [], "peer": []}
        commands = []
        for _ in range(arguments.repeats):  # in turn, so that a machine that slows down slows both
            runs["ours"].append(run(sys.executable, OURS, task, arguments.model))
            runs["peer"].append(run(arguments.peer, PEER, task, arguments.model))
            if task == "plain":
                commands.append(run_command(arguments.model))
        ours, peer = runs["ours"], runs["peer"]
        assert abs(ours[0].alpha - peer[0].alpha) < 1e-6 * peer[0].alpha, (ours[0].alpha, peer[0].alpha)
        rows = {
            name: [statistics.median(getattr(one, name) for one in group) for group in (ours, peer)]
            for name in ("seconds", "process_seconds", "peak_mb")
        }
        if commands:
            rows["command"] = [statistics.median(commands), rows["process_seconds"][1]]
        for name, (mine, theirs) in rows.items():
            print(
                f"{title:32} {name:16} ours {mine:9.2f}   peer {theirs:9.2f}   ratio {theirs / mine:6.1f}", flush=True
            )


if __name__ == "__main__":
    main()
