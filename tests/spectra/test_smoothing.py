"""Smoothed and sharpened checkpoints: exact truncations, in the source's dtype, all else bit for bit."""

import json
import re

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file as save_torch

from spinspectra import analyze, open_weights
from spinspectra.errors import OptionError
from spinspectra.spectra.esd import esd
from spinspectra.spectra.smoothing import sharpen, smooth
from spinspectra.spectra.truncation import truncated
from tests.minilm import FOLDER

F8 = np.float64
DTYPES = [F8, np.float32, np.float16, ml_dtypes.bfloat16]


def gauss(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def spiked(seed: int, n: int, m: int, strengths=(9.0, 7.0, 5.0)) -> np.ndarray:
    """Noise with bulk edge below (1 + sqrt(m/n))^2 <= 4, and singular values far above it."""
    u, v = np.linalg.qr(gauss(seed + 1, n, 3))[0], np.linalg.qr(gauss(seed + 2, m, 3))[0]
    return gauss(seed, n, m) / np.sqrt(n) + (u * strengths) @ v.T


def model(dtype=np.float32) -> dict[str, np.ndarray]:
    held = {
        "tall.weight": spiked(0, 96, 64),
        "wide.weight": spiked(10, 40, 80),
        "noise.weight": gauss(20, 120, 60) / 11,
        "conv.weight": gauss(30, 20, 12, 2, 3) * np.array([[1.0, 2.0, 3.0], [1.5, 2.5, 0.1]]),
        "experts": gauss(40, 3, 16, 24),
        "tall.bias": gauss(50, 96),
        "norm.weight": gauss(60, 64),
    }
    return {name: values.astype(dtype) for name, values in held.items()} | {"ids": np.arange(2**60, 2**60 + 9)}


def write(path, dtype=np.float32):
    """Through torch for bfloat16, which numpy's writer lacks."""
    if dtype is not ml_dtypes.bfloat16:
        save_file(model(dtype), path, metadata={"format": "pt", "note": "kept"})
        return path
    held = {name: torch.from_numpy(values) for name, values in model().items()}
    held = {name: one.bfloat16() if one.is_floating_point() else one for name, one in held.items()}
    save_torch(held, path, metadata={"format": "pt", "note": "kept"})
    return path


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "in.safetensors")


def reference(matrix: np.ndarray, n: int) -> np.ndarray:
    u, s, vt = np.linalg.svd(matrix.astype(F8), full_matrices=False)
    return (u[:, :n] * s[:n]) @ vt[:n]


def rank(matrix: np.ndarray, dtype) -> int:
    spectrum = esd(matrix, precision=float(ml_dtypes.finfo(dtype).eps))
    return int(np.count_nonzero(spectrum.eigenvalues > spectrum.floor))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("percent", [0.25, -0.25])
def test_the_exact_truncation_rounded_once(tmp_path, dtype, percent):
    """The peer's is randomised (1 % off here), turns float64 for non-square layers and float32 for bfloat16."""
    path, out = write(tmp_path / "in.safetensors", dtype), tmp_path / "out.safetensors"
    table = smooth(path, "percent", percent=percent, out=out, layers=["tall", "wide"]).set_index("name")
    old, new = open_weights(path), open_weights(out)
    eps = float(ml_dtypes.finfo(dtype).eps)
    for name, n in {"tall.weight": 16, "wide.weight": 10}.items():
        assert new.info(name).dtype == np.dtype(dtype)
        matrix, made = old.read(name).astype(F8), new.read(name).astype(F8)
        exact = reference(matrix, n) if percent > 0 else matrix - reference(matrix, n)
        np.testing.assert_allclose(made, exact, rtol=0.51 * eps, atol=1e-13 if dtype == F8 else 1e-7)
        left = n if percent > 0 else min(matrix.shape) - n
        assert table.kept[name] == left
        assert rank(new.read(name), dtype) == left
        share = np.linalg.norm(exact) ** 2 / np.linalg.norm(matrix) ** 2
        assert table.norm_kept[name] == pytest.approx(share, rel=1e-10)
    assert (table.status == "smoothed").all()


