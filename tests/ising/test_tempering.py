"""Tempering against exact densities, and what must not change its result: workers, devices' absence, interruptions."""

import math
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from spinspectra.errors import DoubtWarning, OptionError, SpinSpectraError
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.oracles import ConstantCouplings, SquareLattice, TwoLayers
from spinspectra.ising.tempering import temper
from spinspectra.ising.thermodynamics import thermodynamics
from tests.ising.helpers import random_system
from tests.ising.test_reweight import binned_ln_g

DEVICES = [None, "cpu"]
ENUMERATED = {"three layers": random_system((5, 6, 5), seed=3), "deep": random_system((4, 3, 4, 2, 4, 3), seed=7)}


def lattice_levels():
    """Levels of the 4 x 4 lattice by enumeration."""
    matrix = SquareLattice(4).chain().couplings[0].astype(np.float64)
    spins = 2.0 * ((np.arange(256)[:, None] >> np.arange(8)) & 1) - 1.0
    return np.unique(-(spins @ matrix @ spins.T), return_counts=True)


def exact_lattice_8():
    """Levels and ln g of the 8 x 8 lattice: spins enter one at a time, states of the last 8 and the first 8 kept.

    With polynomials in the number of unsatisfied bonds, counted in Python's whole numbers by transfer of rows.
    """
    rows = 1 << 8
    bits = (np.arange(rows)[:, None] >> np.arange(8)) & 1
    inside = np.count_nonzero(bits != np.roll(bits, 1, axis=1), axis=1)
    counts = np.zeros((rows, 129))  # (present row, unsatisfied bonds), the first row held at one state at a time
    total = np.zeros(129)
    seen = {}
    for first in range(rows):  # up to turns and flips of the ring the first rows are few
        shape = min(
            int(sum(int(b) << i for i, b in enumerate(np.roll(turned, k))))
            for turned in (bits[first], 1 - bits[first])
            for k in range(8)
        )
        seen[shape] = seen.get(shape, 0) + 1
    for first, multiplicity in seen.items():
        counts[:] = 0.0
        counts[first, inside[first]] = 1.0
        for row in range(1, 9):
            for site in range(8):  # exchange the spin of one site: down bond to the old spin of that site
                same, other = counts, counts[np.arange(rows) ^ (1 << site)]
                counts = same.copy()
                counts[:, 1:] += other[:, :-1]
            if row < 8:
                moved = np.zeros_like(counts)
                for state in range(rows):
                    moved[state, inside[state] :] = counts[state, : 129 - inside[state]]
                counts = moved
        total += multiplicity * counts[first]
    levels = -128.0 + 2.0 * np.arange(129)
    return levels[total > 0], np.log(total[total > 0])


def check(dos, levels, ln_g, bins, missing=0):
    """Visited bins within 4 standard errors, at most so many of those that hold states missing, the total exact."""
    exact = binned_ln_g(levels, ln_g, bins)
    half = dos.energies < 0.5 * bins.width
    index = bins.indices_of(dos.energies[half])
    assert np.abs((dos.ln_g[half] - exact[index]) / dos.stderr[half]).max() < 4.0
    assert np.count_nonzero(half) >= np.count_nonzero(np.isfinite(exact)) - missing
    assert np.logaddexp.reduce(dos.ln_g) == pytest.approx(dos.n_spins * math.log(2.0), rel=1e-12)
    assert np.array_equal(dos.ln_g, dos.ln_g[::-1])
    assert min(dos.how["swap_rates"]) > 0.2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ENUMERATED)
def test_enumerated_chains(name, device):
    system = ENUMERATED[name]
    bins = EnergyBins(system.ground_energy(), 30)
    dos = temper(system.chain(), bins, seed=1, sweeps=1500, runs=2, device=device)
    levels = system.energies.ravel()
    check(dos, levels, np.zeros(levels.size), bins)
    assert dos.how["lowest_energy"] == pytest.approx(system.ground_energy(), rel=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_square_lattice(device):
    levels, ln_g = exact_lattice_8()
    assert np.logaddexp.reduce(ln_g) == pytest.approx(64 * math.log(2.0))
    bins = EnergyBins(-128.0, 33)
    dos = temper(SquareLattice(8).chain(), bins, seed=2, sweeps=1500, runs=2, device=device)
    check(dos, levels, ln_g, bins)
    assert dos.ln_g[0] == pytest.approx(math.log(2.0), abs=4.0 * dos.stderr[0])


def test_ten_thousand_spins():
    system = ConstantCouplings((4, 9992, 4), (1.0, 2.0), gauge=3)
    bins = EnergyBins(system.ground_energy(), 150)
    dos = temper(system.chain(), bins, seed=3, sweeps=120, runs=2)
    check(dos, *system.ln_g(), bins, missing=2)
    assert dos.stderr.max() / dos.n_spins < 5e-4


@pytest.fixture(scope="module")
def slice_of_weights(minilm):
    """20 x 1,000 of a trained network's weights: system, temperatures from hot to frozen, exact ln Z, U and C there."""
    system = TwoLayers(minilm.couplings[2][:20, :1000])
    betas = np.array([0.3, 1.0, 2.0, 5.0, 12.0])
    ln_z, energy, variance = system.moments(betas)
    return system, 1.0 / betas, {"ln_Z": ln_z, "U": energy, "C": variance * betas**2}


@pytest.mark.parametrize("device", DEVICES)
def test_a_slice_of_real_weights(slice_of_weights, device):
    """Its 20 spins freeze in fields of 1,000 others, so that only replicas that go round the ladder find their way."""
    system, temperatures, exact = slice_of_weights
    bins = EnergyBins(system.ground_energy(), 2000)
    dos = temper(system.chain(), bins, seed=4, sweeps=3000, runs=2, device=device)
    heat = thermodynamics(dos, temperatures)
    of_bins = np.minimum(1.0, (0.5 * dos.bin_width / temperatures) ** 2)  # what their width may add
    for name, values in exact.items():
        allowed = 4.0 * heat[f"{name}_err"].to_numpy() + of_bins * (temperatures if name == "U" else 1.0)
        assert np.all(np.abs(heat[name].to_numpy() - values) < allowed), name
    assert 0.997 < dos.how["lowest_energy"] / system.ground_energy() <= 1.0 + 1e-6
    assert dos.how["round_trips"] > 10
    assert dos.how["doubts"] == []


def test_a_run_too_short_for_equilibrium_says_so(slice_of_weights):
    system, temperatures, exact = slice_of_weights
    with pytest.warns(DoubtWarning, match="take more sweeps"):
        dos = temper(system.chain(), EnergyBins(system.ground_energy(), 500), seed=4, sweeps=100, runs=2)
    heat = thermodynamics(dos, temperatures)
    assert np.abs((heat["U"].to_numpy() - exact["U"]) / heat["U_err"].to_numpy()).max() > 4.0  # it has reason to
    assert len(dos.how["doubts"]) >= 1


SMALL = ENUMERATED["three layers"]
BINS = EnergyBins(SMALL.ground_energy(), 20)


def run(**options):
    return temper(SMALL.chain(), BINS, **({"seed": 5, "sweeps": 80, "runs": 3} | options))


def same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("energies", "ln_g", "stderr", "counts"))


