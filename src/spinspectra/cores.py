"""How many cores there are to work on."""

import os


def n_cores() -> int:
    """Cores that this process may use, 1 or more; a container's or a scheduler's share, not the whole machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
