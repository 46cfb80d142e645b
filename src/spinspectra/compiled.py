"""How the package's loops are compiled: once, cached on disk where there is a place for it, free of the GIL."""

from typing import Any

from numba import njit


def _can_cache() -> bool:
    """Whether numba finds a folder to cache in: beside the package, or in the user's cache folder."""
    try:
        njit(cache=True)(lambda: None)
    except RuntimeError:
        return False
    return True


# Contraction to fused multiply-add only: sums keep their order, so a run repeats bit for bit on one machine.
KERNEL: dict[str, Any] = {
    "cache": _can_cache(),
    "nogil": True,
    "fastmath": {"contract"},
    "error_model": "numpy",
}
