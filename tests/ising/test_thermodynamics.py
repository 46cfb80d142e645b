"""Heat of exact densities against closed forms, of the published ones against their curves; errors against the spread
of many noisy draws.
"""

import math
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinspectra.errors import OptionError
from spinspectra.ising import moments as module
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.density import DensityOfStates, from_half
from spinspectra.ising.oracles import ConstantCouplings, OpenChain, SquareLattice, TwoLayers
from spinspectra.ising.tempering import temper
from spinspectra.ising.thermodynamics import thermodynamics
from tests.ising.helpers import random_system
from tests.paper import NETWORKS, read, summary

LN2 = math.log(2.0)
NAMES = ("ln_Z", "U", "C", "F", "S")
LATTICE_FILE = Path(__file__).parents[1] / "data" / "ising8x8.dat"


def density(levels, ln_g, n_spins, stderr=0.0, width=None, runs=None):
    levels = np.asarray(levels, np.float64)
    width = np.diff(levels).min() if width is None else width
    counts = np.zeros(levels.size, np.int64)
    stderr = np.broadcast_to(stderr, levels.shape).astype(np.float64)
    return DensityOfStates(levels, np.asarray(ln_g, np.float64), stderr, counts, n_spins, float(width), {}, runs)


@cache
def lattice():
    """The 8 x 8 lattice from its published density: levels, ln g."""
    scaled, ln_g_per_spin = np.loadtxt(LATTICE_FILE).T
    return 256.0 * scaled - 128.0, 64 * ln_g_per_spin


