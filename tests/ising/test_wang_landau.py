"""Wang-Landau against exact densities, errors that are honest, kernels that are wrong on purpose, interruptions."""

import inspect
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.ising import wl_rounds
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.kernels import wang_landau as kernels
from spinspectra.ising.oracles import ConstantCouplings, SquareLattice, TwoLayers
from spinspectra.ising.state import start
from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.ising.wang_landau import NotConvergedError, wang_landau
from tests.ising.helpers import random_system
from tests.ising.test_reweight import binned_ln_g
from tests.ising.test_tempering import exact_lattice_8

SMALL = random_system((5, 6, 5), seed=3)
SMALL_BINS = EnergyBins(SMALL.ground_energy(), 20)
ENUMERATED = {"three layers": SMALL, "deep": random_system((4, 3, 4, 2, 4, 3), seed=7)}


def run(**options):
    return wang_landau(SMALL.chain(), SMALL_BINS, **({"seed": 5, "ln_f_end": 1e-3, "teams": 4} | options))


def off(dos, levels, ln_g, bins):
    """(ln g - exact) / stderr in every bin of E <= 0 that holds a level; missing bins fail."""
    exact = binned_ln_g(levels, ln_g, bins)
    half = dos.energies < 0.5 * bins.width
    index = bins.indices_of(dos.energies[half])
    assert sorted(index) == np.flatnonzero(np.isfinite(exact)).tolist()
    return (dos.ln_g[half] - exact[index]) / dos.stderr[half]


def check(dos, levels, ln_g, bins, worst=4.0, largest=0.2):
    """Every bin within 4 standard errors, the errors small enough for that to mean something, the total exact."""
    assert np.abs(off(dos, levels, ln_g, bins)).max() < worst
    assert np.nanmax(dos.stderr) < largest
    assert np.logaddexp.reduce(dos.ln_g) == pytest.approx(dos.n_spins * np.log(2.0), rel=1e-12)


def same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("energies", "ln_g", "stderr", "counts"))


@pytest.mark.parametrize("options", [{}, {"n_windows": 3, "walkers": 2}, {"start": "flat"}, {"start": "gaussian"}])
@pytest.mark.parametrize("name", ENUMERATED)
def test_enumerated_chains(name, options):
    system = ENUMERATED[name]
    bins = EnergyBins(system.ground_energy(), 30)
    dos = wang_landau(system.chain(), bins, seed=1, ln_f_end=1e-3, **options)
    levels = system.energies.ravel()
    check(dos, levels, np.zeros(levels.size), bins)
    assert np.array_equal(dos.ln_g, dos.ln_g[::-1])


def test_square_lattice():
    levels, ln_g = exact_lattice_8()
    bins = EnergyBins(-128.0, 33)
    dos = wang_landau(SquareLattice(8).chain(), bins, seed=1, n_windows=2, ln_f_end=3e-4)
    check(dos, levels, ln_g, bins)
    assert dos.ln_g[0] == pytest.approx(np.log(2.0), abs=4.0 * dos.stderr[0])


def test_levels_at_the_edges_of_bins_are_counted_once():
    """Edges at -116, -108, .., 116 are levels all: each belongs to the bin nearer to 0, on either side."""
    levels, ln_g = exact_lattice_8()
    bins = EnergyBins(-124.0, 16)
    assert np.isin(bins.centres[:-1] - 0.5 * bins.width, levels).all()
    for mirror in (True, False):
        check(
            wang_landau(SquareLattice(8).chain(), bins, seed=2, ln_f_end=1e-3, mirror=mirror),
            levels[np.abs(levels) <= 124.0],
            ln_g[np.abs(levels) <= 124.0],
            bins,
        )


@pytest.mark.slow
def test_ten_thousand_spins():
    system = ConstantCouplings((400, 9700), (1.0,), gauge=3)
    levels, ln_g = system.ln_g()
    bins = EnergyBins(-6000.0, 16)
    inside = levels >= bins.e_min
    dos = wang_landau(system.chain(), bins, seed=3, ln_f_end=5e-4, teams=6)
    check(dos, levels[inside], ln_g[inside], bins, largest=0.5)


