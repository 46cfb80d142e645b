"""Localisation of eigenvectors: known vectors, random matrix theory, invariances, the peer's numbers, refusals."""

import numpy as np
import pytest

from spinspectra.errors import NonFiniteError
from spinspectra.spectra.esd import SpectrumError, esd
from spinspectra.spectra.powerlaw import fit_power_law
from spinspectra.spectra.vectors import (
    Localisation,
    VectorMetrics,
    localisation,
    localisation_columns,
    norm_entropy,
    vector_metrics,
)

NAMES = ("vec_entropy", "loc_ratio", "part_ratio")


def gaussian(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def student(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(3, shape).astype(np.float32)


# weightwatcher 0.7.7, analyze(vectors=True, conv2d_norm=False): bulk mean, bulk variance, tail mean, tail variance of
# vec_entropy, loc_ratio, part_ratio.
PEER = {
    "tall": (
        (3.572243136510603, 0.009566915073056534, 3.5427602584966786, 0.014643438622069694),
        (17.379684194133166, 7.875916102384809, 17.32228500046782, 9.6806399680064),
        (2.095151672357428, 0.011578321260627704, 2.079762855479155, 0.01746190734222066),
    ),
    "wide": (
        (3.3183948720355168, 0.016291839369080345, 3.223409820936935, 0.08196617461905006),
        (11.713667015679114, 3.2404513156647643, 11.11353176824791, 14.190702203539404),
        (1.8612480194158267, 0.013527783558151459, 1.7906737371975912, 0.06064214467815922),
    ),
    "square": (
        (3.6247133929975903, 0.009204029976567657, 3.388923486744908, 0.1138434018305985),
        (19.355753167016243, 12.982017707296677, 14.927972732531227, 24.23492036353193),
        (2.142769317540507, 0.014281436156216586, 1.9173623030742477, 0.08921047766623304),
    ),
    "convolution": (
        (3.174275625675675, 0.007959760744706603, 2.8694727478875937, 0.10992818300283073),
        (10.354180860887611, 3.38726187926721, 6.306263800523375, 5.881174175181365),
        (1.800482426434619, 0.011234303726054117, 1.467410231319989, 0.05638263366557164),
    ),
}


def peer_matrices(name: str) -> list[np.ndarray]:
    if name == "convolution":
        tensor = student(25, 48, 32, 3, 2)
        return [tensor[:, :, i, j] for i in range(3) for j in range(2)]
    return [{"tall": student(21, 90, 60), "wide": student(22, 40, 96), "square": student(23, 64, 64)}[name]]


@pytest.mark.parametrize("name", PEER)
def test_columns_are_the_peers(name: str) -> None:
    """Where xmin is an eigenvalue, the peer compares it with one computed anew and may put its vector in the bulk by
    rounding; so it is with "wide". Here it is always in the tail, so there the split is set a little higher.
    """
    matrices = peer_matrices(name)
    xmin = fit_power_law(esd(matrices).eigenvalues).xmin * (1.0 + 1e-9 * (name == "wide"))
    found = localisation_columns(localisation(matrices), xmin)
    kinds = ("bulk_mean", "bulk_var", "tail_mean", "tail_var")
    expected = {
        f"{kind}_{metric}": value
        for metric, values in zip(NAMES, PEER[name], strict=True)
        for kind, value in zip(kinds, values, strict=True)
    }
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-6), key


def test_metrics_of_any_vectors_are_the_peers() -> None:
    """weightwatcher 0.7.7, vector_metrics: rows of a float32 array, not of unit length."""
    vectors = gaussian(26, 3, 50).astype(np.float32)
    found = vector_metrics(vectors)
    np.testing.assert_allclose(found.vec_entropy, [3.332906338941343, 3.4302179637514874, 3.4961347013098423], 1e-6)
    np.testing.assert_allclose(found.loc_ratio, [16.070187310291242, 14.146234290617901, 17.57168317700045], 1e-6)
    np.testing.assert_allclose(found.part_ratio, [2.0540264356416182, 1.979522558417401, 2.1345801060583818], 1e-6)
    entropy = [0.004631294530235054, 0.017306781059993843, 0.006151412874557487]
    np.testing.assert_allclose(norm_entropy(vectors), entropy, 1e-6)


def test_vectors_whose_localisation_is_known() -> None:
    m = 48
    one, even, two = np.eye(m)[7], np.full(m, -0.25), np.eye(m)[3] - np.eye(m)[5]
    found = vector_metrics(np.stack([one, even, two]))
    np.testing.assert_allclose(found.participation_number, [1.0, m, 2.0], rtol=1e-12)
    np.testing.assert_allclose(found.loc_ratio, [1.0, m, 2.0], rtol=1e-12)
    shares = np.array([1.0, m / 2, 2.0]) / np.array([m, m, m])
    entropy = [-(p * np.log(p) + (1 - p) * np.log(1 - p)) for p in (shares[0], shares[2])]
    np.testing.assert_allclose(found.vec_entropy[[0, 2]], entropy, atol=1e-6)  # two bins are filled
    assert found.vec_entropy[1] == pytest.approx(0.0, abs=1e-6)  # one bin is
    assert vector_metrics(np.arange(100.0)).vec_entropy == pytest.approx(np.log(100.0), abs=1e-6)  # all are, evenly


@pytest.mark.parametrize("scale", [1e-200, -1.0, 3.0, 1e200])
def test_length_and_sign_do_not_matter(scale: float) -> None:
    vectors = gaussian(0, 5, 70)
    found, expected = vector_metrics(scale * vectors), vector_metrics(vectors)
    np.testing.assert_allclose(found.loc_ratio, expected.loc_ratio, rtol=1e-12)
    np.testing.assert_allclose(found.part_ratio, expected.part_ratio, rtol=1e-12)


def test_entropy_is_that_of_numpys_histogram() -> None:
    vectors = gaussian(1, 40, 333)
    for vector, entropy in zip(vectors, vector_metrics(vectors).vec_entropy, strict=True):
        share = np.histogram(np.abs(vector), bins=100)[0] / vector.size
        share = share[share > 0]
        assert entropy == pytest.approx(-np.sum(share * np.log(share)), abs=1e-6)


def test_an_eigenvectors_norm_entropy_says_nothing() -> None:
    vectors = np.linalg.qr(gaussian(2, 30, 30))[0]
    np.testing.assert_allclose(norm_entropy(vectors), np.exp(-0.5) / np.sqrt(2.0 * np.pi), rtol=1e-12)


@pytest.mark.parametrize("shape", [(256, 256), (1024, 256), (256, 700)])
def test_noise_is_spread_as_random_matrix_theory_says(shape: tuple[int, int]) -> None:
    """Eigenvectors of W^T W are Haar: E sum v^4 = 3/(M + 2). Its mean over 256 of them scatters by 0.7 percent, that
    of the ratio by 1 percent on either side; the tolerances are four of these and more.
    """
    m = 256
    found = localisation(gaussian(3, *shape)).metrics
    assert np.mean(1.0 / found.participation_number) == pytest.approx(3.0 / (m + 2), rel=0.04)
    haar = gaussian(4, m, m)
    assert found.loc_ratio.mean() == pytest.approx(vector_metrics(haar).loc_ratio.mean(), rel=0.06)


@pytest.mark.parametrize("n_rows", [40, 90])
def test_a_diagonal_matrix_is_fully_localised(n_rows: int) -> None:
    matrix = np.zeros((n_rows, 40))
    matrix[np.arange(40), np.arange(40)] = np.arange(1.0, 41.0)
    found = localisation(matrix)
    np.testing.assert_allclose(found.eigenvalues, np.arange(1.0, 41.0) ** 2, rtol=1e-12)
    np.testing.assert_allclose(found.metrics.part_ratio, 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.metrics.loc_ratio, 1.0, rtol=1e-12)


def test_a_planted_direction_is_the_top_vector() -> None:
    left = np.full(300, 300**-0.5)
    right = np.zeros(100)
    right[[4, 9, 30, 77]] = 0.5
    spike = 1e4 * np.outer(left, right)
    for matrix in (spike + gaussian(5, 300, 100), (spike + gaussian(5, 300, 100)).T):
        assert localisation(matrix).metrics.participation_number[-1] == pytest.approx(4.0, rel=0.02)


def test_a_square_matrix_gives_its_left_vectors() -> None:
    left = np.linalg.qr(gaussian(6, 60, 60))[0]
    found = localisation(left * np.arange(1.0, 61.0))
    expected = vector_metrics(left.T)
    for name in NAMES:
        np.testing.assert_allclose(getattr(found.metrics, name), getattr(expected, name), rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-170, 1e-3, 1e150])
