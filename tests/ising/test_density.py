"""Densities of states: symmetry, total and moments of exactly known ones, and differences in standard errors."""

import math
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinspectra.errors import OptionError
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.density import DensityError, DensityOfStates, compare, from_half, log_sum_exp
from spinspectra.ising.oracles import ConstantCouplings
from tests.ising.helpers import SMALL, random_system

LN2 = math.log(2.0)


def half_of(system, n_bins):
    """Bins that hold a state, and how many states each holds, of E <= 0 and its own half of the bin around 0."""
    bins = EnergyBins(system.ground_energy(), n_bins)
    places = bins.indices_of(system.energies.ravel())
    index, counts = np.unique(places[places >= 0], return_counts=True)
    return bins, index, counts


def density_of(system, n_bins):
    bins, index, counts = half_of(system, n_bins)
    n_spins = sum(system.nodes)
    return from_half(-bins.width * index, np.log(counts) - 7.0, None, None, n_spins, bins.width, {})


def mean_and_variance(density):
    p = np.exp(density.ln_g - density.ln_total)
    mean = p @ density.energies
    return mean, p @ (density.energies - mean) ** 2


def three(ln_g, stderr=(0.1, 0.1, 0.1), energies=(-1.0, 0.0, 1.0), n_spins=4, width=1.0):
    """A density of three bins with these numbers, not normalised."""
    size = len(energies)
    return DensityOfStates(
        np.array(energies), np.array(ln_g), np.array(stderr), np.zeros(size, np.int64), n_spins, width, {}
    )


# From the half


@st.composite
def halves(draw):
    """Places of bins, 0 among them or not, in any order, and ln g of each."""
    places = draw(st.lists(st.integers(0, 3000), min_size=1, max_size=40, unique=True))
    ln_g = draw(st.lists(st.floats(-1e6, 1e6), min_size=len(places), max_size=len(places)))
    return np.array(places), np.array(ln_g)


@settings(deadline=None)
@given(halves(), st.floats(1e-3, 1e3), st.integers(1, 10**6), st.floats(-0.9e-6, 0.9e-6))
def test_the_whole_is_symmetric_holds_every_state_and_keeps_the_ratios(half, width, n_spins, rounding):
    places, ln_g = half
    stderr, counts = 1.0 + places, 10 * places
    whole = from_half(-width * (places + rounding), ln_g, stderr, counts, n_spins, width, {})
    assert whole.energies.size == 2 * places.size - int(0 in places)
    np.testing.assert_array_equal(whole.energies, -whole.energies[::-1])
    np.testing.assert_array_equal(whole.ln_g, whole.ln_g[::-1])
    assert np.logaddexp.reduce(whole.ln_g) == pytest.approx(n_spins * LN2, rel=1e-9, abs=1e-9)
    order = np.argsort(-places)
    lower = slice(0, places.size)
    np.testing.assert_array_equal(whole.energies[lower], -width * places[order] + 0.0)
    np.testing.assert_allclose(np.diff(whole.ln_g[lower]), np.diff(ln_g[order]), rtol=1e-9, atol=1e-8)
    np.testing.assert_array_equal(whole.stderr[lower], stderr[order])
    np.testing.assert_array_equal(whole.counts[lower], counts[order])
    np.testing.assert_array_equal(whole.stderr, whole.stderr[::-1])
    np.testing.assert_array_equal(whole.counts, whole.counts[::-1])


@pytest.mark.parametrize("n_bins", [1, 2, 7, 100, 2000])
@pytest.mark.parametrize("name", SMALL)
def test_an_enumerated_chain(name, n_bins):
    """Counts of all 2^N states, both sides; mean 0; variance sum(J^2), as far as bins move energies: half a width."""
    system = random_system(SMALL[name], seed=n_bins)
    density = density_of(system, n_bins)
    bins = EnergyBins(system.ground_energy(), n_bins)
    places, counts = np.unique(-bins.indices_of(system.energies.ravel()), return_counts=True)
    np.testing.assert_allclose(density.energies, places * bins.width, rtol=1e-12)
    np.testing.assert_allclose(np.exp(density.ln_g), counts, rtol=1e-12)
    mean, variance = mean_and_variance(density)
    assert mean == pytest.approx(0.0, abs=1e-12 * bins.width)
    exact = math.sqrt(sum(float((matrix**2).sum()) for matrix in system.matrices))
    assert abs(math.sqrt(variance) - exact) <= 0.5 * bins.width * (1.0 + 1e-9)
    assert density.e_min == -density.e_max
    assert density.width == pytest.approx(2.0 * abs(system.ground_energy()) - bins.width)


