"""`spinspectra dos`: the density of states, the shuffled twin's beside it, with a checkpoint to go on from."""

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from spinspectra.cli.heat import plus_minus
from spinspectra.cli.interrupted import how_to_go_on
from spinspectra.cli.output import console, number_or_none, print_json, require_file, signed, table
from spinspectra.cli.sampling_bar import sampling_bar
from spinspectra.cli.source import Source
from spinspectra.errors import DoubtWarning, OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.sampling import Method, options_of
from spinspectra.studies.density import DensityResult, Sampling, find_density
from spinspectra.studies.ground import Search, shuffled_twin
from spinspectra.text import printable

_SUFFIXES = (".nc", ".dat")


@dataclass(frozen=True, slots=True)
class Files:
    """Where a run keeps its state, and what it writes. resume: an existing checkpoint is meant to be gone on with."""

    checkpoint: Path | None
    resume: bool
    output: Path | None
    plot: Path | None


def run(
    source: Source,
    blocks: int | None,
    prefix: str | None,
    sampling: Sampling,
    shuffled: bool,
    workers: int | None,
    files: Files,
    as_json: bool,
) -> None:
    _check(files, shuffled)
    chain = IsingChain.from_weights(source.open(), blocks, prefix)
    chains = {"trained": chain}
    if shuffled:
        chains["shuffled"] = shuffled_twin(chain, Search(seed=sampling.seed))
    found: dict[str, DensityResult] = {}
    with _threads(workers) as pool:
        for name, one in chains.items():
            checkpoint = None if files.checkpoint is None else twin_path(files.checkpoint, name)
            with warnings.catch_warnings(), how_to_go_on(checkpoint):
                warnings.simplefilter("ignore", DoubtWarning)  # shown below, from the density
                with sampling_bar(name, one.n_spins) as progress:
                    found[name] = find_density(one, sampling, checkpoint, pool, progress)
            if files.output is not None:  # at once: the next one may take hours
                files.output.parent.mkdir(parents=True, exist_ok=True)
                found[name].density.save(twin_path(files.output, name))
    if files.plot is not None:
        from spinspectra.plots.density import density_of_states
        from spinspectra.plots.save import save_png

        densities = {name: result.density for name, result in found.items()}
        save_png(density_of_states(densities, title=chain.source), files.plot)
    if as_json:
        print_json(_as_json(chain, found))
    else:
        _show(chain, found, files)


def sampling_of(method: str, n_bins: int, seed: int, options: dict[str, Any]) -> Sampling:
    """From what was given on the command line; None is not given. Raises OptionError for what belongs to the other."""
    known = get_args(Method)
    if method not in known:
        raise OptionError(f"--method {method}: give {' or '.join(known)}")
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in options_of(method):
            raise OptionError(f"--{name.removeprefix('n_').replace('_', '-')}: is not for --method {method}")
    return Sampling(cast("Method", method), n_bins, seed, given)


def twin_path(path: Path, name: str) -> Path:
    """FILE for the trained network, FILE_shuffled with the same suffix for its twin, as the paper's data have it."""
    return path if name == "trained" else path.with_name(f"{path.stem}_{name}{path.suffix}")


def _check(files: Files, shuffled: bool) -> None:
    """Refuse before the work whatever would spoil it after."""
    if files.output is not None and files.output.suffix not in _SUFFIXES:
        raise OptionError(f"-o {files.output}: name it .nc (everything) or .dat (two columns)")
    for option, path in (("-o", files.output), ("--plot", files.plot), ("--checkpoint", files.checkpoint)):
        if path is not None:
            require_file(option, path)
    if files.resume and files.checkpoint is None:
        raise OptionError("--resume: say from which file with --checkpoint FILE")
    if files.checkpoint is not None and not files.resume:
        for name in ("trained", "shuffled") if shuffled else ("trained",):
            if (path := twin_path(files.checkpoint, name)).exists():
                raise OptionError(f"--checkpoint {path}: is there already; go on from it with --resume, or remove it")


def _threads(workers: int | None) -> Any:
    return nullcontext(None) if workers is None else ThreadPoolExecutor(workers)


def _show(chain: IsingChain, found: dict[str, DensityResult], files: Files) -> None:
    out = console()
    title = f"{chain.source}: N = {chain.n_spins:,} spins, B = {chain.n_bonds:,} bonds"
    made = table(title, "weights", "width/N", "lowest E/N", "T_c", "C(T_c)/N", "error of ln g / N", "bins", "seconds")
    for name, result in found.items():
        density, heat, n = result.density, result.heat, result.chain.n_spins
        made.add_row(
            name,
            f"{density.width / n:.4f}",
            signed(density.e_min / n, 4),
            plus_minus(heat.attrs["T_c"], heat.attrs["T_c_err"]),
            f"{heat.attrs['C_max'] / n:.4f}",
            f"{largest_error(result):.1e}",
            f"{density.energies.size:,}",
            f"{result.seconds:.1f}",
        )
    out.print(made)
    if "shuffled" in found:
        widths = [found[name].density.width for name in ("trained", "shuffled")]
        out.print(
            f"  The trained network's range of energies is {widths[0] / widths[1]:.2f} times its shuffled twin's."
        )
    for name, result in found.items():
        for line in doubts_of(result):
            out.print(f"  Doubt ({name}): {line}", markup=False)
    for path in (files.output, files.plot):
        if path is not None:
            names = found if path is files.output else ["trained"]
            out.print(f"  Written: {', '.join(printable(str(twin_path(path, name))) for name in names)}", markup=False)


def doubts_of(result: DensityResult) -> list[str]:
    """What the sampler said of its own result."""
    return list(result.density.how.get("doubts", []))


def largest_error(result: DensityResult) -> float:
    """The largest standard error of ln g over N; NaN where every one is unknown."""
    known = [error for error in result.density.stderr.tolist() if math.isfinite(error)]
    return max(known) / result.chain.n_spins if known else math.nan


def _as_json(chain: IsingChain, found: dict[str, DensityResult]) -> dict[str, Any]:
    made: dict[str, Any] = {"source": chain.source, "n_spins": chain.n_spins, "n_bonds": chain.n_bonds}
    for name, result in found.items():
        density, heat = result.density, result.heat
        made[name] = {
            "width": density.width,
            "e_min": density.e_min,
            **{key: number_or_none(heat.attrs[key]) for key in ("T_c", "T_c_err", "C_max")},
            "largest_stderr_per_spin": number_or_none(largest_error(result)),
            "bins": density.energies.size,
            "seconds": result.seconds,
            "doubts": doubts_of(result),
            "how": dict(density.how),
        }
    return made
