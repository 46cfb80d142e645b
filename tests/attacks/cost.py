"""What a call takes: time, what Python and numpy ask for, and how far the process grows."""

import resource
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Cost:
    """Filled when the `with` block ends. traced_bytes: the peak of Python's and numpy's allocations."""

    seconds: float = 0.0
    traced_bytes: int = 0
    resident_bytes: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block of code, whether it raises or not."""
    cost, resident, start = Cost(), peak_resident_bytes(), time.perf_counter()
    tracemalloc.start()
    try:
        yield cost
    finally:
        cost.traced_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        cost.seconds = time.perf_counter() - start
        cost.resident_bytes = peak_resident_bytes() - resident


def peak_resident_bytes() -> int:
    """The most memory this process has ever had; Linux counts it in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
