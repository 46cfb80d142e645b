"""Intervals cover the truth as often as they say: exact, by likelihood, by profile, by resampling."""

import numpy as np
import pytest

from spinspectra.errors import OptionError
from spinspectra.spectra.intervals import (
    alpha_interval,
    bootstrap_interval,
    bootstrap_intervals,
    profile_interval,
)
from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law
from spinspectra.spectra.replicas import draw_tail
from spinspectra.spectra.tails import fit_tail
from tests.spectra.test_tails import lognormal_above, power_law, with_cutoff

REPEATS = 200
COVERED = (0.90, 0.99)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
@pytest.mark.parametrize("alpha", [1.5, 2.5, 5.0])
def test_exact_interval_covers_alpha(alpha: float, n: int) -> None:
    rng, hits = np.random.default_rng([n, int(10 * alpha)]), 0
    for _ in range(REPEATS):
        interval = alpha_interval(fit_power_law(7.0 * power_law(rng, alpha, n), xmin=7.0))
        hits += interval.low <= alpha <= interval.high
    assert COVERED[0] <= hits / REPEATS <= COVERED[1]


@pytest.mark.parametrize("n", [100, 1000, 10_000])
@pytest.mark.parametrize(("alpha", "cutoff"), [(2.0, 0.1), (3.5, 0.1)])
def test_profile_intervals_cover_the_cutoff_law(alpha: float, cutoff: float, n: int) -> None:
    rng, hits = np.random.default_rng([n, int(10 * alpha), 1]), np.zeros(2)
    for _ in range(REPEATS):
        x = 3.0 * with_cutoff(rng, alpha, cutoff, n)
        model = fit_tail(x, 3.0, "truncated_power_law")
        of_alpha, of_cutoff = profile_interval(x, model, "alpha"), profile_interval(x, model, "cutoff")
        hits += of_alpha.low <= alpha <= of_alpha.high, of_cutoff.low <= cutoff / 3.0 <= of_cutoff.high
    assert COVERED[0] <= hits.min() / REPEATS <= hits.max() / REPEATS <= COVERED[1]


@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_profile_intervals_cover_the_lognormal(n: int) -> None:
    rng, hits = np.random.default_rng([n, 2]), np.zeros(2)
    for _ in range(REPEATS):
        x = lognormal_above(rng, 1.0, 2.0, 1.0, n)
        model = fit_tail(x, 1.0, "lognormal")
        of_mu, of_sigma = profile_interval(x, model, "mu"), profile_interval(x, model, "sigma")
        hits += of_mu.low <= 1.0 <= of_mu.high, of_sigma.low <= 2.0 <= of_sigma.high
    assert COVERED[0] <= hits.min() / REPEATS <= hits.max() / REPEATS <= COVERED[1]


def test_interval_narrows_as_the_root_of_n_and_widens_with_its_level() -> None:
    rng = np.random.default_rng(3)
    small, large = (fit_power_law(power_law(rng, 2.0, n), xmin=1.0) for n in (1000, 100_000))
    widths = [alpha_interval(fit).high - alpha_interval(fit).low for fit in (small, large)]
    assert widths[0] / widths[1] == pytest.approx(10.0, rel=0.15)
    assert widths[1] == pytest.approx(2 * 1.96 * large.sigma, rel=0.01)
    assert alpha_interval(small, 0.5).low > alpha_interval(small, 0.99).low


def test_scanned_xmin_counts_one_datum_less() -> None:
    fit = fit_power_law(power_law(np.random.default_rng(4), 2.0, 30))
    given = fit_power_law(power_law(np.random.default_rng(4), 2.0, 30), xmin=fit.xmin)
    assert given.alpha == pytest.approx(fit.alpha)
    assert alpha_interval(fit).high < alpha_interval(given).high


