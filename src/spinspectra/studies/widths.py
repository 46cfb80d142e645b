"""Widths of the energy range of one network's chain and of its shuffled twins: what the points of two studies measure.

Flipping every spin of the odd layers turns E into -E, so W = E_max - E_min = 2 |E_min| exactly. The ground state is
the fast way to it; the density of states gives the critical temperature too.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.cores import n_cores
from spinspectra.errors import OptionError
from spinspectra.ising.anneal import anneal
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.checkpoint import chain_digest
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.heat_bath import one_thread
from spinspectra.ising.sampling import N_BINS, density_of_states
from spinspectra.ising.shuffle import Within, shuffle
from spinspectra.ising.temperatures import halfway_temperature, unfrozen_grid
from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.studies.points import run_points

if TYPE_CHECKING:
    import pandas as pd

_LAYOUT = 1  # of a record's points and of which seed draws what; a change makes old records another study's
_SEARCH_BONDS, _MOST_SEARCHES = 10_000_000, 16
_RUNNING = "running"  # folder of the checkpoints of densities that are being sampled


@dataclass(frozen=True, slots=True)
class FromGround:
    """W = 2 |E_min| by annealing: cooling sweeps, independent restarts of which the best counts.

    restarts: None for as many as ten million couplings hold, from 1 to 16: small chains, which no self-averaging helps,
    cost little. Raises OptionError for numbers below 1.
    """

    sweeps: int = 1000
    restarts: int | None = None

    def __post_init__(self) -> None:
        require_at_least("sweeps", self.sweeps, 1)
        if self.restarts is not None:
            require_at_least("restarts", self.restarts, 1)

    def restarts_of(self, chain: IsingChain) -> int:
        """The number of searches for one chain."""
        return min(max(_SEARCH_BONDS // chain.n_bonds, 1), _MOST_SEARCHES) if self.restarts is None else self.restarts


@dataclass(frozen=True, slots=True)
class FromDensity:
    """W = E_max - E_min of the density of states by tempering, and T_c of its heat.

    n_bins: of the half range. sweeps: recorded, of each of `runs` runs. folder: gets NAME.dat of trained chains and of
    each's first twin, and keeps running/NAME.npz of a chain while it is sampled, to go on from; None: nothing is kept.
    Raises OptionError for numbers that no sampling can do with.
    """

    n_bins: int = N_BINS
    sweeps: int = 1000
    runs: int = 4
    folder: Path | None = None

    def __post_init__(self) -> None:
        require_at_least("n_bins", self.n_bins, 2)
        require_at_least("sweeps", self.sweeps, 8)
        require_at_least("runs", self.runs, 1)


How = FromGround | FromDensity


@dataclass(frozen=True, slots=True)
class Twin:
    """A chain to be measured: the first n_blocks (None: all) with a fraction of the couplings shuffled.

    name: its own in the study, and of its files. saved: whether its density is written to a file. seeds: of the
    shuffle, and of the search or sampling.
    """

    name: str
    n_blocks: int | None
    fraction: float
    within: Within
    saved: bool
    shuffle_seed: np.random.SeedSequence
    seed: np.random.SeedSequence


class _Stopped(Exception):  # noqa: N818
    """Ends a point whose study has ended early."""


def measure_twins(
    chain: IsingChain,
    twins: Sequence[Twin],
    how: How,
    identity: Mapping[str, Any],
    record: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> "pd.DataFrame":
    """One row a twin, in their order: n_spins, width, width_per_spin, e_min, seconds; from a density T_c, doubts too.

    width: E_max - E_min, in the unit of the weights like all energies and temperatures. e_min: the lowest energy known;
    sampling's outermost bins may lie a little above it. T_c, T_c_err: NaN where the heat has no peak. doubts: what the
    sampler said of its own result. seconds: of the point, beside others.

    executor: where points are worked on, default threads on all cores; with FromDensity the runs of each density are,
    and as many points are sampled at a time as keep it busy. The rows do not depend on it, seconds apart. Other
    arguments and errors as for `run_points`; Ctrl-C ends points at their next sweep or round.
    """
    import pandas as pd

    largest_first = sorted(twins, key=lambda twin: -(twin.n_blocks or 0))  # a long point left to the end works alone
    points = {twin.name: twin for twin in largest_first}
    with one_thread(None), _running(how, points), _pools(how, executor) as (outer, inner):
        stop = Event() if outer is None or isinstance(outer, ThreadPoolExecutor) else None
        work = partial(_measure, chain, how, inner, stop)
        found = run_points(points, work, identity, record, outer, partial(_on_progress, how, progress), stop)
    return pd.DataFrame([_row(how, found[twin.name]) for twin in twins])


def identity_of(study: str, how: How, root: np.random.SeedSequence) -> dict[str, Any]:
    """What the record of a study must agree on, besides the weights."""
    known = {name: value for name, value in asdict(how).items() if name != "folder"}
    return {
        "study": study,
        "layout": _LAYOUT,
        "widths": "ground" if isinstance(how, FromGround) else "density",
        **known,
        "seed": [str(root.entropy), *(int(key) for key in root.spawn_key)],
    }


def first_blocks(chain: IsingChain, n_blocks: int | None) -> IsingChain:
    """The chain of the first blocks of a transformer's: the same couplings, not copied."""
    n = sum(1 for label in chain.labels if n_blocks is None or int(label.partition(".")[0]) < n_blocks)
    if n == len(chain.couplings):
        return chain
    n_bonds = sum(matrix.size for matrix in chain.couplings[:n])
    return IsingChain(chain.flat[:n_bonds], chain.nodes[: n + 1], chain.labels[:n], chain.source)