def test_ten_thousand_spins():
    """g up to 2^10000 by binomials: mean 0 and variance sum(J^2), exactly, and two ground states."""
    system = ConstantCouplings((20, 9980), (1.0,), gauge=3)
    levels, ln_g = system.ln_g()
    half = levels <= 0.0
    density = from_half(levels[half], ln_g[half], None, None, 10_000, 4.0, {})
    np.testing.assert_array_equal(density.energies, levels)
    np.testing.assert_allclose(density.ln_g, ln_g, rtol=1e-9, atol=1e-7)
    mean, variance = mean_and_variance(density)
    assert mean == pytest.approx(0.0, abs=1e-9)
    assert variance == pytest.approx(system.chain().sum_of_squares, rel=1e-9)
    assert density.ln_total == pytest.approx(10_000 * LN2, rel=1e-14)
    assert density.ln_g[0] == pytest.approx(LN2, abs=1e-7)
    assert density.e_min == system.ground_energy()


def test_errors_without_others_are_those_of_the_mean_of_the_runs():
    """g = (1, 2, 1) / 4, (1, 1, 1) / 3 and (1, 8, 1) / 10 of 2^5, each run with a constant of its own."""
    runs = [[3.0, 3.0 + LN2], [-1.0, -1.0], [0.0, math.log(8.0)]]
    density = from_half([-2.0, 0.0], [0.0, 0.0], None, None, 5, 2.0, {}, runs)
    at_zero = np.log([2 / 4, 1 / 3, 8 / 10])
    outside = np.log([1 / 4, 1 / 3, 1 / 10])
    expected = [values.std(ddof=1) / math.sqrt(3.0) for values in (outside, at_zero, outside)]
    np.testing.assert_allclose(density.stderr, expected, rtol=1e-12)
    np.testing.assert_allclose(density.runs[:, 1], at_zero + 5 * LN2, rtol=1e-12)
    np.testing.assert_allclose(np.logaddexp.reduce(density.runs, axis=1), 5 * LN2, rtol=1e-12)


def test_one_run_tells_nothing_of_its_error_and_missing_bins_do_not_count():
    alone = from_half([-2.0, 0.0], [0.0, 0.0], None, None, 5, 2.0, {}, [[0.0, 1.0]])
    assert np.isnan(alone.stderr).all()
    assert alone.runs.shape == (1, 3)
    runs = [[math.nan, 0.0], [0.0, 0.0], [math.nan, 5.0]]
    density = from_half([-2.0, 0.0], [0.0, 0.0], None, None, 5, 2.0, {}, runs)
    assert np.isnan(density.stderr[[0, 2]]).all()  # one run came there
    levels = np.array([5 * LN2, 5 * LN2 - math.log(3.0), 5 * LN2])  # all states, where a run saw E = 0 alone
    assert density.stderr[1] == pytest.approx(levels.std(ddof=1) / math.sqrt(3.0))


def test_errors_that_are_given_stay():
    density = from_half([-2.0, 0.0], [0.0, 0.0], [0.3, 0.2], None, 5, 2.0, {}, [[0.0, 1.0], [0.0, 2.0]])
    np.testing.assert_array_equal(density.stderr, [0.3, 0.2, 0.3])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([-1.0, 1.0], [0.0, 0.0], None, None), "a half density ends at E = 0, this one at E = 1"),
        (([], [], None, None), "must be vectors of one length"),
        (([-1.0, 0.0], [0.0], None, None), "must be vectors of one length"),
        (([-1.0, 0.0], [0.0, 0.0], [0.1], None), "must be vectors of one length"),
        (([-1.0, 0.0], [0.0, 0.0], None, [1, 2, 3]), "must be vectors of one length"),
        (([[-1.0, 0.0]], [[0.0, 0.0]], None, None), "must be vectors of one length"),
        (([-1.0, 0.0], [0.0, 0.0], None, None, [[1.0, 2.0, 3.0]]), "must be vectors of one length"),
        (([-1.0, 0.0], [0.0, 0.0], None, None, [[1.0, -math.inf], [0.0, 0.0]]), "runs holds infinite values"),
        (([-1.0, 0.0], [0.0, 0.0], None, None, [[1.0, 2.0], [math.nan, math.nan]]), "a run has no bin"),
        (([-1.0, -1.0 - 1e-9, 0.0], [0.0, 0.0, 0.0], None, None), "energies do not ascend"),
        (([-1.0, math.nan], [0.0, 0.0], None, None), "energies has 2 values in 4 that are NaN or infinite"),
        (([-1.0, -math.inf], [0.0, 0.0], None, None), "energies has 2 values in 4 that are NaN or infinite"),
        (([-1.0, 0.0], [math.nan, 0.0], None, None), "ln_g has 2 values in 3 that are NaN or infinite"),
        (([-1.0, 0.0], [-math.inf, 0.0], None, None), "ln_g has 2 values in 3"),
        (([-1.0, 0.0], [0.0, math.inf], None, None), "ln_g has 1 values in 3"),
        (([-1.0, 0.0], [-math.inf, -math.inf], None, None), "ln_g has 3 values in 3"),
        (([-1.0, 0.0], [0.0, 0.0], [0.1, -0.1], None), "stderr has 1 values in 3 below zero"),
        (([-1.0, 0.0], [0.0, 0.0], None, [-5, 5]), "counts has 2 values in 3 below zero"),
    ],
)
def test_halves_that_are_refused(arguments, text):
    given_runs = arguments[4] if len(arguments) > 4 else None
    with pytest.raises(DensityError, match=text):
        from_half(*arguments[:4], n_spins=4, bin_width=1.0, how={}, runs=given_runs)


