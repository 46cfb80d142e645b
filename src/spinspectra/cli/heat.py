"""`spinspectra heat`: thermodynamics of densities of states from files, and where the specific heat peaks."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.cli.output import cell, console, number_or_none, print_json, require_file, signed, table
from spinspectra.errors import OptionError
from spinspectra.files import whole_file
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.temperatures import temperature_grid
from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.text import printable

if TYPE_CHECKING:
    import xarray as xr

_CONVENTIONS = ("extensive", "paper")
_BASES: dict[str, str | float] = {"auto": "auto", "e": "e", "10": 10}
_SUFFIXES = (".csv", ".nc")


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read, for .dat files that do not say it themselves."""

    n_spins: int | None
    log_base: str


@dataclass(frozen=True, slots=True)
class Heating:
    """What is computed. width: for convention "paper"; None: that of the first file, for all. low, high: of T."""

    convention: str
    width: float | None
    low: float | None
    high: float | None
    points: int


def run(
    paths: list[Path], reading: Reading, heating: Heating, output: Path | None, plot: Path | None, as_json: bool
) -> None:
    _check(reading, heating, output, plot)
    densities = {_name(path, paths): _read(path, reading) for path in paths}
    heats = {name: _heat(density, next(iter(densities.values())), heating) for name, density in densities.items()}
    if output is not None:
        _write(heats, output)
    if plot is not None:
        from spinspectra.plots.density import specific_heat
        from spinspectra.plots.save import save_png

        save_png(specific_heat(heats), plot)
    if as_json:
        print_json({name: _as_json(densities[name], heat) for name, heat in heats.items()})
    else:
        _show(densities, heats, heating, [path for path in (output, plot) if path is not None])


def _check(reading: Reading, heating: Heating, output: Path | None, plot: Path | None) -> None:
    if reading.log_base not in _BASES:
        raise OptionError(f"--log-base {reading.log_base}: give auto, e or 10")
    if heating.convention not in _CONVENTIONS:
        raise OptionError(f"--convention {heating.convention}: give {' or '.join(_CONVENTIONS)}")
    if output is not None and output.suffix not in _SUFFIXES:
        raise OptionError(f"-o {output}: the name must end in {' or '.join(_SUFFIXES)}")
    for option, path in (("-o", output), ("--plot", plot)):
        if path is not None:
            require_file(option, path)
    if heating.low is not None and heating.high is not None and not heating.low < heating.high:
        raise OptionError(f"--low {heating.low} --high {heating.high}: the low temperature comes first")


def _name(path: Path, paths: list[Path]) -> str:
    """The file's name without its suffix, or all of the path where two would be called alike."""
    return path.stem if [one.stem for one in paths].count(path.stem) == 1 else str(path)


def _read(path: Path, reading: Reading) -> DensityOfStates:
    ours = path.suffix == ".nc"
    return DensityOfStates.load(path, None if ours else reading.n_spins, _BASES[reading.log_base])


def _heat(density: DensityOfStates, first: DensityOfStates, heating: Heating) -> "xr.Dataset":
    if heating.convention == "paper":
        low = 0.002 if heating.low is None else heating.low
        high = 1.0 if heating.high is None else heating.high
        width = first.width if heating.width is None else heating.width
        return thermodynamics(density, np.linspace(low, high, heating.points), "paper", width=width)
    grid = temperature_grid(density, heating.points, heating.low, heating.high)
    return thermodynamics(density, grid, "extensive", width=heating.width)


def _write(heats: dict[str, "xr.Dataset"], output: Path) -> None:
    """One table: a row a density and temperature, columns as `thermodynamics` names them."""
    import pandas as pd
    import xarray as xr

    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output) as part:
        if output.suffix == ".csv":
            tables = [heat.to_dataframe().reset_index().assign(density=name) for name, heat in heats.items()]
            pd.concat(tables).set_index("density").to_csv(part)
        else:
            groups = {f"/{name.replace('/', '_')}": heat for name, heat in heats.items()}
            xr.DataTree.from_dict(groups).to_netcdf(part, engine="h5netcdf")


def _as_json(density: DensityOfStates, heat: "xr.Dataset") -> dict[str, Any]:
    numbers = {str(name): [number_or_none(one) for one in heat[name].values.tolist()] for name in heat}
    known = {key: number_or_none(value) if isinstance(value, float) else value for key, value in heat.attrs.items()}
    return {"width_of_energies": density.width, **known, "T": heat["T"].values.tolist(), **numbers}


def _show(
    densities: dict[str, DensityOfStates], heats: dict[str, "xr.Dataset"], heating: Heating, written: list[Path]
) -> None:
    out = console()
    per_spin = heating.convention == "extensive"
    title = "Heat" if per_spin else "Heat in the paper's convention, e = E / width"
    made = table(title, "density", "N", "width/N", "lowest E/N", "T_c", "C(T_c)/N" if per_spin else "C(T_c)", "log")
    for name, heat in heats.items():
        density, n = densities[name], densities[name].n_spins
        made.add_row(
            cell(name),
            f"{n:,}",
            f"{density.width / n:.4f}",
            signed(density.e_min / n, 4),
            plus_minus(heat.attrs["T_c"], heat.attrs["T_c_err"]),
            f"{heat.attrs['C_max'] / (n if per_spin else 1):.4f}",
            str(density.how.get("log_base", "e")),
        )
    out.print(made)
    for path in written:
        out.print(f"  Written: {printable(str(path))}", markup=False)


def plus_minus(value: float, error: float, figures: int = 2) -> str:
    """`10.31 ± 0.02`, to so many figures of the error; the value alone where that is unknown, a dash for neither."""
    if not math.isfinite(value):
        return "\N{EN DASH}"
    if not (math.isfinite(error) and error > 0.0):
        return f"{value:.4g}"
    digits = max(0, figures - 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
