"""The Marchenko-Pastur law against quadrature and Gaussian matrices; its fit against planted noise and spikes."""

import numpy as np
import pytest
import scipy.integrate
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.marchenko_pastur import (
    MarchenkoPastur,
    MarchenkoPasturFit,
    fit_marchenko_pastur,
    tracy_widom_quantile,
)

Matrix = NDArray[np.float64]

SEEDS = 100

# weightwatcher 0.7.7 on Gaussian matrices: seed, shape, divisor, then its sigma_mp, bulk_max and W_scale
PEER = {
    "gauss_square_256": (1, (256, 256), 16, 1.0069997121720173, 4.023596627736082, 1.0040425646000082),
    "gauss_tall_1024x256": (2, (1024, 256), 32, 1.0017004725860619, 2.25671342569192, 1.0002093992302987),
    "gauss_wide_128x512": (3, (128, 512), 16, 1.0002300071352828, 4.4804436507151095, 0.7088112934971024),
    "gauss_512x2048": (4, (512, 2048), 32, 1.0011530413081113, 4.502651578272039, 0.7077136287670915),
    "tiny_30x30": (10, (30, 30), 5, 1.005257352983239, 4.858446396211529, 0.912133794007263),
}


def gauss(seed: int, *shape: int) -> Matrix:
    return np.random.default_rng(seed).standard_normal(shape)


def unit(seed: int, size: int) -> Matrix:
    vector = gauss(seed, size)
    return vector / np.linalg.norm(vector)


