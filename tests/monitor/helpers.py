"""What tests of the monitor share: small weights, a loop that waits for each measurement, rows read back."""

from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd

from spinspectra.monitor import Watch


def heavy(shape: tuple[int, int] = (60, 40), seed: int = 0, exponent: float = 2.5) -> np.ndarray:
    """A matrix whose eigenvalues have a density of lambda^-exponent."""
    rng = np.random.default_rng(seed)
    m = min(shape)
    left, right = (np.linalg.qr(rng.standard_normal((side, m)))[0] for side in shape)
    quantiles = (np.arange(m) + 0.5) / m
    values = (1.0 - quantiles) ** (-1.0 / (exponent - 1.0))
    return (left * np.sqrt(values) @ right.T).astype(np.float32)


def weights(n: int = 2, **options: Any) -> dict[str, np.ndarray]:
    return {f"layers.{i}.weight": heavy(seed=i, **options) for i in range(n)}


def rows(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def settle(watch: Watch) -> None:
    """Wait until nothing is measured, as no training would."""
    if watch._worker._thread is not None:
        watch._worker._thread.join(60.0)


def loop(watch: Watch, steps: range, source: Any, settled: bool = True) -> int:
    """Steps as a training makes them, until it is asked to stop; the last one."""
    for step in steps:
        if watch.step(step, source(step) if isinstance(source, FunctionType) else source):
            break
        if settled:
            settle(watch)
    return step