def mean_and_error(values: Iterable[float]) -> tuple[float, float]:
    """Mean and its standard error, sd / sqrt(n); NaN values are left out, the error of one value is NaN."""
    known = np.array([value for value in values if math.isfinite(value)])
    if not known.size:
        return math.nan, math.nan
    return float(known.mean()), float(known.std(ddof=1) / math.sqrt(known.size)) if known.size > 1 else math.nan


def mean_temperature(rows: "pd.DataFrame") -> tuple[float, float]:
    """Mean T_c of these rows and its error: between them, of a single one its own."""
    known = rows[np.isfinite(rows["T_c"])]
    return (
        (float(known["T_c"].iloc[0]), float(known["T_c_err"].iloc[0]))
        if len(known) == 1
        else mean_and_error(known["T_c"])
    )


def critical_temperature(density: DensityOfStates) -> tuple[float, float]:
    """T_c and its error, above the temperatures that a short run leaves frozen; NaN if the heat has no peak there."""
    t_c, error, _ = heat_peak(density)
    return t_c, error


def heat_peak(density: DensityOfStates) -> tuple[float, float, float]:
    """`critical_temperature`, and the specific heat of the whole network there; NaN as that is."""
    if not math.isfinite(halfway_temperature(density)):
        return math.nan, math.nan, math.nan
    heat = thermodynamics(density, unfrozen_grid(density))
    return float(heat.attrs["T_c"]), float(heat.attrs["T_c_err"]), float(heat.attrs["C_max"])


def require_at_least(name: str, value: Any, least: int) -> None:
    """Raises OptionError for anything but such a whole number."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise OptionError(f"{name}={value!r}: give a whole number, at least {least}")


def _measure(chain: IsingChain, how: How, executor: Executor | None, stop: Event | None, twin: Twin) -> dict[str, Any]:
    _end_if(stop)
    part = first_blocks(chain, twin.n_blocks)
    told = {} if twin.n_blocks is None else {"n_blocks": twin.n_blocks, "couplings": chain_digest(part)}
    if twin.fraction > 0.0:
        part = shuffle(part, twin.fraction, twin.within, twin.shuffle_seed)
    with one_thread(None):  # in a process of its own too: more threads would change the last digits of sums
        if isinstance(how, FromGround):
            return told | _ground(part, how, stop, twin)
        return told | _density(part, how, executor, stop, twin)


def _ground(chain: IsingChain, how: FromGround, stop: Event | None, twin: Twin) -> dict[str, Any]:
    state = anneal(chain, how.sweeps, twin.seed, how.restarts_of(chain), progress=lambda _: _end_if(stop))
    return {"n_spins": chain.n_spins, "width": 2.0 * abs(state.energy), "e_min": state.energy}


def _density(
    chain: IsingChain, how: FromDensity, executor: Executor | None, stop: Event | None, twin: Twin
) -> dict[str, Any]:
    density = density_of_states(
        chain,
        n_bins=how.n_bins,
        seed=twin.seed,
        checkpoint=_checkpoint(how, twin.name),
        executor=executor,
        progress=lambda _: _end_if(stop),
        sweeps=how.sweeps,
        runs=how.runs,
    )
    if how.folder is not None and twin.saved:
        density.save(how.folder / f"{twin.name}.dat")
    t_c, t_c_err = critical_temperature(density)
    return {
        "n_spins": chain.n_spins,
        "width": density.width,
        "e_min": min(density.how["e_min"], density.how["lowest_energy"]),
        "T_c": t_c,
        "T_c_err": t_c_err,
        "doubts": "; ".join(density.how["doubts"]),
    }


def _end_if(stop: Event | None) -> None:
    if stop is not None and stop.is_set():
        raise _Stopped


@contextmanager
def _pools(how: How, executor: Executor | None) -> Iterator[tuple[Executor | None, Executor | None]]:
    """Where points are worked on, and where the runs of a density are.

    A density has stretches on one core, its search and its reweighting: another one's sweeps fill the others.
    """
    if isinstance(how, FromGround):
        yield executor, None
        return
    n_workers = getattr(executor, "_max_workers", n_cores())
    at_once = 1 if n_workers == 1 else 1 + -(-n_workers // how.runs)
    with ThreadPoolExecutor(n_cores()) as own, ThreadPoolExecutor(at_once) as points:
        yield points, own if executor is None else executor


def _on_progress(how: How, progress: Callable[[str, int], None] | None, name: str, n_known: int) -> None:
    """Called once a point is in the record: only then its checkpoint may go."""
    if name:
        _sweep_up(how, [name])
    if progress is not None:
        progress(name, n_known)


@contextmanager
def _running(how: How, names: Iterable[str]) -> Iterator[None]:
    """The folder of checkpoints is there meanwhile, and gone after it unless it holds some."""
    folder = how.folder if isinstance(how, FromDensity) else None
    if folder is None:
        yield
        return
    (folder / _RUNNING).mkdir(parents=True, exist_ok=True)
    try:
        yield
        _sweep_up(how, names)
    finally:
        with suppress(OSError):
            (folder / _RUNNING).rmdir()


def _sweep_up(how: How, names: Iterable[str]) -> None:
    for name in names:
        if (checkpoint := _checkpoint(how, name)) is not None:
            checkpoint.unlink(missing_ok=True)


def _checkpoint(how: How, name: str) -> Path | None:
    folder = how.folder if isinstance(how, FromDensity) else None
    return None if folder is None else folder / _RUNNING / f"{name}.npz"


def _row(how: How, found: Mapping[str, Any]) -> dict[str, Any]:
    heat = ("T_c", "T_c_err", "doubts") if isinstance(how, FromDensity) else ()
    return {
        "n_spins": found["n_spins"],
        "width": found["width"],
        "width_per_spin": found["width"] / found["n_spins"],
        **{name: found[name] for name in ("e_min", *heat, "seconds")},
    }
