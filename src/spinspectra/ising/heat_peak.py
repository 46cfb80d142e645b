"""Where the specific heat peaks, how well that is known, and which temperatures a density tells of."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.density import DensityOfStates, Vector
from spinspectra.ising.moments import Levels, heat_of, moments, over, quantities, standard_error

_GRID = 400  # temperatures searched for the peak, besides those given
_HALVINGS = 40  # of the steps of that search, where a peak may hide
_APART = 1e-9  # parts by which two temperatures of the search differ at least
_LAST, _LAST_WEIGHT = 0.005, 0.05  # so few of the bins at the lower end may hold so much of the weight
_NEARLY = 0.7  # of the highest C: the top of a peak, on which noise may put the highest point anywhere
_DRAWS, _PLACES = 64, 101  # of ln g, within its errors, and temperatures at which each is searched


def search(levels: Levels, temperatures: Vector) -> tuple[Vector, Vector]:
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


def _t_u_heat(levels: Levels, temperatures: Vector) -> Vector:
    """T, U, C, (3, n)."""
    return np.concatenate([temperatures[None], over(levels, temperatures, quantities)[1:3]])


def told(levels: Levels, dos: DensityOfStates, grid: Vector, heat: Vector, bin_width: float) -> NDArray[np.bool_]:
    """Which temperatures the density tells of: energies spread over a bin or more, and not at the end of the visits."""
    known = np.sqrt(heat) * grid >= bin_width
    if dos.energies[0] - dos.bin_width > float(dos.how.get("e_min", dos.energies[0])):
        n_last = max(1, round(_LAST * levels.above.size))
        at_end = over(levels, grid, lambda _, at: at.p[:, :n_last].sum(axis=1)[None])[0] > _LAST_WEIGHT
        known &= ~np.logical_or.accumulate(at_end[::-1])[::-1]
    return np.asarray(known)


def find_peak(levels: Levels, grid: Vector, heat: Vector, told: NDArray[np.bool_]) -> tuple[float, float]:
    """T and C of the highest peak of C on the grid where `told`, refined between its neighbours.

    NaN if C is higher at an end, or beyond what is told.
    """
    from scipy.optimize import minimize_scalar

    top = int(np.argmax(np.where(told, heat, -1.0)))
    if not (told[top] and 0 < top < grid.size - 1 and heat[top] >= max(heat[top - 1], heat[top + 1])):
        return math.nan, math.nan
    found = minimize_scalar(
        lambda t: -float(heat_of(moments(levels, np.array([t])))[0]),
        bounds=(float(grid[top - 1]), float(grid[top + 1])),
        method="bounded",
        options={"xatol": 1e-9 * float(grid[top])},
    )
    return float(found.x), -float(found.fun)


def peak_error(levels: Levels, t_c: float, grid: Vector, heat: Vector) -> float:
    """Error of T_c: of this peak's place, or, if larger, of which of many small peaks on a broad top is highest."""
    if math.isnan(t_c):
        return math.nan
    local = _slide_error(levels, t_c)
    top = float(np.interp(t_c, grid, heat))
    return max(local, _jump_error(levels, grid[heat >= _NEARLY * top])) if math.isfinite(local) else math.nan


def _jump_error(levels: Levels, around: Vector) -> float:
    """Standard deviation of the highest C's place, as ln g varies by its errors; a broad top is known no better.

    around: temperatures where C is nearly as high.
    """
    if around.size < 2:
        return 0.0
    grid = np.geomspace(around[0], around[-1], _PLACES)
    draws = _drawn(levels)
    places = [
        grid[np.argmax(over(replace(levels, ln_w=levels.ln_w + draw), grid, lambda _, at: heat_of(at)[None])[0])]
        for draw in draws
    ]
    return float(np.std(places))


def _drawn(levels: Levels) -> Vector:
    """Changes of ln w that are as likely as its errors say, (draws, K)."""
    rng = np.random.default_rng(0)
    if levels.together is not None:
        return np.asarray(rng.standard_normal((_DRAWS, len(levels.together))) @ levels.together)
    draws = rng.standard_normal((_DRAWS, levels.error.size)) * np.nan_to_num(levels.error)
    if levels.mirrored:
        half = levels.error.size // 2
        draws[:, levels.error.size - half :] = draws[:, :half][:, ::-1]
    return draws


def _slide_error(levels: Levels, t_c: float) -> float:
    """By -d(C') / C'', where C' = dC/dT vanishes at T_c.

    With m_n = <y^n>: T C' = m_3 - 2 m_2 and T^2 C'' = m_4 - 3 m_2^2 - 6 m_3 + 6 m_2.
    """
    at = moments(levels, np.array([t_c]))
    m2, m3, m4 = (float(at.p[0] @ at.y[0] ** power) for power in (2, 3, 4))
    bend = m4 - 3.0 * m2**2 - 6.0 * m3 + 6.0 * m2
    slopes = at.p * (at.y**3 - m3 - 3.0 * m2 * at.y - 2.0 * (at.y**2 - m2))
    return t_c * float(standard_error(levels, at.p, slopes)[0]) / abs(bend) if bend else math.nan
