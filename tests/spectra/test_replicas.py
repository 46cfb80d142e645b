"""Synthetic tails follow the law they are drawn from."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy import integrate, stats

from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law
from spinspectra.spectra.replicas import draw_tail, refit


def cutoff_cdf(alpha: float, b: float):
    """Of y = x/xmin, by quadrature of the density on a fine grid."""
    t = np.linspace(0.0, 40.0 / max(alpha - 1.0, 0.01) if b == 0.0 else np.log1p(60.0 / b), 400_001)
    mass = integrate.cumulative_simpson(np.exp(-(alpha - 1.0) * t - b * np.expm1(t)), x=t, initial=0.0)
    return lambda x: np.interp(np.log(x), t, mass / mass[-1])


@pytest.mark.parametrize(("alpha", "b"), [(1.0, 1e-6), (1.0, 3.0), (2.0, 0.1), (4.0, 1e-9), (1.5, 200.0)])
def test_draws_of_the_cutoff_law(alpha: float, b: float) -> None:
    fit = PowerLawFit("TPL", "one-sided", alpha=alpha, xmin=5.0, cutoff=b / 5.0)
    x = draw_tail(fit, 20_000, np.random.default_rng(1))
    assert x.shape == (20_000,)
    assert stats.kstest(x / 5.0, cutoff_cdf(alpha, b)).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [-50.0, -1.0, 1.0, 1.0 + 1e-14, 2.5, 80.0])
def test_draws_of_the_bounded_law(alpha: float) -> None:
    fit = PowerLawFit("PL", "one-sided", alpha=alpha, xmin=2.0, xmax=20.0, bounded=True)
    x = draw_tail(fit, 20_000, np.random.default_rng(2))
    assert x.min() >= 2.0
    assert x.max() <= 20.0 * (1.0 + 1e-12)
    assert stats.kstest(x / 2.0, cutoff_cdf_between(alpha, 10.0)).pvalue > 1e-3


def cutoff_cdf_between(alpha: float, end: float):
    t = np.linspace(0.0, np.log(end), 400_001)
    mass = integrate.cumulative_simpson(np.exp(-(alpha - 1.0) * t + min(alpha - 1.0, 0.0) * t[-1]), x=t, initial=0.0)
    return lambda x: np.interp(np.log(x), t, mass / mass[-1])


@pytest.mark.parametrize("cutoff", [np.nan, 0.0])
def test_draws_of_the_power_law(cutoff: float) -> None:
    fit = PowerLawFit("PL" if np.isnan(cutoff) else "TPL", "one-sided", alpha=2.5, xmin=3.0, cutoff=cutoff)
    x = draw_tail(fit, 20_000, np.random.default_rng(3))
    assert stats.kstest(x, stats.pareto(1.5, scale=3.0).cdf).pvalue > 1e-3


def test_refit_asks_for_what_was_fitted() -> None:
    x = (1.0 - np.random.default_rng(4).random(100)) ** -0.7
    for options in ({}, {"ks": "two-sided"}, {"xmin": 1.5}, {"xmax": "force"}, {"kind": "TPL"}, {"kind": "E_TPL"}):
        fit = fit_power_law(x, floor=0.0, **options)
        np.testing.assert_equal(asdict(refit(x, fit)), asdict(fit))
