"""The power-law fit: the peer's numbers, plain formulas done slowly, scale, ties and data that allow no fit."""

import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import svdvals

from spinspectra.errors import OptionError
from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law, xmin_scan
from spinspectra.weights import open_weights
from tests.minilm import FOLDER
from tests.spectra import reference

COLUMNS = {"alpha": "alpha", "D": "ks_distance", "sigma": "sigma", "xmin": "xmin", "num_pl_spikes": "n_tail"}


def pareto(seed: int, n: int, alpha: float) -> np.ndarray:
    return (1.0 - np.random.default_rng(seed).random(n)) ** (-1.0 / (alpha - 1.0))


def squares(matrix: np.ndarray) -> np.ndarray:
    return svdvals(matrix.astype(np.float64)) ** 2


def agrees(fit: PowerLawFit, row, rel: float = 1e-6) -> None:
    for theirs, ours in COLUMNS.items():
        assert getattr(fit, ours) == pytest.approx(row[theirs], rel=rel), theirs


def slow_fit(x: np.ndarray, two_sided: bool) -> tuple[float, float, float]:
    """(distance, xmin, alpha) straight from the definition, every candidate in full."""
    x, found = np.sort(x), []
    small = x.size < 20
    for start in np.unique(x)[:-1]:
        tail = x[x >= start]
        if small and tail.size < 8:
            continue
        alpha = 1.0 + (tail.size - small) / np.log(tail / start).sum()
        cdf, j = 1.0 - (tail / start) ** (1.0 - alpha), np.arange(tail.size)
        gaps = [np.abs(cdf - j / tail.size).max(), np.abs(cdf - (j + 1) / tail.size).max()]
        found.append((max(gaps) if two_sided else gaps[0], start, alpha))
    return min(found)


def test_minilm_as_the_peer() -> None:
    weights = open_weights(FOLDER)
    for longname, row in reference.minilm().iterrows():
        matrix = np.asarray(weights.read(f"{longname}.weight"), dtype=np.float64)
        tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
        agrees(fit_power_law(np.linalg.eigvalsh(tall.T @ tall)), row)


@pytest.mark.parametrize("name", sorted(reference.matrices()))
def test_synthetic_as_the_peer(name: str) -> None:
    agrees(fit_power_law(squares(reference.matrices()[name])), reference.synthetic().loc[name])


def variants(variant: str):
    table = pd.read_csv(Path(reference.__file__).parents[1] / "data/weightwatcher-0.7.7/synthetic_fit_variants.csv")
    rows = table[table["variant"] == variant]
    assert len(rows) > 5
    return [(squares(reference.matrices()[row["matrix"]]), row) for _, row in rows.iterrows()]


def test_two_largest_left_out_as_the_peer() -> None:
    for x, row in variants("ww, xmax=-2"):
        agrees(fit_power_law(x, xmax=float(np.sort(x)[-3])), row)


def test_clip_xmax_as_the_peer_but_for_its_count_and_its_start_at_two() -> None:
    for x, row in variants("ww, fix_fingers=clip_xmax"):
        fit = fit_power_law(x, fix_fingers="clip_xmax")
        assert fit.raw_alpha == pytest.approx(row["raw_alpha"], rel=1e-9)
        if row["matrix"] == "lowrank_exact_200x150":  # one finger will do; the peer never tries one
            assert fit.n_fingers == 1
            assert fit.alpha < fit.raw_alpha - 1.0
        else:
            assert fit.alpha == pytest.approx(row["alpha"], rel=1e-9)
            assert fit.n_fingers == (row["num_fingers"] + 1 if row["num_fingers"] else 0)
        assert fit.xmax == np.sort(x)[-1 - fit.n_fingers]


def test_fingers_are_counted_and_max_fingers_obeyed() -> None:
    x = squares(reference.matrices()["gauss_tall_1024x256"])  # needs six, see above
    assert fit_power_law(x, fix_fingers="clip_xmax", max_fingers=5).n_fingers == 0
    fit = fit_power_law(x, fix_fingers="clip_xmax", max_fingers=6)
    assert (fit.n_fingers, fit.n, fit.xmax) == (6, x.size - 6, np.sort(x)[-7])
    assert fit.alpha == fit_power_law(x, xmax=fit.xmax).alpha


