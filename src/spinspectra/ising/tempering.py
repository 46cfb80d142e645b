"""Parallel tempering with heat-bath sweeps, reweighted to the density of states.

Independent runs share one ladder. Each starts from random spins, cools its replicas together from beta = 0 to their
rungs, settles, and then records the energies of all rungs after every sweep; neighbours try to swap between sweeps.
Work goes in rounds of sweeps; a round's random numbers follow from seed, run and round alone, so neither the number
of workers nor an interruption between rounds changes the result.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.cores import n_cores
from spinspectra.errors import DoubtWarning, OptionError
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.checkpoint import chain_digest, read_checkpoint, write_checkpoint
from spinspectra.ising.density import DensityOfStates, from_half
from spinspectra.ising.equilibrium import equilibrium_doubts
from spinspectra.ising.heat_bath import heat_bath, load, one_thread, sweep, uniforms, unload
from spinspectra.ising.ladder import Places, cooling_betas, make_ladder, start_places, swap_often
from spinspectra.ising.reweight import autocorrelation_times, n_blocks, reweight
from spinspectra.seeds import Seed, child_seed, seed_sequence

_LAYOUT = 1  # of a checkpoint's arrays and of what is drawn when; a change makes old checkpoints another run's
_ROUNDS = 64
_SWAP_RATE = 0.35


@dataclass(frozen=True, slots=True)
class TemperingRound:
    """What `progress` gets after each round.

    round: rounds done, of `rounds`; 0 when the ladder stands. stage: "ladder", "cooling", "settling" or "sampling".
    betas: (R,). swap_rates: of the pairs so far, (R - 1,), NaN before swaps begin. round_trips: all runs together.
    lowest: the lowest energy sampled so far, NaN before sampling.
    """

    round: int
    rounds: int
    stage: str
    betas: NDArray[np.float64]
    swap_rates: NDArray[np.float64]
    round_trips: int
    lowest: float


@dataclass(frozen=True, slots=True)
class _Schedule:
    """Sweeps: `cooling` to reach the rungs, up to `settled` not recorded, `total` in all, in parts of `length`."""

    cooling: int
    settled: int
    total: int

    @property
    def length(self) -> int:
        return -(-self.total // _ROUNDS)

    @property
    def rounds(self) -> int:
        return -(-self.total // self.length)

    def stage(self, done: int) -> str:
        at = (done - 1) * self.length
        return "cooling" if at < self.cooling else "settling" if at < self.settled else "sampling"


@dataclass(frozen=True, slots=True)
class _Run:
    """One run between rounds. spins: (R, N) by replica. energies: recorded so far, (sweeps, R) by rung.

    accepted, tried: sums of acceptance probabilities and their number, pair by pair, (R - 1,), once settled.
    """

    spins: NDArray[np.int8]
    places: Places
    energies: NDArray[np.float64]
    accepted: NDArray[np.float64]
    tried: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Task:
    """What a worker needs for any round of any run."""

    chain: IsingChain
    betas: NDArray[np.float64]
    schedule: _Schedule
    seed: np.random.SeedSequence
    device: str | None


def temper(
    chain: IsingChain,
    bins: EnergyBins,
    seed: Seed = 0,
    *,
    sweeps: int = 1000,
    runs: int = 4,
    swap_rate: float = _SWAP_RATE,
    betas: Sequence[float] | None = None,
    device: str | None = None,
    checkpoint: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[TemperingRound], None] | None = None,
) -> DensityOfStates:
    """The density of states over `bins`, mirrored, from `runs` tempering runs of `sweeps` recorded sweeps each.

    Half as many sweeps again go before them, in equal parts to cool and to settle. swap_rate: between neighbours,
    which spaces the ladder (`make_ladder`); betas: a ladder of one's own instead, ascending from 0, in the inverse
    unit of the weights. device: None for NumPy, else torch's name of one; NumPy and each kind of device draw
    different numbers. Runs are spread over an executor, or over threads of this process, one BLAS thread each, and
    the result does not depend on that.

    checkpoint: a file that holds the state after every round; if it is there, the run goes on from it and ends as an
    unbroken one does. KeyboardInterrupt leaves it as the last round did. progress: called when the ladder stands and
    after every round.

    `how` of the result tells the ladder, swap rates, round trips, autocorrelation times in sweeps, ln Z of every
    rung, and the lowest energy sampled. Energies below the range of `bins` have bins of their own on the same grid.

    Warns with DoubtWarning, also in `how["doubts"]`, if energies stay correlated for more than a twentieth of the run,
    or if runs differ by more than chance allows: what is frozen agrees with itself, so its errors come out too small.

    Raises OptionError for an argument outside its range, CheckpointError for a checkpoint of something else.
    """
    _check(sweeps, runs, swap_rate)
    root = seed_sequence(seed)
    schedule = _Schedule(-(-sweeps // 4), 2 * -(-sweeps // 4), 2 * -(-sweeps // 4) + sweeps)
    given = None if betas is None else _check_ladder(betas)
    identity = _identity(chain, bins, root, sweeps, runs, swap_rate, given, device)
    with one_thread(device):
        kept = None if checkpoint is None else read_checkpoint(checkpoint, identity)
        if kept is None:
            if given is None:
                given = make_ladder(chain, heat_bath(chain, device), bins.e_min, swap_rate, child_seed(root, 0))
            task, done = _Task(chain, given, schedule, root, device), 0
            states = [_start(task, run) for run in range(runs)]
            _record(task, states, 0, checkpoint, identity, progress)
        else:
            task, done = _Task(chain, kept["betas"], schedule, root, device), int(kept["round"])
            states = [_unpack(kept, run) for run in range(runs)]
        with _workers(executor, runs, device) as pool:
            for number in range(done + 1, schedule.rounds + 1):
                futures = [pool.submit(_advance, task, states[run], run, number) for run in range(runs)]
                states = [future.result() for future in futures]
                _record(task, states, number, checkpoint, identity, progress)
    return _density(task, states, bins, identity)


def _check(sweeps: int, runs: int, swap_rate: float) -> None:
    if sweeps < 8:
        raise OptionError(f"sweeps={sweeps}: give at least 8")
    if runs < 1:
        raise OptionError(f"runs={runs}: give at least 1")
    if not 0.2 <= swap_rate <= 0.9:
        raise OptionError(f"swap_rate={swap_rate}: give a number from 0.2 to 0.9")


def _check_ladder(betas: Sequence[float]) -> NDArray[np.float64]:
    ladder = np.asarray(betas, np.float64)
    if ladder.ndim != 1 or ladder.size < 2 or ladder[0] != 0.0 or not np.all(np.diff(ladder) > 0.0):
        raise OptionError("betas: give at least two inverse temperatures, the first 0 and the others rising")
    if not np.isfinite(ladder[-1]):
        raise OptionError(f"betas: the last is {ladder[-1]}; give finite inverse temperatures")
    return ladder


def _identity(
    chain: IsingChain,
    bins: EnergyBins,
    root: np.random.SeedSequence,
    sweeps: int,
    runs: int,
    swap_rate: float,
    betas: NDArray[np.float64] | None,
    device: str | None,
) -> dict[str, Any]:
    """What a checkpoint must agree on to be gone on with; plain values for JSON."""
    return {
        "method": "tempering",
        "layout": _LAYOUT,
        "couplings": chain_digest(chain),
        "e_min": float(bins.e_min),
        "n_bins": int(bins.n_bins),
        "seed": [str(root.entropy), *(int(key) for key in root.spawn_key)],
        "sweeps": sweeps,
        "runs": runs,
        "swap_rate": swap_rate,
        "betas_given": None if betas is None else betas.tolist(),
        "device": device,
    }


@contextmanager
def _workers(executor: Executor | None, runs: int, device: str | None) -> Iterator[Executor]:
    """The executor given, else threads of our own; one only where a device is all that works."""
    if executor is not None:
        yield executor
        return
    with ThreadPoolExecutor(min(runs, n_cores()) if device in (None, "cpu") else 1) as threads:
        yield threads


def _start(task: _Task, run: int) -> _Run:
    rng = np.random.default_rng(child_seed(task.seed, 1, run, 0))
    n_rungs = task.betas.size
    spins = 2 * rng.integers(0, 2, (n_rungs, task.chain.n_spins), np.int8) - 1
    pairs = n_rungs - 1
    return _Run(spins, start_places(n_rungs), np.empty((0, n_rungs)), np.zeros(pairs), np.zeros(pairs))


def _advance(task: _Task, state: _Run, run: int, number: int) -> _Run:
    """One round of one run; rounds count from 1."""
    draw_seed, swap_seed = child_seed(task.seed, 1, run, number).spawn(2)
    schedule, betas = task.schedule, task.betas
    with one_thread(task.device):
        bath = heat_bath(task.chain, task.device)
        draw, rng = uniforms(bath, draw_seed), np.random.default_rng(swap_seed)
        layers, places = load(bath, state.spins), state.places
        accepted, tried, recorded = state.accepted.copy(), state.tried.copy(), []
        for i in range((number - 1) * schedule.length, min(number * schedule.length, schedule.total)):
            if i < schedule.cooling:
                sweep(bath, layers, cooling_betas(betas, (i + 1) / schedule.cooling), draw)
                continue
            energies = sweep(bath, layers, betas[places.rungs], draw)
            by_rung = np.empty(betas.size)
            by_rung[places.rungs] = energies
            places, chances = swap_often(places, betas, energies, i, rng)
            if i >= schedule.settled:
                recorded.append(by_rung)
                accepted += chances
                tried += 1.0
        kept = np.concatenate([state.energies, recorded]) if recorded else state.energies
        return _Run(unload(bath, layers), places, kept, accepted, tried)


def _pack(task: _Task, states: list[_Run], number: int) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"betas": task.betas, "round": np.array(number)}
    for run, state in enumerate(states):
        arrays |= {
            f"spins_{run}": np.packbits(state.spins > 0, axis=1),
            f"n_spins_{run}": np.array(state.spins.shape[1]),
            f"rungs_{run}": state.places.rungs,
            f"last_end_{run}": state.places.last_end,
            f"round_trips_{run}": np.array(state.places.round_trips),
            f"energies_{run}": state.energies,
            f"accepted_{run}": state.accepted,
            f"tried_{run}": state.tried,
        }
    return arrays


def _unpack(kept: dict[str, NDArray[Any]], run: int) -> _Run:
    bits = np.unpackbits(kept[f"spins_{run}"], axis=1, count=int(kept[f"n_spins_{run}"]))
    places = Places(kept[f"rungs_{run}"], kept[f"last_end_{run}"], int(kept[f"round_trips_{run}"]))
    spins = 2 * bits.astype(np.int8) - 1
    return _Run(spins, places, kept[f"energies_{run}"], kept[f"accepted_{run}"], kept[f"tried_{run}"])


def _rates(states: list[_Run]) -> NDArray[np.float64]:
    tried = sum((state.tried for state in states), np.zeros(()))
    accepted = sum((state.accepted for state in states), np.zeros(()))
    return np.asarray(np.where(tried > 0.0, accepted / np.maximum(tried, 1.0), np.nan))


def _record(
    task: _Task,
    states: list[_Run],
    number: int,
    checkpoint: Path | None,
    identity: dict[str, Any],
    progress: Callable[[TemperingRound], None] | None,
) -> None:
    if checkpoint is not None:
        write_checkpoint(checkpoint, identity, _pack(task, states, number), fsync=True)
    if progress is not None:
        progress(_report(task, states, number))


def _report(task: _Task, states: list[_Run], number: int) -> TemperingRound:
    schedule = task.schedule
    return TemperingRound(
        number,
        schedule.rounds,
        schedule.stage(number) if number else "ladder",
        task.betas,
        _rates(states),
        sum(state.places.round_trips for state in states),
        min((float(state.energies.min()) for state in states if state.energies.size), default=np.nan),
    )


def _density(task: _Task, states: list[_Run], bins: EnergyBins, identity: dict[str, Any]) -> DensityOfStates:
    energies = np.stack([state.energies for state in states])
    half = reweight(energies, task.betas, bins, task.chain.n_spins)
    doubts = equilibrium_doubts(energies, task.betas)
    for doubt in doubts:
        warnings.warn(doubt, DoubtWarning, stacklevel=3)
    how = identity | {
        "source": task.chain.source,
        "doubts": doubts,
        "betas": task.betas.tolist(),
        "swap_rates": _rates(states).tolist(),
        "round_trips": sum(state.places.round_trips for state in states),
        "autocorrelation_times": autocorrelation_times(energies).tolist(),
        "blocks_a_run": n_blocks(energies),
        "mean_energies": energies.mean(axis=(0, 1)).tolist(),
        "ln_z": half.ln_z.tolist(),
        "ln_z_stderr": half.ln_z_stderr.tolist(),
        "lowest_energy": float(energies.min()),
    }
    return from_half(
        -bins.width * half.index,
        half.ln_g,
        half.stderr,
        half.counts,
        task.chain.n_spins,
        bins.width,
        how,
        half.replicates,
        half.means,
    )
