"""Energies sampled along a ladder of temperatures, reweighted to ln g(E) with standard errors.

The multistate Bennett estimate (Shirts, Chodera 2008, eq. 11), on energies folded by the symmetry g(E) = g(-E):
x = |E| has the density G(x) = g(x) + g(-x), and on rung k the weight cosh(beta_k x) / Z_k. With f_k = -ln Z_k and n_k
samples on rung k, each sample counts exp(-D(x)) states, D(x) = ln sum_k n_k e^{f_k} cosh(beta_k x), and f solves
sum over samples of p_k = n_k, p_k = n_k e^{f_k} cosh(beta_k x) e^{-D}. Rung 0 is beta = 0, f_0 = -N ln 2.

Only the pooled x enter, and D is smooth, so samples are sorted into cells far narrower than the spread of any rung;
p, D and the first two derivatives of D are taken at a cell's mean, and each sample keeps its own place in its cell.
A bin may thus be wide against the temperature: nothing takes its states to lie at its centre.

Errors: the influence of a block of consecutive sweeps is the derivative of ln g by the block's weight, f following
(H df = -dF, H the Hessian of the same convex function); influences add, so the same ones serve whole runs.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import fdtri

from spinspectra.errors import SpinSpectraError
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.student import student_factor

Vector = NDArray[np.float64]

_MOST_CELLS = 20_000
_CELLS_A_SPREAD = 10  # cells in the standard deviation of the narrowest rung, as far as _MOST_CELLS allows
_STEPS = 200
_PRECISION = 1e-10  # of n_k
_BLOCK_TIMES = 20  # autocorrelation times that a block lasts, where the run is long enough
_BLOCKS = (4, 32)  # fewest and most in a run
_DOUBT = 0.99  # runs that differ by more than so much of chance would allow, judged by the blocks, set the error
_EDGE = 1e-6  # of |E_min|: float32 fields may put a ground state so far beyond the range
_REPLICATES = 16
_WINDOW = 5.0  # of Sokal's self-consistent window, in autocorrelation times


@dataclass(frozen=True, slots=True)
class HalfDensity:
    """ln g over the half range. Visited bins only, from E = 0 downwards.

    index: place in EnergyBins, n_bins and more for states below its range, (K,). ln_g: natural log of the number of
    states in the bin, those of the mirror bin not among them, (K,). means: mean energy of these states, 0 around E = 0,
    (K,). stderr: standard error of ln_g, (K,). counts: samples, (K,). replicates: ln_g of parts of the data, whose
    standard error of the mean is that of ln_g, correlations between bins included, (many, K). ln_z, ln_z_stderr: of
    each rung, (R,).
    """

    index: NDArray[np.int64]
    ln_g: Vector
    means: Vector
    stderr: Vector
    counts: NDArray[np.int64]
    replicates: Vector
    ln_z: Vector
    ln_z_stderr: Vector


@dataclass(frozen=True, slots=True)
class _Cells:
    """x: mean of each cell, (G,). bins: its bin, (G,), ascending. of_sample: its cell, (n,). counts: (blocks, G)."""

    x: Vector
    bins: NDArray[np.int64]
    of_sample: NDArray[np.int64]
    counts: Vector


@dataclass(frozen=True, slots=True)
class _Fit:
    """f: -ln Z up to a constant, f_0 = 0, (R,). ln_d: D at the cells, (G,). p: (G, R)."""

    f: Vector
    ln_d: Vector
    p: Vector


def reweight(energies: Vector, betas: Vector, bins: EnergyBins, n_spins: int, blocks: int | None = None) -> HalfDensity:
    """ln g from energies (runs, sweeps, R) sampled on the rungs betas (R,), ascending from 0.

    blocks: blocks of equal length a run, over which errors are taken; default 32, fewer if a run has not 64 sweeps. A
    bin's error is the largest by these, by pairs of them, by fours, .. (Flyvbjerg, Petersen 1989), until they are as
    long as the slowest rung needs (`n_blocks`): short blocks are many, long ones independent, and which matters differs
    from bin to bin. Each is widened by Student's factor, so that it covers 68 %. Where runs differ by more than their
    blocks explain (F test, 1 %), the error is that of the runs.

    Raises SpinSpectraError if neighbouring rungs have no energies in common.
    """
    runs = energies.shape[0]
    if blocks is None:
        blocks = min(_BLOCKS[1], max(_BLOCKS[0], 1 << (energies.shape[1] // 2).bit_length() - 1))
    fewest = min(n_blocks(energies), blocks)
    length = energies.shape[1] // blocks
    x = np.abs(energies[:, energies.shape[1] - blocks * length :, :])
    block = np.broadcast_to(np.arange(runs * blocks).reshape(runs, blocks, 1, 1), (runs, blocks, length, betas.size))
    cells = _sort(x.ravel(), block.ravel(), runs * blocks, bins, x.std(axis=(0, 1)))
    n_k = float(runs * blocks * length)
    fit = _fit(cells, betas, n_k, _first_guess(x, betas))
    influence_f = _influence_f(cells, fit, n_k)
    index, ln_g, means, counts, influence = _ln_g(cells, fit, betas, x.ravel(), block.ravel(), influence_f)
    # float32 fields may put a ground state a little beyond the range
    means = np.clip(means, (index - 0.5) * bins.width, (index + 0.5) * bins.width)
    shift = n_spins * math.log(2.0)
    ln_half = ln_g + shift - np.where(index == 0, 0.0, math.log(2.0))
    return HalfDensity(
        index,
        ln_half,
        np.where(index == 0, 0.0, -means),
        _stderr(influence, runs, fewest),
        counts,
        _replicates(ln_half, influence, runs, fewest),
        shift - fit.f,
        _stderr(influence_f, runs, fewest),
    )


def autocorrelation_times(energies: Vector) -> Vector:
    """Integrated autocorrelation time of each rung, in sweeps, at least 1/2, (R,); energies (runs, sweeps, R).

    Sokal 1997, section 3: 1/2 + sum of the autocorrelation up to a window of five times the result.
    """
    sweeps = energies.shape[1]
    centred = energies - energies.mean(axis=(0, 1))
    power = np.abs(np.fft.rfft(centred, 2 * sweeps, axis=1)) ** 2
    correlation = np.fft.irfft(power.mean(axis=0), axis=0)[:sweeps]
    still = correlation[0] <= 1e-12 * max(float(correlation[0].max()), 1e-300)
    times = np.cumsum(correlation / np.where(still, 1.0, correlation[0]), axis=0) - 0.5
    closed = np.arange(sweeps)[:, None] >= _WINDOW * times
    at = np.where(closed.any(axis=0), closed.argmax(axis=0), sweeps - 1)
    return np.where(still, 0.5, np.maximum(0.5, times[at, np.arange(times.shape[1])]))


def n_blocks(energies: Vector) -> int:
    """Blocks a run: as many as last twenty autocorrelation times of the slowest rung, within 4 and 32."""
    fewest, most = _BLOCKS
    wanted = int(energies.shape[1] / (_BLOCK_TIMES * autocorrelation_times(energies).max()))
    return int(min(max(wanted, fewest), most, energies.shape[1]))


def _sort(x: Vector, block: NDArray[np.int64], n_blocks: int, bins: EnergyBins, spreads: Vector) -> _Cells:
    """Cells are distinct values if these are few, as on a lattice, else even parts of bins."""
    levels = np.unique(x)
    bin_of = bins.indices_of(-x)
    bin_of[(bin_of == bins.n_bins) & (x <= -bins.e_min * (1.0 + _EDGE))] = bins.n_bins - 1
    if levels.size <= _MOST_CELLS // 10:
        labels = np.searchsorted(levels, x)
    else:
        narrowest = float(spreads[spreads > 0.0].min()) / _CELLS_A_SPREAD
        most = max(1, _MOST_CELLS // (int(bin_of.max()) + 1))
        parts = min(most, max(1, math.ceil(bins.width / narrowest)))
        inner = np.clip(((x / bins.width + 0.5 - bin_of) * parts).astype(np.int64), 0, parts - 1)
        labels = bin_of * parts + inner
    _, of_sample = np.unique(labels, return_inverse=True)
    n_cells = int(of_sample.max()) + 1
    total = np.bincount(of_sample, minlength=n_cells)
    mean = np.bincount(of_sample, x, n_cells) / total
    counts = np.bincount(block * n_cells + of_sample, minlength=n_blocks * n_cells).reshape(n_blocks, n_cells)
    cell_bins = np.zeros(n_cells, np.int64)
    cell_bins[of_sample] = bin_of
    return _Cells(mean, cell_bins, of_sample, counts.astype(np.float64))


def _first_guess(x: Vector, betas: Vector) -> Vector:
    """f by the trapezoidal rule over <E> = -<x tanh(beta x)>, (R,)."""
    slope = -(x * np.tanh(betas * x)).mean(axis=(0, 1))
    return np.append(0.0, np.cumsum(0.5 * (slope[1:] + slope[:-1]) * np.diff(betas)))


def _shares(x: Vector, betas: Vector, n_k: float, f: Vector) -> tuple[Vector, Vector]:
    """D at the cells, (G,), and p, (G, R)."""
    exponents = np.outer(x, betas)
    exponents += np.log1p(np.exp(-2.0 * exponents)) + (f - math.log(2.0))
    top = exponents.max(axis=1)
    np.exp(exponents - top[:, None], out=exponents)
    total = exponents.sum(axis=1)
    exponents /= total[:, None]
    return top + np.log(n_k * total), exponents


def _fit(cells: _Cells, betas: Vector, n_k: float, f: Vector) -> _Fit:
    """Newton's method on sum over samples of D - sum_k n_k f_k, convex in f; steps are halved while that rises."""
    weights = cells.counts.sum(axis=0)

    def state(f: Vector) -> tuple[float, Vector, Vector]:
        ln_d, p = _shares(cells.x, betas, n_k, f)
        return float(weights @ ln_d - n_k * f.sum()), ln_d, p

    value, ln_d, p = state(f)
    for _ in range(_STEPS):
        slope = weights @ p - n_k
        if np.abs(slope).max() <= _PRECISION * n_k:
            break
        step = np.append(0.0, _solve(weights, p, -slope))
        size = 1.0
        while True:
            next_value, next_ln_d, next_p = state(f + size * step)
            if next_value <= value + 1e-13 * abs(value) or size < 1e-6:
                break
            size *= 0.5
        f, value, ln_d, p = f + size * step, next_value, next_ln_d, next_p
    return _Fit(f, ln_d, p)