def test_xmin_peak_starts_near_the_fullest_bin() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([3.0 * pareto(3, 600, 3.0), 3.0 * rng.random(150)])
    fit = fit_power_law(x, fix_fingers="xmin_peak")
    assert 0.9 * 3.0 < fit.xmin < 1.6 * 3.3
    assert fit.alpha == pytest.approx(3.0, abs=0.3)
    assert fit_power_law(x, fix_fingers="xmin_peak", xmin_max=3.2).xmin <= 3.2


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("n", [8, 12, 19, 20, 33, 150])
def test_equals_the_definition(n: int, two_sided: bool) -> None:
    rng = np.random.default_rng(n)
    for x in (rng.exponential(size=n), rng.pareto(1.3, n) + 0.2, np.round(rng.pareto(1.0, n) * 3 + 1)):
        fit = fit_power_law(x, ks="two-sided" if two_sided else "one-sided")
        distance, xmin, alpha = slow_fit(x, two_sided)
        assert (fit.ks_distance, fit.xmin, fit.alpha) == pytest.approx((distance, xmin, alpha), rel=1e-10)
        assert fit.n_tail == np.count_nonzero(x >= xmin)
        assert fit.sigma == pytest.approx((alpha - 1) / np.sqrt(fit.n_tail))


def test_scan_for_plots_has_the_fit_as_its_minimum() -> None:
    x = np.random.default_rng(4).exponential(size=300)
    fit, scan = fit_power_law(x), xmin_scan(x)
    best = int(np.argmin(scan.ks_distance))
    assert (scan.xmin[best], scan.alpha[best], scan.ks_distance[best]) == (fit.xmin, fit.alpha, fit.ks_distance)
    assert scan.xmin.size == 299
    assert xmin_scan(np.zeros(9)).xmin.size == 0


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(st.floats(1e-8, 1e8), min_size=0, max_size=60),
    power=st.integers(-300, 300),
    kind=st.sampled_from(["PL", "TPL"]),
)
def test_unit_of_the_weights_changes_nothing_but_xmin_and_xmax(data: list[float], power: int, kind: str) -> None:
    x = np.array(data)
    fit, other = fit_power_law(x, kind), fit_power_law(x * 2.0**power, kind)
    assert other.status == fit.status
    names = ("alpha", "ks_distance", "sigma", "n_tail", "n", "raw_alpha")
    np.testing.assert_array_equal([getattr(other, k) for k in names], [getattr(fit, k) for k in names])
    np.testing.assert_array_equal([other.xmin, other.xmax], np.array([fit.xmin, fit.xmax]) * 2.0**power)
    np.testing.assert_array_equal(other.cutoff * 2.0**power, fit.cutoff)


def test_rounding_below_the_floor_does_not_matter() -> None:
    tail = pareto(5, 200, 2.2)
    noise = 1e-17 * tail.max() * np.random.default_rng(6).standard_normal(80)
    whole, cut = fit_power_law(np.concatenate([tail, noise])), fit_power_law(tail)
    assert (whole.alpha, whole.xmin, whole.n) == (cut.alpha, cut.xmin, 200)


def test_floor_follows_the_stored_precision() -> None:
    rng = np.random.default_rng(7)
    exact = rng.standard_normal((256, 30)) @ rng.standard_normal((30, 256))
    eps = (256 * np.finfo(np.float32).eps) ** 2
    rounded = fit_power_law(squares(exact.astype(np.float32)), floor=eps)
    assert rounded.n == 30
    assert rounded.alpha == pytest.approx(fit_power_law(squares(exact)).alpha, rel=1e-4)


@pytest.mark.parametrize("kind", ["PL", "TPL", "E_TPL"])
@pytest.mark.parametrize(
    ("x", "reason"),
    [
        ([], "0 of 0 eigenvalues above rounding, a tail needs 8"),
        (np.zeros(50), "0 of 50 eigenvalues above rounding, a tail needs 8"),
        (-np.ones(50), "0 of 50 eigenvalues above rounding, a tail needs 8"),
        (np.arange(1.0, 8.0), "7 of 7 eigenvalues above rounding, a tail needs 8"),
        (np.full(20, 0.3), "all 20 eigenvalues are equal to rounding"),
        (1.0 + 1e-15 * np.random.default_rng(0).standard_normal(256), "all 256 eigenvalues are equal to rounding"),
        ([np.nan, *range(1, 40)], "1 of 40 eigenvalues are NaN or infinite"),
        ([np.inf, -np.inf, *range(1, 40)], "2 of 41 eigenvalues are NaN or infinite"),
    ],
)
def test_no_fit_is_nan_with_a_reason(x, reason: str, kind: str) -> None:
    fit = fit_power_law(x, kind)
    assert (fit.status, fit.reason, fit.n_tail) == ("failed", reason, 0)
    assert np.isnan([fit.alpha, fit.xmin, fit.xmax, fit.ks_distance, fit.sigma, fit.raw_alpha]).all()


