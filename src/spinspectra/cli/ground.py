"""`spinspectra ground`: the lowest energy found, the bound on it, and the shuffled twin's."""

import math
import shutil
from pathlib import Path
from typing import Any

from spinspectra.cli.output import console, print_json, require_writable, rounded_up, signed, sweeps_bar, table
from spinspectra.cli.source import Source
from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.spins import SPIN_FILE, save_spins
from spinspectra.studies.ground import GroundResult, Search, find_ground, shuffled_twin


def run(
    source: Source,
    blocks: int | None,
    prefix: str | None,
    search: Search,
    shuffled: bool,
    bounds: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    if output is not None:
        require_writable(output)
        _require_own(output)
    chain = IsingChain.from_weights(source.open(), blocks, prefix)
    found = {"trained": _search(chain, search, bounds, "trained")}
    if shuffled:
        found["shuffled"] = _search(shuffled_twin(chain, search), search, bounds, "shuffled")
    if output is not None:
        _save(found, output)
    if as_json:
        print_json(_as_json(chain, search, found, output))
    else:
        _show(chain, found, output)


def _search(chain: IsingChain, search: Search, bounds: bool, title: str) -> GroundResult:
    with sweeps_bar(title, search.sweeps * search.restarts) as advance:
        return find_ground(chain, search, bounds, advance)


def _require_own(output: Path) -> None:
    """The folder is new, empty, or holds only what an earlier run wrote, which will be replaced."""
    if output.is_symlink() and not output.exists():
        raise OptionError(f"-o {output}: is a link to nowhere; give another folder")
    twin = output / "shuffled"
    for folder in (output, twin):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if (path == twin and path.is_dir()) or (SPIN_FILE.fullmatch(path.name) and path.is_file()):
                continue
            raise OptionError(f"-o {output}: holds {path.name}, which is no spin file; give a folder of its own")


def _save(found: dict[str, GroundResult], output: Path) -> None:
    """The trained network's spins in the folder, those of its shuffled twin in the folder `shuffled` in it."""
    if "shuffled" not in found and (output / "shuffled").is_dir():
        shutil.rmtree(output / "shuffled")  # of an earlier run of another search
    for name, result in found.items():
        save_spins(result.state.spins, output if name == "trained" else output / name)


def _show(chain: IsingChain, found: dict[str, GroundResult], output: Path | None) -> None:
    out = console()
    out.print(table_of(chain, found))
    n = chain.n_spins
    if "shuffled" in found:
        trained, twin = (found[name].state.energy_per_spin for name in ("trained", "shuffled"))
        ratio = f", {trained / twin:.2f} times as low as its shuffled twin" if twin else ""
        out.print(f"  The trained network reaches E/N = {signed(trained, 4)}{ratio}.")
    best = found["trained"]
    if best.bounds is not None:
        low = math.floor(2e4 * abs(best.state.energy) / n) / 1e4
        high = rounded_up(2 * best.bounds.dual / n, 4)
        out.print(
            f"  Range of energies: width W/N = 2 |E_min|/N lies between {low:.4f} (found) and {high:.4f} (proved)."
        )
    if output is not None:
        out.print(f"  Spins written to {output}", markup=False)


def table_of(chain: IsingChain, found: dict[str, GroundResult]) -> Any:
    """Found and proved energies, one row a chain, per spin where it says so."""
    columns = ["weights", "E found", "E/N found", "E/N at least (dual)", "(spectral)", "stable", "seconds"]
    title = f"{chain.source}: N = {chain.n_spins:,} spins, B = {chain.n_bonds:,} bonds"
    made = table(title, *columns)
    for name, result in found.items():
        state, bounds = result.state, result.bounds
        proved = (
            ["", ""]
            if bounds is None
            else [signed(-rounded_up(bound / chain.n_spins, 4), 4) for bound in (bounds.dual, bounds.spectral)]
        )
        made.add_row(
            name,
            signed(state.energy, 2),
            signed(state.energy_per_spin, 4),
            *proved,
            "yes" if state.stable else "no",
            f"{result.seconds:.1f}",
        )
    return made


def _as_json(chain: IsingChain, search: Search, found: dict[str, GroundResult], output: Path | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "source": chain.source,
        "n_spins": chain.n_spins,
        "n_bonds": chain.n_bonds,
        "sweeps": search.sweeps,
        "restarts": search.restarts,
        "seed": search.seed,
        "spins": None if output is None else str(output),
    }
    for name, result in found.items():
        state, bounds = result.state, result.bounds
        made[name] = {
            "energy": state.energy,
            "energy_per_spin": state.energy_per_spin,
            "stable": state.stable,
            "sweeps": state.sweeps,
            "flips": state.flips,
            "seconds": result.seconds,
            "bounds": None if bounds is None else {"spectral": bounds.spectral, "dual": bounds.dual},
        }
    return made
