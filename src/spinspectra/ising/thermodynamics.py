"""Heat of a density of states: U, C, F, S over temperature and the temperature of the specific-heat peak (k_B = 1).

All sums are log-sum-exp sums over bins, of energies above the lowest one. Errors are those of ln g times the slopes of
each quantity in ln g (the delta method): as the independent runs of the density vary together, where it has them, else
with the bins taken as independent of one another.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import OptionError
from spinspectra.ising.density import DensityOfStates, Vector

if TYPE_CHECKING:
    import xarray as xr

Convention = Literal["extensive", "paper"]

_QUANTITIES = ("ln_Z", "U", "C", "F", "S")
_CHUNK = 1 << 21  # temperatures times bins held at once
_GRID = 400  # temperatures searched for the peak, besides those given
_HALVINGS = 40  # of the steps of that search, where a peak may hide
_APART = 1e-9  # parts by which two temperatures of the search differ at least
_LAST, _LAST_WEIGHT = 0.005, 0.05  # so few of the bins at the lower end may hold so much of the weight
_NEARLY = 0.7  # of the highest C: the top of a peak, on which noise may put the highest point anywhere
_DRAWS, _PLACES = 64, 101  # of ln g, within its errors, and temperatures at which each is searched
_UNKNOWN = 0.01  # weight of bins of unknown error from which a propagated error is unknown too
_LONG_NAMES = {
    "ln_Z": "ln of the partition function",
    "U": "mean energy",
    "C": "specific heat",
    "F": "free energy",
    "S": "entropy",
}


@dataclass(frozen=True, slots=True)
class _Levels:
    """Weights exp(ln_w - e / T) of bins e = lowest + above, (K,).

    error: of ln_w, (K,), NaN where unknown. mirrored: bins err together with their mirror images. together: how ln_w
    varies from run to run, (R, K), such that the squares of a quantity's R changes sum to its squared error; or None.
    share: of all states, (K,); errors common to all bins do not count, since ln g was brought to a known total.
    """

    lowest: float
    above: Vector
    ln_w: Vector
    error: Vector
    mirrored: bool
    together: Vector | None
    share: Vector


@dataclass(frozen=True, slots=True)
class _Moments:
    """At temperatures T, (n, 1): p and y = (e - U) / T, (n, K), 0 where p is; ln_z and u of e - lowest, (n,)."""

    t: Vector
    p: Vector
    y: Vector
    ln_z: Vector
    u: Vector


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
    values, errors = _over(levels, t, _quantities), _over(levels, t, _errors)
    grid, heat = _search(levels, t)
    told = _told(levels, dos, grid, heat, dos.bin_width / scale)
    t_c, c_max = _peak(levels, grid, heat, told if convention == "extensive" else np.ones_like(told))
    attributes = {
        "convention": convention,
        "n_spins": int(dos.n_spins),
        "T_c": t_c,
        "T_c_err": _peak_error(levels, t_c, grid[heat >= _NEARLY * c_max]),
        "C_max": c_max,
        "T_resolved": float(np.max(grid[~told], initial=0.0)),
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


def _levels(dos: DensityOfStates, convention: str, scale: float) -> _Levels:
    per_weight = _per_weight(dos, convention)
    error, together = dos.stderr, None
    if dos.runs is not None and len(dos.runs) > 1:
        error, together = _together(dos.runs)
        together = together / per_weight
    energies = dos.energies if dos.means is None or convention == "paper" else dos.means
    return _Levels(
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


def _over(levels: _Levels, t: Vector, function: Callable[[_Levels, _Moments], Vector]) -> Vector:
    """A function of moments, (quantities, n) each time, over all temperatures, some at a time."""
    step = max(1, _CHUNK // levels.above.size)
    parts = [function(levels, _moments(levels, t[at : at + step])) for at in range(0, t.size, step)]
    return np.concatenate(parts, axis=1)


def _moments(levels: _Levels, temperatures: Vector) -> _Moments:
    t = temperatures[:, None]
    exponents = levels.ln_w - levels.above / t
    top = exponents.max(axis=1, keepdims=True)
    weights = np.exp(exponents - top)
    total = weights.sum(axis=1, keepdims=True)
    p = weights / total
    u = p @ levels.above
    y = np.divide(levels.above - u[:, None], t, out=np.zeros_like(p), where=p > 0.0)
    return _Moments(t, p, y, (top + np.log(total))[:, 0], u)


def _heat(at: _Moments) -> Vector:
    return np.asarray(np.einsum("tk,tk,tk->t", at.p, at.y, at.y))


def _quantities(levels: _Levels, at: _Moments) -> Vector:
    """ln Z, U, C, F, S, (5, n)."""
    t = at.t[:, 0]
    return np.stack(
        [
            at.ln_z - levels.lowest / t,
            levels.lowest + at.u,
            _heat(at),
            levels.lowest - t * at.ln_z,
            at.u / t + at.ln_z,
        ]
    )


def _errors(levels: _Levels, at: _Moments) -> Vector:
    """Standard errors of ln Z, U, C, F, S, (5, n), by their slopes d/d ln w_k."""
    ln_z = at.p - levels.share
    slopes_u = at.p * at.y  # of U / T
    slopes_c = at.p * (at.y**2 - _heat(at)[:, None])
    slopes = (ln_z, at.t * slopes_u, slopes_c, at.t * ln_z, ln_z + slopes_u)
    return np.stack([_length(levels, at.p, slope) for slope in slopes])


def _length(levels: _Levels, p: Vector, slopes: Vector) -> Vector:
    """Standard error, (n,), of what has these slopes; NaN where bins of unknown error weigh too much. p: (n, K)."""
    known = np.isfinite(levels.error)
    if levels.together is not None:
        changes = slopes @ levels.together.T
    else:
        changes = slopes * np.where(known, levels.error, 0.0)
        if levels.mirrored:  # one draw of errors for a bin and its image: their slopes add first
            half, odd = divmod(known.size, 2)
            images = changes[:, : half + odd - 1 : -1]
            changes = np.concatenate([changes[:, :half] + images, changes[:, half : half + odd]], axis=1)
    length = np.sqrt(np.einsum("tk,tk->t", changes, changes))
    return np.where(p[:, ~known].sum(axis=1) > _UNKNOWN, np.nan, length)


def _search(levels: _Levels, temperatures: Vector) -> tuple[Vector, Vector]:
    """Temperatures from the lowest to the highest given, ascending, and C there; no peak hides between two of them.

    U is the integral of C. Where it rises by more than C on either side allows, C is higher in between: a step such
    as that of an almost discontinuous transition, often far narrower than the grid.
    """
    ends = float(temperatures.min()), float(temperatures.max())
    wanted = np.unique(np.concatenate([temperatures, np.geomspace(*ends, _GRID)]))
    found = _t_u_heat(levels, wanted[np.diff(wanted, prepend=0.0) > _APART * wanted])
    for _ in range(_HALVINGS):
        grid, u, heat = found
        mean = np.diff(u) / np.diff(grid)
        hidden = mean > np.maximum(0.1 * heat.max(), 1.05 * np.maximum(heat[1:], heat[:-1]))
        hidden &= np.diff(grid) > 4.0 * _APART * grid[1:]
        if not hidden.any():
            break
        found = np.concatenate([found, _t_u_heat(levels, np.sqrt(grid[1:] * grid[:-1])[hidden])], axis=1)
        found = found[:, np.argsort(found[0])]
    return found[0], found[2]


def _t_u_heat(levels: _Levels, temperatures: Vector) -> Vector:
    """T, U, C, (3, n)."""
    return np.concatenate([temperatures[None], _over(levels, temperatures, _quantities)[1:3]])


def _told(levels: _Levels, dos: DensityOfStates, grid: Vector, heat: Vector, bin_width: float) -> NDArray[np.bool_]:
    """Which temperatures the density tells of: energies spread over a bin or more, and not at the end of the visits."""
    told = np.sqrt(heat) * grid >= bin_width
    if dos.energies[0] - dos.bin_width > float(dos.how.get("e_min", dos.energies[0])):
        n_last = max(1, round(_LAST * levels.above.size))
        at_end = _over(levels, grid, lambda _, at: at.p[:, :n_last].sum(axis=1)[None])[0] > _LAST_WEIGHT
        told &= ~np.logical_or.accumulate(at_end[::-1])[::-1]
    return np.asarray(told)


def _peak(levels: _Levels, grid: Vector, heat: Vector, told: NDArray[np.bool_]) -> tuple[float, float]:
    """T and C of the highest peak of C on the grid where `told`, refined between its neighbours.

    NaN if C is higher at an end, or beyond what is told.
    """
    from scipy.optimize import minimize_scalar

    top = int(np.argmax(np.where(told, heat, -1.0)))
    if not (told[top] and 0 < top < grid.size - 1 and heat[top] >= max(heat[top - 1], heat[top + 1])):
        return math.nan, math.nan
    found = minimize_scalar(
        lambda t: -float(_heat(_moments(levels, np.array([t])))[0]),
        bounds=(float(grid[top - 1]), float(grid[top + 1])),
        method="bounded",
        options={"xatol": 1e-9 * float(grid[top])},
    )
    return float(found.x), -float(found.fun)


def _peak_error(levels: _Levels, t_c: float, around: Vector) -> float:
    """Error of T_c: of the place of this peak, or, if larger, of which of many small peaks on a broad top is highest.

    around: temperatures where C is nearly as high.
    """
    if math.isnan(t_c):
        return math.nan
    local = _slide_error(levels, t_c)
    return max(local, _jump_error(levels, around)) if math.isfinite(local) else math.nan


def _jump_error(levels: _Levels, around: Vector) -> float:
    """Standard deviation of the highest C's place, as ln g varies by its errors; a broad top is known no better."""
    if around.size < 2:
        return 0.0
    grid = np.geomspace(around[0], around[-1], _PLACES)
    draws = _drawn(levels)
    places = [
        grid[np.argmax(_over(replace(levels, ln_w=levels.ln_w + draw), grid, lambda _, at: _heat(at)[None])[0])]
        for draw in draws
    ]
    return float(np.std(places))