def test_eigenvalues_are_the_spectrum_in_any_unit(scale: float) -> None:
    matrix = gaussian(7, 80, 50)
    found = localisation(matrix * scale)
    if scale > 1e-100:
        np.testing.assert_allclose(found.eigenvalues, esd(matrix).eigenvalues * scale**2, rtol=1e-11)
    np.testing.assert_allclose(found.metrics.part_ratio, localisation(matrix).metrics.part_ratio, rtol=1e-9)


def test_slices_are_pooled() -> None:
    slices = [gaussian(seed, 30, 20) for seed in (8, 9, 10)]
    found = localisation(slices)
    alone = [localisation(one) for one in slices]
    assert np.array_equal(found.eigenvalues, np.concatenate([one.eigenvalues for one in alone]))
    for name in NAMES:
        pooled = np.concatenate([getattr(one.metrics, name) for one in alone])
        assert np.array_equal(getattr(found.metrics, name), pooled)


def test_the_vector_at_xmin_is_in_the_tail() -> None:
    """xmin comes from `esd`, which may take another route to the same eigenvalue."""
    for seed in range(20):
        matrix = gaussian(seed, 50, 24)
        eigenvalues = esd(matrix).eigenvalues
        for rank in (3, 12, 20):
            found = localisation(matrix)
            expected = found.metrics.part_ratio[rank:].mean()
            assert localisation_columns(found, eigenvalues[rank])["tail_mean_part_ratio"] == expected