def _solve(weights: Vector, p: Vector, right: Vector) -> Vector:
    """H^-1 right without rung 0, which is held; right (R,) or (R, many), H = diag(w p) - p^T diag(w) p."""
    hessian = np.diag(weights @ p) - (p.T * weights) @ p
    try:
        return np.asarray(cho_solve(cho_factor(hessian[1:, 1:]), right[1:]))
    except LinAlgError:
        raise SpinSpectraError(
            "neighbouring temperatures have no energies in common, so ln g cannot be joined; use a closer ladder"
        ) from None


def _influence_f(cells: _Cells, fit: _Fit, n_k: float) -> Vector:
    """df / d(weight of a block), (blocks, R)."""
    n_blocks = cells.counts.shape[0]
    pulls = cells.counts @ fit.p - n_k / n_blocks
    moved = _solve(cells.counts.sum(axis=0), fit.p, -pulls.T)
    return np.vstack([np.zeros(n_blocks), moved]).T


def _ln_g(
    cells: _Cells, fit: _Fit, betas: Vector, x: Vector, block: NDArray[np.int64], influence_f: Vector
) -> tuple[NDArray[np.int64], Vector, Vector, NDArray[np.int64], Vector]:
    """Bins visited, ln G and mean x of each (K,), samples (K,) and d ln G / d(weight of a block), (blocks, K)."""
    n_blocks, n_cells = cells.counts.shape
    slope = (fit.p * np.tanh(np.outer(cells.x, betas))) @ betas
    bend = fit.p @ betas**2 - slope**2
    offset = x - cells.x[cells.of_sample]
    in_cell = np.exp(-(slope[cells.of_sample] + 0.5 * bend[cells.of_sample] * offset) * offset)
    states = np.bincount(block * n_cells + cells.of_sample, in_cell, n_blocks * n_cells).reshape(n_blocks, n_cells)
    beyond = np.bincount(cells.of_sample, in_cell * offset, n_cells)  # the cells' means, by states and not by samples
    index, starts = np.unique(cells.bins, return_index=True)
    top = np.minimum.reduceat(fit.ln_d, starts)
    sizes = np.diff(np.append(starts, n_cells))
    scale = np.exp(np.repeat(top, sizes) - fit.ln_d)
    states *= scale
    by_block = np.add.reduceat(states, starts, axis=1)
    total = by_block.sum(axis=0)
    means = np.add.reduceat(states.sum(axis=0) * cells.x + beyond * scale, starts) / total
    shares = states.sum(axis=0) / np.repeat(total, sizes)
    shifts = np.add.reduceat(shares[:, None] * fit.p, starts, axis=0) @ influence_f.T
    influence = by_block / total - 1.0 / n_blocks - shifts.T
    counts = np.add.reduceat(cells.counts.sum(axis=0), starts).astype(np.int64)
    return index, np.log(total) - top, means, counts, influence


