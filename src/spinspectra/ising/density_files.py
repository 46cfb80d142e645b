"""Densities of states on disk: netCDF with everything, and the two-column text of arXiv 2209.08678's data.

The paper's text has no head. Its files of networks hold log10(g) / N and the one of the 8 x 8 lattice ln(g) / N, so
a reader has to find out which it is; ours says so in lines that begin with #.
"""

import json
import math
import operator
import os
from collections.abc import Mapping
from dataclasses import replace
from decimal import Context, Decimal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.files import whole_file
from spinspectra.identity import plain
from spinspectra.ising.density import DensityError, DensityOfStates, log_sum_exp
from spinspectra.text import shown

_FORMAT = "spinspectra density of states, 1"
_LN2, _LN10 = math.log(2.0), math.log(10.0)
_BASES: dict[str | float, str | float] = {"auto": "auto", "e": "e", math.e: "e", "10": 10, 10: 10}
_MOST = 1.05  # times N ln 2: more states than that no file of the base has; the published ones reach 1.042
_NOT_NETCDF = "no netCDF file of a density of states"
_MOST_BYTES = 1 << 30  # of a file, and of the numbers in it; a million bins take 24 MB
_MOST_SPINS = 1 << 53
_LARGEST = 1e200  # of numbers in a text: beyond, sums and products overflow
_DIGITS = Context(prec=21)  # of ln g / N in our text: so many that, times N, it is the same float64 again


def save(density: DensityOfStates, path: str | os.PathLike[str]) -> None:
    """`DensityOfStates.save`."""
    path = Path(path)
    write = {".nc": _write_netcdf, ".dat": _write_text}.get(path.suffix.lower())
    if write is None:
        raise OptionError(f"{path}: name it .nc (netCDF, with everything) or .dat (two columns)")
    if not path.parent.is_dir():
        raise OptionError(f"{path}: there is no folder {path.parent}; make it first")
    with whole_file(path) as part:
        write(density, part)


def load(path: str | os.PathLike[str], n_spins: int | None, log_base: str | float) -> DensityOfStates:
    """`DensityOfStates.load`."""
    path = Path(path)
    if log_base not in _BASES:
        raise OptionError(f"log_base={log_base!r}: give 'auto', 'e' or 10")
    if n_spins is not None and not _is_count(n_spins):
        raise OptionError(f"n_spins={shown(repr(n_spins))}: give a whole number, at least 1 and at most 2^53")
    read = {".nc": _read_netcdf, ".dat": _read_text}.get(path.suffix.lower())
    if read is None:
        raise OptionError(f"{path}: densities of states are read from .nc and .dat")
    try:
        if not path.is_file():
            raise DensityError("no such file")
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise DensityError(f"{size} bytes are no density of states")
        return read(path, None if n_spins is None else int(n_spins), _BASES[log_base])
    except DensityError as error:
        raise DensityError(f"{path}: {error}") from None
    except OSError as error:
        raise DensityError(f"{path}: cannot be read ({shown(str(error))})") from None


def _write_netcdf(density: DensityOfStates, path: Path) -> None:
    xarray = _xarray()
    variables: dict[str, Any] = {
        "ln_g": ("energy", density.ln_g, {"long_name": "natural log of the number of states in the bin"}),
        "stderr": ("energy", density.stderr, {"long_name": "standard error of ln_g"}),
        "counts": ("energy", density.counts, {"long_name": "visits"}),
    }
    if density.runs is not None:
        variables["runs"] = (("run", "energy"), density.runs, {"long_name": "ln_g of each independent run"})
    if density.means is not None:
        variables["means"] = ("energy", density.means, {"long_name": "mean energy of the bin's states"})
    attributes = {
        "format": _FORMAT,
        "n_spins": int(density.n_spins),
        "bin_width": float(density.bin_width),
        "how": _to_json(dict(density.how)),
    }
    energy = ("energy", density.energies, {"long_name": "bin centre, in the unit of the weights"})
    dataset = xarray.Dataset(variables, coords={"energy": energy}, attrs=attributes)
    dataset.to_netcdf(path, engine="h5netcdf")