def test_moments_are_those_of_either_side() -> None:
    metrics = VectorMetrics(np.array([1.0, 3.0, 7.0]), np.array([2.0, 4.0, 9.0]), np.array([1.0, 2.0, 5.0]))
    found = localisation_columns(Localisation(np.array([1.0, 2.0, 8.0]), metrics, 1e-12), 8.0)
    assert found["bulk_mean_vec_entropy"] == 2.0
    assert found["bulk_var_vec_entropy"] == 1.0
    assert found["bulk_mean_loc_ratio"] == 3.0
    assert found["tail_mean_part_ratio"] == 5.0
    assert found["tail_var_part_ratio"] == 0.0


def test_an_empty_side_has_no_moments() -> None:
    found = localisation(gaussian(11, 20, 12))
    for xmin, empty in ((0.0, ["bulk"]), (1e9, ["tail"]), (np.nan, ["bulk", "tail"])):
        for key, value in localisation_columns(found, xmin).items():
            assert np.isnan(value) == (key[:4] in empty), (xmin, key)


def test_a_zero_matrix_and_a_zero_vector_pass() -> None:
    assert np.all(localisation(np.zeros((6, 4))).eigenvalues == 0.0)
    found = vector_metrics(np.zeros((1, 5)))
    assert np.all(np.isnan([found.loc_ratio, found.part_ratio]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_values_are_refused(bad: float) -> None:
    matrix = gaussian(12, 6, 5)
    matrix[2, 3] = bad
    with pytest.raises(NonFiniteError, match="1 of 30 values"):
        localisation(matrix)
    with pytest.raises(NonFiniteError, match="1 of 30 values"):
        vector_metrics(matrix)


def test_what_is_no_matrix_is_refused() -> None:
    for bad in ([], [np.ones(3)], [np.ones((3, 2)), np.ones((2, 3))], np.ones((0, 3)), np.ones((2, 2), complex)):
        with pytest.raises(SpectrumError, match="matrices of one shape"):
            localisation(bad)
    for bad in (np.ones((2, 2, 2)), np.ones((3, 0)), np.ones(3, complex)):
        with pytest.raises(SpectrumError, match="shape \\(n, M\\)"):
            vector_metrics(bad)
