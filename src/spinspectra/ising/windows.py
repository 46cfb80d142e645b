"""Energy windows of a Wang-Landau walk, the ln g expected in them, and walkers brought into them.

A window is a run of consecutive bins; neighbours overlap, so that replicas can be exchanged (Vogel, Li, Wuest,
Landau 2013). What is expected comes from canonical runs: S(E) = int beta dE along their mean energies U(beta).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.ising.anneal import anneal
from spinspectra.ising.bins import SLACK, EnergyBins
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.wang_landau import walk, walk_at
from spinspectra.ising.spins import join, split
from spinspectra.ising.state import KeptFields, refresh, start

_SAMPLES = 32  # energies recorded at each temperature of a descent
_STRIDE = 4.0  # from one beta to the next, in units of 1 / std(E): neighbouring histograms still touch
_FIRST_STRIDE = 1.0  # likewise, from beta = 0; no later step is longer than beta, lest it jump over a transition
_RELAX = 8  # sweeps at each temperature before energies are recorded, and as many while they are
_MOST_STEPS = 400  # temperatures of a descent
_FROZEN = 1e-4  # flips per try below which a descent ends: nothing moves any more
STEEPEST = 12.0  # natural log units across a bin that the weight leans by; a frozen run's beta may be far more
_PUSHES = (1.0, 3.0, 10.0, 30.0)  # natural log units a bin by which a stray walker is drawn into its window
_TRIES_A_PUSH = 60  # rounds of as many tries as there are spins
_FALLBACK_SWEEPS = 1000  # of the annealing that finds a window from below
_MARGIN = 8.0  # of std(E) at beta = 0, by which a walk on its way to a window may leave the bins
_LEAST_BINS = 4  # in a window: two slopes in an overlap of three


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of `size` bins each over `n_bins` bins, ascending in energy, on the grid of `EnergyBins`.

    lowest: number of the lowest bin, counted from E = 0 downwards. width: of a bin, unit of the weights. firsts:
    first bin of each window, counted from the lowest upwards.
    """

    lowest: int
    width: float
    n_bins: int
    size: int
    firsts: tuple[int, ...]

    @property
    def centres(self) -> NDArray[np.float64]:
        """Centres of all bins, ascending, (n_bins,)."""
        return self.width * np.arange(-self.lowest, self.n_bins - self.lowest, dtype=np.float64)

    @property
    def e_low(self) -> float:
        """Lower edge of the lowest bin."""
        return -(self.lowest + 0.5) * self.width

    def edge(self, window: int) -> float:
        """Lower edge of a window."""
        return (self.firsts[window] - self.lowest - 0.5) * self.width

    def bins(self, window: int) -> slice:
        """The bins of a window among all."""
        return slice(self.firsts[window], self.firsts[window] + self.size)

    def middle(self, window: int) -> float:
        """Energy at the middle of a window."""
        return self.edge(window) + 0.5 * self.size * self.width

    def holds(self, window: int, energy: float) -> bool:
        """Whether an energy lies in a window; at an edge, to SLACK, it belongs to the side of E = 0."""
        above = (energy - self.edge(window)) / self.width + (SLACK if energy <= 0.0 else -SLACK)
        return 0.0 <= above < self.size


def lay_out(
    bins: EnergyBins, n_windows: int, overlap: float, mirror: bool = True, e_max: float | None = None
) -> Windows:
    """Windows of equal size, each sharing about the fraction `overlap` of its bins with the next.

    mirror: over [e_min, 0], the bin of E = 0 included whole; else over [e_min, -e_min]. e_max: up to the bin that
    holds it instead.

    Raises OptionError if n_windows < 1, overlap is outside 0..0.9, or windows would hold fewer than 4 bins.
    """
    n_bins = count_bins(bins, mirror, e_max)
    if n_windows < 1:
        raise OptionError(f"n_windows={n_windows}: give at least 1")
    if not 0.0 <= overlap <= 0.9:
        raise OptionError(f"overlap={overlap}: give a fraction from 0 to 0.9")
    size = n_bins if n_windows == 1 else int(np.ceil(n_bins / (1.0 + (n_windows - 1) * (1.0 - overlap))))
    size = min(n_bins, size + 2) if n_windows > 1 else size  # rounding must not eat the overlap
    firsts = np.round(np.linspace(0, n_bins - size, n_windows)).astype(int)
    if n_windows > 1 and (size < _LEAST_BINS or np.any(np.diff(firsts) < 1) or np.any(np.diff(firsts) > size - 3)):
        raise OptionError(
            f"n_windows={n_windows} of {n_bins} bins: too narrow to join; give fewer windows or more bins"
        )
    return Windows(bins.n_bins - 1, bins.width, n_bins, size, tuple(firsts.tolist()))


def count_bins(bins: EnergyBins, mirror: bool = True, e_max: float | None = None) -> int:
    """Bins that are walked over, see `lay_out`. Raises OptionError for an e_max outside e_min .. 0."""
    if e_max is None:
        return bins.n_bins if mirror else 2 * bins.n_bins - 1
    if not mirror:
        raise OptionError(f"e_max={e_max} with mirror=False: give one of them; a part of the range is never mirrored")
    if not bins.e_min < e_max <= 0.0:
        raise OptionError(f"e_max={e_max}: give an energy above e_min={bins.e_min} and not above 0")
    return bins.n_bins - bins.index_of(e_max)


@dataclass(frozen=True, slots=True)
class Descent:
    """Canonical runs from beta = 0 downward in energy.

    betas, energies: (M,), beta and the mean energy, falling. spins: int8 (M, N), where each run ended.
    """

    betas: NDArray[np.float64]
    energies: NDArray[np.float64]
    spins: NDArray[np.int8]