@pytest.mark.slow
def test_a_slice_of_real_weights(minilm):
    """Down to where the twenty spins freeze, 0.4 of E_min: U, C, ln Z of temperatures that lie above it."""
    system = TwoLayers(minilm.couplings[2][:20, :1000])
    bins = EnergyBins(-120.0, 41)
    dos = wang_landau(system.chain(), bins, seed=4, ln_f_end=2e-4, teams=6)
    betas = np.array([0.1, 0.25, 0.4, 0.55])
    exact, energy, variance = system.moments(betas)
    assert np.all(energy - 3.0 * np.sqrt(variance) > bins.e_min)
    heat = thermodynamics(dos, 1.0 / betas)
    x = 0.5 * betas * bins.width  # sums over bins are too large by sinh(x) / x where levels are dense
    exact += np.log(np.sinh(x) / x)
    energy -= 0.5 * bins.width * (1.0 / np.tanh(x) - 1.0 / x)
    heats = variance * betas**2 + 1.0 - (x / np.sinh(x)) ** 2
    for name, values in (("ln_Z", exact), ("U", energy), ("C", heats)):
        assert np.abs((heat[name] - values) / heat[f"{name}_err"]).max() < 4.0
    assert np.all(heat["C_err"] < 0.05 * heat["C"] + 0.05)


def test_a_slice_frozen_is_not_passed_off_as_known(minilm):
    """Over the whole range few replicas ever change valley: a short run must say that it is not through."""
    system = TwoLayers(minilm.couplings[2][:20, :1000])
    with pytest.raises(NotConvergedError) as caught:
        wang_landau(
            system.chain(), EnergyBins(system.ground_energy(), 100), seed=1, ln_f_end=1e-4, teams=2, max_rounds=100
        )
    assert "windows [0" in str(caught.value)


def test_both_sides_walked_agree_with_one_side_mirrored():
    one, both = run(ln_f_end=1e-4), run(ln_f_end=1e-4, mirror=False, seed=6, n_windows=2)
    assert np.array_equal(one.energies, both.energies)
    together = np.hypot(one.stderr, both.stderr)
    assert np.abs((one.ln_g - both.ln_g) / together).max() < 4.0
    turned = np.hypot(both.stderr, both.stderr[::-1])
    differences = (both.ln_g - both.ln_g[::-1]) / turned
    assert np.abs(differences).max() < 4.0
    assert np.count_nonzero(differences) > 30  # nothing is imposed
    check(both, SMALL.energies.ravel(), np.zeros(2**16), SMALL_BINS)


def test_a_part_of_the_range():
    levels = SMALL.energies.ravel()
    dos = run(e_max=SMALL_BINS.centres[6], ln_f_end=1e-4)
    assert dos.energies == pytest.approx(SMALL_BINS.centres[:5:-1])
    assert dos.ln_g.mean() == pytest.approx(0.0, abs=1e-12)
    exact = binned_ln_g(levels, np.zeros(levels.size), SMALL_BINS)[:5:-1]
    assert np.abs((dos.ln_g - (exact - exact.mean())) / dos.stderr).max() < 4.0
    assert dos.stderr.max() < 0.1


def test_moments_of_all_states():
    dos = run(ln_f_end=1e-4, mirror=False)
    weights = np.exp(dos.ln_g - np.logaddexp.reduce(dos.ln_g))
    variance = weights @ dos.energies**2 - dos.bin_width**2 / 12.0
    error = np.sqrt(((weights * dos.energies**2 * dos.stderr) ** 2).sum())
    assert abs(weights @ dos.energies) < 4.0 * np.sqrt(((weights * dos.energies * dos.stderr) ** 2).sum())
    assert variance == pytest.approx(SMALL.chain().sum_of_squares, abs=4.0 * error + 0.02 * variance)


def test_the_errors_are_honest():
    system = random_system((3, 5, 4), seed=11)
    levels = system.energies.ravel()
    bins = EnergyBins(system.ground_energy(), 12)
    deviations = [
        off(
            wang_landau(system.chain(), bins, seed=seed, ln_f_end=0.01, n_windows=2, teams=4),
            levels,
            np.zeros(levels.size),
            bins,
        )
        for seed in range(50)
    ]
    assert 0.55 < np.mean(np.abs(deviations) < 1.0) < 0.80
    assert np.abs(np.mean(deviations, axis=0)).max() < 4.0 / np.sqrt(50) * np.std(deviations, axis=0).max()


MUTANTS = {
    "as it is": ("", ""),
    "dE turned": ("energy + 2.0 * spins[spin]", "energy - 2.0 * spins[spin]"),
    "lean not corrected": ("tilts[here] += tilt", "tilts[here] += 1.0"),
    "lean not walked under": (
        "cost = (ln_g[there] + new_lean) - (ln_g[here] + lean)",
        "cost = ln_g[there] - ln_g[here]",
    ),
    "half the cost": ("math.exp(-cost)", "math.exp(-0.5 * cost)"),
    "refused flips not counted": ("        ln_g[here] += ln_f\n        visits[here] += 1\n", MOVED := "MOVED"),
}


