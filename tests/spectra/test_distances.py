"""Distances between checkpoints: by full name, with a row for whatever cannot be compared."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spinspectra.errors import OptionError
from spinspectra.spectra.distances import distances, linear_cka

METHODS = ["raw", "euclidean", "cka"]


def gauss(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def model(seed: int = 0) -> dict[str, np.ndarray]:
    return {
        "a.weight": gauss(seed, 12, 8),
        "a.bias": gauss(seed + 1, 12),
        "conv.weight": gauss(seed + 2, 6, 5, 3, 3),
        "norm.weight": gauss(seed + 3, 8),
        "wide.weight": gauss(seed + 4, 5, 30),
    }


def hsic_cka(x: np.ndarray, y: np.ndarray) -> float:
    """By its definition, tr(K H L H) / sqrt(tr(K H K H) tr(L H L H)), H = 1 - 11^T / n."""
    n = len(x)
    h = np.eye(n) - 1.0 / n
    k, l = x @ x.T @ h, y @ y.T @ h  # noqa: E741
    return float(np.trace(k @ l) / np.sqrt(np.trace(k @ k) * np.trace(l @ l)))


@pytest.mark.parametrize("method", METHODS)
def test_identical_models(method, tmp_path):
    save_file(model(), tmp_path / "a.safetensors")
    found = distances(tmp_path / "a.safetensors", model(), method)
    assert found.longname.tolist() == ["a", "conv", "wide"]
    assert (found.status == "success").all()
    assert (found.delta_b == 0.0).all()
    expected = 1.0 if method == "cka" else 0.0
    np.testing.assert_allclose(found.delta_W, expected, rtol=1e-14)


def test_values_against_their_formulas():
    a, b = ({n: v.astype(np.float64) for n, v in model(seed).items()} for seed in (0, 100))
    difference = a["conv.weight"] - b["conv.weight"]
    slices = [np.linalg.norm(difference[:, :, i, j]) for i in range(3) for j in range(3)]
    raw, euclidean, cka = (distances(a, b, method).set_index("longname") for method in METHODS)
    assert raw.delta_W["conv"] == pytest.approx(np.linalg.norm(difference), rel=1e-12)
    assert euclidean.delta_W["conv"] == pytest.approx(np.mean(slices), rel=1e-12)
    assert raw.delta_W["a"] == pytest.approx(np.linalg.norm(a["a.weight"] - b["a.weight"]), rel=1e-12)
    assert raw.delta_b["a"] == pytest.approx(np.linalg.norm(a["a.bias"] - b["a.bias"]), rel=1e-12)
    assert raw.b_shape["a"] == (12,)
    for name in ("a", "wide"):
        expected = hsic_cka(a[f"{name}.weight"], b[f"{name}.weight"])
        assert cka.delta_W[name] == pytest.approx(expected, rel=1e-12)
    pairs = [(a["conv.weight"][:, :, i, j], b["conv.weight"][:, :, i, j]) for i in range(3) for j in range(3)]
    assert cka.delta_W["conv"] == pytest.approx(np.mean([hsic_cka(*pair) for pair in pairs]), rel=1e-12)


@pytest.mark.parametrize("shape", [(20, 6), (6, 20)])
def test_cka_ignores_shifts_rotations_and_scale(shape):
    x = gauss(1, *shape).astype(np.float64)
    turn = np.linalg.qr(gauss(2, shape[1], shape[1]).astype(np.float64))[0]
    assert linear_cka(x, 1e-200 * (x @ turn) + 1e-199) == pytest.approx(1.0, abs=1e-12)
    assert linear_cka(x, x + 3.0) == pytest.approx(1.0, abs=1e-12)  # uncentred, as the peer's, it would not be


def test_cka_is_not_defined_for_equal_rows():
    found = distances({"w": np.ones((4, 3))}, {"w": gauss(0, 4, 3)}, "cka")
    assert found[["status", "reason"]].values.tolist() == [
        ["failed", "cka is not defined: all rows of a matrix are equal"]
    ]
    assert found.delta_W.isna().all()


def test_an_extra_layer_shifts_nothing():
    """The peer pairs by order and drops what is left over."""
    a = {"x.weight": gauss(1, 8, 8), "z.weight": gauss(3, 8, 8)}
    b = {"x.weight": gauss(1, 8, 8), "y.weight": gauss(2, 8, 8), "z.weight": gauss(3, 8, 8)}
    for one, other in ((a, b), (b, a)):
        found = distances(one, other).set_index("longname")
        assert found.status.to_dict() == {"x": "success", "y": "unmatched", "z": "success"}
        assert found.delta_W[["x", "z"]].tolist() == [0.0, 0.0]
        assert np.isnan(found.delta_W["y"])
        assert found.reason["y"] == "not in mapping of arrays"
        assert found.layer_id.is_unique
    assert distances(a, b, layers=["y"]).longname.tolist() == ["y"]
    assert distances(a, b, layers=[0]).longname.tolist() == ["x"]


def test_shapes_that_differ_are_a_reason_not_a_number():
    """The peer's -1 enters its average."""
    a, b = torch.nn.Linear(64, 64), torch.nn.Linear(64, 60)
    found = distances(a, b)
    assert found.status.tolist() == ["failed"]
    assert found.reason.tolist() == ["shapes differ: (64, 64) and (60, 64)"]
    assert found.delta_W.isna().all()
    assert found.delta_b.isna().all()


def test_nan_costs_its_own_row():
    a = model()
    a["a.weight"][3, 4] = np.nan
    found = distances(a, model()).set_index("longname")
    assert found.status.to_dict() == {"a": "failed", "conv": "success", "wide": "success"}
    assert found.reason["a"] == "1 of 96 values in mapping of arrays are not finite"


def test_a_missing_bias_is_said():
    a, b = model(), model()
    del b["a.bias"]
    row = distances(a, b).iloc[0]
    assert (row.delta_W, row.status, row.reason) == (0.0, "success", "the bias is not in mapping of arrays")
    assert np.isnan(row.delta_b)


def test_other_dtypes_and_containers_compare():
    layer = torch.nn.Linear(8, 12).bfloat16()
    same = {name: value.detach().float().numpy() for name, value in layer.state_dict().items()}
    assert distances(layer, same)[["delta_W", "delta_b"]].values.tolist() == [[0.0, 0.0]]


def test_bad_questions():
    with pytest.raises(OptionError, match=r"^method='bogus': give one of raw, euclidean, cka$"):
        distances(model(), model(), "bogus")
    with pytest.raises(OptionError, match=r"^no layer has the same name in .*; theirs begin x, y$"):
        distances({"x": gauss(0, 3, 3)}, {"y": gauss(0, 3, 3)})