def _read_netcdf(path: Path, n_spins: int | None, log_base: str | float) -> DensityOfStates:
    """log_base has no say: netCDF files are ours, and natural."""
    xarray = _xarray()
    try:
        if (size := _bytes_inside(path)) > _MOST_BYTES:
            raise DensityError(f"{size} bytes of numbers are no density of states")
        # numbers as they stand; other HDF5 files, without named dimensions, are opened too, and then lack a variable
        dataset = xarray.load_dataset(path, engine="h5netcdf", decode_cf=False, phony_dims="sort")
        if str(dataset.attrs["format"]) != _FORMAT:
            raise DensityError(_NOT_NETCDF)
        held = dataset.variables  # not dataset[..], which makes up a coordinate that is not there
        energies, ln_g, stderr = (np.asarray(held[name], np.float64) for name in ("energy", "ln_g", "stderr"))
        density = DensityOfStates(
            energies,
            ln_g,
            stderr,
            counts=_whole(np.asarray(held["counts"])),
            n_spins=operator.index(dataset.attrs["n_spins"]),
            bin_width=float(dataset.attrs["bin_width"]),
            how=_mapping(json.loads(str(dataset.attrs["how"]))),
            runs=np.asarray(held["runs"], np.float64) if "runs" in held else None,
            means=np.asarray(held["means"], np.float64) if "means" in held else None,
        )
    except DensityError:
        raise
    except Exception as error:  # a damaged or foreign HDF5 file raises nearly anything
        raise DensityError(f"{_NOT_NETCDF}, or a damaged one ({shown(str(error))})") from None
    _require_same(n_spins, density.n_spins)
    return density


def _bytes_inside(path: Path) -> int:
    """What the variables of an HDF5 file take once they are read, which is not bounded by its size."""
    h5py = import_module("h5py")
    with h5py.File(path) as file:
        return sum(int(item.nbytes) for item in file.values() if isinstance(item, h5py.Dataset))


def _whole(counts: NDArray[Any]) -> NDArray[np.int64]:
    if counts.dtype.kind not in "iu":
        raise TypeError(f"counts are of {counts.dtype}")
    return np.asarray(counts, np.int64)


def _mapping(how: Any) -> dict[str, Any]:
    if not isinstance(how, dict):
        raise TypeError(f"how is a {type(how).__name__}")
    return how


def _write_text(density: DensityOfStates, path: Path) -> None:
    n_spins = int(density.n_spins)
    head = {"n_spins": n_spins, "bin_width": float(density.bin_width), "how": dict(density.how)}
    column = (_DIGITS.divide(Decimal(ln_g), Decimal(n_spins)) for ln_g in density.ln_g.tolist())
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("# E, natural log of g over n_spins\n")
        stream.write(f"# {_to_json(head)}\n")
        stream.writelines(f"{e!r}\t{share}\n" for e, share in zip(density.energies.tolist(), column, strict=True))


def _read_text(path: Path, n_spins: int | None, log_base: str | float) -> DensityOfStates:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        table = _columns(rows)
    except ValueError as error:
        raise DensityError(f"not two columns of numbers, E and log g / N ({shown(str(error))})") from None
    energies, column = table.T
    if head := _head(lines):
        _require_same(n_spins, head["n_spins"])
        how = {"log_base": "e", "log_base_from": "head", "method": "read from a file", **head["how"]}
        return _unknown_errors(energies, _totals(rows, head["n_spins"]), head["n_spins"], head["bin_width"], how)
    if n_spins is None:
        raise OptionError(f"{path}: says nothing of the number of spins; give n_spins")
    if energies.size < 2:
        raise DensityError("a single line of numbers, which leaves the width of bins unknown")
    base, reason = (log_base, "argument") if log_base != "auto" else _told_base(column, n_spins)
    ln_g = column * n_spins * (_LN10 if base == 10 else 1.0)
    how = {"method": "read from a file", "source": path.name, "log_base": base, "log_base_from": reason}
    width = float(np.median(np.diff(energies)))
    density = _unknown_errors(energies, ln_g, n_spins, width, how)
    return replace(density, how={**how, "ln_total_over_n_ln2": density.ln_total / (n_spins * _LN2)})


