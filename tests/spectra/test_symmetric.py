"""Two-stage eigenvalues: exact spectra, LAPACK's own, every size against every width, a matrix in the large route."""

import numpy as np
import pytest
import scipy.linalg

from spinspectra.spectra import symmetric
from spinspectra.spectra.symmetric import reduce_to_band, symmetric_eigenvalues, two_stage_eigenvalues

EPS = float(np.finfo(np.float64).eps)


def gram(n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n + 3, n))
    return x.T @ x


@pytest.mark.parametrize("width", [1, 2, 7, 64])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 63, 64, 65, 66, 129, 300])
def test_they_are_those_of_lapack(n: int, width: int) -> None:
    matrix = gram(n)
    expected = scipy.linalg.eigvalsh(matrix, driver="ev")
    found = two_stage_eigenvalues(matrix.copy(), width)
    assert np.all(np.diff(found) >= 0.0)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=20.0 * n**0.5 * EPS * expected[-1])


def test_known_spectra() -> None:
    """The second-difference matrix has 2 - 2 cos(pi k / (n + 1)); a constant one n and zeros; a diagonal one itself."""
    n = 400
    difference = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((n, n)))[0]
    expected = 2.0 - 2.0 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))
    np.testing.assert_allclose(two_stage_eigenvalues(rotation @ difference @ rotation.T), expected, atol=1e-13)
    np.testing.assert_allclose(two_stage_eigenvalues(difference), expected, atol=1e-13)
    constant = two_stage_eigenvalues(np.ones((n, n)))
    np.testing.assert_allclose(constant, np.r_[np.zeros(n - 1), n], atol=1e-11)
    np.testing.assert_allclose(two_stage_eigenvalues(np.diag(np.arange(float(n)))), np.arange(n), atol=1e-11)
    assert np.array_equal(two_stage_eigenvalues(np.zeros((n, n))), np.zeros(n))


def test_only_the_lower_triangle_is_read() -> None:
    matrix = gram(200)
    lower = np.tril(matrix) + np.triu(np.full_like(matrix, np.nan), 1)
    assert np.array_equal(two_stage_eigenvalues(lower), two_stage_eigenvalues(matrix.copy()))


def test_the_band_is_a_similar_matrix() -> None:
    """Trace, trace of the square and nothing below the band that counts: what a rotation may not change."""
    matrix = gram(150)
    reduced = matrix.copy()
    reduce_to_band(reduced, 16)
    band = np.tril(reduced) - np.tril(reduced, -17)
    band += np.tril(band, -1).T
    assert np.trace(band) == pytest.approx(np.trace(matrix), rel=1e-13)
    assert np.sum(band**2) == pytest.approx(np.sum(matrix**2), rel=1e-13)


def test_a_large_matrix_takes_two_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the size where the route changes both give the same eigenvalues."""
    monkeypatch.setattr(symmetric, "TWO_STAGES_FROM", 600)
    below, at = gram(599), gram(600)
    for matrix in (below, at):
        expected = np.linalg.eigvalsh(matrix)
        np.testing.assert_allclose(symmetric_eigenvalues(matrix.copy()), expected, atol=600 * EPS * expected[-1])
    overwritten = at.copy()
    symmetric_eigenvalues(overwritten)
    assert not np.array_equal(overwritten, at)
