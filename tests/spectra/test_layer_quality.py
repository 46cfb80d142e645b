"""SETOL's qualities of a tail: worked by hand, their limits and identities, and where each model does not hold."""

import re

import numpy as np
import pytest

from spinspectra.errors import NonFiniteError, OptionError
from spinspectra.spectra.effective_space import effective_space
from spinspectra.spectra.layer_quality import QUALITIES, layer_quality
from spinspectra.spectra.powerlaw import fit_power_law

HEAVY = np.random.default_rng(0).pareto(1.5, 400) + 0.1


def test_worked_by_hand() -> None:
    """Mean 1 already; the tail is 2 and 1. Of two atoms a < b: R(z) = (a + b)/2 + (sqrt(1 + d^2 z^2) - 1)/(2 z)."""
    found = layer_quality([0.5, 2.0, 0.5, 1.0], 1.0, alpha=2.0)
    assert found.n_tail == 2
    assert found.bulk_spikes == pytest.approx(np.log10(3.0))
    assert found.free_cauchy == found.levy_wigner == pytest.approx(np.log10(2.0))
    assert found.inverse_mp == pytest.approx(0.5 * np.log10(np.log(2.0)))  # kappa = 1, one term, the other is 0
    assert found.inverse_mp_limit == pytest.approx(np.log10(2.0))
    z = np.array([0.5, 1.0])
    root = np.sqrt(1.0 + z**2)
    squared = float(np.sum(1.5 * z + 0.5 * (root - 1.0 - np.log((1.0 + root) / 2.0))))
    assert found.computed == pytest.approx(0.5 * np.log10(squared))
    series = float(np.sum(1.5 * z + 0.25 * z**2 / 2.0 - 0.0625 * z**4 / 4.0))
    assert layer_quality([0.5, 2.0, 0.5, 1.0], 1.0, 2.0, order=4).computed_series == pytest.approx(
        0.5 * np.log10(series)
    )
    assert found.cumulants == pytest.approx((1.5, 0.25, 0.0, -0.0625, 0.0), abs=1e-12)
    assert found.reasons == {}


@pytest.mark.parametrize("exponent", [-40, -1, 7, 40])
def test_the_unit_of_the_weights_does_not_matter(exponent: int) -> None:
    plain = layer_quality(HEAVY, 1.0, 1.9)
    scaled = layer_quality(HEAVY * 2.0**exponent, 2.0**exponent, 1.9)
    for name in QUALITIES:
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), nan_ok=True)


def test_of_one_eigenvalue_all_norms_are_one() -> None:
    """Its R-transform is itself, so Q^2 = e^2."""
    found = layer_quality([8.0, 1.0, 1.0, 2.0], 5.0, 2.0)
    assert found.n_tail == 1
    for value in (found.bulk_spikes, found.free_cauchy, found.levy_wigner, found.computed, found.computed_series):
        assert value == pytest.approx(np.log10(8.0 / 3.0))
    assert np.isnan(found.inverse_mp)
    assert found.reasons["inverse_mp"] == "the tail is a single value"


def test_on_the_power_laws_own_tail_inverse_mp_knows_only_alpha_and_the_size() -> None:
    """Maximum likelihood: sum ln(x / xmin) = n / (alpha - 1), so Q^2 = n alpha / (2 (alpha - 1))."""
    fit = fit_power_law(HEAVY)
    found = layer_quality(HEAVY, fit.xmin, fit.alpha)
    squared = fit.n_tail * fit.alpha / (2.0 * (fit.alpha - 1.0))
    assert found.inverse_mp == pytest.approx(0.5 * np.log10(squared))


def test_on_the_effective_space_inverse_mp_knows_only_its_edge() -> None:
    """sum ln(e / e_min) = log det - n ln e_min, and log det is nearly 0."""
    space = effective_space(HEAVY)
    found = layer_quality(HEAVY, space.lambda_min, 3.0)
    assert found.n_tail == space.n_tail
    squared = 1.5 * (space.log_det - space.n_tail * np.log(space.lambda_min_rescaled))
    assert found.inverse_mp == pytest.approx(0.5 * np.log10(squared))


def test_a_long_tail_is_computed_as_its_mean() -> None:
    """z_i = e_i / n: the second term is kappa_2 m_2 / (2 n kappa_1^2) of the first, 1/7,500 here."""
    values = np.linspace(0.5, 1.5, 5_000)
    found = layer_quality(values, 1.0, 3.0)
    assert found.computed == pytest.approx(found.bulk_spikes - np.log10(found.n_tail), abs=1e-5)
    assert found.computed_series == pytest.approx(found.computed, abs=1e-12)


def test_a_series_that_misses_the_integral_is_no_number() -> None:
    """One spike of 1000 in a tail of 20: kappa_k z^k grows without end, but the integral is there."""
    found = layer_quality(np.r_[np.ones(20), 1000.0, np.full(80, 0.1)], 1.0, 2.0)
    assert np.isnan(found.computed_series)
    assert list(found.reasons) == ["computed_series"]
    assert re.fullmatch(r"5 cumulants miss the integral by \S+ %", found.reasons["computed_series"])
    assert found.free_cauchy > found.computed > 0.0


@pytest.mark.parametrize(
    ("alpha", "missing"),
    [
        (1.0, {"free_cauchy", "levy_wigner", "inverse_mp", "inverse_mp_limit"}),
        (1.01, {"free_cauchy"}),
        (1.99, {"free_cauchy"}),
        (2.0, set()),
        (2.01, {"levy_wigner"}),
        (4.0, {"levy_wigner"}),
        (4.01, {"levy_wigner", "inverse_mp", "inverse_mp_limit"}),
        (np.nan, {"free_cauchy", "levy_wigner", "inverse_mp", "inverse_mp_limit"}),
    ],
)
def test_each_model_keeps_to_its_range(alpha: float, missing: set[str]) -> None:
    found = layer_quality([0.5, 2.0, 0.5, 1.0], 1.0, alpha, order=4)
    assert set(found.reasons) == missing == {name for name in QUALITIES if np.isnan(getattr(found, name))}
    assert all("alpha" in reason for reason in found.reasons.values())


@pytest.mark.parametrize(("values", "start"), [([1.0, 2.0], np.nan), ([1.0, 2.0], 3.0), ([0.0, 0.0], np.nan)])
def test_without_a_tail_there_is_no_quality(values: list[float], start: float) -> None:
    found = layer_quality(values, start, 2.0)
    assert (found.n_tail, found.cumulants) == (0, ())
    assert found.reasons == dict.fromkeys(QUALITIES, "there is no tail")
    assert all(np.isnan(getattr(found, name)) for name in QUALITIES)


def test_bad_arguments() -> None:
    with pytest.raises(NonFiniteError, match="1 of 2 eigenvalues"):
        layer_quality([1.0, np.inf], 0.5, 2.0)
    with pytest.raises(OptionError, match=re.escape("order=0")):
        layer_quality([1.0, 2.0], 0.5, 2.0, order=0)
