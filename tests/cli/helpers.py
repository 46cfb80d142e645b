"""What tests of the command line share: a real process, and a tiny checkpoint with a chain."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spinspectra", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False)


def interrupted(command: list[str], kept: Path) -> None:
    """Run it, press Ctrl-C once it has kept something, and see that it says, once, how to go on."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not kept.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on with" in told
    assert told.count("--resume") == 1
    assert "Traceback" not in told


def tiny_opt(seed: int = 0, n_blocks: int = 2, d: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tensors = {}
    for block in range(n_blocks):
        stem = f"model.decoder.layers.{block}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors[f"{stem}self_attn.{part}.weight"] = rng.standard_normal((d, d)).astype(np.float32)
        tensors[f"{stem}fc1.weight"] = rng.standard_normal((4 * d, d)).astype(np.float32)
        tensors[f"{stem}fc2.weight"] = rng.standard_normal((d, 4 * d)).astype(np.float32)
    return tensors
