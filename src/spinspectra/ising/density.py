"""The density of states g(E): how many of the 2^N states of the spins have an energy in each bin.

Flipping every spin of the odd layers maps E to -E, so g(E) = g(-E) exactly: the samplers walk E <= 0 and `from_half`
mirrors what they find. A bin that was never visited is missing, not zero.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.text import shown

Vector = NDArray[np.float64]

_LN2 = math.log(2.0)
_SLACK = 1e-3  # of a bin: float32 fields may put a state that far beyond its edge
_SAME = 1e-6  # parts of a bin by which two centres may differ and still be one


class DensityError(SpinSpectraError):
    """Arrays or a file that are no density of states; the text says which and why."""


@dataclass(frozen=True, eq=False, slots=True)
class DensityOfStates:
    """ln g over the visited energy bins, K of them, in the unit of the weights. Save it, load it, take its heat.

    energies: bin centres, ascending, (K,). ln_g: natural log of the number of states in the bin, (K,); they sum to
    2^N, except in files of others, whose numbers are kept as they are. stderr: standard error of ln_g, (K,), NaN
    where unknown. counts: visits, (K,), 0 where unknown; a bin and its mirror image share theirs, so both show all.
    n_spins: N. bin_width: distance of neighbouring centres. how: what made it (method, seed, parameters, version,
    source and digest of the couplings), values that JSON knows. runs: ln_g of each of R independent runs, (R, K), NaN
    where a run did not come, or None; with them, errors of what is computed from ln_g heed that bins err together.
    means: mean energy of the bin's states, (K,), which in a bin of many units of ln g lies near its upper edge; None:
    unknown, and the centres stand for it.

    Raises DensityError for arrays of different lengths, energies that do not ascend, numbers that are not finite,
    errors or counts below zero, and means outside their bins.
    """

    energies: Vector
    ln_g: Vector
    stderr: Vector
    counts: NDArray[np.int64]
    n_spins: int
    bin_width: float
    how: Mapping[str, Any]
    runs: Vector | None = None
    means: Vector | None = None

    def __post_init__(self) -> None:
        _check(self)

    @property
    def e_min(self) -> float:
        """The lowest bin's centre."""
        return float(self.energies[0])

    @property
    def e_max(self) -> float:
        """The highest bin's centre."""
        return float(self.energies[-1])

    @property
    def width(self) -> float:
        """E_max - E_min, between the centres of the outermost bins."""
        return self.e_max - self.e_min

    @property
    def ln_total(self) -> float:
        """Ln of the sum of g: N ln 2 if every state is counted once."""
        return log_sum_exp(self.ln_g)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `path`, whole or not at all: .nc, netCDF with everything; .dat, two columns E and ln g / N.

        The text is the paper's format with the natural logarithm, under a head of two lines that begin with #.
        Read again, ln g is the same to the last digit in either. Raises OptionError for another suffix, a folder that
        is not there or a `how` that JSON does not know, OSError if it cannot be written.
        """
        from spinspectra.ising.density_files import save

        save(self, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], n_spins: int | None = None, log_base: str | float = "auto"
    ) -> "DensityOfStates":
        """Read a .nc or .dat file; ln_g is natural and total whatever the file holds.

        For .dat: two columns, E and log g / N. n_spins: N; needed unless the file's head tells. log_base: "e", 10, or
        "auto": the one by which the states come nearer to 2^N; files of base 10 end near 0.30, natural ones near 0.69.
        `how` says which was taken and why ("log_base", "log_base_from"). Numbers stay as they are: nothing is mirrored
        or normalised, so the sum of g is what the file has ("ln_total_over_n_ln2").

        Raises DensityError if the file is missing, damaged or something else, OptionError for arguments out of range.
        """
        from spinspectra.ising.density_files import load

        return load(path, n_spins, log_base)

    def __repr__(self) -> str:
        method = shown(str(self.how.get("method", "unknown method")))
        return (
            f"DensityOfStates({method}: N={self.n_spins:,}, {self.energies.size:,} bins of {self.bin_width:.6g}, "
            f"E = {self.e_min:.6g} .. {self.e_max:.6g})"
        )


def from_half(
    energies: ArrayLike,
    ln_g: ArrayLike,
    stderr: ArrayLike | None,
    counts: ArrayLike | None,
    n_spins: int,
    bin_width: float,
    how: Mapping[str, Any],
    runs: ArrayLike | None = None,
    means: ArrayLike | None = None,
) -> DensityOfStates:
    """The whole density from its half E <= 0: mirrored, and normalised so that the sum of g is 2^N.

    energies: bin centres at or below 0, (K,), in any order. ln_g: known up to a constant, (K,). stderr: of ln_g as
    normalised; None: from the spread between runs, NaN without them. counts: visits to a bin and its mirror image
    together; None: unknown. runs: ln_g of independent runs, (R, K), each up to a constant of its own. means: mean
    energies of the bins' states, (K,), 0 for the bin around 0; None: unknown.

    Bins keep their places on the grid 0, -bin_width, ..: centres off it by rounding are moved onto it.
    Raises DensityError for energies above 0 and whatever `DensityOfStates` refuses.
    """
    half = np.asarray(energies, np.float64)
    size = half.size
    parts = [np.asarray(ln_g, np.float64), np.full(size, np.nan) if stderr is None else np.asarray(stderr, np.float64)]
    visits = np.zeros(size, np.int64) if counts is None else np.asarray(counts, np.int64)
    each = np.empty((0, size)) if runs is None else np.atleast_2d(np.asarray(runs, np.float64))
    middle = half if means is None else np.asarray(means, np.float64)
    if (
        half.ndim != 1
        or not size
        or {part.shape for part in (*parts, visits, middle)} != {(size,)}
        or each.shape[1:] != (size,)
    ):
        raise DensityError("energies, ln_g, stderr, counts, means and the rows of runs must be vectors of one length")
    _check_runs(each, size)
    order = np.argsort(half, kind="stable")
    half = _on_grid(half[order], bin_width)
    if half[-1] > 0.0:
        raise DensityError(f"a half density ends at E = 0, this one at E = {half[-1]:g}")
    above = np.arange(size)[::-1][int(half[-1] == 0.0) :]
    whole = np.concatenate([np.arange(size), above])  # places, then mirrored
    middle = middle[order]
    ln_g_all, stderr_all = (part[order][whole] for part in parts)
    each_all = np.array([_normalised(run, n_spins) for run in each[:, order][:, whole]])
    return DensityOfStates(
        np.concatenate([half, -half[above]]),
        _normalised(ln_g_all, n_spins),
        _spread(each_all) if stderr is None and runs is not None else stderr_all,
        visits[order][whole],
        n_spins,
        float(bin_width),
        how,
        None if runs is None else each_all,
        None if means is None else np.concatenate([middle, -middle[above]]),
    )


def compare(a: DensityOfStates, b: DensityOfStates) -> float:
    """Largest difference of ln g between two densities over their common bins, in standard errors of the difference.

    Both are first brought to the same sum of g over these bins. Bins are common if their centres agree to a millionth
    of a bin. Where only one of the two knows its error, that one counts; where neither does, the bin is left out. Two
    exact values (errors 0) that differ by more than rounding are infinitely far apart.

    Raises OptionError if the densities are of different N or bin widths, have no bin in common, or none with a known
    error.
    """
    if a.n_spins != b.n_spins:
        raise OptionError(f"densities of {a.n_spins} and {b.n_spins} spins: compare two of the same chain")
    if abs(a.bin_width - b.bin_width) > _SAME * min(a.bin_width, b.bin_width):  # all grids share the bin of E = 0
        raise OptionError(f"bins of {a.bin_width:.9g} and {b.bin_width:.9g}: sample both with the same bins")
    first, second = _common_bins(a, b)
    if not first.size:
        raise OptionError("the densities have no bin in common; sample both with the same bins")
    ln_a, ln_b = a.ln_g[first], b.ln_g[second]
    difference = np.abs((ln_a - log_sum_exp(ln_a)) - (ln_b - log_sum_exp(ln_b)))
    errors = np.stack([a.stderr[first], b.stderr[second]])
    known = np.isfinite(errors).any(axis=0)
    if not known.any():
        raise OptionError("neither density knows its errors in the bins they share")
    error = np.sqrt(np.where(np.isfinite(errors), errors**2, 0.0).sum(axis=0))
    difference[difference <= 1e-12 * a.n_spins] = 0.0
    ratio = np.full(first.size, np.inf)
    ratio[difference == 0.0] = 0.0
    np.divide(difference, error, out=ratio, where=error > 0.0)
    return float(ratio[known].max())


def log_sum_exp(exponents: Vector) -> float:
    """Ln of the sum of exp over the entries that are numbers; -inf if none is."""
    known = exponents[~np.isnan(exponents)]
    if not known.size:
        return -math.inf
    top = float(known.max())
    if not math.isfinite(top):
        return top
    with np.errstate(over="ignore"):  # of known - top, to -inf
        return top + math.log(float(np.exp(known - top).sum()))


def _normalised(ln_g: Vector, n_spins: int) -> Vector:
    total = log_sum_exp(ln_g)
    return ln_g - (total - n_spins * _LN2) if math.isfinite(total) else ln_g


def _spread(runs: Vector) -> Vector:
    """Standard error of the mean over runs, (K,) from (R, K); NaN where fewer than two runs came."""
    n = np.isfinite(runs).sum(axis=0)
    error = np.full(runs.shape[1], np.nan)
    several = n > 1
    error[several] = np.sqrt(np.nanvar(runs[:, several], axis=0, ddof=1) / n[several])
    return error


def _on_grid(energies: Vector, width: float) -> Vector:
    """Centres within a millionth of a bin of a multiple of the width become that multiple."""
    if not (math.isfinite(width) and width > 0.0 and np.isfinite(energies).all()):
        return energies  # which the density refuses
    with np.errstate(over="ignore"):
        grid = np.round(energies / width) * width + 0.0  # + 0.0: no -0.0
    return np.where(np.abs(energies - grid) <= _SAME * width, grid, energies)


def _common_bins(a: DensityOfStates, b: DensityOfStates) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places in a and in b of the bins that both have."""
    slack = _SAME * min(a.bin_width, b.bin_width)
    place = np.clip(np.searchsorted(b.energies, a.energies - slack), 0, b.energies.size - 1)
    first = np.flatnonzero(np.abs(b.energies[place] - a.energies) <= slack)
    return first, place[first]


