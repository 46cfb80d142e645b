"""What every tail fit obeys whatever the data, and data that are hardly a sample."""

import warnings
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinspectra.spectra.intervals import alpha_interval
from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law
from spinspectra.spectra.verdict import verdict

OPTIONS = st.sampled_from([{}, {"ks": "two-sided"}, {"xmax": "force"}, {"kind": "TPL"}, {"kind": "E_TPL"}])
SPECTRA = st.lists(st.floats(1e-6, 1e6), max_size=50).map(np.array)


def is_sound(x: np.ndarray, fit: PowerLawFit) -> None:
    """A number for all or a reason for none."""
    if fit.status == "failed":
        assert fit.reason
        assert np.isnan([fit.alpha, fit.xmin, fit.xmax, fit.ks_distance, fit.sigma]).all()
        return
    assert fit.reason == ""
    assert fit.xmin in x
    assert fit.n_tail == np.count_nonzero(x >= fit.xmin)
    assert fit.xmax == x.max()
    assert np.isfinite([fit.alpha, fit.log_excess]).all()
    assert fit.bounded or fit.alpha >= 1.0
    assert fit.sigma > 0.0 or (fit.kind != "PL" and np.isnan(fit.sigma))
    assert 0.0 <= fit.ks_distance <= 1.0


@settings(max_examples=100, deadline=None)
@given(x=SPECTRA, options=OPTIONS)
def test_xmin_is_a_datum_and_the_tail_is_what_lies_above(x: np.ndarray, options: dict) -> None:
    is_sound(x, fit_power_law(x, floor=0.0, **options))


@settings(max_examples=60, deadline=None)
@given(x=SPECTRA, options=OPTIONS, power=st.integers(-200, 200))
def test_alpha_is_free_of_the_unit_bit_for_bit(x: np.ndarray, options: dict, power: int) -> None:
    fit, other = fit_power_law(x, **options), fit_power_law(x * 2.0**power, **options)
    assert other.status == fit.status
    np.testing.assert_array_equal([other.alpha, other.sigma, other.n_tail], [fit.alpha, fit.sigma, fit.n_tail])


@settings(max_examples=60, deadline=None)
@given(x=SPECTRA, options=OPTIONS, seed=st.integers(0, 99))
def test_order_does_not_matter(x: np.ndarray, options: dict, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(x)
    np.testing.assert_equal(asdict(fit_power_law(shuffled, **options)), asdict(fit_power_law(x, **options)))


@settings(max_examples=60, deadline=None)
@given(
    x=st.lists(st.integers(1, 10_000), min_size=8, max_size=40, unique=True).map(lambda x: np.array(x, dtype=float)),
    power=st.floats(0.4, 2.5),
    xmax=st.sampled_from([None, "force"]),
)
def test_powers_of_the_data_divide_alpha_less_one(x: np.ndarray, power: float, xmax: str | None) -> None:
    fit, other = (fit_power_law(y, xmin=float(np.sort(y)[x.size // 4]), xmax=xmax) for y in (x, x**power))
    assert other.alpha - 1.0 == pytest.approx((fit.alpha - 1.0) / power, rel=1e-9, abs=1e-9)
    assert other.ks_distance == pytest.approx(fit.ks_distance, rel=1e-9, abs=1e-12)


def test_powers_of_a_sample_scan_to_the_same_tail() -> None:
    for seed in range(20):
        x = np.random.default_rng(seed).lognormal(size=200)
        fit, cubed = fit_power_law(x), fit_power_law(x**3)
        assert cubed.n_tail == fit.n_tail
        assert cubed.alpha == pytest.approx((fit.alpha - 1.0) / 3.0 + 1.0, rel=1e-9)


DEGENERATE = {
    "twenty the same": np.full(20, 0.7),
    "two values": np.repeat([1.0, 100.0], 10),
    "two clusters": np.concatenate([np.linspace(1.0, 1.01, 30), np.linspace(100.0, 101.0, 30)]),
    "two tight clusters": np.concatenate([1.0 + 1e-12 * np.arange(30), 100.0 + 1e-10 * np.arange(30)]),
    "ties": np.repeat(np.arange(1.0, 12.0), 5),
    "one above ties": np.append(np.full(40, 1.0), 5.0),
    "36 decades": np.logspace(-30.0, 6.0, 200),
    "eight": np.arange(1.0, 9.0),
    "seven": np.arange(1.0, 8.0),
    "one": np.ones(1),
    "none": np.empty(0),
    "subnormal": np.full(20, 5e-324) * np.arange(1, 21),
    "huge": 1e307 * np.linspace(1.0, 17.0, 30),
}


@pytest.mark.parametrize("options", [{}, {"ks": "two-sided"}, {"xmax": "force"}, {"kind": "TPL"}, {"kind": "E_TPL"}])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_data_give_sound_numbers_or_a_reason(name: str, options: dict) -> None:
    x = DEGENERATE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_power_law(x, **options)
        is_sound(x, fit)
        found = verdict(x, fit)
        assert found.reason
        if fit.status == "success":
            assert 0.0 <= found.ks_two_sided <= 1.0
            assert 0.0 <= found.ks_p <= 1.0
        if fit.kind == "PL":
            interval = alpha_interval(fit)
            assert interval.reason or interval.low <= interval.high
    if name in ("twenty the same", "seven", "one", "none"):
        assert fit.status == "failed"


def test_two_values_are_no_power_law() -> None:
    x = np.repeat([1.0, 100.0], 100)
    assert verdict(x, fit_power_law(x)).power_law is False


def test_eight_are_one_tail() -> None:
    x = np.arange(1.0, 9.0)
    fit = fit_power_law(x)
    assert (fit.n_tail, fit.xmin) == (8, 1.0)
    assert fit.alpha == pytest.approx(1.0 + 7.0 / np.log(x).sum())
