"""Other laws of a tail: normalisers against mpmath, truth from samples, likelihood ratios that tell laws apart."""

from itertools import pairwise
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import integrate
from scipy.optimize import minimize

from spinspectra.errors import OptionError
from spinspectra.spectra.power_law_kernels import cutoff_moments
from spinspectra.spectra.powerlaw import fit_power_law
from spinspectra.spectra.tails import LAWS, TailModel, compare, fit_tail, log_density, log_normaliser
from tests.spectra import reference


def power_law(rng: np.random.Generator, alpha: float, n: int) -> np.ndarray:
    return (1.0 - rng.random(n)) ** (-1.0 / (alpha - 1.0))


def with_cutoff(rng: np.random.Generator, alpha: float, cutoff: float, n: int) -> np.ndarray:
    """Exact rejection sampling from x >= 1: a power law, kept with chance exp(-cutoff (x - 1))."""
    x = np.empty(0)
    while x.size < n:
        draw = power_law(rng, alpha, 4 * n)
        x = np.append(x, draw[rng.random(draw.size) < np.exp(-cutoff * (draw - 1.0))])
    return x[:n]


def lognormal_above(rng: np.random.Generator, mu: float, sigma: float, xmin: float, n: int) -> np.ndarray:
    x = np.empty(0)
    while x.size < n:
        draw = np.exp(mu + sigma * rng.standard_normal(8 * n))
        x = np.append(x, draw[draw >= xmin])
    return x[:n]