def test_a_seed_fixes_the_result_whatever_the_workers():
    alone = run()
    with ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(2) as processes:
        assert same(alone, run(executor=threads))
        assert same(alone, run(executor=processes))
    assert not same(alone, run(seed=6))


@pytest.mark.parametrize("stop", [0, 1, 30, 59])
def test_an_interrupted_run_goes_on_to_the_same_result(tmp_path, stop):
    path = tmp_path / "run.npz"
    rounds = []

    def interrupt(report):
        rounds.append(report.round)
        if report.round == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path, progress=interrupt)
    resumed = run(checkpoint=path, progress=lambda report: rounds.append(report.round))
    assert same(resumed, run())
    assert rounds == list(range(len(rounds)))  # no round twice, none left out


def test_a_finished_checkpoint_gives_its_result_again(tmp_path):
    path = tmp_path / "run.npz"
    first = run(checkpoint=path)
    assert same(first, run(checkpoint=path, progress=lambda _: pytest.fail("nothing is left to do")))


@pytest.mark.parametrize("change", [{"seed": 6}, {"sweeps": 90}, {"runs": 2}, {"betas": [0.0, 1.0]}])
def test_a_checkpoint_of_another_run_is_refused(tmp_path, change):
    path = tmp_path / "run.npz"
    run(checkpoint=path)
    with pytest.raises(SpinSpectraError, match="another run"):
        run(checkpoint=path, **change)


def test_progress_tells_how_it_goes():
    reports = []
    run(progress=reports.append)
    assert [report.stage for report in reports if report.round in (0, 1, reports[-1].rounds)] == [
        "ladder",
        "cooling",
        "sampling",
    ]
    assert reports[-1].round == reports[-1].rounds == len(reports) - 1
    assert reports[-1].lowest == pytest.approx(SMALL.ground_energy(), rel=1e-6)
    assert np.isnan(reports[1].swap_rates).all()
    assert np.all(reports[-1].swap_rates > 0.0)


def test_a_ladder_of_ones_own():
    dos = run(betas=[0.0, 0.3, 0.8])
    assert dos.how["betas"] == [0.0, 0.3, 0.8]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sweeps": 7}, "sweeps=7: give at least 8"),
        ({"runs": 0}, "runs=0: give at least 1"),
        ({"swap_rate": 0.05}, "swap_rate=0.05"),
        ({"betas": [0.1, 0.2]}, "the first 0"),
        ({"betas": [0.0, 0.2, 0.2]}, "rising"),
        ({"betas": [0.0, math.inf]}, "finite"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments_are_named(options, text):
    with pytest.raises(OptionError, match=text):
        run(**options)


def test_nothing_is_left_beside_the_checkpoint(tmp_path):
    run(checkpoint=Path(tmp_path / "run.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.filterwarnings("ignore::spinspectra.errors.DoubtWarning")  # in one seed of fifty runs differ by chance
def test_errors_cover_as_they_should():
    """Of 50 seeds, the share of bins whose exact ln g lies within one standard error: 68 % if errors are right."""
    system = ENUMERATED["deep"]
    bins = EnergyBins(system.ground_energy(), 15)
    exact = binned_ln_g(system.energies.ravel(), np.zeros(system.energies.size), bins)
    off = []
    for seed in range(50):
        dos = temper(system.chain(), bins, seed=seed, sweeps=400, runs=2)
        half = dos.energies < 0.5 * bins.width
        off.append((dos.ln_g[half] - exact[bins.indices_of(dos.energies[half])]) / dos.stderr[half])
    assert 0.55 < np.mean(np.abs(np.concatenate(off)) < 1.0) < 0.80