def test_bootstrap_interval_is_seeded_and_holds_the_truth_as_a_rule() -> None:
    hits = 0
    for seed in range(40):
        x = power_law(np.random.default_rng([seed, 5]), 2.5, 300)
        interval = bootstrap_interval(x, fit_power_law(x), seed, replicas=200)
        hits += interval.low <= 2.5 <= interval.high
    assert hits >= 34
    fit = fit_power_law(x)
    assert bootstrap_interval(x, fit, 1, 50) == bootstrap_interval(x, fit, 1, 50)
    assert bootstrap_interval(x, fit, 1, 50) != bootstrap_interval(x, fit, 2, 50)


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("alpha", [-1.0, 1.0, 2.5])
def test_bounded_interval_covers_alpha(alpha: float, n: int) -> None:
    law, hits = PowerLawFit("PL", "one-sided", alpha=alpha, xmin=3.0, xmax=30.0, bounded=True), 0
    for seed in range(REPEATS):
        x = draw_tail(law, n, np.random.default_rng([seed, n]))
        interval = alpha_interval(fit_power_law(x, xmin=3.0, xmax="force"))
        hits += interval.low <= alpha <= interval.high
    assert COVERED[0] <= hits / REPEATS <= COVERED[1]


def test_bounded_interval_far_from_its_end_is_the_unbounded_one() -> None:
    x = np.append(power_law(np.random.default_rng(8), 3.0, 2000), 1e12)
    ours, plain = (alpha_interval(fit_power_law(x, xmin=1.0, xmax=end)) for end in ("force", None))
    assert (ours.low, ours.high) == pytest.approx((plain.low, plain.high), rel=0.02)


def test_bootstrap_holds_alpha_and_cutoff_as_a_rule() -> None:
    hits = np.zeros(2)
    for seed in range(12):
        x = with_cutoff(np.random.default_rng([seed, 15]), 2.0, 0.1, 100)
        found = bootstrap_intervals(x, fit_power_law(x, "TPL"), seed, replicas=40)
        hits += found.alpha.low <= 2.0 <= found.alpha.high, found.cutoff.low <= 0.1 <= found.cutoff.high
    assert hits.min() >= 8  # 11.4 expected
    x = power_law(np.random.default_rng(16), 2.5, 100)
    found = bootstrap_intervals(x, fit_power_law(x), 3, 20)
    assert found.alpha == bootstrap_interval(x, fit_power_law(x), 3, 20)
    assert np.isnan(found.cutoff.low)
    assert found.cutoff.reason == "a power law has no cutoff"


def test_failed_fits_have_no_interval() -> None:
    x = np.zeros(20)
    fit = fit_power_law(x)
    for interval in (alpha_interval(fit), bootstrap_interval(x, fit), bootstrap_intervals(x, fit).cutoff):
        assert np.isnan([interval.low, interval.high]).all()
        assert interval.reason == fit.reason
    ends = fit_power_law([1.0] * 10 + [2.0] * 10, xmin=1.0, xmax="force")
    assert np.isfinite(alpha_interval(ends).low)
    ends = fit_power_law([1.0] * 10 + [2.0], xmin=1.0, xmax="force")
    assert alpha_interval(ends).reason == "all eigenvalues of the tail equal one of its ends"


def test_bad_options() -> None:
    x = power_law(np.random.default_rng(13), 2.5, 50)
    fit, tpl = fit_power_law(x), fit_power_law(x, "TPL")
    with pytest.raises(OptionError, match=r"fit\.kind is 'TPL': give a PL fit"):
        alpha_interval(tpl)
    with pytest.raises(OptionError, match="replicas=0: give 1 or more"):
        bootstrap_intervals(x, fit, replicas=0)
    with pytest.raises(OptionError, match=r"level=1\.0: give a number between 0 and 1"):
        alpha_interval(fit, 1.0)
    with pytest.raises(OptionError, match="parameter='mu': no profile for the law 'power_law'"):
        profile_interval(x, fit_tail(x, 1.0, "power_law"), "mu")
