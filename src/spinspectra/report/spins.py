"""The half of the spins for a page: lowest energies against a bound and shuffled twins, and densities of states."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from spinspectra.errors import ChainError, DoubtWarning, OptionError, SpinSpectraError
from spinspectra.ising.bounds import energy_bounds
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.checkpoint import chain_digest
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.temperatures import temperature_grid
from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.layers.describe import ChainSummary, summarise_chain
from spinspectra.report.parts import Curve, Floats, Ising, Spins
from spinspectra.studies.cost import cost_of_ground, this_machine
from spinspectra.studies.density import Sampling, find_density
from spinspectra.studies.ground import Search, shuffled_twin
from spinspectra.studies.null import SHUFFLES, SWEEPS, shuffled_null
from spinspectra.text import printable
from spinspectra.weights import Weights

Progress = Callable[[str], None]

_MOST_POINTS = 500  # of a curve


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the spins a page is to have.

    search: lowest energies. heat: sample densities of the one checkpoint and its twin. prefix: which stack of blocks.
    densities: files.
    """

    densities: Sequence[str | PathLike[str]] = ()
    search: bool = True
    heat: bool = False
    prefix: str | None = None
    seed: int = 0


def ising_half(asked: Asked, models: Sequence[Weights], tell: Progress) -> Ising | None:
    """Of each checkpoint, one chain in memory at a time; None if nothing was asked for.

    Raises what `DensityOfStates.load` raises, OptionError for a density too flat to have a heat, and what
    `IsingChain.from_weights` raises for a prefix that is not there.
    """
    if not (asked.search or asked.heat or asked.densities):
        return None
    files = read_densities(asked.densities)
    owners, spins, curves = dict.fromkeys(files, ""), list[Spins | str](), list[Curve]()
    for at, weights in enumerate(models):
        whose = "this network" if len(models) == 1 else f"checkpoint {at + 1}"
        chain = _chain_or_reason(weights, asked) if asked.search or asked.heat else ""
        if isinstance(chain, str):
            spins += [chain] if chain else []
            continue
        if asked.search:
            spins.append(spins_of(chain, asked.seed, len(models) == 1, tell))
        if asked.heat:
            curves += _sampled(chain, asked.seed, tell)
        owners = {name: owner or _owner(files[name], chain, whose) for name, owner in owners.items()}
    made = [curve_of(density, name, owners[name] or _unknown(density)) for name, density in files.items()]
    return Ising(tuple(spins), (*curves, *made))


def _chain_or_reason(weights: Weights, asked: Asked) -> IsingChain | str:
    """The chain, unless it cannot be made or does not fit this machine's memory; then why, in one line."""
    summary = summarise_chain(weights)
    if isinstance(summary, ChainSummary):
        machine = this_machine()
        needed = cost_of_ground(summary, machine).n_bytes
        if 0 < machine.memory < needed:
            have = f"{machine.memory / 1e9:,.0f} GB here"
            return f"its search would take {needed / 1e9:,.0f} GB of memory, more than the {have}"
    try:
        return IsingChain.from_weights(weights, prefix=asked.prefix)
    except (OptionError, ChainError) as error:
        if asked.prefix is not None:
            raise  # it was asked for, and is not there
        return str(error)
    except SpinSpectraError as error:
        return str(error)


def spins_of(chain: IsingChain, seed: int, within_matrix: bool, tell: Progress) -> Spins:
    """Anneal the chain and its shuffled twins alike, 1,000 sweeps each, and prove a bound."""
    tell("lowest energies of the chain and its shuffled twins")
    network = shuffled_null(chain, SHUFFLES, SWEEPS, seed)
    matrix = shuffled_null(chain, SHUFFLES, SWEEPS, seed, "matrix") if within_matrix else None
    tell("bound on the energies")
    bounds, n = energy_bounds(chain), chain.n_spins
    digest = chain_digest(chain)
    return Spins(n, chain.n_bonds, bounds.dual / n, bounds.spectral / n, network, matrix, SWEEPS, digest)