def mutant(old, new):
    """The walk with one expression changed."""
    source = inspect.getsource(kernels.walk.py_func).split("\n", 1)[1]
    if new == MOVED:
        deeper = "                ln_g[here] += ln_f\n                visits[here] += 1\n"
        source = source.replace(old, "").replace("        tilts[here] += tilt\n", "")
        new, old = deeper + "                tilts[here] += tilt\n", "                tilt = math.exp(lean)\n"
        new = old + new
    assert source.count(old) == 1 or not old
    names = dict(vars(kernels))
    exec(source.replace(old, new) if old else source, names)
    return njit(nogil=True)(names["walk"])


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_kernel_is_caught(name, monkeypatch):
    monkeypatch.setattr(wl_rounds, "walk", mutant(*MUTANTS[name]))
    levels = SMALL.energies.ravel()
    bins = EnergyBins(SMALL.ground_energy(), 8)  # wide, so that the lean matters
    try:
        dos = wang_landau(SMALL.chain(), bins, seed=1, ln_f_end=2e-4, max_rounds=200)
    except NotConvergedError as error:
        dos = error.density
    try:
        check(dos, levels, np.zeros(levels.size), bins)
        passed = True
    except AssertionError:
        passed = False
    assert passed == (name == "as it is")


def test_a_walk_under_a_fixed_weight_visits_bins_as_often_as_their_states_weigh():
    """The kernel alone: visits and leans against sums over all states, for any table of weights."""
    rng = np.random.default_rng(2)
    bins, levels = SMALL_BINS, SMALL.energies.ravel()
    index = bins.n_bins - 1 - bins.indices_of(levels)
    inside = (index >= 5) & (index < bins.n_bins)
    n, e_low = 15, -(15 - 0.5) * bins.width
    place, levels = index[inside] - 5, levels[inside]
    ln_g, slopes = np.log(np.bincount(place, minlength=n) + 1.0) + rng.normal(0.0, 1.0, n), rng.normal(0.0, 0.5, n)
    lean = slopes[place] * (levels - e_low - (place + 0.5) * bins.width)
    weights = np.exp(-ln_g[place] - lean)
    exact = np.bincount(place, weights, n) / weights.sum()
    tilts = np.bincount(place, weights * np.exp(lean), n) / np.bincount(place, weights, n)
    state = start(SMALL.chain(), rng, SMALL.spins(int(np.flatnonzero(inside)[0])))
    energy = -0.5 * float(state.spins @ state.fields)
    parts, leans = [], []
    for _ in range(20):
        visits, sums = np.zeros(n, np.int64), np.zeros(n)
        energy, _ = kernels.walk(
            SMALL.chain().packed, state.spins, state.fields, energy, e_low, bins.width, ln_g, slopes,
            np.zeros(n), np.ones(n, np.uint8), visits, sums, 0.0, 0, 200_000, rng,
        )  # fmt: skip
        parts.append(visits / visits.sum())
        leans.append(sums / visits)
    for found, expected in ((parts, exact), (leans, tilts)):
        error = np.std(found, axis=0, ddof=1) / np.sqrt(20)
        assert np.abs((np.mean(found, axis=0) - expected) / error).max() < 4.5
        assert np.all(error < 0.02 * expected)


def test_a_seed_fixes_the_result_whatever_the_workers():
    options = {"n_windows": 3, "walkers": 2, "teams": 3}
    alone = run(**options)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(3) as three, ProcessPoolExecutor(2) as processes:
        for executor in (one, three, processes):
            assert same(alone, run(executor=executor, **options))
    assert not same(alone, run(**(options | {"seed": 6})))