def test_ties_at_the_start_are_one_candidate() -> None:
    x = np.concatenate([np.full(30, 2.0), 2.0 * pareto(0, 100, 3.0)])
    fit = fit_power_law(x)
    assert fit.n_tail == np.count_nonzero(x >= fit.xmin)
    assert fit.n_tail != 101
    heavy = fit_power_law(np.concatenate([np.full(25, 7.0), np.arange(1.0, 6.0)]))  # the largest value 25 times
    assert heavy.status == "success"
    assert np.isfinite([heavy.alpha, heavy.ks_distance, heavy.sigma]).all()
    small = fit_power_law([1.0, *[2.0] * 14])
    assert small.n_tail in (0, 15)


def test_thirty_six_decades_give_a_row_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = np.logspace(-30, 6, 300)
        fit = fit_power_law(x)
        assert fit.status == "success"
        assert fit.xmin > 1e6 * 300 * 2e-16
        assert fit_power_law(x, floor=0.0).alpha == pytest.approx(1.0, abs=0.1)
        assert fit_power_law([5e-324] * 4 + [1.0] * 9, floor=0.0).status == "failed"


@pytest.mark.parametrize("alpha", [1.5, 2.0, 3.5, 6.0])
def test_truth_at_a_given_xmin(alpha: float) -> None:
    found = [fit_power_law(0.5 * pareto(seed, 1000, alpha), xmin=0.5) for seed in range(50)]
    assert all(fit.n_tail == 1000 and fit.xmin == 0.5 for fit in found)
    mean = float(np.mean([fit.alpha for fit in found]))
    assert mean == pytest.approx(alpha, abs=4 * (alpha - 1) / np.sqrt(50_000) + (alpha - 1) / 1000)


@pytest.mark.parametrize("ks", ["one-sided", "two-sided"])
@pytest.mark.parametrize("alpha", [2.0, 4.0])
def test_bias_with_scanned_xmin_is_small(alpha: float, ks: str) -> None:
    found = np.array([fit_power_law(pareto(seed, 1000, alpha), ks=ks).alpha for seed in range(200)])
    assert abs(np.median(found) - alpha) < 0.03 * (alpha - 1.0)


def test_given_xmin_between_data() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    fit = fit_power_law(x, xmin=2.5)
    assert fit.alpha == pytest.approx(1.0 + 6 / np.log(np.arange(3, 9) / 2.5).sum())
    first = 1.0 - (np.arange(3, 9) / 2.5) ** (1.0 - fit.alpha)
    assert fit.ks_distance == pytest.approx(np.abs(first - np.arange(6) / 6).max())
    assert fit_power_law(x, xmin=9.0).reason == "0 eigenvalues at or above xmin, two different ones are needed"


def test_4096_eigenvalues_in_a_tenth_of_a_second() -> None:
    x = np.linspace(0.001, 2.0, 4096) ** 2  # a bulk: pruning helps least
    fit_power_law(x)
    spent = []
    for _ in range(3):
        begin = time.perf_counter()
        fit_power_law(x)
        spent.append(time.perf_counter() - begin)
    assert min(spent) < 0.1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kind": "PLX"}, "kind='PLX': give 'PL', 'TPL' or 'E_TPL'"),
        ({"ks": "both"}, "ks='both': give 'one-sided' or 'two-sided'"),
        ({"fix_fingers": "yes"}, "fix_fingers='yes': give None, 'clip_xmax' or 'xmin_peak'"),
        ({"floor": -1.0}, "floor=-1.0: give a fraction of the largest eigenvalue, 0 to 1, or None"),
        ({"xmax": True}, "xmax=True: give a positive finite number"),
        ({"xmin": 0.0}, "xmin=0.0: give a positive finite number"),
        ({"max_fingers": 0}, "max_fingers=0: give 1 or more"),
        (
            {"xmin": 1.0, "kind": "TPL"},
            "xmin: a fixed start goes with kind='PL' and no fix_fingers; see tails.fit_tail for others",
        ),
    ],
)
def test_bad_options(options: dict, text: str) -> None:
    with pytest.raises(OptionError) as error:
        fit_power_law(np.arange(1.0, 30.0), **options)
    assert str(error.value) == text


def test_a_matrix_is_no_spectrum() -> None:
    with pytest.raises(OptionError, match=r"give real numbers of shape \(n,\), got shape \(3, 3\)"):
        fit_power_law(np.eye(3))
