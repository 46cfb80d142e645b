"""The temperatures at which a density of states has something to tell, from its slopes: 1/T = d ln g / dE."""

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.ising.density import DensityOfStates

N_TEMPERATURES = 200
_COLD, _HOT = 0.5, 10.0  # of the temperature at the lowest energies, and of that halfway down
_COLDEST = 0.25  # of that halfway down, near which T_c lies: colder rungs of a short run are frozen
_SHARE = 0.02  # of the half range over which the lowest slope is taken


def temperature_grid(
    density: DensityOfStates, n: int = N_TEMPERATURES, low: float | None = None, high: float | None = None
) -> NDArray[np.float64]:
    """n temperatures in the unit of the weights, evenly spaced in ln T, (n,).

    low: default half the temperature at which the lowest energies are typical; high: ten times that at which half of
    the lowest energy is. Raises OptionError for fewer than 2, for limits that are not above zero or in order, and where
    the density is too flat to tell.
    """
    if n < 2:
        raise OptionError(f"n={n}: give at least 2 temperatures")
    low = _COLD / _slope(density, 1.0 - _SHARE, 1.0) if low is None else low
    high = _HOT * halfway_temperature(density) if high is None else high
    if not (np.isfinite(low) and np.isfinite(high) and 0.0 < low < high):
        raise OptionError(f"temperatures from {low:g} to {high:g}: give limits above zero, the lower one first")
    return np.geomspace(low, high, n)


def unfrozen_grid(density: DensityOfStates) -> NDArray[np.float64]:
    """`temperature_grid` above what short runs leave frozen, where the heat may have peaks that are none."""
    return temperature_grid(density, low=_COLDEST * halfway_temperature(density))


def halfway_temperature(density: DensityOfStates) -> float:
    """At which about half of the lowest energy is reached, unit of the weights; NaN if ln g does not rise there."""
    return 1.0 / _slope(density, 0.4, 0.6)


def _slope(density: DensityOfStates, start: float, end: float) -> float:
    """d ln g / dE between two parts of the lowest energy, across at least one bin; NaN where it does not rise."""
    places = np.searchsorted(density.energies, density.e_min * np.array([end, start]))
    lower, upper = int(places[0]), int(max(places[1], places[0] + 1))
    if upper >= density.energies.size:
        return float("nan")
    rise = density.ln_g[upper] - density.ln_g[lower]
    return float(rise / (density.energies[upper] - density.energies[lower])) if rise > 0.0 else float("nan")
