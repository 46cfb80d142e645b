"""The density of states of a trained chain beside that of the same weights shuffled, and the heat of both."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinspectra.ising.chain import IsingChain
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.sampling import N_BINS, Method, density_of_states
from spinspectra.ising.temperatures import temperature_grid
from spinspectra.ising.thermodynamics import thermodynamics

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a density is sampled; options: the method's own, by name (`density_of_states`)."""

    method: Method = "tempering"
    n_bins: int = N_BINS
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DensityResult:
    """What was found for one chain. heat: `thermodynamics` over the temperatures that the density tells of."""

    chain: IsingChain
    density: DensityOfStates
    heat: "xr.Dataset"
    seconds: float


def find_density(
    chain: IsingChain,
    sampling: Sampling,
    checkpoint: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[Any], None] | None = None,
) -> DensityResult:
    """Sample one chain; arguments and errors as for `density_of_states`."""
    began = time.perf_counter()
    density = density_of_states(
        chain,
        sampling.method,
        sampling.n_bins,
        sampling.seed,
        checkpoint,
        executor,
        progress=progress,
        **sampling.options,
    )
    heat = thermodynamics(density, temperature_grid(density))
    return DensityResult(chain, density, heat, time.perf_counter() - began)
