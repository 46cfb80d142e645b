"""Ladders of inverse temperatures, swaps between neighbours, and pilots that space the rungs by how often they swap.

Two rungs a step d beta apart whose energies spread by sigma swap with probability about erfc(sigma d beta / 2)
(Kofke 2002); sigma d beta, added up, is the length of the ladder, and rungs are spaced evenly in it. Swaps alternate
between even and odd pairs, deterministically, which lets replicas drift (Okabe et al. 2001; Syed et al. 2022).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcinv

from spinspectra.ising.chain import IsingChain
from spinspectra.ising.heat_bath import HeatBath, load, sweep, uniforms, unload

_PILOT_REPLICAS = 16
_STEP_SWEEPS = 8  # sweeps at each temperature of the first descent; the first half of them settles
_PILOTS = 6  # at most so many rounds of swaps and spacing
_PILOT_SWEEPS = 90  # of swaps in each pilot, of which the first third settles
_COOLING_SWEEPS = 100
_SWAP_ROUNDS = 8
_LOWEST_RATE = 0.6  # of the swap rate asked for, for a ladder to do; a pilot knows a rate to a fifth or so
_SPARE = 1.15  # rungs of a ladder that does, over those that even spacing would need
_FEWEST = 4
_COLDEST = 0.1  # of the typical field: below that temperature hardly a spin moves
_NEAR_GROUND = 0.01  # of |E_min|: the mean energy of the coldest rung lies so near


@dataclass(frozen=True, slots=True)
class Places:
    """Which replica is where.

    rungs: the rung of each replica, (R,). last_end: the end it visited last, 1 hot, -1 cold, 0 neither, (R,).
    round_trips: from the hot end to the cold one and back, all replicas together.
    """

    rungs: NDArray[np.int64]
    last_end: NDArray[np.int8]
    round_trips: int


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a pilot leaves: spins (R, N) by rung, mean energies (R,) and swap rates (R - 1,)."""

    spins: NDArray[np.int8]
    energies: NDArray[np.float64]
    rates: NDArray[np.float64]


def start_places(n_rungs: int) -> Places:
    """Replica r on rung r."""
    last_end = np.zeros(n_rungs, np.int8)
    last_end[0], last_end[-1] = 1, -1
    return Places(np.arange(n_rungs), last_end, 0)


def swap(
    places: Places, betas: NDArray[np.float64], energies: NDArray[np.float64], parity: int, rng: np.random.Generator
) -> tuple[Places, NDArray[np.float64]]:
    """Try to swap the pairs (parity, parity + 1), (parity + 2, parity + 3), ... of rungs; parity 0 or 1.

    energies: of each replica, (R,). Also gives the acceptance probabilities, (pairs,).
    """
    replicas = np.argsort(places.rungs)
    low = np.arange(parity, betas.size - 1, 2)
    by_rung = energies[replicas]
    exponents = (betas[low + 1] - betas[low]) * (by_rung[low + 1] - by_rung[low])
    chances = np.exp(np.minimum(exponents, 0.0))
    taken = low[rng.random(low.size) < chances]
    rungs = places.rungs.copy()
    rungs[replicas[taken]], rungs[replicas[taken + 1]] = taken + 1, taken
    last_end = places.last_end.copy()
    home = (rungs == 0) & (last_end == -1)
    last_end[rungs == 0], last_end[rungs == betas.size - 1] = 1, -1
    return Places(rungs, last_end, places.round_trips + int(np.count_nonzero(home))), chances


def swap_often(
    places: Places, betas: NDArray[np.float64], energies: NDArray[np.float64], sweep: int, rng: np.random.Generator
) -> tuple[Places, NDArray[np.float64]]:
    """Eight rounds of swaps, even and odd pairs by turns: a replica may go several rungs, and a sweep costs far more.

    Also gives the acceptance probabilities of all pairs, (R - 1,), from the first round of each parity.
    """
    chances = np.empty(betas.size - 1)
    for i in range(_SWAP_ROUNDS):
        parity = (sweep + i) % 2
        places, found = swap(places, betas, energies, parity, rng)
        if i < 2:
            chances[parity::2] = found
    return places, chances


def cooling_betas(betas: NDArray[np.float64], fraction: float) -> NDArray[np.float64]:
    """Where replicas are that set out together from beta = 0 and reach their own rungs at fraction = 1, (R,)."""
    rungs = np.arange(betas.size)
    return np.asarray(np.interp(fraction * rungs, rungs, betas))


