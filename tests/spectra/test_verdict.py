"""The plain flag: its level on power laws, its distance against scipy, its power, and fits it cannot judge."""

import numpy as np
import pytest
from scipy import stats

from spinspectra.errors import OptionError
from spinspectra.spectra.powerlaw import fit_power_law
from spinspectra.spectra.verdict import verdict
from tests.spectra.test_tails import lognormal_above, power_law, with_cutoff

SAMPLES = 200


def flagged(draw, n: int, level: float = 0.1, **options) -> float:
    """Share of the samples called not a power law."""
    count = 0
    for seed in range(SAMPLES):
        x = draw(np.random.default_rng([seed, n]), n)
        count += verdict(x, fit_power_law(x, **options), level).power_law is False
    return count / SAMPLES


def with_body(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.concatenate([rng.random(n // 2), power_law(rng, 3.0, n - n // 2)])


@pytest.mark.parametrize("level", [0.1, 0.01])
@pytest.mark.parametrize("n", [50, 384])
@pytest.mark.parametrize("draw", [lambda rng, n: power_law(rng, 2.5, n), with_body], ids=["pure", "with a body"])
def test_power_laws_are_flagged_no_more_often_than_the_level_says(draw, n: int, level: float) -> None:
    assert flagged(draw, n, level) <= level + 2.0 * np.sqrt(level * (1.0 - level) / SAMPLES)


def test_level_holds_at_a_given_xmin_and_for_cutoff_fits() -> None:
    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return power_law(rng, 2.5, n)

    assert flagged(draw, 300, xmin=1.0) <= 0.14  # 2 binomial errors
    assert flagged(draw, 60, kind="TPL") <= 0.14


def test_distance_test_has_its_level() -> None:
    """p < 0.1, 0.05, 0.01 in so many of the exponential samples whose scale is estimated: Stephens' points."""
    p = []
    for seed in range(2000):
        x = power_law(np.random.default_rng([seed, 1]), 2.0, 60)
        p.append(verdict(x, fit_power_law(x, xmin=1.0)).ks_p)
    for level in (0.1, 0.05, 0.01):
        assert np.mean(np.array(p) < level) == pytest.approx(level, abs=3.5 * np.sqrt(level / 2000))


@pytest.mark.parametrize("xmin", [None, 1.0])
def test_distance_is_the_true_kolmogorov_distance(xmin: float | None) -> None:
    x = power_law(np.random.default_rng(2), 2.0, 200)
    fit = fit_power_law(x, xmin=xmin)
    tail = x[x >= fit.xmin]
    expected = stats.kstest(tail, stats.pareto(fit.alpha - 1.0, scale=fit.xmin).cdf).statistic
    assert verdict(x, fit).ks_two_sided == pytest.approx(expected, rel=1e-10)


def bulk(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.linalg.svd(rng.standard_normal((2 * n, n)), compute_uv=False) ** 2


@pytest.mark.parametrize(
    ("draw", "n", "least"),
    [
        (lambda rng, n: rng.random(n), 384, 0.6),
        (lambda rng, n: rng.exponential(size=n), 384, 0.25),
        (lambda rng, n: lognormal_above(rng, 0.0, 1.0, 0.0, n), 384, 0.25),
        (bulk, 100, 0.5),
    ],
    ids=["uniform", "exponential", "lognormal", "marchenko-pastur"],
)
def test_other_laws_are_found_even_with_a_scanned_xmin(draw, n: int, least: float) -> None:
    assert flagged(draw, n) >= least


def test_reasons_name_what_speaks_against() -> None:
    x = 1.0 + np.random.default_rng(3).exponential(size=500)
    found = verdict(x, fit_power_law(x, xmin=1.0))
    assert found.power_law is False
    assert found.reason.startswith("not a power law: the Kolmogorov-Smirnov distance 0.")
    assert "an exponential fits better (p = " in found.reason
    assert "a lognormal fits better (p = " in found.reason
    x = (1.0 - (np.arange(300) + 0.5) / 300.0) ** (-1.0 / 1.5)  # the quantiles of a power law
    found = verdict(x, fit_power_law(x, xmin=1.0))
    assert (found.power_law, found.reason) == (True, "a power law is not ruled out")
    short = verdict(x[::15], fit_power_law(x[::15], xmin=1.0))
    assert (short.power_law, short.reason) == (None, "a tail of 20 rules out little")


def test_a_cutoff_fit_is_judged_as_a_plain_power_law() -> None:
    x = with_cutoff(np.random.default_rng(5), 1.5, 0.2, 1000)
    assert verdict(x, fit_power_law(x, "TPL")).power_law is False


def test_a_bounded_fit_is_judged_by_its_own_law() -> None:
    x = np.geomspace(1.0, 30.0, 300)
    assert verdict(x, fit_power_law(x, xmin=1.0)).power_law is False
    bounded = verdict(x, fit_power_law(x, xmin=1.0, xmax="force"))
    assert bounded.power_law is True
    assert bounded.ks_two_sided == pytest.approx(1.0 / 300.0, rel=1e-6)
    assert np.isnan([bounded.exponential_p, bounded.lognormal_p]).all()
    two = np.concatenate([np.linspace(1.0, 1.1, 100), np.linspace(29.0, 30.0, 100)])
    assert verdict(two, fit_power_law(two, xmin=1.0, xmax="force")).power_law is False


def test_fingers_and_failed_fits() -> None:
    x = np.append(power_law(np.random.default_rng(6), 3.0, 200), 1e9)
    fit = fit_power_law(x, xmax=1e6)
    assert verdict(x, fit) == verdict(x[:-1], fit)
    failed = verdict(np.zeros(9), fit_power_law(np.zeros(9)))
    assert failed.power_law is None
    assert np.isnan([failed.ks_two_sided, failed.ks_p]).all()
    assert failed.reason == "no fit to judge: 0 of 9 eigenvalues above rounding, a tail needs 8"
    with pytest.raises(OptionError, match=r"level=0\.0: give a number between 0 and 1"):
        verdict(x, fit, 0.0)
