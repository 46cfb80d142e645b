"""Norms without eigenvalues against those of the whole spectrum, and rows of bad layers."""

import math

import numpy as np
import pytest

from spinspectra import analyze, esd, read_layers
from spinspectra.errors import NonFiniteError
from spinspectra.layers import Layer
from spinspectra.monitor.measure import measure, norms
from spinspectra.spectra.metrics import spectral_metrics
from tests.monitor.helpers import heavy

NORMS = ("log_norm", "log_spectral_norm", "stable_rank")


def layer_of(array: np.ndarray, name: str = "a.weight", channels: str | None = None) -> Layer:
    return next(iter(read_layers({name: array}, channels)))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(8, 8), (64, 200), (300, 65), (250, 250), (70, 1000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norms_of_noise_and_of_heavy_tails_are_those_of_the_spectrum(shape: tuple[int, int], dtype: type) -> None:
    noise = np.random.default_rng(1).standard_normal(shape)
    for matrix in (noise.astype(dtype), heavy(shape).astype(dtype)):
        expected = spectral_metrics(esd(matrix))
        found = norms([matrix])
        assert found["log_norm"] == pytest.approx(expected["log_norm"], abs=1e-6)
        assert found["log_spectral_norm"] == pytest.approx(expected["log_spectral_norm"], abs=1e-5)
        assert found["stable_rank"] == pytest.approx(expected["stable_rank"], rel=2e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e-17, 1e17, 1e30])
def test_norms_know_the_unit_where_float32_cannot_square(scale: float) -> None:
    matrix = heavy((200, 100))
    plain, scaled = norms([matrix]), norms([matrix * np.float32(scale)])
    assert scaled["stable_rank"] == pytest.approx(plain["stable_rank"], rel=1e-4)
    for name in ("log_norm", "log_spectral_norm"):
        assert scaled[name] == pytest.approx(plain[name] + 2.0 * math.log10(scale), abs=1e-4)


def test_slices_of_a_convolution_are_pooled() -> None:
    kernel = np.random.default_rng(0).standard_normal((70, 80, 3, 3)).astype(np.float32)
    kernel[:, :, 1, 1] = 0.0
    layer = layer_of(kernel, channels="first")
    assert layer.n_matrices == 9
    expected = spectral_metrics(esd(layer.matrices()))
    found = norms(layer.matrices())
    assert [found[name] for name in NORMS] == pytest.approx([expected[name] for name in NORMS], rel=1e-5)


def test_a_zero_matrix_has_no_stable_rank() -> None:
    found = norms([np.zeros((100, 100), np.float32)])
    assert (found["log_norm"], found["log_spectral_norm"]) == (-math.inf, -math.inf)
    assert math.isnan(found["stable_rank"])


def test_nan_is_refused_with_how_many() -> None:
    matrix = heavy()
    matrix[2, 3:6] = np.nan
    with pytest.raises(NonFiniteError, match="3 of 2400 values are NaN or infinite"):
        norms([matrix])


@pytest.mark.parametrize("clock", ["cheap", "spectra"])
def test_nan_costs_a_layer_its_row_alone(clock: str) -> None:
    matrix = heavy()
    matrix[0, 0] = np.inf
    found = measure(clock, layer_of(matrix))  # type: ignore[arg-type]
    assert found.status == "failed"
    assert "1 of 2400 values are NaN or infinite" in found.reason
    assert math.isnan(found.stable_rank)


def test_spectra_are_those_of_analyze() -> None:
    tensors = {"a.weight": heavy((90, 70)), "b.weight": np.eye(20, dtype=np.float32)}
    expected = analyze(tensors).set_index("longname")
    for layer in read_layers(tensors):
        found, row = measure("spectra", layer), expected.loc[layer.name.removesuffix(".weight")]
        for name in ("alpha", "D", *NORMS):
            np.testing.assert_equal(getattr(found, name), row[name])
        assert (found.status, found.reason) == (row.status, row.reason)


def test_cheap_numbers_have_no_alpha() -> None:
    found = measure("cheap", layer_of(heavy()))
    assert (math.isnan(found.alpha), math.isnan(found.D), found.status) == (True, True, "success")