def _sampled(chain: IsingChain, seed: int, tell: Progress) -> list[Curve]:
    """Densities of the chain and of its shuffled twin, as `spinspectra dos` samples them by default."""
    made = []
    twin = shuffled_twin(chain, Search(seed=seed))
    for name, one in (("trained", chain), ("shuffled", twin)):
        tell(f"density of states, {name}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtWarning)  # the page shows them, from the density
            density = find_density(one, Sampling(seed=seed)).density
        of = "this network" if name == "trained" else "this network, weights shuffled"
        made.append(curve_of(density, name, of))
    return made


def read_densities(paths: Sequence[str | PathLike[str]]) -> dict[str, DensityOfStates]:
    """Files of `spinspectra dos`, .nc or .dat, by their names, or by the whole path where two are called alike."""
    files = [Path(path) for path in paths]
    stems = [path.stem for path in files]
    named = {path.stem if stems.count(path.stem) == 1 else str(path): path for path in files}
    return {printable(name): DensityOfStates.load(path) for name, path in named.items()}


def _owner(density: DensityOfStates, chain: IsingChain, whose: str) -> str:
    """Whose it is: the chain's, or its twin's as `spinspectra dos --shuffled` makes it; empty if neither's."""
    digest, seed = _digest_of(density), _seed_of(density)
    if not digest:
        return ""
    if chain_digest(chain) == digest:
        return whose
    twin = seed is not None and chain_digest(shuffled_twin(chain, Search(seed=seed))) == digest
    return f"{whose}, weights shuffled" if twin else ""


def _unknown(density: DensityOfStates) -> str:
    if _digest_of(density):
        return "of other couplings than those of this page, as far as looked"
    return "its file does not say of which couplings"


def _digest_of(density: DensityOfStates) -> str:
    return str(density.how.get("couplings", ""))


def _seed_of(density: DensityOfStates) -> int | None:
    """The plain number that it was sampled with, as both methods note it; None where there is none."""
    noted = density.how.get("seed")
    parts = [noted.get("entropy")] if isinstance(noted, Mapping) else noted
    first = parts[0] if isinstance(parts, Sequence) and parts else None
    return int(first) if isinstance(first, str) and first.isdecimal() else None


def curve_of(density: DensityOfStates, name: str, of: str) -> Curve:
    """Per spin, with its heat over the temperatures that it tells of; at most 500 points, gaps kept."""
    n = density.n_spins
    try:
        heat = thermodynamics(density, temperature_grid(density))
    except OptionError as error:
        raise OptionError(f"{name}: {error}") from None
    gaps = np.flatnonzero(np.diff(density.energies) > 1.5 * density.bin_width) + 1
    pieces = [np.insert(column / n, gaps, np.nan) for column in (density.energies, density.ln_g, density.stderr)]
    energies, ln_g, stderr = (_thinned(piece, gaps) for piece in pieces)
    return Curve(
        name,
        of,
        n,
        energies,
        ln_g,
        stderr,
        heat["T"].to_numpy(),
        heat["C"].to_numpy() / n,
        heat["C_err"].to_numpy() / n,
        float(heat.attrs["T_c"]),
        float(heat.attrs["T_c_err"]),
        float(heat.attrs["T_resolved"]),
        tuple(str(doubt) for doubt in density.how.get("doubts", ())),
    )


def _thinned(values: Floats, gaps: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Floats:
    """Every so many points, both ends and what stands beside a gap kept."""
    if values.size <= _MOST_POINTS:
        return values
    kept = set(np.linspace(0, values.size - 1, _MOST_POINTS).round().astype(int).tolist())
    for shift, gap in enumerate(gaps.tolist()):
        kept |= {gap + shift - 1, gap + shift, gap + shift + 1}
    return values[sorted(kept)]
