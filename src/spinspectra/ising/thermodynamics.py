"""Heat of a density of states: U, C, F, S over temperature and the temperature of the specific-heat peak (k_B = 1).

All sums are log-sum-exp sums over bins (`moments`). Errors are those of ln g: as the independent runs of the density
vary together, where it has them, else with the bins taken as independent of one another.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from spinspectra.errors import OptionError
from spinspectra.ising.density import DensityOfStates, Vector
from spinspectra.ising.heat_peak import find_peak, peak_error, search, told
from spinspectra.ising.moments import Levels, errors_of, over, quantities

if TYPE_CHECKING:
    import xarray as xr

Convention = Literal["extensive", "paper"]

_QUANTITIES = ("ln_Z", "U", "C", "F", "S")
_LONG_NAMES = {
    "ln_Z": "ln of the partition function",
    "U": "mean energy",
    "C": "specific heat",
    "F": "free energy",
    "S": "entropy",
}


def thermodynamics(
    dos: DensityOfStates, temperatures: ArrayLike, convention: Convention = "extensive", width: float | None = None
) -> "xr.Dataset":
    """ln_Z, U, C, F, S over the dimension T, each with its standard error NAME_err, and where C peaks.

    convention="extensive": Z = sum g exp(-E/T); temperatures and U, F in the unit of the weights, C and S pure
    numbers, all for the whole network: divide by attrs["n_spins"] for values per spin. C = var(E) / T^2, F = -T ln Z,
    S = (U - F) / T.

    convention="paper" (decoded from the data of arXiv 2209.08678): e = E / width, weights exp(y - e/T), T in (0, 1],
    with y the second column of the paper's files as it stands, log10(g) / N, taken as a natural log weight. A file of
    someone else's keeps the base that it was read with; any other density takes base 10. C = var(e) / T^2 tends to 1
    as T falls to 0. width: what E is divided by, E_max - E_min of the trained network. The default is that of `dos`,
    right for a trained network alone: for a shuffled twin give the trained network's, as the paper's curves have it.

    attrs: T_c, where C is largest between the lowest and the highest temperature, refined between grid points, and
    its error T_c_err; NaN if C is larger at an end. C_max, C there. T_resolved, the highest temperature between them
    that the density does not tell of, 0 if it tells of all: energies spread there, by sqrt(C) T, over less than a bin,
    or lie at the lower end of what a run visited above the lowest energy known (how["e_min"]). T_c is above it, but
    for the paper's convention.

    A bin's states count at their mean energy, `dos.means`: U is then right to about T, C to about 1, for the whole
    network, however wide the bins are above T_resolved. Without means they count at the bin's centre: exact where
    levels lie there (levels s apart: sample with bins s wide and e_min s / 2 below the lowest); where levels are dense,
    the sum g of a bin makes Z too large by sinh(x) / x, x = bin / 2T, U and F too low by less than half a bin.

    Errors are NaN where bins of unknown error weigh more than 1 %. They come from `dos.runs` if two or more are there
    (bins that fewer than two runs have are of unknown error), else from `dos.stderr`.

    Raises OptionError for temperatures that are not finite and above zero (above 1 for "paper"), for another
    convention, or a width that is not above zero or not asked for.
    """
    t = _checked(temperatures, convention, width)
    scale = (width or dos.width) if convention == "paper" else 1.0
    if not scale > 0.0:
        raise OptionError("the density has a single bin, so no width to divide by; give width")
    levels = _levels(dos, convention, scale)
    values, errors = over(levels, t, quantities), over(levels, t, errors_of)
    grid, heat = search(levels, t)
    known = told(levels, dos, grid, heat, dos.bin_width / scale)
    t_c, c_max = find_peak(levels, grid, heat, known if convention == "extensive" else np.ones_like(known))
    attributes = {
        "convention": convention,
        "n_spins": int(dos.n_spins),
        "T_c": t_c,
        "T_c_err": peak_error(levels, t_c, grid, heat),
        "C_max": c_max,
        "T_resolved": float(np.max(grid[~known], initial=0.0)),
        "errors": "bins taken as independent" if levels.together is None else f"spread of {len(levels.together)} runs",
    }
    return _dataset(t, values, errors, attributes | ({"width": scale} if convention == "paper" else {}))


def _checked(temperatures: ArrayLike, convention: str, width: float | None) -> Vector:
    if convention not in get_args(Convention):
        raise OptionError(f"convention={convention!r}: give 'extensive' or 'paper'")
    try:
        t = np.atleast_1d(np.asarray(temperatures, np.float64))
    except (ValueError, TypeError):
        raise OptionError("temperatures: give numbers") from None
    if t.ndim != 1 or not t.size or not np.all(np.isfinite(t) & (t > 0.0)):
        raise OptionError("temperatures: give one or more in a row, finite and above zero")
    if convention == "paper" and t.max() > 1.0:
        raise OptionError(f"temperatures of up to {float(t.max())}: in the paper's convention T lies in (0, 1]")
    if width is not None and convention != "paper":
        raise OptionError("width belongs to convention='paper'; extensive energies are not divided by it")
    if width is not None and not (math.isfinite(width) and width > 0.0):
        raise OptionError(f"width={width}: give a finite number above zero")
    return t


def _levels(dos: DensityOfStates, convention: str, scale: float) -> Levels:
    per_weight = _per_weight(dos, convention)
    error, together = dos.stderr, None
    if dos.runs is not None and len(dos.runs) > 1:
        error, together = _together(dos.runs)
        together = together / per_weight
    energies = dos.energies if dos.means is None or convention == "paper" else dos.means
    return Levels(
        float(energies[0]) / scale,
        (energies - energies[0]) / scale,
        dos.ln_g / per_weight,
        error / per_weight,
        np.array_equal(dos.energies, -dos.energies[::-1]) and np.array_equal(dos.ln_g, dos.ln_g[::-1]),
        together,
        np.exp(dos.ln_g - dos.ln_total),
    )


def _per_weight(dos: DensityOfStates, convention: str) -> float:
    """What ln g is divided by: 1, or what makes it the second column of a file of the paper's."""
    if convention == "extensive":
        return 1.0
    foreign = dos.how.get("log_base_from", "head") != "head"
    return dos.n_spins * (1.0 if foreign and dos.how.get("log_base") == "e" else math.log(10.0))