def test_all_else_is_bit_for_bit(source, tmp_path):
    out = tmp_path / "out.safetensors"
    table = smooth(source, "percent", percent=0.5, out=out, layers=["tall"])
    assert table.name.tolist() == ["tall.weight"]
    old, new = load_torch(source), load_torch(out)
    assert [name for name in old if not torch.equal(old[name], new[name])] == ["tall.weight"]
    with safe_open(out, framework="numpy") as file:
        assert file.metadata() == {"format": "pt", "note": "kept"}
    assert out.stat().st_size == source.stat().st_size


def test_every_chosen_tensor_has_its_row(source, tmp_path):
    table = smooth(source, out=tmp_path / "out.safetensors").set_index("name")
    assert sorted(table.index) == sorted(model())
    assert table.status.value_counts().to_dict() == {"smoothed": 5, "skipped": 3}
    assert table.reason["tall.bias"] == "bias: no matrix in a tensor of shape (96,) of float32"


@pytest.mark.parametrize(("method", "column"), [("detx", "detX_num"), ("power_law", "num_pl_spikes")])
def test_as_many_are_kept_as_analyze_counts(source, tmp_path, method, column):
    out = tmp_path / "out.safetensors"
    details = analyze(source, detx=True).set_index("longname")
    table = smooth(source, method, out=out).set_index("name")
    for name, n in details[column].items():
        stored = name if name == "experts" else f"{name}.weight"
        assert table.kept[stored] == n
        values = open_weights(out).read(stored)
        slices = {3: lambda v: list(v), 4: lambda v: list(np.moveaxis(v.reshape(20, 12, -1), -1, 0))}
        assert rank(slices.get(values.ndim, lambda v: v)(values), np.float32) == n


def test_mp_keeps_the_spikes_and_leaves_noise_alone(source, tmp_path):
    out = tmp_path / "out.safetensors"
    table = smooth(source, "mp", out=out, layers=["tall", "wide", "noise"]).set_index("name")
    assert table.kept.to_dict() == {"tall.weight": 3, "wide.weight": 3, "noise.weight": 60}
    assert table.loc["noise.weight", ["status", "reason"]].tolist() == [
        "left alone",
        "no spikes above the Marchenko-Pastur bulk",
    ]
    np.testing.assert_array_equal(open_weights(out).read("noise.weight"), model()["noise.weight"])


def test_slices_share_one_pool(source, tmp_path):
    """The n largest singular values of all six kernel positions, or three experts, stay where they are."""
    out = tmp_path / "out.safetensors"
    smooth(source, "percent", percent=0.25, out=out, layers=["conv", "experts"])
    for name, n, view in (("conv.weight", 18, (20, 12, 6)), ("experts", 12, None)):
        old, new = model()[name], open_weights(out).read(name)
        if view:
            old, new = (np.moveaxis(one.reshape(view), -1, 0) for one in (old, new))
        of_old, of_new = (np.linalg.svd(one.astype(F8), compute_uv=False) for one in (old, new))
        cut = np.sort(of_old.reshape(-1))[-n]
        np.testing.assert_allclose(of_new, np.where(of_old >= cut, of_old, 0.0), atol=2e-6)
        owned = (of_old >= cut).sum(axis=1)
        for k, top in enumerate(owned):
            np.testing.assert_allclose(new[k], reference(old[k], top), atol=1e-6)