def _columns(lines: list[str]) -> NDArray[np.float64]:
    """(K, 2), K at least 1. Raises ValueError for anything else."""
    if not lines:
        raise ValueError("no line of numbers")
    table = np.loadtxt(lines, np.float64, ndmin=2)
    if table.shape[1] != 2:
        raise ValueError(f"number of columns: {table.shape[1]}")
    if bad := int(np.count_nonzero(~(np.abs(table) < _LARGEST).all(axis=1))):
        raise ValueError(f"lines with NaN, infinity or numbers of {_LARGEST:g} and more: {bad}")
    return table


def _totals(lines: list[str], n_spins: int) -> NDArray[np.float64]:
    """ln g from the second column of our own text, as it was written: in float64, (x / N) * N need not be x."""
    try:
        return np.array([float(Decimal(line.split()[1]) * n_spins) for line in lines])
    except ArithmeticError:  # what numpy takes for a number and Decimal does not
        raise DensityError("its second column is damaged") from None


def _head(lines: list[str]) -> dict[str, Any] | None:
    """What the second line says in our own files, or None."""
    if len(lines) < 2 or not lines[1].startswith("# {"):
        return None
    try:
        head = json.loads(lines[1][2:])
        n_spins, width, how = head["n_spins"], float(head["bin_width"]), _mapping(head["how"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise DensityError("its head is damaged") from None
    if not _is_count(n_spins):
        raise DensityError(f"its head is damaged: n_spins={shown(repr(n_spins))}")
    return {"n_spins": n_spins, "bin_width": width, "how": how}


def _told_base(column: NDArray[np.float64], n_spins: int) -> tuple[str | float, str]:
    """The base in which the states of the file come nearer to 2^N, and why."""
    shares = {base: log_sum_exp(column * n_spins * scale) / (n_spins * _LN2) for base, scale in ((10, _LN10), ("e", 1))}
    possible = {base: share for base, share in shares.items() if share <= _MOST}
    if not possible:
        raise DensityError(
            f"log g / N up to {column.max():.4g}: more than 2^N states even by the natural logarithm; "
            "is n_spins right, and the second column log g / N?"
        )
    base = min(possible, key=lambda base: abs(possible[base] - 1.0))
    return base, f"sum of g: 2^({shares[10]:.4f} N) by base 10, 2^({shares['e']:.4f} N) by e"


def _unknown_errors(
    energies: NDArray[np.float64], ln_g: NDArray[np.float64], n_spins: int, width: float, how: Mapping[str, Any]
) -> DensityOfStates:
    return DensityOfStates(
        energies.copy(), ln_g, np.full(energies.size, np.nan), np.zeros(energies.size, np.int64), n_spins, width, how
    )


def _is_count(n_spins: Any) -> bool:
    whole = isinstance(n_spins, int | np.integer) and not isinstance(n_spins, bool)
    return bool(whole and 1 <= n_spins <= _MOST_SPINS)


def _to_json(how: Mapping[str, Any]) -> str:
    try:
        return json.dumps(how, default=plain)
    except (TypeError, ValueError) as error:
        raise OptionError(f"how: values that JSON does not know: {error}") from None


def _require_same(asked: int | None, found: int) -> None:
    if asked is not None and asked != found:
        raise DensityError(f"of {found} spins, and n_spins={asked} was given")


def _xarray() -> Any:
    if missing := [name for name in ("xarray", "h5netcdf", "h5py") if find_spec(name) is None]:
        raise MissingExtraError(f"netCDF files need {', '.join(missing)}: pip install {' '.join(missing)}")
    import xarray

    return xarray