def _together(runs: Vector) -> tuple[Vector, Vector]:
    """Standard error of the mean over runs, (K,), NaN where fewer than two have the bin, and its parts, (R, K)."""
    known = np.isfinite(runs)
    n = known.sum(axis=0)
    several = n > 1
    deviations = np.where(known & several, runs, 0.0)
    deviations -= np.where(known & several, deviations.sum(axis=0) / np.maximum(n, 1), 0.0)
    deviations /= np.sqrt(np.where(several, n * (n - 1.0), 1.0))
    return np.where(several, np.sqrt((deviations**2).sum(axis=0)), np.nan), deviations


def _dataset(t: Vector, values: Vector, errors: Vector, attributes: Mapping[str, Any]) -> "xr.Dataset":
    import xarray as xr

    extensive = attributes["convention"] == "extensive"
    energy = "unit of the weights" if extensive else "width"
    units = {"U": energy, "F": energy}
    variables: dict[str, Any] = {}
    for name, value, error in zip(_QUANTITIES, values, errors, strict=True):
        about = {"long_name": _LONG_NAMES[name], "units": units.get(name, "1")}
        variables[name] = ("T", value, about)
        variables[f"{name}_err"] = ("T", error, about | {"long_name": f"standard error of the {_LONG_NAMES[name]}"})
    temperature = ("T", t, {"long_name": "temperature", "units": energy})
    return xr.Dataset(variables, coords={"T": temperature}, attrs=dict(attributes))