def test_sharded_folder(tmp_path):
    source, out = tmp_path / "model", tmp_path / "out"
    source.mkdir()
    held = model()
    parts = {"model-1.safetensors": ["tall.weight", "ids"], "model-2.safetensors": ["wide.weight", "tall.bias"]}
    for file, names in parts.items():
        save_file({name: held[name] for name in names}, source / file)
    index = {"metadata": {"total_size": 1}, "weight_map": {n: file for file, names in parts.items() for n in names}}
    (source / "model.safetensors.index.json").write_text(json.dumps(index))
    (source / "config.json").write_text("{}")
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    assert (smooth(source, "mp", out=out).kept.dropna() == 3).all()
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    assert {path.name for path in out.iterdir()} == before.keys()
    for name in ("config.json", "model.safetensors.index.json"):
        assert (out / name).read_bytes() == before[name]
    for name in ("tall.weight", "wide.weight"):
        np.testing.assert_allclose(open_weights(out).read(name), reference(held[name], 3), atol=1e-6)
    np.testing.assert_array_equal(open_weights(out).read("tall.bias"), held["tall.bias"])


def test_minilm(tmp_path):
    names = [f"encoder.layer.{block}.attention.self.query" for block in (0, 5)]
    details = analyze(FOLDER, detx=True, layers=names).set_index("longname")
    table = smooth(FOLDER, out=tmp_path / "out", layers=names)
    assert table.kept.tolist() == details.detX_num[names].tolist()
    old, new = open_weights(FOLDER), open_weights(tmp_path / "out")
    assert old.names() == new.names()
    changed = [name for name in old.names() if not np.array_equal(old.read(name), new.read(name))]
    assert changed == table.name.tolist()
    for name, n in zip(table.name, table.kept, strict=True):
        np.testing.assert_allclose(new.read(name), reference(old.read(name), n), rtol=6e-8, atol=1e-8)
        assert rank(new.read(name), np.float32) == n


def test_pytorch_files(tmp_path):
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 128).bfloat16()
    torch.save(layer.state_dict(), tmp_path / "in.bin")
    smooth(tmp_path / "in.bin", "percent", percent=0.5, out=tmp_path / "out.bin")
    made = torch.load(tmp_path / "out.bin", weights_only=True)
    exact = torch.from_numpy(reference(layer.weight.detach().float().numpy(), 32))
    assert made["weight"].dtype == torch.bfloat16
    assert torch.allclose(made["weight"].double(), exact, rtol=0.51 * 2**-7, atol=1e-7)
    assert torch.equal(made["bias"], layer.bias)


def test_sharpen_removes_a_trap(tmp_path):
    trapped = gauss(3, 300, 120) / 17
    trapped[0, 0] = 5.0
    held = {"t.weight": trapped.astype(np.float32), "n.weight": (gauss(4, 300, 120) / 17).astype(np.float32)}
    save_file(held, tmp_path / "in.safetensors")
    table = sharpen(tmp_path / "in.safetensors", out=tmp_path / "a.safetensors", seed=1).set_index("name")
    assert table.kept.to_dict() == {"n.weight": 120, "t.weight": 119}
    made = open_weights(tmp_path / "a.safetensors").read("t.weight")
    np.testing.assert_allclose(made, held["t.weight"] - reference(held["t.weight"], 1), atol=1e-6)
    assert abs(made[0, 0]) < 1.0
    assert analyze(tmp_path / "a.safetensors", randomize=True, seed=1).num_traps.tolist() == [0.0, 0.0]
    again = sharpen(tmp_path / "in.safetensors", out=tmp_path / "b.safetensors", seed=1)
    assert again.equals(table.reset_index()[again.columns])
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_sharpen_counts_what_analyze_counts(source, tmp_path):
    names = ["tall", "wide", "conv", "experts"]
    seed = np.random.SeedSequence(7)
    table = sharpen(source, out=tmp_path / "out.safetensors", seed=seed, layers=names)
    traps = analyze(source, randomize=True, seed=7).set_index("longname").num_traps.round()
    for row in table.itertuples():
        assert row.rank - row.kept == traps[row.name.removesuffix(".weight")]
    assert seed.n_children_spawned == 0