def spiked(seed: int, n: int, m: int, n_spikes: int, strength: float) -> Matrix:
    """Unit noise plus signals of `strength` times the transition's singular value (n m)^(1/4), (n, m)."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, m))
    left = np.linalg.qr(rng.standard_normal((n, n_spikes)))[0]
    right = np.linalg.qr(rng.standard_normal((m, n_spikes)))[0]
    return noise + strength * (n * m) ** 0.25 * left @ right.T


def fit(matrix: Matrix | list[Matrix]) -> MarchenkoPasturFit:
    return fit_marchenko_pastur(esd(matrix))


@pytest.mark.parametrize("sigma", [1.0, 0.3])
@pytest.mark.parametrize("q", [0.5, 0.9, 1.0, 257 / 256, 2.0, 4.0, 80.0, 1e4])
class TestLaw:
    def test_mass_is_one(self, q: float, sigma: float) -> None:
        law = MarchenkoPastur(q, sigma)

        def in_angle(angle: float) -> float:  # x = lower + width sin^2: no square-root ends left
            width = law.upper - law.lower
            x = law.lower + width * np.sin(angle) ** 2
            return float(law.pdf(x)) * width * np.sin(2 * angle)

        mass, _ = scipy.integrate.quad(in_angle, 1e-9, np.pi / 2 - 1e-9)
        assert mass + law.atom == pytest.approx(1.0, abs=1e-7)

    def test_cdf_is_the_integral_of_the_pdf(self, q: float, sigma: float) -> None:
        law = MarchenkoPastur(q, sigma)
        for x in np.linspace(law.lower, law.upper, 9)[1:-1]:
            above, _ = scipy.integrate.quad(lambda t: float(law.pdf(t)), x, law.upper, limit=200)
            assert 1.0 - float(law.cdf(x)) == pytest.approx(above, abs=1e-7)

    def test_ends(self, q: float, sigma: float) -> None:
        law = MarchenkoPastur(q, sigma)
        assert float(law.cdf(law.lower)) == pytest.approx(law.atom, abs=1e-12)
        assert float(law.cdf(law.upper)) == pytest.approx(1.0, abs=1e-12)
        assert float(law.cdf(-1e-9)) == 0.0
        assert float(law.cdf(2 * law.upper)) == pytest.approx(1.0, abs=1e-12)
        assert np.all(law.pdf(np.array([-1.0, 0.5 * law.lower - 1e-9, 1.001 * law.upper])) == 0.0)

    def test_quantile_inverts_the_cdf(self, q: float, sigma: float) -> None:
        law = MarchenkoPastur(q, sigma)
        p = law.atom + (1.0 - law.atom) * np.array([1e-6, 0.01, 0.3, 0.5, 0.9, 0.999999])
        np.testing.assert_allclose(law.cdf(law.quantile(p)), p, atol=1e-10)
        if q >= 1.0:
            np.testing.assert_allclose(law.fast_quantile(p), law.quantile(p), atol=2e-5 * (law.upper - law.lower))

    def test_mean_is_the_variance(self, q: float, sigma: float) -> None:
        law = MarchenkoPastur(q, sigma)  # tr W^T W / (N M) = sigma^2
        p = (np.arange(4000) + 0.5) / 4000
        assert float(law.quantile(p).mean()) == pytest.approx(sigma**2, rel=1e-3)


@pytest.mark.parametrize(("n", "m"), [(300, 600), (600, 600), (1200, 600), (8000, 100)])
def test_law_describes_a_gaussian_matrix(n: int, m: int) -> None:
    matrix = 0.7 * gauss(3, n, m)
    values = np.linalg.eigvalsh(matrix.T @ matrix) / n
    law = MarchenkoPastur(n / m, 0.7)
    at = np.linspace(law.lower + 0.02, law.upper, 25)
    counted = np.searchsorted(values, at) / m
    assert np.max(np.abs(counted - law.cdf(at))) < 3.0 / min(n, m)


@pytest.mark.parametrize(("q", "sigma"), [(0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0), (1.0, float("inf"))])
def test_law_refuses_nonsense(q: float, sigma: float) -> None:
    with pytest.raises(OptionError, match="must be positive"):
        MarchenkoPastur(q, sigma)
    with pytest.raises(OptionError, match="probabilities from 0 to 1"):
        MarchenkoPastur(2.0).quantile([0.5, 1.1])


def test_tracy_widom_quantiles() -> None:
    published = {0.05: 0.9793, 0.01: 2.0234, 0.001: 3.2724}  # Johnstone 2001, Bejan 2005
    for tail, quantile in published.items():
        assert tracy_widom_quantile(tail) == pytest.approx(quantile, abs=3e-4)
    with pytest.raises(OptionError, match="tail"):
        tracy_widom_quantile(0.9)


SHAPES = [(100, 100), (257, 256), (200, 100), (100, 200), (400, 100)]


@pytest.mark.parametrize(("n", "m"), [*SHAPES, (4000, 50)])
def test_pure_noise_has_no_spikes_and_the_right_edges(n: int, m: int) -> None:
    fits = [fit(0.05 * gauss(seed, n, m)) for seed in range(SEEDS)]
    big, small = max(n, m), min(n, m)
    upper, lower = 0.05**2 * (big**0.5 + small**0.5) ** 2, 0.05**2 * (big**0.5 - small**0.5) ** 2
    assert sum(f.n_spikes == 0 for f in fits) >= 95
    assert np.mean([f.bulk_max for f in fits]) == pytest.approx(upper, rel=0.01)
    assert np.mean([f.bulk_min for f in fits]) == pytest.approx(lower, abs=0.02 * upper)
    assert np.mean([f.sigma for f in fits]) == pytest.approx(0.05, rel=0.005)
    assert np.mean([f.sigma_rescaled for f in fits]) == pytest.approx(1.0, rel=0.005)
    assert all(f.ks_distance < 5.0 / small and f.reason == "" for f in fits)


@pytest.mark.parametrize("n_spikes", [1, 5, 20])
@pytest.mark.parametrize(("n", "m"), [*SHAPES, (100, 8000)])
def test_planted_spikes_are_counted(n: int, m: int, n_spikes: int) -> None:
    fits = [fit(spiked(seed, n, m, n_spikes, 3.0)) for seed in range(SEEDS)]
    assert sum(f.n_spikes == n_spikes for f in fits) >= 97
    # the noise that n_spikes strong signals leave free is an (n - k) x (m - k) matrix
    edge = ((n - n_spikes) ** 0.5 + (m - n_spikes) ** 0.5) ** 2
    assert np.mean([f.bulk_max for f in fits]) == pytest.approx(edge, rel=0.03)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.4])
@pytest.mark.parametrize(("n", "m"), [(300, 300), (600, 300)])
def test_low_rank_signal_of_a_tenth_and_more_of_the_dimensions(n: int, m: int, fraction: float) -> None:
    rank = int(fraction * m)
    found = fit(spiked(1, n, m, rank, 10.0))
    assert found.n_spikes == rank
    assert found.bulk_max == pytest.approx(((n - rank) ** 0.5 + (m - rank) ** 0.5) ** 2, rel=0.03)
    assert found.sigma == pytest.approx(1.0, rel=0.02)


def test_spikes_of_many_strengths() -> None:
    rng = np.random.default_rng(5)
    left, right = np.linalg.qr(gauss(6, 300, 40))[0], np.linalg.qr(gauss(7, 200, 40))[0]
    strengths = (300 * 200) ** 0.25 * np.exp(rng.uniform(np.log(2.2), np.log(30.0), 40))
    assert fit(gauss(8, 300, 200) + (left * strengths) @ right.T).n_spikes == 40


def test_below_the_transition_nothing_is_counted() -> None:
    assert sum(fit(spiked(seed, 200, 200, 3, 0.6)).n_spikes for seed in range(20)) <= 1


@pytest.mark.parametrize("n", [256, 257])
def test_square_spiked_matrix_keeps_its_edge(n: int) -> None:
    """The peer: 7.85 for n = 256, 0.997 and 81 spikes for n = 257; the true edge is 4.0."""
    found = fit(gauss(1, n, 256) / 16 + 20 * np.outer(unit(4, n), unit(5, 256)))
    assert found.n_spikes == 1
    assert found.bulk_max == pytest.approx(4.0, rel=0.02)
    assert found.bulk_min == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("strength", [100.0, 1e4, 1e6])
def test_strong_spike_does_not_move_the_edge(strength: float) -> None:
    """The peer: 25.0 for a true edge of 2.60, and a soft rank at the floor of its grid."""
    noise = gauss(2, 400, 150) / 20
    found = fit(noise + strength * np.outer(unit(4, 400), unit(5, 150)))
    assert found.n_spikes == 1
    assert found.bulk_max == pytest.approx(2.60, rel=0.02)
    assert found.bulk_max == pytest.approx(fit(noise).bulk_max, rel=0.02)
    assert found.softrank == pytest.approx(2.60 / strength**2, rel=0.03)


@pytest.mark.parametrize("power", [-200, -7, 1, 200])
def test_scale_invariance(power: int) -> None:
    matrix = spiked(0, 120, 80, 4, 3.0)
    one, two = fit(matrix), fit(np.ldexp(matrix, power))
    for name in ("n_spikes", "softrank", "ks_distance", "sigma_rescaled", "signal_to_noise"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-12)
    assert two.bulk_max == pytest.approx(np.ldexp(one.bulk_max, 2 * power), rel=1e-12)
    assert two.sigma == pytest.approx(np.ldexp(one.sigma, power), rel=1e-12)


@pytest.mark.parametrize("kind", ["uniform", "sign", "student"])
def test_the_law_of_the_entries_does_not_matter(kind: str) -> None:
    rng = np.random.default_rng(2)
    entries = {
        "uniform": rng.random((300, 200)) - 0.5,
        "sign": rng.choice([-1.0, 1.0], (300, 200)),
        "student": rng.standard_t(8, (300, 200)),
    }[kind]
    found = fit(entries)
    assert found.n_spikes == 0
    assert found.sigma == pytest.approx(entries.std(), rel=0.01)


def test_pooled_slices() -> None:
    fits = [fit(list(gauss(seed, 9, 48, 24))) for seed in range(SEEDS)]
    assert sum(f.n_spikes == 0 for f in fits) >= 97
    assert np.mean([f.sigma for f in fits]) == pytest.approx(1.0, rel=0.01)
    slices = gauss(0, 9, 48, 24)
    slices[4] += 40.0 * np.outer(unit(1, 48), unit(2, 24))
    found = fit(list(slices))
    width = found.sigma**2 * (47**0.5 + 24**0.5) * (47**-0.5 + 24**-0.5) ** (1 / 3)
    assert found.n_spikes == 1
    assert found.margin == pytest.approx(tracy_widom_quantile(1e-3 / 9) * width, rel=0.05)  # not that of one slice


def test_columns_that_are_zero_do_not_count() -> None:
    matrix = gauss(0, 300, 100)
    padded = fit(np.hstack([matrix, np.zeros((300, 80))]))
    whole = fit(matrix)
    for name in ("sigma", "bulk_min", "bulk_max", "n_spikes", "ks_distance", "softrank", "signal_to_noise"):
        assert getattr(padded, name) == pytest.approx(getattr(whole, name), rel=1e-9)


def test_columns_of_the_result() -> None:
    spectrum = esd(spiked(0, 200, 100, 3, 3.0))
    values, found = spectrum.eigenvalues, fit_marchenko_pastur(spectrum)
    assert found.scale == pytest.approx(np.sqrt(values.size / values.sum()))
    assert found.softrank == pytest.approx(found.bulk_max / values[-1])
    assert found.n_spikes == np.count_nonzero(values > found.bulk_max + found.margin)
    assert found.signal_to_noise == pytest.approx(values[-3:].sum() / values[:-3].sum())
    width = (199**0.5 + 100**0.5) * (199**-0.5 + 100**-0.5) ** (1 / 3)
    assert found.margin == pytest.approx(3.2722 * width, rel=0.05)


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.zeros((64, 64)), "all eigenvalues are zero"),
        (np.eye(64), "flat"),
        (3.0 * np.eye(80, 20), "flat"),
        (np.linalg.qr(gauss(0, 128, 128))[0].astype(np.float32), "flat"),
        (np.ones((64, 64)), "1 of 64 eigenvalues above rounding"),
        (gauss(1, 5, 50), "5 of 5 eigenvalues above rounding"),
        (gauss(3, 256, 6) @ gauss(4, 6, 256), "6 of 256 eigenvalues above rounding"),
        ((gauss(3, 256, 6) @ gauss(4, 6, 256)).astype(np.float32), "6 of 256 eigenvalues above rounding"),
    ],
)
def test_no_fit_is_nan_with_a_reason(matrix: Matrix, reason: str) -> None:
    """The peer: six times -1, and the error logged."""
    found = fit(matrix)
    assert found.status == "failed"
    assert reason in found.reason
    for name in ("sigma", "bulk_min", "bulk_max", "margin", "n_spikes", "softrank", "scale", "ks_distance"):
        assert np.isnan(getattr(found, name))


def test_non_finite_eigenvalues_fail() -> None:
    spectrum = Spectrum(np.array([1.0] * 9 + [np.nan]), 20, 10)
    assert fit_marchenko_pastur(spectrum).reason == "eigenvalues are NaN or infinite"


def test_a_spectrum_without_a_bulk_says_so() -> None:
    left, right = np.linalg.qr(gauss(1, 256, 256))[0], np.linalg.qr(gauss(2, 256, 256))[0]
    found = fit((left * (np.arange(1, 257) / 256) ** (-1 / 3)) @ right.T)
    assert found.ks_distance > 0.1
    assert "not Marchenko-Pastur" in found.reason


@pytest.mark.parametrize("name", PEER)
def test_agrees_with_the_peer_on_gaussian_matrices(name: str) -> None:
    seed, shape, divisor, sigma, bulk_max, scale = PEER[name]
    found = fit(gauss(seed, *shape) / divisor)
    assert found.sigma_rescaled == pytest.approx(sigma, rel=0.02)
    assert found.bulk_max == pytest.approx(bulk_max, rel=0.04)
    assert found.scale == pytest.approx(scale, rel=1e-9)
    assert found.n_spikes == 0


def test_heavy_tailed_noise_does_not_hide_the_signal() -> None:
    noise = np.random.default_rng(5).standard_t(3, (512, 256))
    left, right = np.linalg.qr(gauss(6, 512, 50))[0], np.linalg.qr(gauss(7, 256, 50))[0]
    found = fit(noise / noise.std() + 5 * (512 * 256) ** 0.25 * left @ right.T)
    assert 50 <= found.n_spikes <= 60
    assert found.reason == ""


def test_a_smooth_tail_is_fitted_as_a_whole() -> None:
    """No number of spikes is right: the fit must not eat its way through the spectrum."""
    p = (np.arange(300) + 0.5) / 300
    values = MarchenkoPastur(1.0).quantile(p) * np.exp(2.0 * p)
    found = fit_marchenko_pastur(Spectrum(values, 300, 300))
    assert 20 <= found.n_spikes <= 60
    assert found.n_spikes == np.count_nonzero(values > found.bulk_max + found.margin)
    assert "not Marchenko-Pastur" in found.reason