def _drawn(levels: _Levels) -> Vector:
    """Changes of ln w that are as likely as its errors say, (draws, K)."""
    rng = np.random.default_rng(0)
    if levels.together is not None:
        return np.asarray(rng.standard_normal((_DRAWS, len(levels.together))) @ levels.together)
    draws = rng.standard_normal((_DRAWS, levels.error.size)) * np.nan_to_num(levels.error)
    if levels.mirrored:
        half = levels.error.size // 2
        draws[:, levels.error.size - half :] = draws[:, :half][:, ::-1]
    return draws


def _slide_error(levels: _Levels, t_c: float) -> float:
    """By -d(C') / C'', where C' = dC/dT vanishes at T_c.

    With m_n = <y^n>: T C' = m_3 - 2 m_2 and T^2 C'' = m_4 - 3 m_2^2 - 6 m_3 + 6 m_2.
    """
    at = _moments(levels, np.array([t_c]))
    m2, m3, m4 = (float(at.p[0] @ at.y[0] ** power) for power in (2, 3, 4))
    bend = m4 - 3.0 * m2**2 - 6.0 * m3 + 6.0 * m2
    slopes = at.p * (at.y**3 - m3 - 3.0 * m2 * at.y - 2.0 * (at.y**2 - m2))
    return t_c * float(_length(levels, at.p, slopes)[0]) / abs(bend) if bend else math.nan


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