@pytest.mark.parametrize(("n_spins", "width"), [(0, 1.0), (4, 0.0), (4, -1.0), (4, math.nan), (4, math.inf)])
def test_sizes_that_are_refused(n_spins, width):
    with pytest.raises(DensityError, match=rf"n_spins={n_spins}, bin_width={width}: both must be above zero"):
        from_half([-1.0, 0.0], [0.0, 0.0], None, None, n_spins, width, {})


def test_energies_from_anywhere_must_ascend():
    with pytest.raises(DensityError, match="do not ascend"):
        three([0.0, 0.0, 0.0], energies=(1.0, 0.0, -1.0))
    with pytest.raises(DensityError, match="do not ascend"):
        three([0.0, 0.0, 0.0], energies=(-1.7e308, 1.7e308, 1.7e308))


# The value itself


def test_it_is_a_value_that_goes_to_other_processes():
    density = density_of(random_system((3, 4, 2)), 20)
    density = replace(density, how={"method": "enumeration"}, runs=np.stack([density.ln_g, density.ln_g + 1.0]))
    again = pickle.loads(pickle.dumps(density))
    for name in ("energies", "ln_g", "stderr", "counts", "runs"):
        np.testing.assert_array_equal(getattr(again, name), getattr(density, name))
    assert (again.n_spins, again.bin_width, again.how) == (density.n_spins, density.bin_width, density.how)
    with pytest.raises(FrozenInstanceError):
        density.n_spins = 3


def test_its_repr_is_one_line_whatever_a_file_said_of_its_method():
    density = replace(three([0.0, 0.0, 0.0]), how={"method": "walk\n\x1b[2J" + "x" * 10_000})
    assert repr(density).isprintable()
    assert len(repr(density)) < 400
    assert "N=4, 3 bins of 1, E = -1 .. 1" in repr(density)


@settings(deadline=None)
@given(st.lists(st.floats(-700.0, 700.0), min_size=1, max_size=50), st.floats(-1e12, 1e12))
def test_log_sum_exp(exponents, shift):
    values = np.array(exponents)
    assert log_sum_exp(values) == pytest.approx(math.log(math.fsum(map(math.exp, exponents))), rel=1e-12, abs=1e-12)
    assert log_sum_exp(values + shift) - shift == pytest.approx(log_sum_exp(values), abs=1e-3)
    assert log_sum_exp(np.append(values, [math.nan, -math.inf])) == log_sum_exp(values)


def test_log_sum_exp_at_the_ends():
    assert log_sum_exp(np.array([-1.7e308, 1.7e308])) == 1.7e308
    assert log_sum_exp(np.array([])) == log_sum_exp(np.array([math.nan])) == log_sum_exp(np.array([-math.inf]))
    assert log_sum_exp(np.array([-math.inf])) == -math.inf
    assert log_sum_exp(np.array([math.inf, 0.0])) == math.inf


# Differences

A, B = [0.0, LN2, 0.0], [0.0, 0.0, 0.0]  # (1, 2, 1) / 4 against (1, 1, 1) / 3: ln g differs by ln(4/3) and ln(3/2)
LARGEST = math.log(3 / 2)


def test_the_largest_difference_is_told_in_errors_of_the_difference():
    assert compare(three(A), three(B)) == pytest.approx(LARGEST / math.hypot(0.1, 0.1))
    assert compare(three(B), three(A)) == compare(three(A), three(B))
    wide = three(B, stderr=(0.01, 0.3, 0.1))
    expected = max(math.log(4 / 3) / math.hypot(0.1, 0.01), LARGEST / math.hypot(0.1, 0.3))
    assert compare(three(A), wide) == pytest.approx(expected)


