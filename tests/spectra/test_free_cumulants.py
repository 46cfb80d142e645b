"""Free cumulants and the integrated R-transform: laws known in closed form, free sums, the rank-one HCIZ integral."""

import re
from collections.abc import Iterator
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammaln

from spinspectra.errors import NonFiniteError, OptionError
from spinspectra.spectra.free_cumulants import cumulants_of_moments, free_cumulants, r_integral, r_integral_terms

ORDER = 10
SPECTRA = st.lists(st.floats(0.0, 10.0), min_size=2, max_size=30)


def catalan(n: int) -> int:
    return comb(2 * n, n) // (n + 1)


def free_poisson_moments(rate: float, jump: float) -> list[float]:
    """Narayana numbers count the non-crossing partitions of k points into j blocks."""
    narayana = [[comb(k, j) * comb(k, j - 1) / k for j in range(1, k + 1)] for k in range(1, ORDER + 1)]
    return [jump**k * sum(n * rate ** (j + 1) for j, n in enumerate(row)) for k, row in enumerate(narayana, 1)]


def partitions(points: list[int]) -> Iterator[list[list[int]]]:
    """All set partitions."""
    if not points:
        yield []
        return
    first, rest = points[0], points[1:]
    for smaller in partitions(rest):
        yield [[first], *smaller]
        for i, block in enumerate(smaller):
            yield [*smaller[:i], [first, *block], *smaller[i + 1 :]]


def crosses(a: list[int], b: list[int]) -> bool:
    """Two blocks cross if along the line their points alternate more than aba."""
    owners = [which for _point, which in sorted([(p, 0) for p in a] + [(p, 1) for p in b])]
    return int(np.count_nonzero(np.diff(owners))) >= 3


