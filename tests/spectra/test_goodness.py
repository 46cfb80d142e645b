"""Bootstrap p-values, intervals that cover the truth as often as they say, Hill's estimate."""

import numpy as np
import pytest

from spinspectra.errors import OptionError
from spinspectra.spectra.goodness import (
    alpha_interval,
    bootstrap_interval,
    goodness_of_fit,
    hill_alpha,
    profile_interval,
)
from spinspectra.spectra.powerlaw import fit_power_law
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


@pytest.mark.parametrize("ks", ["one-sided", "two-sided"])
def test_power_laws_pass_nine_times_of_ten(ks: str) -> None:
    passed = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 6])
        x = np.concatenate([power_law(rng, 2.5, 250), rng.random(100)])
        passed += bool(goodness_of_fit(x, fit_power_law(x, ks=ks), seed, replicas=100).plausible)
    assert passed >= 45  # 54 expected, 4 binomial errors


def test_p_is_uniform_at_a_given_xmin() -> None:
    p = []
    for seed in range(200):
        x = power_law(np.random.default_rng([seed, 7]), 3.0, 200)
        p.append(goodness_of_fit(x, fit_power_law(x, xmin=1.0), seed, replicas=100).p)
    share = np.searchsorted(np.sort(p), np.linspace(0.1, 0.9, 9)) / 200
    assert np.abs(share - np.linspace(0.1, 0.9, 9)).max() < 0.13  # Kolmogorov, 0.2 % level


def bulk(seed: int) -> np.ndarray:
    return np.linalg.svd(np.random.default_rng(seed).standard_normal((600, 300)), compute_uv=False) ** 2


def uniform(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(1000)


def exponential(seed: int) -> np.ndarray:
    return 1.0 + np.random.default_rng(seed).exponential(size=1000)


@pytest.mark.parametrize(
    ("draw", "xmin", "least"),
    [(exponential, 1.0, 10), (uniform, None, 7), (bulk, None, 7)],
    ids=["exponential", "uniform", "marchenko-pastur"],
)
def test_other_laws_are_called_not_a_power_law(draw, xmin: float | None, least: int) -> None:
    """All of 10 exponential samples from a given start; most bulks, the rest being tails of a few data."""
    judged = [goodness_of_fit(x, fit_power_law(x, xmin=xmin), replicas=100) for x in map(draw, range(10))]
    flagged = [each for each in judged if each.plausible is False]
    assert len(flagged) >= least
    assert all(each.p < 0.1 and each.verdict.startswith("not a power law (p = ") for each in flagged)
    assert all("rules out little" in each.verdict for each in judged if each.plausible)


def test_same_seed_same_p_and_the_sequence_is_not_used_up() -> None:
    x = power_law(np.random.default_rng(11), 2.5, 100)
    fit, seed = fit_power_law(x), np.random.SeedSequence(5)
    first = goodness_of_fit(x, fit, seed, replicas=100)
    assert goodness_of_fit(x, fit, seed, replicas=100) == first
    assert goodness_of_fit(1024.0 * x, fit_power_law(1024.0 * x), seed, replicas=100) == first


def test_failed_fits_have_no_p_and_no_interval() -> None:
    x = np.zeros(20)
    fit = fit_power_law(x)
    judged = goodness_of_fit(x, fit)
    assert np.isnan(judged.p)
    assert judged.plausible is None
    assert judged.verdict == "no fit to test: 0 eigenvalues above rounding, a tail needs 8"
    for interval in (alpha_interval(fit), bootstrap_interval(x, fit)):
        assert np.isnan([interval.low, interval.high]).all()
        assert interval.reason == fit.reason


def test_hill_is_its_formula_and_finds_alpha() -> None:
    x = np.arange(1.0, 11.0)
    assert hill_alpha(x[::-1], 3) == pytest.approx(1.0 + 3.0 / np.log(np.array([8.0, 9.0, 10.0]) / 7.0).sum())
    many = power_law(np.random.default_rng(12), 2.5, 100_000)
    assert hill_alpha(many) == pytest.approx(2.5, abs=4 * 1.5 / np.sqrt(50_000))
    assert np.isnan(hill_alpha(np.ones(20)))
    with pytest.raises(OptionError, match="k=10: give 1 to 9, there are 10 eigenvalues"):
        hill_alpha(x, 10)


def test_bad_options() -> None:
    x = power_law(np.random.default_rng(13), 2.5, 50)
    fit, tpl = fit_power_law(x), fit_power_law(x, "TPL")
    with pytest.raises(OptionError, match=r"fit\.kind is 'TPL': the test is for kind='PL'"):
        goodness_of_fit(x, tpl)
    with pytest.raises(OptionError, match="replicas=0: give 1 or more"):
        goodness_of_fit(x, fit, replicas=0)
    with pytest.raises(OptionError, match=r"level=1\.0: give a number between 0 and 1"):
        alpha_interval(fit, 1.0)
    with pytest.raises(OptionError, match="parameter='mu': no profile for the law 'power_law'"):
        profile_interval(x, fit_tail(x, 1.0, "power_law"), "mu")
