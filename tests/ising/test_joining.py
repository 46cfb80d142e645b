"""Windows cut from a known ln g come together again; errors of the mean over runs cover what they claim."""

import math

import numpy as np
import pytest

from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.joining import join_windows, level, mean_and_error, meeting
from spinspectra.ising.windows import lay_out

BINS = EnergyBins(-10.0, 41)


def cut(windows, curves, rng):
    """Windows of each curve, (R, W, K), every one moved by a constant of its own."""
    parts = [[curve[windows.bins(w)] + rng.normal(0.0, 50.0) for w in range(len(windows.firsts))] for curve in curves]
    return np.array(parts)


def moved(a, b):
    """Whether two curves differ by one constant; NaN in the same places."""
    assert np.array_equal(np.isnan(a), np.isnan(b))
    gap = (a - b)[np.isfinite(a)]
    return gap == pytest.approx(np.full(gap.size, gap[0]), abs=1e-9)


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("n_windows", [1, 2, 5])
def test_what_was_cut_comes_together(n_windows, mirror):
    rng = np.random.default_rng(0)
    windows = lay_out(BINS, n_windows, 0.5, mirror)
    curves = np.cumsum(rng.normal(0.0, 3.0, (3, windows.n_bins)), axis=1)
    for joined, curve in zip(join_windows(windows, cut(windows, curves, rng)), curves, strict=True):
        assert moved(joined, curve)


def test_windows_join_where_their_slopes_agree():
    """Windows are wrong at their edges, as real ones are: none of that may come through."""
    rng = np.random.default_rng(1)
    windows = lay_out(BINS, 3, 0.6)
    curve = -0.1 * windows.centres**2
    pieces = cut(windows, [curve, curve], rng)
    pieces[:, :2, -3:] += np.array([1.0, 3.0, 9.0])  # upper edges of all but the top one
    pieces[:, 1:, :3] -= np.array([7.0, 4.0, 2.0])
    for joined in join_windows(windows, pieces):
        assert moved(joined, curve)


def test_the_colder_window_counts_up_to_the_meeting():
    gaps = np.array([[5.0, 1.0, 0.9, 0.5], [4.0, 2.0, 1.8, 9.0]])
    assert meeting(gaps) == 1
    assert meeting(np.array([[5.0, np.nan, 0.9, 0.7]])) == 2
    assert meeting(np.array([[np.nan, 3.0, np.nan]])) == 1


@pytest.mark.parametrize("mirror", [True, False])
def test_what_hangs_on_nothing_is_missing(mirror):
    rng = np.random.default_rng(2)
    windows = lay_out(BINS, 5, 0.3, mirror)
    curves = np.cumsum(rng.normal(0.0, 1.0, (2, windows.n_bins)), axis=1)
    pieces = cut(windows, curves, rng)
    pieces[0, 0] = np.nan
    pieces[1, 1, windows.size // 3 :] = np.nan  # shares nothing with the one above it, so the lowest is lost too
    first, second = join_windows(windows, pieces)
    lost = windows.firsts[1]
    assert np.isnan(first[:lost]).all()
    assert np.isfinite(first[lost:]).all()
    assert moved(first[lost:], curves[0, lost:])
    assert np.isnan(second[: windows.firsts[2]]).all()
    assert moved(second[windows.firsts[2] :], curves[1, windows.firsts[2] :])


def test_a_whole_range_without_its_hot_end_above():
    """Both sides walked: the join starts in the middle, so a missing top costs the top only."""
    rng = np.random.default_rng(3)
    windows = lay_out(BINS, 5, 0.5, mirror=False)
    curve = -0.1 * windows.centres**2
    pieces = cut(windows, [curve], rng)
    pieces[0, 4] = np.nan
    joined = join_windows(windows, pieces)[0]
    end = windows.bins(3).stop
    assert moved(joined[:end], curve[:end])
    assert np.isnan(joined[end:]).all()


def test_levels():
    rng = np.random.default_rng(4)
    runs = rng.normal(0.0, 5.0, (3, 7))
    whole = level(runs, 10, "whole")
    assert np.logaddexp.reduce(whole, axis=1) == pytest.approx(10 * math.log(2.0))
    half = level(runs, 10, "half")
    both = np.concatenate([half, half[:, :-1]], axis=1)
    assert np.logaddexp.reduce(both, axis=1) == pytest.approx(10 * math.log(2.0))
    runs[1, 0] = np.nan
    part = level(runs, 10, "part")
    assert part[:, 1:].mean(axis=1) == pytest.approx(0.0, abs=1e-12)
    for levelled in (whole, half, part):
        assert np.ptp(levelled - runs, axis=1)[[0, 2]] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("n_runs", [2, 3, 8])
def test_the_error_of_the_mean_covers_68_in_100(n_runs):
    rng = np.random.default_rng(5)
    deviations = []
    for _ in range(400):
        walks = np.cumsum(rng.normal(0.0, 1.0, (n_runs, 40)), axis=1)
        mean, error = mean_and_error(walks)
        deviations.append((mean / error)[20:])
    assert 0.62 < np.mean(np.abs(deviations) < 1.0) < 0.77  # neighbours averaged: wider where there are few


def test_one_run_knows_no_error():
    runs = np.array([[1.0, 2.0, np.nan, np.nan], [3.0, np.nan, np.nan, 5.0]])
    mean, error = mean_and_error(runs)
    assert mean[[0, 1, 3]].tolist() == [2.0, 2.0, 5.0]
    assert np.isnan(mean[2])
    assert np.isfinite(error).tolist() == [True, False, False, False]
    assert np.isnan(mean_and_error(runs[:1])[1]).all()