def haar_orthogonal(n: int, rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def test_a_semicircle_has_only_its_variance() -> None:
    moments = [catalan(k // 2) * 3.0 ** (k // 2) if k % 2 == 0 else 0.0 for k in range(1, ORDER + 1)]
    assert cumulants_of_moments(moments) == pytest.approx([0.0, 3.0] + [0.0] * (ORDER - 2), abs=1e-9)


@pytest.mark.parametrize("q", [0.1, 0.5, 1.0])
def test_marchenko_pastur_cumulants_are_powers_of_q(q: float) -> None:
    """Free Poisson with rate 1/q and jumps q, mean 1."""
    assert cumulants_of_moments(free_poisson_moments(1.0 / q, q)) == pytest.approx(q ** np.arange(ORDER))


def test_free_poisson_of_unit_jumps_has_all_cumulants_equal() -> None:
    assert cumulants_of_moments(free_poisson_moments(0.7, 1.0)) == pytest.approx([0.7] * ORDER)


@pytest.mark.parametrize("q", [0.2, 0.5])
def test_inverse_marchenko_pastur_has_the_r_transform_of_bun(q: float) -> None:
    """R(z) = (kappa - sqrt(kappa (kappa - 2 z))) / z, kappa = (1 - q)/(2 q): Catalan numbers over (2 kappa)^(n-1)."""
    low, high = (1.0 - np.sqrt(q)) ** 2, (1.0 + np.sqrt(q)) ** 2

    def moment(k: int) -> float:
        def weighed(angle: float) -> float:  # x = middle - half-width cos(angle): the square root becomes smooth
            x = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(angle)
            return float(((1.0 - q) / x) ** k * (0.5 * (high - low) * np.sin(angle)) ** 2 / (2.0 * np.pi * q * x))

        return quad(weighed, 0.0, np.pi, epsabs=0.0, epsrel=1e-12)[0]

    kappa = (1.0 - q) / (2.0 * q)
    expected = [catalan(n - 1) / (2.0 * kappa) ** (n - 1) for n in range(1, 8)]
    assert cumulants_of_moments([moment(k) for k in range(1, 8)]) == pytest.approx(expected, rel=1e-7)


@given(st.lists(st.floats(-2.0, 2.0), min_size=5, max_size=5))
def test_the_five_formulas_of_the_paper(m: list[float]) -> None:
    m1, m2, m3, m4, m5 = m
    expected = [
        m1,
        m2 - m1**2,
        m3 - 3 * m2 * m1 + 2 * m1**3,
        m4 - 4 * m3 * m1 - 2 * m2**2 + 10 * m2 * m1**2 - 5 * m1**4,
        m5 - 5 * m4 * m1 + 15 * m3 * m1**2 + 15 * m2**2 * m1 - 35 * m2 * m1**3 - 5 * m3 * m2 + 14 * m1**5,
    ]
    assert cumulants_of_moments(m) == pytest.approx(expected, abs=1e-9)


def test_moments_are_sums_over_non_crossing_partitions() -> None:
    moments = np.random.default_rng(0).normal(size=7)
    kappa = cumulants_of_moments(moments)
    for n in range(1, 8):
        found = [p for p in partitions(list(range(n))) if not any(crosses(a, b) for a in p for b in p if a is not b)]
        assert len(found) == catalan(n)
        assert sum(np.prod([kappa[len(block) - 1] for block in p]) for p in found) == pytest.approx(moments[n - 1])


def test_two_atoms_far_from_zero_keep_their_digits() -> None:
    """Of -1 and +1 the even cumulants are signed Catalan numbers; a shift by 1000 only moves the first."""
    expected = [1000.0, 1, 0, -1, 0, 2, 0, -5, 0, 14]
    assert free_cumulants([999.0, 1001.0], ORDER) == pytest.approx(expected, abs=1e-9)


@given(SPECTRA, st.floats(0.1, 10.0))
def test_scaling(values: list[float], factor: float) -> None:
    plain, scaled = free_cumulants(values, 6), free_cumulants(factor * np.array(values), 6)
    unit = np.ptp(values) + 1e-6  # |kappa_k| <= (4 unit)^k
    for k in range(6):
        assert scaled[k] == pytest.approx(
            factor ** (k + 1) * plain[k], abs=1e-9 * (4 * factor * unit) ** (k + 1) + 1e-12
        )


def test_free_cumulants_of_a_free_sum_add_and_others_do_not() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.exponential(1.0, 600), rng.choice([0.0, 2.0], 600)
    turned = haar_orthogonal(600, rng)
    free = np.linalg.eigvalsh(np.diag(a) + turned @ np.diag(b) @ turned.T)
    added = free_cumulants(a, 5) + free_cumulants(b, 5)
    assert free_cumulants(free, 5) == pytest.approx(added, rel=0.03, abs=0.05)
    assert abs(free_cumulants(a + b, 5)[3] - added[3]) > 0.5  # one basis: classical cumulants add, these do not


def test_a_point_has_only_its_mean() -> None:
    assert free_cumulants([0.3, 0.3, 0.3], 4).tolist() == pytest.approx([0.3, 0.0, 0.0, 0.0])
    assert r_integral([0.3, 0.3, 0.3], [2.0]) == pytest.approx([0.6])


@pytest.mark.parametrize("z", [1e-6, 0.1, 0.5, 3.0, 1e4])
def test_r_integral_of_two_atoms(z: float) -> None:
    """R(z) = c + (sqrt(1 + 4 z^2) - 1)/(2 z) for c -+ 1, at every z, though its series ends at |z| = 1/2."""
    root = np.sqrt(1.0 + 4.0 * z**2)
    expected = 5.0 * z + 0.5 * (root - 1.0 - np.log((1.0 + root) / 2.0))
    assert r_integral([4.0, 6.0], [z]) == pytest.approx([expected], rel=1e-12)


def test_r_integral_of_marchenko_pastur() -> None:
    """R(z) = 1/(1 - q z), so the integral is -ln(1 - q z)/q below the edge's 1/(q + sqrt q)."""
    w = np.random.default_rng(0).standard_normal((1600, 800)) / 40.0
    z = np.array([0.1, 0.4, 0.7])
    assert r_integral(np.linalg.eigvalsh(w.T @ w), z) == pytest.approx(-np.log(1.0 - 0.5 * z) / 0.5, rel=3e-3)


def log_sphere_average(values: np.ndarray, s: float) -> float:
    """ln E exp(s u^T A u) over unit vectors u: Gamma(N/2) times the inverse Laplace transform of
    prod (t - s lambda_i)^(-1/2) at 1, along the upright line through the lowest point of the integrand on the axis.
    """

    def log_integrand(t: np.ndarray) -> np.ndarray:
        return np.asarray(t - 0.5 * np.log(t[:, None] - s * values).sum(axis=1))

    axis = s * values.max() + np.geomspace(1e-3, 10.0 * values.size, 2_000)
    lowest = axis[np.argmin(log_integrand(axis))]
    width = 1.0 / np.sqrt(0.5 * np.sum(1.0 / (lowest - s * values) ** 2))
    steps = np.linspace(-12.0, 12.0, 2_001) * width
    logs = log_integrand(lowest + 1j * steps)
    top = float(logs.real.max())
    integral = np.sum(np.exp(logs - top)).real * (steps[1] - steps[0]) / (2.0 * np.pi)
    return float(gammaln(0.5 * values.size) + top + np.log(integral))


@pytest.mark.parametrize("z", [0.3, 4.0])
def test_r_integral_is_the_limit_of_the_rank_one_hciz_integral(z: float) -> None:
    """Uniform on 0..2, R(z) = 1 + coth z - 1/z, whose series ends at pi; what is left falls as 1/N, or ln N / N."""
    errors = []
    for n in (100, 400):
        values = 2.0 * (np.arange(n) + 0.5) / n
        errors.append(abs(2.0 / n * log_sphere_average(values, 0.5 * n * z) - r_integral(values, [z])[0]))
    assert errors[0] < 0.03
    assert errors[1] < 0.4 * errors[0]


@given(SPECTRA, st.floats(0.01, 100.0))
def test_r_lies_between_the_mean_and_the_largest(values: list[float], z: float) -> None:
    first, second = r_integral(values, [z, 2.0 * z])
    slack = 1e-9 * (1.0 + z)
    assert z * np.mean(values) - slack <= first <= z * np.max(values) + slack
    assert second >= 2.0 * first - slack  # R rises


def test_series_and_integral_agree_where_the_series_converges() -> None:
    values = np.random.default_rng(0).uniform(1.0, 2.0, 50)
    z = np.array([0.05, 0.2])
    summed = r_integral_terms(free_cumulants(values, 14), z).sum(axis=1)
    assert summed == pytest.approx(r_integral(values, z), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "order", "error", "said"),
    [
        ([], 5, OptionError, "give one or more"),
        ([[1.0, 2.0]], 5, OptionError, "shape (1, 2)"),
        ([1.0, 2.0], 0, OptionError, "order=0: give a whole number from 1 to 50"),
        ([1.0, np.nan], 5, NonFiniteError, "1 of 2 eigenvalues"),
    ],
)
def test_bad_arguments(values: list[float], order: int, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        free_cumulants(values, order)


def test_the_integral_needs_a_positive_end() -> None:
    with pytest.raises(OptionError, match="above 0"):
        r_integral([1.0, 2.0], [0.0])