@pytest.mark.parametrize("alpha", [1.0, 1.0001, 1.5, 2.0, 2.7, 3.0, 3.01, 5.0, 12.0, 60.0])
def test_normaliser_is_the_incomplete_gamma_function(alpha: float) -> None:
    with mpmath.workdps(40):
        for scale in (1e-13, 1e-8, 1e-4, 0.1, 1.0, 20.0, 700.0):
            a, b = mpmath.mpf(alpha), mpmath.mpf(scale)
            true = mpmath.log(mpmath.re(b ** (a - 1) * mpmath.gammainc(1 - a, b))) + b
            assert log_normaliser(alpha, scale) == pytest.approx(float(true), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(
    "model",
    [
        TailModel("power_law", 2.0, 1, alpha=2.5),
        TailModel("truncated_power_law", 2.0, 1, alpha=2.5, cutoff=0.3),
        TailModel("truncated_power_law", 2.0, 1, alpha=4.5, cutoff=0.0),
        TailModel("exponential", 2.0, 1, cutoff=0.7),
        TailModel("lognormal", 2.0, 1, mu=-1.0, sigma=0.8),
    ],
    ids=lambda model: model.law,
)
def test_densities_integrate_to_one(model: TailModel) -> None:
    def in_logs(t: float) -> float:
        return float(np.exp(log_density(model, 2.0 * np.exp(t)) + t) * 2.0)

    assert integrate.quad(in_logs, 0.0, 30.0, epsabs=1e-10)[0] == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize(("alpha", "cutoff"), [(1.5, 0.01), (2.0, 0.1), (2.5, 0.1), (3.5, 0.3), (5.0, 1.0)])
def test_cutoff_law_recovers_the_truth_beyond_alpha_three(alpha: float, cutoff: float) -> None:
    rng = np.random.default_rng(int(10 * alpha))
    fits = [fit_tail(3.0 * with_cutoff(rng, alpha, cutoff, 10_000), 3.0, "truncated_power_law") for _ in range(20)]
    for name, true in (("alpha", alpha), ("cutoff", cutoff / 3.0)):
        found = np.array([getattr(fit, name) for fit in fits])
        stderr = np.mean([getattr(fit, f"{name}_stderr") for fit in fits])
        assert found.mean() == pytest.approx(true, abs=4.0 * stderr / np.sqrt(20))
        assert 0.6 < found.std() / stderr < 1.5


@pytest.mark.parametrize("law", LAWS)
def test_no_other_parameters_are_more_likely(law: str) -> None:
    rng = np.random.default_rng(3)
    names = {
        "power_law": ["alpha"],
        "truncated_power_law": ["alpha", "cutoff"],
        "exponential": ["cutoff"],
        "lognormal": ["mu", "sigma"],
    }[law]
    for x in (with_cutoff(rng, 2.0, 0.2, 80), 1.0 + rng.exponential(size=200), 1.0 + rng.random(50)):
        fit = fit_tail(x, 1.0, law)
        best = np.array([getattr(fit, name) for name in names])

        def loss(values: np.ndarray, x=x) -> float:
            if law == "truncated_power_law" and (values[0] < 1.0 or values[1] <= 0.0):
                return np.inf
            if law == "lognormal" and values[1] <= 0.0:
                return np.inf
            model = TailModel(law, 1.0, x.size, **dict(zip(names, map(float, values), strict=True)))
            return -float(log_density(model, x).sum())

        if np.isfinite(best).all():  # else at the limit, see below
            found = minimize(loss, best * 1.02 + 0.001, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
            assert -fit.log_likelihood <= found.fun + 1e-6


def test_no_slope_is_left_at_the_fitted_cutoff_law() -> None:
    """Every tail of five kinds of data: at the bounds alpha = 1 and cutoff = 0 the slope may only point outwards."""
    rng = np.random.default_rng(0)
    kinds = [rng.exponential(size=400), rng.beta(0.5, 1.5, 400), np.exp(3 * rng.standard_normal(400))]
    for x in map(np.sort, [*kinds, power_law(rng, 3.0, 400), power_law(rng, 6.0, 400)]):
        for start in x[:-8]:
            tail = x[x >= start]
            fit = fit_tail(tail, start, "truncated_power_law")
            b = max(fit.cutoff * start, 1e-12)  # beside the bound, where the integrals exist
            t, y = np.log(tail / start).mean(), (tail / start).mean() - 1.0
            moments = cutoff_moments(fit.alpha, b)
            by_alpha, by_cutoff = (t - moments[1]) / moments[3] ** 0.5, (y - moments[2]) / moments[5] ** 0.5
            assert by_alpha > -1e-6 if fit.alpha == 1.0 else abs(by_alpha) < 1e-5
            if fit.cutoff > 0.0:
                assert abs(by_cutoff) < 1e-6
            else:
                assert fit.alpha > 2.0
                assert y >= 1.0 / (fit.alpha - 2.0)


def test_never_less_likely_than_the_peer() -> None:
    """TPL fits of powerlaw 1.5: equal to its optimiser's tolerance within, better where it halts near alpha = 1."""
    table = pd.read_csv(Path(reference.__file__).parents[1] / "data/weightwatcher-0.7.7/synthetic_fit_variants.csv")
    rows = table[table["variant"] == "powerlaw 1.5, TPL"]
    assert len(rows) == 7
    for _, row in rows.iterrows():
        x = np.linalg.svd(reference.matrices()[row["matrix"]], compute_uv=False) ** 2
        xmin = x[np.argmin(np.abs(x - row["xmin"]))]
        fit = fit_tail(x, xmin, "truncated_power_law")
        theirs = TailModel("truncated_power_law", xmin, fit.n, alpha=row["alpha"], cutoff=row["Lambda"])
        assert fit.log_likelihood >= log_density(theirs, x[x >= xmin]).sum()
        if row["alpha"] > 1.01:
            assert (fit.alpha, fit.cutoff) == pytest.approx((row["alpha"], row["Lambda"]), rel=2e-3)
            assert fit_power_law(x, "TPL").xmin == pytest.approx(xmin)


def test_lognormal_recovers_the_truth() -> None:
    rng = np.random.default_rng(4)
    fits = [fit_tail(lognormal_above(rng, 1.0, 2.0, 0.5, 10_000), 0.5, "lognormal") for _ in range(20)]
    assert np.mean([fit.mu for fit in fits]) == pytest.approx(1.0, abs=0.03)
    assert np.mean([fit.sigma for fit in fits]) == pytest.approx(2.0, abs=0.02)


def test_laws_that_end_at_the_power_law_say_so() -> None:
    x = np.exp(np.array([0.05] * 40 + [0.3] * 20 + [6.0] * 3))  # heavier than any power law
    for law in ("truncated_power_law", "lognormal"):
        fit = fit_tail(x, 1.0, law)
        assert fit.alpha == fit_tail(x, 1.0, "power_law").alpha
        assert "the power law itself is the best" in fit.reason
        assert compare(x, 1.0, "power_law", law).ratio == pytest.approx(0.0, abs=1e-9)


def test_likelihood_ratios_find_the_law() -> None:
    rng = np.random.default_rng(5)
    assert compare(power_law(rng, 2.5, 2000), 1.0, "power_law", "exponential").favoured == "power_law"
    assert compare(1.0 + rng.exponential(size=500), 1.0, "power_law", "exponential").favoured == "exponential"
    x = lognormal_above(rng, 1.0, 0.7, 1.0, 1000)
    assert compare(x, 1.0, "power_law", "lognormal").favoured == "lognormal"
    assert compare(with_cutoff(rng, 2.0, 0.1, 1000), 1.0, "power_law", "truncated_power_law").favoured != "power_law"


def test_a_ratio_turns_its_sign_with_the_order() -> None:
    x = power_law(np.random.default_rng(6), 2.5, 300)
    one, other = compare(x, 1.0, "power_law", "exponential"), compare(x, 1.0, "exponential", "power_law")
    assert one.ratio == -other.ratio
    assert (one.p, one.favoured) == (other.p, other.favoured)


def test_nested_p_is_uniform_on_power_laws() -> None:
    """Half of the samples want no cutoff (p = 1), and p < 0.1 in one of ten."""
    rng = np.random.default_rng(7)
    p = [compare(power_law(rng, 3.5, 2000), 1.0, "power_law", "truncated_power_law").p for _ in range(200)]
    assert 0.04 < np.mean(np.array(p) < 0.1) < 0.17  # 4 binomial errors
    assert 0.3 < np.mean(np.array(p) == 1.0) < 0.75  # its limit 1/2 is approached slowly


@pytest.mark.parametrize("kind", ["TPL", "E_TPL"])
def test_scanned_cutoff_law_recovers_the_truth(kind: str) -> None:
    found = [fit_power_law(with_cutoff(np.random.default_rng(seed), 2.5, 0.05, 1500), kind) for seed in range(12)]
    assert all(fit.status == "success" and fit.kind == kind for fit in found)
    assert np.median([fit.alpha for fit in found]) == pytest.approx(2.5, abs=0.15)
    assert np.median([fit.cutoff for fit in found]) == pytest.approx(0.05, abs=0.015)


def test_scan_takes_the_smallest_distance_of_its_own_law() -> None:
    x = np.sort(with_cutoff(np.random.default_rng(9), 2.0, 0.02, 60))
    fit, distances = fit_power_law(x, "TPL"), {}
    for start in x[: 60 - 7]:
        tail = x[x >= start]
        model = fit_tail(tail, start, "truncated_power_law")
        density = lambda value, model=model: float(np.exp(log_density(model, value)))  # noqa: E731
        steps = [integrate.quad(density, low, high)[0] for low, high in pairwise(tail)]
        distances[start] = np.abs(np.append(0.0, np.cumsum(steps)) - np.arange(tail.size) / tail.size).max()
    best = min(distances, key=distances.__getitem__)
    assert (fit.xmin, fit.ks_distance) == (best, pytest.approx(distances[best], rel=1e-6))
    model = fit_tail(x, fit.xmin, "truncated_power_law")
    assert (fit.alpha, fit.cutoff, fit.sigma) == pytest.approx((model.alpha, model.cutoff, model.alpha_stderr))


def test_failures_have_a_reason() -> None:
    fit = fit_tail([1.0, 5.0, 5.0], 2.0, "lognormal")
    assert (fit.status, fit.reason) == ("failed", "2 data at or above xmin; two different finite ones are needed")
    assert fit_tail([1.0, np.nan, 3.0], 1.0, "power_law").status == "failed"
    comparison = compare([1.0, 5.0, 5.0], 2.0)
    assert np.isnan(comparison.p)
    assert comparison.favoured == "neither"
    with pytest.raises(OptionError, match="law='zipf': give one of power_law, truncated_power_law"):
        fit_tail([1.0, 2.0], 1.0, "zipf")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"xmin=0\.0: give a positive finite number"):
        fit_tail([1.0, 2.0], 0.0, "power_law")