def make_ladder(
    chain: IsingChain, bath: HeatBath, e_min: float, swap_rate: float, seed: np.random.SeedSequence
) -> NDArray[np.float64]:
    """Inverse temperatures from 0 to where the mean energy is within 1 % of e_min, spaced for a swap rate.

    A descent of a few replicas measures the spread of energies as it goes; pilots then swap along the ladder and
    space it anew until each pair swaps at three fifths of that rate or more and no rung is to spare, or six pilots are
    through. The cold end is at most 10 / sqrt(2 sum(J^2) / N).
    """
    seeds = seed.spawn(_PILOTS + 1)
    step = 2.0 * float(erfcinv(swap_rate))
    limit = 1.0 / (_COLDEST * float(np.sqrt(2.0 * chain.sum_of_squares / chain.n_spins)))
    target = (1.0 - _NEAR_GROUND) * e_min
    betas = _descend(bath, target, limit, step, seeds[0])
    rng = np.random.default_rng(seeds[0])
    spins = 2 * rng.integers(0, 2, (betas.size, sum(bath.nodes)), np.int8) - 1
    cooling = _COOLING_SWEEPS
    for pilot_seed in seeds[1:]:
        pilot = _run_pilot(bath, betas, spins, cooling, pilot_seed)
        warm = pilot.energies[-1] > target and betas[-1] < limit
        spaced = respace(betas, pilot.rates, step)
        if pilot.rates.min() >= _LOWEST_RATE * swap_rate and betas.size <= _SPARE * spaced.size and not warm:
            break
        if warm:
            spaced = np.append(spaced, min(limit, 2.0 * spaced[-1] - spaced[-2]))
        nearest = np.abs(spaced[:, None] - betas).argmin(axis=1)
        betas, spins, cooling = spaced, pilot.spins[nearest], 0
    return betas


def respace(betas: NDArray[np.float64], rates: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """A ladder between the same ends, each pair the same length sigma d beta apart, at most `step`.

    rates: swap rates of the pairs, (R - 1,), each of which gives its pair's length.
    """
    lengths = 2.0 * erfcinv(np.clip(rates, 1e-6, 0.999))
    along = np.append(0.0, np.cumsum(lengths))
    n_rungs = max(_FEWEST, int(np.ceil(along[-1] / step - 1e-9)) + 1)
    return np.asarray(np.interp(np.linspace(0.0, along[-1], n_rungs), along, betas))


def _descend(
    bath: HeatBath, target: float, limit: float, step: float, seed: np.random.SeedSequence
) -> NDArray[np.float64]:
    """Inverse temperatures from 0 on, step / sigma apart, until the mean energy falls to the target."""
    rng = np.random.default_rng(seed.spawn(1)[0])
    layers = load(bath, 2 * rng.integers(0, 2, (_PILOT_REPLICAS, sum(bath.nodes)), np.int8) - 1)
    draw = uniforms(bath, seed)
    betas = [0.0]
    while True:
        beta = betas[-1]
        energies = np.array([sweep(bath, layers, np.full(_PILOT_REPLICAS, beta), draw) for _ in range(_STEP_SWEEPS)])
        settled = energies[_STEP_SWEEPS // 2 :]
        if len(betas) >= _FEWEST and (settled.mean() <= target or beta >= limit):
            return np.array(betas)
        sigma = float(settled.std())
        longest = max(0.5 * beta, 0.02 * limit)  # where energies hardly spread, as in a ground state
        betas.append(min(limit if len(betas) >= _FEWEST else np.inf, beta + min(longest, step / max(sigma, 1e-300))))


def _run_pilot(
    bath: HeatBath, betas: NDArray[np.float64], spins: NDArray[np.int8], cooling: int, seed: np.random.SeedSequence
) -> Pilot:
    draw_seed, swap_seed = seed.spawn(2)
    draw, rng = uniforms(bath, draw_seed), np.random.default_rng(swap_seed)
    layers = load(bath, spins)
    for i in range(cooling):
        sweep(bath, layers, cooling_betas(betas, (i + 1) / cooling), draw)
    places = start_places(betas.size)
    rates, energies = np.zeros(betas.size - 1), np.zeros(betas.size)
    for i in range(_PILOT_SWEEPS):
        now = sweep(bath, layers, betas[places.rungs], draw)
        settled = i >= _PILOT_SWEEPS // 3
        energies[places.rungs] += settled * now
        places, chances = swap_often(places, betas, now, i, rng)
        rates += settled * chances
    n_settled = _PILOT_SWEEPS - _PILOT_SWEEPS // 3
    by_rung = unload(bath, layers)[np.argsort(places.rungs)]
    return Pilot(by_rung, energies / n_settled, rates / n_settled)