@pytest.mark.parametrize("stop", [1, 7, 12])
def test_an_interrupted_run_goes_on_to_the_same_result(tmp_path, stop):
    options = {"n_windows": 3, "walkers": 2, "teams": 3}
    path, rounds = tmp_path / "run.npz", []

    def interrupt(report):
        rounds.append(report.round)
        if report.round == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path, progress=interrupt, **options)
    resumed = run(checkpoint=path, progress=lambda report: rounds.append(report.round), **options)
    assert same(resumed, run(**options))
    assert rounds == list(range(1, len(rounds) + 1))  # no round twice, none left out
    assert len(rounds) > stop
    again = run(checkpoint=path, progress=lambda _: pytest.fail("nothing is left to do"), **options)
    assert same(resumed, again)
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"seed": 6}, "seed.entropy: 5 in the file, 6 asked for"),
        ({"teams": 3}, "teams: 4 in the file, 3 asked for"),
        ({"ln_f_end": 1e-2}, "ln_f_end: 0.001 in the file, 0.01 asked for"),
        ({"n_windows": 2}, "n_windows: 1 in the file, 2 asked for"),
        ({"mirror": False, "n_windows": 1}, "mirror: true in the file, false asked for"),
        ({"e_max": -1.0}, "e_max: null in the file, -1.0 asked for"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, change, text):
    path = tmp_path / "run.npz"
    run(checkpoint=path)
    with pytest.raises(SpinSpectraError, match="another run") as caught:
        run(checkpoint=path, **change)
    assert text in str(caught.value)


def test_a_checkpoint_of_other_weights_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    run(checkpoint=path)
    matrices = [matrix.copy() for matrix in SMALL.matrices]
    matrices[1][2, 3] = np.nextafter(matrices[1][2, 3], 9.0)
    other = type(SMALL)(tuple(matrices)).chain()
    with pytest.raises(SpinSpectraError, match="couplings: "):
        wang_landau(other, SMALL_BINS, seed=5, ln_f_end=1e-3, teams=4, checkpoint=path)


def test_too_few_rounds_leave_a_density_and_a_checkpoint_to_go_on_from(tmp_path):
    path = tmp_path / "run.npz"
    with pytest.raises(
        NotConvergedError, match=r"max_rounds=3: windows \[0\] of 1 are not through; give more"
    ) as caught:
        run(max_rounds=3, checkpoint=path, ln_f_end=1e-4)
    rough = caught.value.density
    levels = SMALL.energies.ravel()
    exact = binned_ln_g(levels, np.zeros(levels.size), SMALL_BINS)[SMALL_BINS.indices_of(rough.energies)[:10]]
    assert np.abs(rough.ln_g[:10] - exact).max() < 4.0
    assert np.logaddexp.reduce(rough.ln_g) == pytest.approx(16 * np.log(2.0))
    assert same(run(checkpoint=path, ln_f_end=1e-4), run(ln_f_end=1e-4))


def test_a_window_without_states_is_missing_and_the_rest_right():
    levels, ln_g = exact_lattice_8()
    dos = wang_landau(SquareLattice(8).chain(), EnergyBins(-256.0, 66), seed=1, n_windows=4, ln_f_end=1e-3)
    assert dos.e_min == pytest.approx(-128.0, abs=4.0)
    check(dos, levels, ln_g, EnergyBins(-256.0, 66))


def test_progress_tells_how_it_goes():
    reports = []
    dos = run(n_windows=3, progress=reports.append)
    first, last = reports[0], reports[-1]
    assert (first.round, first.walks, first.unfinished, last.unfinished) == (1, 12, 12, 0)
    assert first.ln_f.shape == (3,)
    assert first.ln_f.max() == 0.125  # the most that canonical runs begin with
    assert last.ln_f.max() <= 1e-3
    assert last.swap_rates.shape == (2,)
    assert np.all((last.swap_rates > 0.0) & (last.swap_rates < 1.0))
    assert np.all(np.diff([report.unfinished for report in reports]) <= 0)
    assert dos.how["rounds"] == last.round
    assert dos.counts[:20].sum() <= last.round * 12 * 20_000
    assert dos.runs.shape == (4, dos.energies.size)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"start": "cold"}, "start='cold': give one of canonical, gaussian, flat"),
        ({"walkers": 0}, "walkers=0, teams=4: give at least 1 of each"),
        ({"teams": 0}, "walkers=1, teams=0"),
        ({"ln_f_end": 0.0}, "ln_f_end=0.0"),
        ({"ln_f_end": float("nan")}, "ln_f_end=nan"),
        ({"ln_f_start": 1e-9}, "ln_f_start=1e-09, ln_f_end=0.001: give 0 < ln_f_end <= ln_f_start"),
        ({"flatness": 1.0}, "flatness=1.0: give a fraction between 0 and 1"),
        ({"overlap": 1.0}, "overlap=1.0: give a fraction from 0 to 0.9"),
        ({"n_windows": 0}, "n_windows=0: give at least 1"),
        ({"n_windows": 19}, "too narrow to join"),
        ({"e_max": 3.0}, "e_max=3.0: give an energy above"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments_are_named(options, text):
    with pytest.raises(OptionError) as caught:
        run(**options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