def _check(density: DensityOfStates) -> None:
    size = density.energies.size
    vectors = {"energies": density.energies, "ln_g": density.ln_g, "stderr": density.stderr, "counts": density.counts}
    if density.means is not None:
        vectors["means"] = density.means
    for name, vector in vectors.items():
        if vector.shape != (size,) or not size:
            raise DensityError(f"{name} has shape {vector.shape}; a density needs vectors of one length, at least 1")
    if density.runs is not None:
        _check_runs(density.runs, size)
    for name in ("energies", "ln_g"):
        if bad := size - int(np.isfinite(vectors[name]).sum()):
            raise DensityError(f"{name} has {bad} values in {size} that are NaN or infinite; leave such bins out")
    for name in ("stderr", "counts"):
        if bad := int(np.count_nonzero(vectors[name] < 0)):
            raise DensityError(f"{name} has {bad} values in {size} below zero")
    if not np.all(density.energies[1:] > density.energies[:-1]):
        raise DensityError("energies do not ascend from bin to bin")
    if density.means is not None:
        outside = ~(np.abs(density.means - density.energies) <= (0.5 + _SLACK) * density.bin_width)
        if bad := int(np.count_nonzero(outside)):
            raise DensityError(f"means has {bad} values in {size} that are not inside their bins")
    if density.n_spins < 1 or not (math.isfinite(density.bin_width) and density.bin_width > 0.0):
        raise DensityError(f"n_spins={density.n_spins}, bin_width={density.bin_width}: both must be above zero")


def _check_runs(runs: Vector, size: int) -> None:
    if runs.ndim != 2 or runs.shape[1] != size:
        raise DensityError(f"runs has shape {runs.shape}; {size} bins need (runs, {size})")
    if np.isinf(runs).any():
        raise DensityError("runs holds infinite values; NaN marks a bin to which a run did not come")
    if np.isnan(runs).all(axis=1).any():
        raise DensityError("a run has no bin with a finite ln_g; leave the run out")