def heat(levels, ln_g, t):
    """C straight from its definition, for weights that no exponential overflows; (n,) from t (n,)."""
    weights = np.exp(ln_g - (levels - levels[0]) / t[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    mean = weights @ levels
    return (weights * (levels - mean[:, None]) ** 2).sum(axis=1) / t**2


@pytest.mark.parametrize("nodes", [(3, 4, 2), (2, 1, 3, 2, 1, 2), (1, 1)])
def test_enumerated_chains(nodes):
    system = random_system(nodes, seed=2)
    levels, counts = np.unique(np.round(system.energies.ravel(), 12), return_counts=True)
    temperatures = np.array([0.05, 0.3, 1.0, 4.0, 50.0])
    found = thermodynamics(density(levels, np.log(counts), sum(nodes)), temperatures)
    for t in temperatures:
        at = {name: found[name].sel(T=t).item() for name in NAMES}
        p = system.probabilities(1.0 / t)
        mean = system.mean_energy(1.0 / t)
        variance = p @ (system.energies.ravel() - mean) ** 2
        assert at["ln_Z"] == pytest.approx(system.ln_z(1.0 / t), rel=1e-11)
        assert at["U"] == pytest.approx(mean, rel=1e-11)
        assert at["C"] == pytest.approx(variance / t**2, rel=1e-6, abs=1e-12)
        assert at["F"] == pytest.approx(-t * system.ln_z(1.0 / t), rel=1e-11)
        assert at["S"] == pytest.approx(-(p[p > 0.0] @ np.log(p[p > 0.0])), rel=1e-9)


def test_open_chain():
    bonds = np.array([0.7, 1.3, 0.2, 2.15, 0.41])
    chain = OpenChain(tuple(bonds))
    satisfied = np.array(np.meshgrid(*[(-1.0, 1.0)] * 5)).reshape(5, -1)
    levels = np.sort(bonds @ satisfied)  # all 32 of them different, each with two states
    temperatures = np.geomspace(0.1, 20.0, 9)
    found = thermodynamics(density(levels, np.full(32, LN2), 6, width=0.1), temperatures)
    for t in temperatures:
        at = {name: found[name].sel(T=t).item() for name in NAMES}
        assert at["ln_Z"] == pytest.approx(chain.ln_z(1.0 / t), rel=1e-12)
        assert at["U"] == pytest.approx(chain.mean_energy(1.0 / t), rel=1e-12)
        assert at["C"] == pytest.approx(np.sum((bonds / t / np.cosh(bonds / t)) ** 2), rel=1e-9)


@pytest.mark.parametrize("beta", [0.05, 0.2, 0.44, 0.7, 1.2])
def test_square_lattice(beta):
    lattice_8, h = SquareLattice(8), 1e-4
    above, here, below = (lattice_8.ln_z(b) for b in (beta + h, beta, beta - h))
    found = thermodynamics(density(*lattice(), 64), 1.0 / beta)
    assert found.ln_Z.item() == pytest.approx(here, rel=1e-12)
    assert found.F.item() == pytest.approx(-here / beta, rel=1e-12)
    assert found.U.item() == pytest.approx((below - above) / (2 * h), rel=1e-6)
    assert found.C.item() == pytest.approx((above - 2 * here + below) / h**2 * beta**2, rel=1e-4, abs=1e-4)


def test_ten_thousand_spins():
    """exp(ln g) and exp(-E/T) overflow by thousands; the sum over the small side of the same chain is exact."""
    temperatures = np.array([1.0, 3.0, 8.0, 30.0, 300.0])
    found = thermodynamics(density(*ConstantCouplings((8, 9992), (1.0,)).ln_g(), 10_000), temperatures)
    ln_z, energy, variance = TwoLayers(np.ones((8, 9992))).moments(1.0 / temperatures)
    assert found.ln_Z.to_numpy() == pytest.approx(ln_z, rel=1e-11)
    assert found.U.to_numpy() == pytest.approx(energy, rel=1e-11)
    assert found.C.to_numpy() == pytest.approx(variance / temperatures**2, rel=1e-6, abs=1e-6)
    assert found.F.to_numpy() == pytest.approx(-temperatures * ln_z, rel=1e-11)
    assert found.S.to_numpy() == pytest.approx(energy / temperatures + ln_z, rel=1e-8)


def test_limits():
    levels, ln_g = ConstantCouplings((8, 9992), (1.0,)).ln_g()
    cold, hot = (thermodynamics(density(levels, ln_g, 10_000), t) for t in (1e-300, 1e300))
    assert (cold.U.item(), cold.C.item(), cold.F.item()) == (levels[0], 0.0, levels[0])
    assert cold.S.item() == pytest.approx(LN2, rel=1e-9)  # two ground states
    assert (hot.U.item(), hot.C.item()) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert hot.S.item() == pytest.approx(10_000 * LN2, rel=1e-12)
    near = thermodynamics(density(levels, ln_g, 10_000), [0.05, 0.1])
    assert np.all(near.C < 1e-6)  # 16 to turn a spin of the wide side


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 300.0))
def test_whatever_ln_g_is_heat_only_flows_in(seed, roughness):
    """U and S rise with T, and S by dU / T, that is by no less than dU / T of the hotter end and no more than of the
    colder one.
    """
    rng = np.random.default_rng(seed)
    levels, t = np.sort(rng.uniform(-50.0, 50.0, 40)), np.geomspace(0.2, 200.0, 300)
    found = thermodynamics(density(levels, rng.normal(0.0, roughness, 40), 30), t)
    energy, entropy = np.diff(found.U), np.diff(found.S)
    assert np.all(found.C >= 0.0)
    assert np.all(energy >= -1e-9)
    assert np.all((entropy > energy / t[1:] - 1e-9) & (entropy < energy / t[:-1] + 1e-9))
    assert found.F.to_numpy() == pytest.approx((found.U - found["T"] * found.S).to_numpy(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("temperatures", [[1.0, 2.0, 5.0], [5.0, 1.0], np.linspace(2.3, 2.4, 7)])
def test_t_c_of_the_square_lattice(temperatures):
    grid = np.linspace(2.3, 2.4, 100_001)
    dense = heat(*lattice(), grid)
    found = thermodynamics(density(*lattice(), 64), temperatures)
    assert found.attrs["T_c"] == pytest.approx(grid[dense.argmax()], abs=2e-6)
    assert found.attrs["C_max"] == pytest.approx(dense.max(), rel=1e-9)


@pytest.mark.parametrize("temperatures", [[1.0], [1.0, 2.0], [3.0, 9.0]])
def test_no_t_c_where_c_is_largest_at_an_end(temperatures):
    found = thermodynamics(density(*lattice(), 64, stderr=0.1), temperatures)
    assert all(math.isnan(found.attrs[name]) for name in ("T_c", "T_c_err", "C_max"))


@pytest.mark.parametrize("up_to", [300.0, 500.0, 700.0, 1000.0, 1300.0])
def test_a_peak_far_narrower_than_the_grid_is_found(up_to):
    """Two steps, each as high as its entropy squared over 4 and as narrow as its inverse: at T = 0.1 and T = 1.

    Of two levels A apart and D in ln g, with y = A / T: C = (y / 2)^2 / cosh^2((y - D) / 2), and so at the peak
    tanh((y - D) / 2) = 2 / y.
    """
    found = thermodynamics(density([-2100.0, -2000.0, 0.0], [0.0, 1000.0, 3000.0], 5000), [1e-3, up_to])
    y = 2000.0
    for _ in range(50):
        y = 2000.0 + 2.0 * math.atanh(2.0 / y)
    assert found.attrs["T_c"] == pytest.approx(2000.0 / y, rel=1e-7)
    assert found.attrs["C_max"] == pytest.approx((y / 2) ** 2 / math.cosh((y - 2000.0) / 2) ** 2, rel=1e-7)


def test_many_temperatures_come_out_as_each_alone_in_their_order(monkeypatch):
    many = np.random.default_rng(0).uniform(0.5, 5.0, 50)
    dos = density(*lattice(), 64, stderr=0.1)
    monkeypatch.setattr(module, "_CHUNK", 7 * 63)
    found = thermodynamics(dos, many)
    assert np.array_equal(found["T"], many)
    for t in many[::10]:
        alone = thermodynamics(dos, t)
        for name in (*NAMES, *(f"{name}_err" for name in NAMES)):
            assert found[name].sel(T=t).item() == pytest.approx(alone[name].item(), rel=1e-12)


# Dense levels in wide bins


@cache
def long_chain():
    """Bonds of whole numbers, and every level with its g: two states for each way to satisfy bonds."""
    bonds = np.random.default_rng(0).integers(1, 12, 1000)
    bonds[0] += bonds.sum() % 2  # then all levels are even numbers, and none lies on an edge of the bins below
    total = int(bonds.sum())
    g = np.zeros(2 * total + 1)
    g[total] = 2.0
    for bond in bonds:
        g = np.concatenate([g[bond:], np.zeros(bond)]) + np.concatenate([np.zeros(bond), g[:-bond]])
    return bonds, np.arange(-total, total + 1), g


@pytest.mark.parametrize("width", [22, 62, 122])
def test_how_far_bins_blur_dense_levels(width):
    """Bins at k w of levels spread evenly: sum over k is the integral over g smeared by w, of Z sinh(x) / x."""
    bonds, levels, g = long_chain()
    index = np.rint(levels / width).astype(int)
    states = np.bincount(index - index[0], g)
    held = states > 0.0
    dos = density(width * np.unique(index)[held], np.log(states[held]), 1001, width=width)
    resolved = thermodynamics(dos, [1.0, 1000.0]).attrs["T_resolved"]

    def exact(t):
        y = bonds / t[:, None]
        return -(bonds * np.tanh(y)).sum(axis=1), (y**2 / np.cosh(y) ** 2).sum(axis=1)

    temperatures = np.geomspace(1.05 * resolved, 1000.0, 30)
    energy, c = exact(temperatures)
    free = -temperatures * [OpenChain(tuple(bonds)).ln_z(1.0 / t) for t in temperatures]
    found = thermodynamics(dos, temperatures)
    x = 0.5 * width / temperatures
    assert (found.U - energy).to_numpy() == pytest.approx(-temperatures * (x / np.tanh(x) - 1.0), rel=0.03)
    assert (found.F - free).to_numpy() == pytest.approx(-temperatures * np.log(np.sinh(x) / x), rel=0.03)
    assert (found.C - c).to_numpy() == pytest.approx(1.0 - (x / np.sinh(x)) ** 2, rel=0.1)
    for low in (found.U - energy, found.F - free):
        assert np.all((-0.5 * width < low) & (low < 0.0))
    assert np.all(found.C - c < 1.0)
    assert resolved * np.sqrt(exact(np.array([resolved]))[1]) == pytest.approx(width, rel=0.05)
    assert found.attrs["T_resolved"] == 0.0
    assert abs(thermodynamics(dos, 0.4 * resolved).C.item() - exact(np.array([0.4 * resolved]))[1].item()) > 5.0


@pytest.mark.parametrize("width", [22, 62, 122])
def test_mean_energies_of_bins_take_the_blur_away(width):
    """The same bins with the mean of their levels: U is right to T, however many units of ln g a bin spans."""
    bonds, levels, g = long_chain()
    index = np.rint(levels / width).astype(int)
    states, sums = (np.bincount(index - index[0], weights) for weights in (g, g * levels))
    held = states > 0.0
    dos = replace(
        density(width * np.unique(index)[held], np.log(states[held]), 1001, width=width),
        means=sums[held] / states[held],
    )
    temperatures = np.geomspace(1.05 * thermodynamics(dos, [1.0, 1000.0]).attrs["T_resolved"], 1000.0, 30)
    y = bonds / temperatures[:, None]
    found = thermodynamics(dos, temperatures)
    assert np.all(np.abs(found.U + (bonds * np.tanh(y)).sum(axis=1)) < temperatures)
    assert np.all(np.abs(found.C - (y**2 / np.cosh(y) ** 2).sum(axis=1)) < 1.1)  # of up to 314
    centred = thermodynamics(replace(dos, means=None), temperatures)
    assert abs(centred.U[0] - found.U[0]) > 0.15 * width


def test_a_density_that_ends_above_the_ground_state_tells_nothing_below_its_end():
    levels, ln_g = ConstantCouplings((40, 60), (1.0,)).ln_g()
    whole, kept = density(levels, ln_g, 100), levels > 0.9 * levels[0]
    cut = replace(density(levels[kept], ln_g[kept], 100, width=whole.bin_width), how={"e_min": levels[0]})
    temperatures = np.geomspace(1.0, 500.0, 100)
    exact, found = thermodynamics(whole, temperatures), thermodynamics(cut, temperatures)
    limit = found.attrs["T_resolved"]
    assert 0.3 * exact.attrs["T_c"] < limit < exact.attrs["T_c"]
    assert found.attrs["T_c"] == pytest.approx(exact.attrs["T_c"], rel=1e-3)
    told = temperatures > limit
    assert found.C.to_numpy()[told] == pytest.approx(exact.C.to_numpy()[told], rel=0.3)
    assert thermodynamics(replace(cut, how={}), temperatures).attrs["T_resolved"] < limit


# Errors


def lumps():
    """A half density whose two phases, 3,000 apart, are equally likely near T = 6.4."""
    levels = -10.0 * np.arange(400.0)[::-1]
    bulk, lump = 2000 * LN2 - levels**2 / 4000.0, 900.0 - (levels + 3200.0) ** 2 / 2000.0
    return levels, np.logaddexp(bulk, lump), 2000, 10.0


def half_lattice():
    levels, ln_g = lattice()
    return levels[levels <= 0.0], ln_g[levels <= 0.0], 64, 4.0


def numbers(found, suffix, peak):
    values = [float(value) for name in NAMES for value in found[f"{name}{suffix}"]]
    return [*values, found.attrs[f"T_c{suffix}"]] if peak else values


def check_errors(draws, peak=True):
    """Root mean square of the errors told against the spread of the values they belong to."""
    found = list(draws)
    spread = np.std([numbers(one, "", peak) for one in found], axis=0, ddof=1)
    told = np.sqrt(np.mean(np.square([numbers(one, "_err", peak) for one in found]), axis=0))
    assert np.all(spread > 0.0)
    assert told / spread == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("mirrored", [True, False])
def test_errors_of_bins_are_the_spread_over_draws(mirrored):
    """At T = 40 the two halves weigh nearly the same: a bin and its image err together or apart, which shows in U."""
    rng = np.random.default_rng(3)
    check_errors(thermodynamics(noisy_bins(rng, mirrored), [1.5, 2.2, 3.0, 40.0]) for _ in range(200))


def noisy_bins(rng, mirrored=True):
    """The lattice with independent errors, largest in the bin that is its own image."""
    levels, ln_g, n_spins, width = half_lattice() if mirrored else (*lattice(), 64, 4.0)
    stderr = np.where(levels == 0.0, 0.2, 0.02 + 0.0005 * np.abs(levels))
    noisy = ln_g + stderr * rng.standard_normal(levels.size)
    if mirrored:
        return from_half(levels, noisy, stderr, None, n_spins, width, {})
    return density(levels, noisy - np.logaddexp.reduce(noisy) + n_spins * LN2, n_spins, stderr)


def noisy_runs(rng, half, n_runs, step, missing=None):
    """Runs whose errors grow from E = 0 downwards, as those of samplers do: neighbouring bins err together."""
    levels, ln_g, n_spins, width = half
    steps = step * rng.standard_normal((n_runs, levels.size))
    runs = ln_g + np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    if missing is not None:
        runs[missing] = np.nan
    return from_half(levels, np.nanmean(runs, axis=0), None, None, n_spins, width, {}, runs=runs)


LACKING = np.zeros((8, 32), bool)
LACKING[:5, :4], LACKING[5:, 9] = True, True


@pytest.mark.parametrize(
    ("half", "temperatures", "options"),
    [
        (half_lattice, [1.2, 2.0, 3.0, 8.0], {"n_runs": 8, "step": 0.05}),
        (half_lattice, [1.2, 2.0, 3.0, 8.0], {"n_runs": 8, "step": 0.05, "missing": LACKING}),
        (lumps, [6.0, 6.36, 6.47, 7.0], {"n_runs": 16, "step": 0.15}),  # one run alone is off by 2.7 between phases
    ],
    ids=["lattice", "runs that lack bins", "discontinuous"],
)
def test_errors_of_runs_are_the_spread_over_draws(half, temperatures, options):
    rng = np.random.default_rng(4)
    check_errors(thermodynamics(noisy_runs(rng, half(), **options), temperatures) for _ in range(200))


@pytest.mark.parametrize("draw", [noisy_bins, partial(noisy_runs, half=half_lattice(), n_runs=8, step=0.05)])
def test_errors_in_the_paper_convention(draw):
    """y = log10(g) / N hardly varies, and C has no peak."""
    rng = np.random.default_rng(5)
    paper = partial(thermodynamics, temperatures=[0.05, 0.2, 0.9], convention="paper", width=256.0)
    check_errors((paper(draw(rng)) for _ in range(200)), peak=False)


def test_a_sampled_density_is_as_near_to_the_exact_one_as_it_says():
    dos = temper(SquareLattice(8).chain(), EnergyBins(-130.0, 33), seed=1, sweeps=600, runs=4)  # centres on levels
    temperatures = [1.5, 2.2, 2.4, 3.0, 10.0]
    found, exact = thermodynamics(dos, temperatures), thermodynamics(density(*lattice(), 64), temperatures)
    for name in NAMES:
        assert np.all(np.abs(found[name] - exact[name]) < 4.0 * found[f"{name}_err"])
        assert np.all(found[f"{name}_err"] < 0.05 * np.maximum(np.abs(exact[name]), 1.0))
    assert abs(found.attrs["T_c"] - exact.attrs["T_c"]) < 4.0 * found.attrs["T_c_err"] < 0.1


def test_bins_of_unknown_error_make_errors_unknown_where_they_weigh():
    levels, ln_g = lattice()
    stderr = np.where(levels < -100.0, np.nan, 0.1)
    runs = ln_g + 0.1 * np.random.default_rng(0).standard_normal((4, ln_g.size))
    runs[:3, levels < -100.0] = np.nan  # one run has them
    for dos in (density(levels, ln_g, 64, stderr), density(levels, ln_g, 64, 0.1, runs=runs)):
        found = thermodynamics(dos, [0.5, 1.5, 8.0])
        for name in NAMES:
            assert np.isfinite(found[name]).all()
            assert np.isnan(found[f"{name}_err"].to_numpy()).tolist() == [True, True, False]


def test_one_run_tells_no_spread_so_bins_do():
    levels, ln_g = lattice()
    without, alone = (thermodynamics(density(levels, ln_g, 64, 0.1, runs=runs), [2.0]) for runs in (None, ln_g[None]))
    assert alone.C_err.item() == without.C_err.item() > 0.0
    assert alone.attrs["errors"] == "bins taken as independent"


# The paper's convention


def paper_heat(name, temperatures):
    """With the width of the trained network, for its shuffled twin too."""
    width = read(name.removesuffix("_shuffled")).width
    return thermodynamics(read(name), temperatures, convention="paper", width=width)


@pytest.mark.parametrize("name", NETWORKS)
def test_published_specific_heats(name):
    expected = summary().loc[name]
    found = paper_heat(name, [0.001, 0.2, 1.0])
    on_the_curve = paper_heat(name, expected.heat_peak_T).C.item()
    assert on_the_curve == pytest.approx(expected.heat_peak_C, rel=2e-5)
    assert found.attrs["C_max"] == pytest.approx(expected.heat_peak_C, rel=2e-5)
    assert found.attrs["T_c"] == pytest.approx(expected.heat_peak_T, abs=0.6 * 0.999 / 3999)  # its grid's step
    assert found.C.sel(T=0.2).item() == pytest.approx(expected["heat_C_at_0.2"], rel=2e-5)
    assert found.C.sel(T=1.0).item() == pytest.approx(expected["heat_C_at_1"], rel=2e-5)


def test_specific_heat_of_the_paper_tends_to_one():
    """Weights exp(s e) leave an exponential distribution of mean 1 / (1/T - s) from the lowest energy on."""
    n_spins, s, e = 50, 2.0, np.linspace(0.0, 1.0, 4001)
    dos = density(2.0 * e - 1.0, s * e * n_spins * math.log(10.0), n_spins)
    t = np.array([0.01, 0.02, 0.04])
    assert thermodynamics(dos, t, convention="paper").C.to_numpy() == pytest.approx(1.0 / (1.0 - s * t) ** 2, rel=1e-4)
    flat = density(2.0 * e - 1.0, np.zeros(e.size), n_spins)  # of its bins, b apart, sqrt(C) T = b / (2 sinh(b / 2T))
    resolved = thermodynamics(flat, [1e-6, 0.1], convention="paper").attrs["T_resolved"]
    assert resolved == pytest.approx(2.5e-4 / (2.0 * math.asinh(0.5)), rel=0.03)


def test_paper_convention_is_its_formula():
    """The lattice's file is natural and stays so; a density of one's own is taken to base 10."""
    scaled, column = np.loadtxt(LATTICE_FILE).T
    t = np.array([0.02, 0.1, 0.5, 1.0])
    from_file = thermodynamics(DensityOfStates.load(LATTICE_FILE, n_spins=64), t, convention="paper")
    assert from_file.C.to_numpy() == pytest.approx(heat(scaled, column, t), rel=1e-9)
    assert from_file.attrs["width"] == 1.0
    own = thermodynamics(density(*lattice(), 64), t, convention="paper")
    assert own.C.to_numpy() == pytest.approx(heat(scaled, column / math.log(10.0), t), rel=1e-9)
    assert own.attrs["width"] == 256.0


def test_width_is_the_unit_of_energy_in_the_paper_convention():
    dos, t = density(*lattice(), 64), np.array([0.1, 0.3])
    one, two = (thermodynamics(dos, t / k, convention="paper", width=100.0 * k) for k in (1, 2))
    assert one.C.to_numpy() == pytest.approx(two.C.to_numpy(), rel=1e-12)
    assert one.U.to_numpy() == pytest.approx(2.0 * two.U.to_numpy(), rel=1e-12)
    assert one.U.attrs["units"] == "width"


def test_the_dataset_tells_what_it_is_and_can_be_saved(tmp_path):
    found = thermodynamics(density(*lattice(), 64, stderr=0.01), [1.0, 2.0, 4.0])
    found.to_netcdf(tmp_path / "heat.nc", engine="h5netcdf")
    assert found.attrs["convention"] == "extensive"
    assert found.attrs["n_spins"] == 64
    assert [found[name].attrs["units"] for name in ("T", *NAMES)] == [
        "unit of the weights", "1", "unit of the weights", "1", "unit of the weights", "1",
    ]  # fmt: skip
    assert all(found[f"{name}_err"].dims == ("T",) for name in NAMES)


@pytest.mark.parametrize(
    ("temperatures", "options", "text"),
    [
        ([], {}, "temperatures: give one or more in a row, finite and above zero"),
        ([[1.0, 2.0]], {}, "one or more in a row"),
        ([1.0, 0.0], {}, "finite and above zero"),
        (-1.0, {}, "finite and above zero"),
        ([1.0, math.inf], {}, "finite and above zero"),
        (math.nan, {}, "finite and above zero"),
        ("warm", {}, "temperatures: give numbers"),
        ([1.0], {"convention": "total"}, "convention='total': give 'extensive' or 'paper'"),
        ([0.5, 1.01], {"convention": "paper"}, r"up to 1.01: in the paper's convention T lies in \(0, 1\]"),
        ([1.0], {"width": 2.0}, "width belongs to convention='paper'"),
        ([1.0], {"convention": "paper", "width": 0.0}, "width=0.0: give a finite number above zero"),
        ([1.0], {"convention": "paper", "width": math.inf}, "width=inf: give a finite number"),
    ],
)
def test_bad_arguments_are_named(temperatures, options, text):
    with pytest.raises(OptionError, match=text):
        thermodynamics(density(*lattice(), 64), temperatures, **options)


def test_a_single_bin_has_no_width_of_its_own():
    dos = density([0.0], [LN2], 1, width=1.0)
    with pytest.raises(OptionError, match="single bin, so no width to divide by; give width"):
        thermodynamics(dos, 0.5, convention="paper")
    assert thermodynamics(dos, 0.5, convention="paper", width=1.0).C.item() == 0.0
    assert thermodynamics(dos, [0.5, 2.0]).attrs["T_resolved"] == 2.0