def test_a_constant_is_no_difference():
    density = density_of(random_system((3, 4, 2)), 20)
    density = replace(density, stderr=np.full(density.ln_g.size, 1e-3))
    assert compare(density, density) == 0.0
    assert compare(density, replace(density, ln_g=density.ln_g + 1e3)) == pytest.approx(0.0, abs=1e-6)


def test_only_common_bins_count_and_are_normalised_anew():
    """Without its outer bins (1, 2, 1) / 4 is all in the middle, and no single bin can differ."""
    middle = three([5.0], stderr=(0.1,), energies=(0.0,))
    assert compare(three(A), middle) == 0.0
    two = three([0.0, 0.0], stderr=(0.1, 0.1), energies=(-1.0, 0.0))  # (1, 2) / 3 against (1, 1) / 2
    assert compare(three(A), two) == pytest.approx(math.log(3 / 2) / math.hypot(0.1, 0.1))
    assert compare(two, three(A)) == compare(three(A), two)


def test_centres_that_differ_by_rounding_are_common():
    moved = three(B, energies=(-1.0 + 1e-8, 1e-8, 1.0 - 1e-8))
    assert compare(three(A), moved) == pytest.approx(LARGEST / math.hypot(0.1, 0.1))


@pytest.mark.parametrize("unknown", [math.nan, math.inf])
def test_an_unknown_error_leaves_the_other_one(unknown):
    assert compare(three(A, stderr=(unknown,) * 3), three(B)) == pytest.approx(LARGEST / 0.1)
    partly = (0.1, unknown, 0.1)
    assert compare(three(A, stderr=partly), three(B, stderr=partly)) == pytest.approx(
        math.log(4 / 3) / math.hypot(0.1, 0.1)
    )


def test_exact_values_agree_or_are_infinitely_far_apart():
    exact = density_of(random_system((3, 4, 2)), 20)
    exact = replace(exact, stderr=np.zeros(exact.ln_g.size))
    assert compare(exact, replace(exact, ln_g=exact.ln_g + LN2)) == 0.0  # but for rounding
    bent = exact.ln_g.copy()
    bent[3] += 1e-6
    assert compare(exact, replace(exact, ln_g=bent)) == math.inf
    assert math.isfinite(compare(exact, replace(exact, ln_g=bent, stderr=np.full(bent.size, 1e-3))))


def test_densities_drawn_with_their_errors_agree_and_a_wrong_bin_shows():
    rng = np.random.default_rng(0)
    size, error = 400, 0.02
    exact = replace(three(A), energies=np.arange(size, dtype=np.float64), ln_g=-np.linspace(-3.0, 3.0, size) ** 2,
                    stderr=np.full(size, error), counts=np.zeros(size, np.int64))  # fmt: skip
    one, two = (replace(exact, ln_g=exact.ln_g + error * rng.standard_normal(size)) for _ in range(2))
    assert 1.5 < compare(one, two) < 4.5  # the largest of 400 normal numbers
    wrong = two.ln_g.copy()
    wrong[37] += 10.0 * error
    assert compare(one, replace(two, ln_g=wrong)) > 5.0


def test_densities_that_cannot_be_compared():
    flat = np.zeros(1000)
    fine = from_half(-np.arange(1000) / 999.5, flat, flat + 0.1, None, 4, 1 / 999.5, {})
    coarse = from_half(-np.arange(500) / 499.5, flat[:500], flat[:500] + 0.1, None, 4, 1 / 499.5, {})
    with pytest.raises(OptionError, match=r"bins of 0\.00100050025 and 0\.002002002: sample both with the same bins"):
        compare(fine, coarse)  # that share the bin of E = 0
    with pytest.raises(OptionError, match="densities of 4 and 5 spins"):
        compare(three(A), three(B, n_spins=5))
    with pytest.raises(OptionError, match="no bin in common"):
        compare(three(A), three(B, energies=(-0.5, 0.5, 1.5)))
    with pytest.raises(OptionError, match="neither density knows its errors"):
        compare(three(A, stderr=(math.nan,) * 3), three(B, stderr=(math.nan,) * 3))


def test_means_are_mirrored_and_stay_inside_their_bins():
    given = {"energies": [0.0, -1.0, -2.0], "ln_g": [2.0, 1.0, 0.0], "stderr": None, "counts": None}
    density = from_half(**given, n_spins=4, bin_width=1.0, how={}, means=[0.0, -0.7, -1.6])
    assert density.means.tolist() == [-1.6, -0.7, 0.0, 0.7, 1.6]
    with pytest.raises(DensityError, match="means has 2 values in 5 that are not inside their bins"):
        from_half(**given, n_spins=4, bin_width=1.0, how={}, means=[0.0, -0.4, -1.6])
