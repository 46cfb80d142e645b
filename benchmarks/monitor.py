"""What watching a training costs: a small GPT-2 trained with and without a watch, in processes of their own, in turn.

    python benchmarks/monitor.py [--seconds 60] [--repeats 3] [--threads 1] [--budget 0.05] [--every 10]
        [--spectra-every 50]

Both make the same steps, as many as take about so many seconds. Printed: wall and processor seconds of the steps and
of closing the watch, the ratios with to without in each pair, what the watch says it spent, and what it measured. On a
machine with other work the processor seconds are what can be compared. --threads: torch's; its idle threads spin, and
so take processor time, if there is more than one. The losses of both are compared, and must be equal bit for bit.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WIDTH, BLOCKS, VOCABULARY, LENGTH, BATCH = 256, 4, 1024, 64, 8


def train(options: argparse.Namespace) -> dict[str, Any]:
    """One training in this process; the clocks run over its steps and the closing of its watch."""
    import torch
    import transformers

    from spinspectra.monitor import Watch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=LENGTH,
        n_embd=WIDTH,
        n_layer=BLOCKS,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = transformers.GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []

    def one_step() -> None:
        tokens = torch.randint(VOCABULARY, (BATCH, LENGTH))
        tokens[:, 1::2] = tokens[:, ::2]
        loss = model(input_ids=tokens, labels=tokens).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    for _ in range(5):
        one_step()
    before = _clocks()
    if options.one == "without":
        for _ in range(options.steps):
            one_step()
        return {**_since(before), "losses": losses}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.parquet"
        every = {"every": options.every, "spectra_every": options.spectra_every}
        with Watch(path, budget=options.budget or None, **every) as watch:
            for step in range(1, options.steps + 1):
                one_step()
                watch.step(step, model)
        taken = _since(before)
        import pandas as pd

        steps = pd.read_parquet(path).groupby("clock").step.nunique()
    measured = {clock: int(steps.get(clock, 0)) for clock in ("cheap", "spectra")}
    return {**taken, **measured, "spent": watch.budget.spent, "losses": losses}


def _clocks() -> dict[str, float]:
    """Seconds by the clock, of this process's processor time, and of that of the processes it waited for."""
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": time.perf_counter(), "own": time.process_time(), "helper": helpers.ru_utime + helpers.ru_stime}


def _since(before: dict[str, float]) -> dict[str, float]:
    taken = {name: now - before[name] for name, now in _clocks().items()}
    return {**taken, "processor": taken["own"] + taken["helper"]}


def run(one: str, steps: int, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", one, "--steps", str(steps)]
    for name in ("threads", "budget", "every", "spectra_every"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=0.05, help="0 for no limit")
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--spectra-every", type=int, default=50)
    parser.add_argument("--one", choices=("with", "without"), help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=30, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(train(options)))
        return
    trial = run("without", 40, options)
    steps = max(50, round(40 * options.seconds / trial["wall"]))
    ratios: dict[str, list[float]] = {"wall": [], "processor": []}
    for _ in range(options.repeats):
        without, watched = run("without", steps, options), run("with", steps, options)
        assert watched["losses"] == without["losses"], "the training itself was changed"
        for name, found in ratios.items():
            found.append(watched[name] / without[name])
        print(
            f"{steps} steps: wall {without['wall']:.1f} -> {watched['wall']:.1f} s ({ratios['wall'][-1]:.3f}), "
            f"processor {without['processor']:.1f} -> {watched['processor']:.1f} s ({ratios['processor'][-1]:.3f}), "
            f"of it {watched['helper']:.2f} s in the process that measures; the watch counts {watched['spent']:.2f} s, "
            f"{watched['cheap']} cheap measurements and {watched['spectra']} of spectra"
        )
    for name, found in ratios.items():
        print(f"{name}: with / without, median {statistics.median(found):.3f}")


if __name__ == "__main__":
    main()
