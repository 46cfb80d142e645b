"""Bootstrap p-values of power laws, bounded and cut off too; Hill's estimate."""

import numpy as np
import pytest

from spinspectra.errors import OptionError
from spinspectra.spectra.cutoff_kernels import closer_cutoff
from spinspectra.spectra.goodness import goodness_of_fit, hill_alpha
from spinspectra.spectra.powerlaw import fit_power_law
from tests.spectra.test_tails import power_law, with_cutoff


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


def test_failed_fits_have_no_p() -> None:
    x = np.zeros(20)
    fit = fit_power_law(x)
    judged = goodness_of_fit(x, fit)
    assert np.isnan(judged.p)
    assert judged.plausible is None
    assert judged.verdict == "no fit to test: 0 of 20 eigenvalues above rounding, a tail needs 8"


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
    with pytest.raises(OptionError, match="replicas=0: give 1 or more"):
        goodness_of_fit(x, fit_power_law(x), replicas=0)


def test_cutoff_laws_pass_and_others_do_not() -> None:
    passed = 0
    for seed in range(12):
        x = with_cutoff(np.random.default_rng([seed, 14]), 2.0, 0.1, 120)
        passed += bool(goodness_of_fit(x, fit_power_law(x, "TPL"), seed, replicas=25).plausible)
    assert passed >= 7  # 10.8 expected, less for 25 replicas
    x = np.concatenate([np.full(200, 1.0) + 0.01 * np.arange(200), np.linspace(40.0, 60.0, 200)])
    judged = goodness_of_fit(x, fit_power_law(x, "TPL"), replicas=25)
    assert judged.plausible is False
    assert judged.verdict == "not a power law with a cutoff (p = 0, 25 samples)"


@pytest.mark.parametrize("two_sided", [False, True])
def test_the_short_cut_of_the_cutoff_bootstrap_answers_as_the_full_fit(two_sided: bool) -> None:
    rng, answers = np.random.default_rng(15), []
    for scale in (1.0, 0.5, 2.0):
        for n in (8, 30, 80):
            x = np.sort(np.exp(scale * rng.standard_normal(n)))
            distance = fit_power_law(x, "TPL", ks="two-sided" if two_sided else "one-sided", floor=0.0).ks_distance
            logs, candidates = np.log(x / x[-1]), np.arange(n) <= n - 8
            for factor in (0.999, 1.001):
                for first in (0, n // 2):
                    closer = closer_cutoff(logs, candidates, two_sided, first, factor * distance)
                    answers.append(bool(closer) == (factor > 1.0))
    assert all(answers)


def test_bounded_law_is_judged_as_such() -> None:
    x = np.geomspace(1.0, 30.0, 300)  # alpha 1: no unbounded law is like it
    bounded = goodness_of_fit(x, fit_power_law(x, xmin=1.0, xmax="force"), replicas=50)
    assert (bounded.p, bounded.verdict) == (1.0, "a bounded power law is plausible (p = 1, 50 samples)")
    assert goodness_of_fit(x, fit_power_law(x, xmin=1.0), replicas=50).plausible is False
