"""The temperatures chosen for a density hold the peak of its heat and what lies around it."""

import numpy as np
import pytest

from spinspectra.errors import OptionError
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.oracles import ConstantCouplings
from spinspectra.ising.temperatures import temperature_grid
from spinspectra.ising.thermodynamics import thermodynamics


def exact(system, unit=1.0):
    energies, ln_g = system.ln_g()
    unknown = np.full(energies.size, np.nan)
    counts = np.zeros(energies.size, np.int64)
    n = sum(system.nodes)
    return DensityOfStates(unit * energies, ln_g, unknown, counts, n, unit * 2.0, {})


@pytest.mark.parametrize("nodes", [(20, 30), (4, 9992, 4)])
@pytest.mark.parametrize("unit", [1.0, 1e-6])
def test_the_peak_lies_well_inside(nodes, unit):
    density = exact(ConstantCouplings(nodes, (1.0,) * (len(nodes) - 1)), unit)
    grid = temperature_grid(density)
    heat = thermodynamics(density, grid)
    assert grid[0] * 1.5 < heat.attrs["T_c"] < grid[-1] / 3.0
    assert heat["C"][-1] < 0.1 * heat.attrs["C_max"]
    lowest, highest = float(heat["U"][0]), float(heat["U"][-1])
    assert lowest < 0.9 * density.e_min
    assert highest > 0.4 * density.e_min


def test_limits_can_be_given():
    density = exact(ConstantCouplings((20, 30), (1.0,)))
    assert temperature_grid(density, 3, low=1.0, high=4.0) == pytest.approx([1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [((1,), "n=1: give at least 2"), ((5, -1.0, 2.0), "from -1 to 2"), ((5, 3.0, 2.0), "from 3 to 2")],
)
def test_bad_limits_are_named(arguments, text):
    with pytest.raises(OptionError, match=text):
        temperature_grid(exact(ConstantCouplings((4, 4), (1.0,))), *arguments)


def test_a_flat_density_tells_no_temperature():
    flat = DensityOfStates(np.arange(-3.0, 4.0), np.zeros(7), np.zeros(7), np.zeros(7, np.int64), 5, 1.0, {})
    with pytest.raises(OptionError, match="temperatures from nan"):
        temperature_grid(flat)
