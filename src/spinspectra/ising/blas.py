"""How many threads BLAS may use: one for small matrices, where more only wait for one another."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from spinspectra.ising.chain import IsingChain

_SMALL = 1 << 23  # couplings in the largest matrix; a product with one is then well below a scheduler's time slice


@contextmanager
def blas_threads(chain: IsingChain) -> Iterator[None]:
    """One BLAS thread while working on a chain of small matrices, the usual number on one of large ones.

    Threads that meet at the end of every short product lose little on an idle machine, and on a busy one, where
    one of them is not running, everything: see docs/decisions.md.
    """
    largest = max(matrix.size for matrix in chain.couplings)
    with threadpool_limits(limits=1 if largest <= _SMALL else None, user_api="blas"):
        yield