def test_hard_layers_cost_their_own_rows(tmp_path):
    low = gauss(1, 64, 5) @ gauss(2, 5, 32)
    held = {"zero": np.zeros((20, 20)), "low": low, "flat": np.eye(20), "good": spiked(0, 96, 64)}
    held["nan"] = np.full((20, 20), np.nan)
    held = {name: values.astype(np.float32) for name, values in held.items()}
    save_file(held, tmp_path / "in.safetensors")
    for method in ("detx", "power_law", "mp", "percent"):
        out = tmp_path / f"{method}.safetensors"
        percent = 0.5 if method == "percent" else None
        table = smooth(tmp_path / "in.safetensors", method, out=out, percent=percent).set_index("name")
        assert table.status["nan"] == "failed"
        assert table.reason["nan"] == "400 of 400 values are NaN or infinite"
        assert table.status["good"] == "smoothed"
        assert table.status["zero"] in ("failed", "left alone")
        assert table.reason[table.status != "smoothed"].str.len().min() > 0
        new = open_weights(out)
        for name in table.index[table.status != "smoothed"]:
            np.testing.assert_array_equal(new.read(name), held[name])
        if method == "percent":
            assert table.reason["low"] == "has 5 eigenvalues above rounding, 16 are kept"


def test_values_beyond_float16_cost_their_own_row(tmp_path):
    """Without its largest singular value an entry can exceed what it was."""
    edge = np.full((16, 16), 6e4) * np.sign(gauss(0, 16, 16))
    save_file(
        {"edge": edge.astype(np.float16), "good": gauss(0, 16, 16).astype(np.float16)}, tmp_path / "a.safetensors"
    )
    table = smooth(tmp_path / "a.safetensors", "percent", percent=0.5, out=tmp_path / "b.safetensors").set_index("name")
    assert table.status.to_dict() == {"edge": "failed", "good": "smoothed"}
    assert re.fullmatch(r"edge: \d+ new values are beyond the range of float16.*", table.reason["edge"])


FRACTION = "give a fraction from -1 to 1 that is not 0, as 0.2 for a fifth"
REFUSED = [
    ({"method": "bogus"}, "method='bogus': give one of detx, power_law, mp, percent"),
    ({"method": "percent"}, "percent=None with method='percent': percent goes with method='percent' only"),
    ({"percent": 0.5}, "percent=0.5 with method='detx': percent goes with method='percent' only"),
    ({"method": "percent", "percent": 0.0}, f"percent=0.0: {FRACTION}"),
    ({"method": "percent", "percent": float("nan")}, f"percent=nan: {FRACTION}"),
    ({"layers": ["nowhere"]}, "layers: nothing is called 'nowhere'; describe lists ids, names and kinds"),
    ({"layers": "bias"}, "in.safetensors: none of the 1 tensors chosen has a matrix to cut"),
]


@pytest.mark.parametrize(("options", "text"), REFUSED)
def test_bad_options_are_one_line_and_write_nothing(source, tmp_path, options, text):
    """An unknown method ran as 'svd' in the peer."""
    with pytest.raises(OptionError, match=re.escape(text) + "$"):
        smooth(source, out=tmp_path / "out.safetensors", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.safetensors"]


def test_the_source_stays(source, tmp_path):
    before = source.read_bytes()
    with pytest.raises(OptionError, match="is the source itself"):
        smooth(source, out=source)
    (tmp_path / "other").touch()
    with pytest.raises(OptionError, match="exists already"):
        sharpen(source, out=tmp_path / "other")
    with pytest.raises(OptionError, match="a dict has no file format to write"):
        smooth(model(), out=tmp_path / "new.safetensors")
    with pytest.raises(OptionError, match="seed=-1"):
        sharpen(source, out=tmp_path / "new.safetensors", seed=-1)
    assert source.read_bytes() == before


@pytest.mark.parametrize("shape", [(7, 7), (9, 4), (4, 9), (1, 5)])
def test_truncated_and_the_rest_add_up(shape):
    matrix = gauss(0, *shape)
    for top in range(min(shape) + 2):
        both = truncated(matrix, top) + truncated(matrix, top, remove=True)
        np.testing.assert_allclose(both, matrix, atol=1e-14)
        assert np.linalg.matrix_rank(truncated(matrix, top)) == min(top, *shape)
