"""Specific heat of the published densities in the paper's convention, as they stand and with the symmetry put back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.studies.published.reading import HeatCurve, Twins
from spinspectra.studies.published.symmetry import mirrored

if TYPE_CHECKING:
    import xarray as xr

COLDEST = 0.002  # of the figures; in the paper's convention T lies in (0, 1]
N_TEMPERATURES = 500


@dataclass(frozen=True, slots=True)
class NetworkHeat:
    """`thermodynamics` in the paper's convention, energies over the trained network's width for both twins.

    trained, shuffled: of the files as they stand. mirrored_trained, mirrored_shuffled: of the side of each curve that
    reaches farther, taken for both sides (`mirrored`).
    """

    trained: "xr.Dataset"
    shuffled: "xr.Dataset"
    mirrored_trained: "xr.Dataset"
    mirrored_shuffled: "xr.Dataset"


def network_heat(twins: Twins, temperatures: NDArray[np.float64] | None = None) -> NetworkHeat:
    """temperatures: in (0, 1], default 500 from 0.002 to 1. Raises OptionError for others."""
    t = np.linspace(COLDEST, 1.0, N_TEMPERATURES) if temperatures is None else temperatures
    symmetric = Twins(mirrored(twins.trained), mirrored(twins.shuffled))
    return NetworkHeat(*(heat for pair in (twins, symmetric) for heat in _both(pair, t)))


def largest_difference(published: HeatCurve, found: "xr.Dataset") -> float:
    """Largest |C_published - C| over the published temperatures that lie within those of `found`; NaN if none does."""
    t = found["T"].to_numpy()
    inside = (published.temperatures >= t.min()) & (published.temperatures <= t.max())
    ours = np.interp(published.temperatures[inside], t, found["C"].to_numpy())
    return float(np.max(np.abs(published.heat[inside] - ours))) if inside.any() else float("nan")


def _both(twins: Twins, t: NDArray[np.float64]) -> "tuple[xr.Dataset, xr.Dataset]":
    width = twins.trained.width
    return thermodynamics(twins.trained, t, "paper", width), thermodynamics(twins.shuffled, t, "paper", width)
