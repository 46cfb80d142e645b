"""The null hypothesis of a layer: its elements permuted, so that only their distribution is left.

The spectrum of the permuted matrix is what the sizes of the elements alone make. An eigenvalue of it above its own
Marchenko-Pastur bulk is a correlation trap (Martin, Hinrichs): a few elements so large that they act as a signal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.permutation import permuted
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur

Matrices = NDArray[np.floating] | Sequence[NDArray[np.floating]]

POOLED_BELOW = 100  # eigenvalues: fewer than these, and several replicas are pooled
POOLED_REPLICAS = 5


@dataclass(frozen=True, slots=True)
class Randomized:
    """A layer against its permuted self; all values come from the same `n_replicas` permutations.

    max_rand_eval: largest eigenvalue of any replica. rand_distance: square root of the Jensen-Shannon divergence
    (natural logarithm, at most sqrt(ln 2)) between the sorted eigenvalues divided by their sums, original against
    replica, mean over replicas. ww_softrank: max_rand_eval / lambda_max. ww_maxdist: lambda_max - max_rand_eval, in
    the unit of the eigenvalues. num_traps: eigenvalues above the randomised edge and margin, mean over replicas.
    replicas_with_traps: how many replicas have any. fit: of the randomised spectrum, replicas pooled; where it has
    failed, the traps are NaN. spectrum: the pooled randomised spectrum. Ratios of a zero matrix are NaN.
    """

    max_rand_eval: float
    rand_distance: float
    ww_softrank: float
    ww_maxdist: float
    num_traps: float
    replicas_with_traps: float
    n_replicas: int
    fit: MarchenkoPasturFit
    spectrum: Spectrum


def randomize(
    matrices: Matrices, seed: Seed = 0, n_replicas: int | None = None, spectrum: Spectrum | None = None
) -> Randomized:
    """Permute the elements of each matrix, take the spectra, and compare.

    matrices: one of shape (N, M) or (M, N), or slices of one shape, each permuted within itself; not changed.
    seed: same seed, same answer; replica i draws from child i, so more replicas keep the first ones, and neither the
    SeedSequence given nor numpy's global generator is touched. n_replicas: default 1, or 5 for fewer than 100
    eigenvalues. spectrum: that of `matrices`, if known; else it is computed.

    Raises OptionError for n_replicas < 1 or a seed that is none, and what `esd` raises.
    """
    slices = [np.asarray(one) for one in ([matrices] if np.ndim(matrices[0]) == 1 else matrices)]
    original = esd(slices) if spectrum is None else spectrum
    if n_replicas is None:
        n_replicas = 1 if original.eigenvalues.size >= POOLED_BELOW else POOLED_REPLICAS
    if n_replicas < 1:
        raise OptionError(f"n_replicas={n_replicas!r}: give at least 1")
    children = seed_sequence(seed).spawn(n_replicas)
    replicas = np.stack([_permuted_eigenvalues(slices, child, original.precision) for child in children])
    return _compare(original, replicas)


def eigenvalue_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """sqrt((KL(p|m) + KL(q|m)) / 2), p and q the eigenvalues, sorted alike, over their sums, m = (p + q) / 2.

    Natural logarithm; 0 ln 0 = 0. NaN if either sums to zero.

    >>> eigenvalue_distance(np.array([2.0, 2.0]), np.array([1.0, 1.0]))
    0.0
    """
    if not (one.sum() > 0.0 and other.sum() > 0.0):
        return float("nan")
    p, q = one / one.sum(), other / other.sum()
    middle = 0.5 * (p + q)
    divergence = sum(float(np.sum(r[r > 0.0] * np.log(r[r > 0.0] / middle[r > 0.0]))) for r in (p, q))
    return float(np.sqrt(max(0.0, 0.5 * divergence)))


def _permuted_eigenvalues(
    slices: Sequence[NDArray[np.floating]], seed: np.random.SeedSequence, precision: float
) -> NDArray[np.float64]:
    twins = [permuted(one, child) for one, child in zip(slices, seed.spawn(len(slices)), strict=True)]
    return esd(twins, precision=precision).eigenvalues


def _compare(original: Spectrum, replicas: NDArray[np.float64]) -> Randomized:
    """replicas: (n_replicas, K), each row ascending."""
    pooled = Spectrum(
        eigenvalues=np.sort(replicas, axis=None),
        n_rows=original.n_rows,
        n_cols=original.n_cols,
        n_matrices=original.n_matrices * len(replicas),
        precision=original.precision,
    )
    fit = fit_marchenko_pastur(pooled)
    traps = np.count_nonzero(replicas > fit.bulk_max + fit.margin, axis=1)
    failed = fit.status == "failed"
    largest, largest_random = float(original.eigenvalues[-1]), float(replicas.max())
    return Randomized(
        max_rand_eval=largest_random,
        rand_distance=float(np.mean([eigenvalue_distance(original.eigenvalues, replica) for replica in replicas])),
        ww_softrank=largest_random / largest if largest > 0.0 else float("nan"),
        ww_maxdist=largest - largest_random,
        num_traps=float("nan") if failed else float(traps.mean()),
        replicas_with_traps=float("nan") if failed else int(np.count_nonzero(traps)),
        n_replicas=len(replicas),
        fit=fit,
        spectrum=pooled,
    )