def _stderr(influence: Vector, runs: int, fewest: int) -> Vector:
    """Standard error from the influences of blocks, (blocks, K), or of runs where these say clearly more."""
    within, between = _variances(influence, runs, fewest)
    return np.asarray(np.sqrt(np.where(_doubtful(influence, runs, fewest), between, within)))


def _variances(influence: Vector, runs: int, fewest: int) -> tuple[Vector, Vector]:
    """Of the sum of influences, from the spread of blocks and from that of whole runs (NaN for one run), (K,) each."""
    within = np.max([_variance(influence, runs * n) for n in _parts(influence, runs, fewest)], axis=0)
    return within, _variance(influence, runs) if runs > 1 else np.full_like(within, np.nan)


def _parts(influence: Vector, runs: int, fewest: int) -> list[int]:
    """Parts a run, from one a block downwards by halves, to the first that are `fewest` or less."""
    parts = [influence.shape[0] // runs]
    while parts[-1] > fewest and parts[-1] % 2 == 0:
        parts.append(parts[-1] // 2)
    return parts


def _variance(influence: Vector, groups: int) -> Vector:
    """From the spread of so many groups, widened by Student's factor for as many, (K,)."""
    factor = float(student_factor(groups))
    return np.asarray(factor**2 * groups / (groups - 1) * (_grouped(influence, groups) ** 2).sum(axis=0))


def _doubtful(influence: Vector, runs: int, fewest: int) -> NDArray[np.bool_]:
    """Where runs differ by more than their blocks explain, (K,)."""
    if runs == 1:
        return np.zeros(influence.shape[1], np.bool_)
    within, between = _variances(influence, runs, fewest)
    student = float(student_factor(runs)) ** 2
    return np.asarray(between > student * float(fdtri(runs - 1, influence.shape[0] - 1, _DOUBT)) * within)


def _grouped(influence: Vector, groups: int) -> Vector:
    return np.asarray(influence.reshape(groups, -1, influence.shape[1]).sum(axis=1))


def _replicates(ln_g: Vector, influence: Vector, runs: int, fewest: int) -> Vector:
    """Values of ln g as independent as the data allow, whose standard error of the mean is that of ln g, (many, K).

    Pseudo-values of the jackknife (Efron, Tibshirani 1993, eq. 11.15) of groups of blocks, up to about 16; of whole
    runs, if these say more than blocks in over a twentieth of the bins.
    """
    parts = [n for n in _parts(influence, runs, 1) if n <= min(fewest, max(_REPLICATES // runs, 1))]
    doubtful = runs > 1 and bool(_doubtful(influence, runs, fewest).mean() > 0.05)
    groups = runs if doubtful else runs * (parts[0] if parts else 1)
    return np.asarray(ln_g + groups * _grouped(influence, groups))
