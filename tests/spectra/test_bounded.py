"""The power law with an end: its score equation, the definition done slowly, limits, the peer's closed form beaten."""

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import integrate
from scipy.optimize import minimize_scalar

from spinspectra.errors import OptionError
from spinspectra.spectra.bounded_kernels import bounded_variance, solve_bounded
from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law
from spinspectra.spectra.replicas import draw_tail
from spinspectra.spectra.tails import TailModel, log_density
from tests.spectra import reference


def log_likelihood(alpha: float, x: np.ndarray, xmin: float) -> float:
    """Of ln(x/xmin) over the tail of x, straight from the density, alpha != 1."""
    t, a = np.log(x[x >= xmin] / xmin), alpha - 1.0
    return float(-a * t.sum() - t.size * np.log(-np.expm1(-a * t.max()) / a))


@pytest.mark.parametrize("u", [-300.0, -7.0, -0.3, -1e-3, 1e-9, 0.049, 0.051, 2.0, 40.0, 5000.0])
def test_score_equation_is_solved(u: float) -> None:
    with mpmath.workdps(60):
        exact = mpmath.mpf(u)
        mean = 1 / exact - 1 / mpmath.expm1(exact)
        variance = 1 / exact**2 - mpmath.exp(exact) / mpmath.expm1(exact) ** 2
    assert solve_bounded(float(mean)) == pytest.approx(u, rel=1e-9 * (1.0 + abs(u)), abs=1e-13)
    assert bounded_variance(u) == pytest.approx(float(variance), rel=1e-9)
    assert solve_bounded(0.5) == 0.0


@pytest.mark.parametrize("alpha", [-2.0, 0.0, 1.0, 1.7, 3.0])
def test_truth_at_a_given_xmin(alpha: float) -> None:
    law = PowerLawFit("PL", "one-sided", alpha=alpha, xmin=0.5, xmax=15.0, bounded=True)
    samples = [draw_tail(law, 2000, np.random.default_rng(seed)) for seed in range(50)]
    found = [fit_power_law(x, xmin=0.5, xmax="force") for x in samples]
    assert all(fit.bounded and fit.n_tail == 2000 for fit in found)
    sigma = float(np.mean([fit.sigma for fit in found]))
    errors = np.array([fit.alpha for fit in found]) - alpha
    assert errors.mean() == pytest.approx(0.0, abs=4 * sigma / np.sqrt(50) + 0.1 * sigma)
    assert errors.std() == pytest.approx(sigma, rel=0.4)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("n", [8, 19, 33, 120])
def test_equals_the_definition(n: int, two_sided: bool) -> None:
    rng = np.random.default_rng(n)
    for x in (rng.random(n) + 0.1, rng.pareto(1.3, n) + 0.2, np.round(rng.pareto(1.0, n) * 3 + 1)):
        x, found = np.sort(x), []
        for start in np.unique(x)[:-1]:
            tail, j = x[x >= start], np.arange(np.count_nonzero(x >= start))
            if n < 20 and tail.size < 8:
                continue
            best = minimize_scalar(
                lambda a, start=start, x=x: -log_likelihood(a, x, start),
                bounds=(-500.0 / np.log(x[-1] / start), 500.0 / np.log(x[-1] / start)),
                options={"xatol": 1e-10},
                method="bounded",
            )
            cdf = np.expm1((1.0 - best.x) * np.log(tail / start))
            cdf /= cdf[-1]
            gaps = [np.abs(cdf - j / tail.size).max(), np.abs(cdf - (j + 1) / tail.size).max()]
            found.append((max(gaps) if two_sided else gaps[0], start, best.x))
        fit = fit_power_law(x, ks="two-sided" if two_sided else "one-sided", xmax="force")
        assert (fit.ks_distance, fit.xmin) == pytest.approx(min(found)[:2], rel=1e-5)
        assert fit.alpha == pytest.approx(min(found)[2], abs=1e-4)
        assert fit.n_tail == np.count_nonzero(x >= fit.xmin)
        assert fit.xmax == x[-1]


def test_far_end_is_no_end() -> None:
    x = np.append((1.0 - np.random.default_rng(1).random(5000)) ** -0.4, 1e9)
    bounded, plain = fit_power_law(x, xmin=1.0, xmax="force"), fit_power_law(x, xmin=1.0)
    assert bounded.alpha == pytest.approx(plain.alpha, rel=1e-12)
    assert bounded.sigma == pytest.approx(plain.sigma, rel=1e-9)


def test_never_less_likely_than_the_closed_form_of_the_peer() -> None:
    """powerlaw 1.5 with xmax takes the unbounded law's alpha."""
    table = pd.read_csv(reference._FOLDER / "synthetic_fit_variants.csv")
    rows = table[table["variant"] == "powerlaw 1.5, PL, xmax=force"]
    assert len(rows) == 12
    better = 0
    for _, row in rows.iterrows():
        x = np.linalg.svd(reference.matrices()[row["matrix"]], compute_uv=False) ** 2
        xmin = float(x[np.argmin(np.abs(x - row["xmin"]))])
        fit = fit_power_law(x, xmin=xmin, xmax="force")
        assert fit.n_tail == row["num_pl_spikes"]
        gain = log_likelihood(fit.alpha, x, xmin) - log_likelihood(row["alpha"], x, xmin)
        assert gain >= 0.0
        better += gain > 1.0
    assert better >= 4


@pytest.mark.parametrize("alpha", [-200.0, 0.3, 1.0, 2.5, 300.0])
def test_density_integrates_to_one(alpha: float) -> None:
    model = TailModel("power_law", 2.0, 10, alpha=alpha, xmax=60.0)
    t = np.linspace(0.0, np.log(30.0), 200_001)
    density = np.exp(log_density(model, np.minimum(2.0 * np.exp(t), 60.0)) + np.log(2.0) + t)
    assert integrate.simpson(density, x=t) == pytest.approx(1.0, abs=1e-6)


def test_unit_and_fingers() -> None:
    x = np.random.default_rng(3).random(300) + 0.5
    fit, other = fit_power_law(x, xmax="force"), fit_power_law(x * 2.0**-40, xmax="force")
    assert (other.alpha, other.sigma, other.ks_distance) == (fit.alpha, fit.sigma, fit.ks_distance)
    x = np.append((1.0 - np.random.default_rng(4).random(200)) ** 0.3, 50.0)
    clipped = fit_power_law(x, xmax="force", fix_fingers="clip_xmax", finger_thresh=0.1)
    assert clipped.xmax == np.sort(x)[-1 - clipped.n_fingers]


def test_bad_options() -> None:
    x = np.arange(1.0, 30.0)
    for options, text in (
        ({"xmax": "most"}, "xmax='most': give a positive number, 'force' or None"),
        (
            {"xmax": "force", "kind": "TPL"},
            "xmax='force' goes with kind='PL', not 'TPL': a cutoff is an end of its own",
        ),
    ):
        with pytest.raises(OptionError) as error:
            fit_power_law(x, **options)
        assert str(error.value) == text