def descend_to(chain: IsingChain, e_min: float, rng: np.random.Generator) -> Descent:
    """Cool from random spins until e_min is reached or nothing moves, by random-site Metropolis flips.

    Steps in beta are a few times 1 / std(E), so they adapt to the specific heat.
    """
    n = chain.n_spins
    state = start(chain, rng)
    samples = np.empty(_SAMPLES)
    betas, energies, ends = [0.0], [0.0], [state.spins.copy()]
    beta, spread = 0.0, np.sqrt(chain.sum_of_squares)
    # a chain without couplings has one level only
    while spread > 0.0 and energies[-1] > e_min and len(betas) < _MOST_STEPS:
        beta += min(_STRIDE / spread, max(beta, _FIRST_STRIDE / np.sqrt(chain.sum_of_squares)))
        flips = 0
        for _ in range(2):
            energy = _refreshed(chain, state)
            _, made = walk_at(chain.packed, state.spins, state.fields, energy, beta, _RELAX * max(n, 64), samples, rng)
            flips += made
        betas.append(beta)
        energies.append(min(float(samples.mean()), energies[-1]))
        ends.append(state.spins.copy())
        spread = max(float(samples.std()), 1e-3 * spread)
        if flips < _FROZEN * 2 * _RELAX * n:
            break
    return Descent(np.array(betas), np.array(energies), np.array(ends))


def expected_slopes(
    chain: IsingChain, descent: Descent, centres: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """d ln g / dE at the centres of bins, same shape: beta(E) of a descent, odd in E.

    Between mean energies it is linear, beyond the coldest run it stays as it is. Near E = 0 that is the Gaussian
    of variance sum(J^2), since U = -beta sum(J^2) there.
    """
    falling = np.flatnonzero(np.append(True, np.diff(np.minimum.accumulate(descent.energies)) < 0.0))
    size = np.abs(centres)
    slopes = np.interp(size, -descent.energies[falling], descent.betas[falling])
    if chain.sum_of_squares > 0.0 and falling.size > 1:
        hot = size < -descent.energies[falling[1]]
        slopes[hot] = np.minimum(slopes[hot], size[hot] / chain.sum_of_squares)
    return np.asarray(-np.sign(centres) * np.minimum(slopes, STEEPEST / width))


def integrate(slopes: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """ln g at the bins' centres from its slopes there, by the trapezoid rule, up to a constant."""
    return np.append(0.0, np.cumsum(0.5 * width * (slopes[1:] + slopes[:-1])))


def enter(
    chain: IsingChain, windows: Windows, window: int, descent: Descent, rng: np.random.Generator
) -> NDArray[np.int8] | None:
    """Spins (N,) whose energy lies in a window, or None if no way in was found.

    A walk under the expected density, drawn towards the window by a weight that falls with the distance from it,
    starts from the end of the descent's run nearest in energy; where even a strong pull fails, from annealed spins.
    """
    target = windows.middle(window)
    sign = -1.0 if target > 0.5 * windows.width else 1.0  # odd layers turned give -E
    nearest = int(np.argmin(np.abs(sign * target - descent.energies)))
    for pull in _PUSHES:
        spins = _drawn(chain, windows, window, _turned(chain, descent.spins[nearest], sign), descent, pull, rng)
        if spins is not None:
            return spins
    annealed = join(anneal(chain, _FALLBACK_SWEEPS, np.random.SeedSequence(rng.integers(2**63, size=2).tolist())).spins)
    return _drawn(chain, windows, window, _turned(chain, annealed, sign), descent, _PUSHES[0], rng)


def _turned(chain: IsingChain, spins: NDArray[np.int8], sign: float) -> NDArray[np.int8]:
    """The spins, or with sign = -1 those of energy -E: every odd layer turned."""
    odd = chain.packed.layer_of % 2 == 1
    return np.where(odd & (sign < 0.0), -spins, spins).astype(np.int8)


def _drawn(
    chain: IsingChain,
    windows: Windows,
    window: int,
    spins: NDArray[np.int8],
    descent: Descent,
    pull: float,
    rng: np.random.Generator,
) -> NDArray[np.int8] | None:
    """The state once it is in the window, or None if it is still outside after a while."""
    state = start(chain, rng, split(spins, chain.nodes))
    lowest = max(windows.lowest, int(np.ceil(-_refreshed(chain, state) / windows.width)))
    margin = 2 + int(np.ceil(_MARGIN * np.sqrt(chain.sum_of_squares) / windows.width))
    highest = max(0, windows.n_bins - 1 - windows.lowest)  # descents start at E = 0, wherever the windows end
    number = np.arange(-lowest - margin, highest + margin + 1)
    first = windows.firsts[window] - windows.lowest
    away = np.minimum(number - first, 0) + np.maximum(number - (first + windows.size - 1), 0)
    slopes = expected_slopes(chain, descent, windows.width * number.astype(np.float64), windows.width)
    ln_g = integrate(slopes, windows.width) + pull * np.abs(away)
    slopes += pull * np.sign(away) / windows.width
    e_low = (number[0] - 0.5) * windows.width
    unused = np.zeros(ln_g.size)
    seen, visits = np.ones(ln_g.size, np.uint8), np.zeros(ln_g.size, np.int64)
    for _ in range(_TRIES_A_PUSH):
        energy = _refreshed(chain, state)
        if windows.holds(window, energy):
            return state.spins
        walk(
            chain.packed, state.spins, state.fields, energy, e_low, windows.width,
            ln_g, slopes, unused, seen, visits, unused.copy(), 0.0, 0, chain.n_spins, rng,
        )  # fmt: skip
    return None


def _refreshed(chain: IsingChain, state: KeptFields) -> float:
    """The energy of the spins, from fields computed anew."""
    refresh(chain, state)
    return -0.5 * float(state.spins @ state.fields)
