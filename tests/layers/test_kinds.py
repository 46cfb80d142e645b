"""What a tensor is taken for: channels first or last, odd shapes, codes that are no weights, and torch's classes."""

from itertools import product
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

from spinspectra import analyze, describe, read_layers
from spinspectra.errors import OptionError
from spinspectra.spectra.esd import esd


def only(source: Any, channels: Any = None) -> Any:
    (layer,) = read_layers(source, channels)
    return layer


def held(layer: Any) -> tuple[str, int, tuple[int, int]]:
    return layer.kind, layer.n_matrices, layer.matrix_shape


def gaussian(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


def spectrum(layer: Any) -> np.ndarray:
    return esd(layer.matrices()).eigenvalues


# Convolutions


@pytest.mark.parametrize(("n", "kernel"), [(1, (5,)), (2, (3, 2)), (3, (2, 3, 1))])
@pytest.mark.parametrize("channels", [None, "explicit"])
def test_channels_last_hold_the_same_slices_as_channels_first(n: int, kernel: tuple[int, ...], channels: Any) -> None:
    last = gaussian(*kernel, 20, 16)  # (k..., in, out), more input than output channels
    first = np.moveaxis(last, (-1, -2), (0, 1))  # (out, in, k...)
    of_last = only({"w": last}, channels and "last")
    of_first = only({"w": np.ascontiguousarray(first)}, channels and "first")
    assert held(of_first) == (f"conv{n}d", int(np.prod(kernel)), (16, 20))
    # a 1-d kernel shorter than its channels is the same matrices as a stack
    assert held(of_last) == ("stack" if n == 1 else f"conv{n}d", int(np.prod(kernel)), (20, 16))
    for one, other, position in zip(of_last.matrices(), of_first.matrices(), product(*map(range, kernel)), strict=True):
        np.testing.assert_array_equal(one, last[position])
        np.testing.assert_array_equal(one, other.T)
    np.testing.assert_allclose(spectrum(of_last), spectrum(of_first), rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((3, 3, 8, 16), None, ("conv2d", 9, (8, 16))),
        ((16, 8, 3, 3), None, ("conv2d", 9, (16, 8))),
        ((4, 4, 4, 4), None, ("conv2d", 16, (4, 4))),
        ((3, 3, 8, 16), "first", ("conv2d", 128, (3, 3))),
        ((16, 8, 3, 3), "last", ("conv2d", 128, (3, 3))),
        ((1, 1, 8, 16), None, ("conv2d", 1, (8, 16))),
        ((8, 1, 3, 3), None, ("conv2d", 9, (8, 1))),
        ((9, 1, 64), None, ("conv1d", 9, (1, 64))),
        ((64, 1, 9), None, ("conv1d", 9, (64, 1))),
        ((9, 1, 64), "first", ("conv1d", 64, (9, 1))),
        ((64, 1, 9), "last", ("conv1d", 64, (1, 9))),
        ((2, 3, 4, 8, 16), None, ("conv3d", 24, (8, 16))),
        ((16, 8, 2, 3, 4), None, ("conv3d", 24, (16, 8))),
        ((4, 20, 30), None, ("stack", 4, (20, 30))),
        ((4, 20, 30), "first", ("stack", 4, (20, 30))),
    ],
)
def test_the_rule_for_channels(shape: tuple[int, ...], channels: Any, expected: tuple[object, ...]) -> None:
    assert held(only({"w": gaussian(*shape)}, channels)) == expected


def test_a_tie_between_first_and_last_is_channels_first() -> None:
    kernel = gaussian(4, 4, 4, 4)
    np.testing.assert_array_equal(only({"w": kernel}).matrices()[1], kernel[:, :, 0, 1])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_transposed_convolution_has_the_spectrum_of_the_convolution_it_is_the_adjoint_of(n: int) -> None:
    transposed = getattr(torch.nn, f"ConvTranspose{n}d")(12, 9, 3, bias=False)
    plain = getattr(torch.nn, f"Conv{n}d")(12, 9, 3, bias=False)
    with torch.no_grad():
        plain.weight.copy_(transposed.weight.transpose(0, 1))
    one, other = only(transposed), only(plain)
    assert held(one) == (f"conv{n}d", 3**n, (12, 9))
    assert held(other) == (f"conv{n}d", 3**n, (9, 12))
    np.testing.assert_allclose(spectrum(one), spectrum(other), rtol=1e-10)


def test_slices_of_a_grouped_convolution_hold_all_groups() -> None:
    grouped = torch.nn.Conv2d(8, 16, 3, groups=4, bias=False)
    layer = only(grouped)
    assert held(layer) == ("conv2d", 9, (16, 2))
    x = torch.randn(8)
    slices = [torch.from_numpy(matrix.copy()) for matrix in layer.matrices()]
    groups = [slices[4][4 * g : 4 * g + 4] @ x[2 * g : 2 * g + 2] for g in range(4)]
    image = torch.zeros(1, 8, 3, 3)
    image[0, :, 1, 1] = x  # only the middle of the kernel, position 4, meets it
    torch.testing.assert_close(torch.cat(groups), grouped(image).flatten())


@pytest.mark.parametrize("channels", ["First", "", 1, True])
def test_other_channels_are_refused(channels: Any) -> None:
    with pytest.raises(OptionError, match=r"channels=.*: give 'first', 'last' or None"):
        list(read_layers({"w": gaussian(2, 2)}, channels))


# What a torch module's class settles


@pytest.mark.parametrize("channels", [None, "last"])
@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (torch.nn.Bilinear(20, 30, 50, bias=False), ("stack", 50, (20, 30))),
        (torch.nn.Conv1d(64, 32, 9, bias=False), ("conv1d", 9, (32, 64))),
        (torch.nn.Conv1d(64, 8, 9, bias=False), ("conv1d", 9, (8, 64))),
        (torch.nn.Conv2d(2, 3, (2, 5), bias=False), ("conv2d", 10, (3, 2))),
        (torch.nn.ConvTranspose1d(4, 64, 9, bias=False), ("conv1d", 9, (4, 64))),
        (torch.nn.Embedding(30, 8), ("embedding", 1, (30, 8))),
        (torch.nn.EmbeddingBag(30, 8), ("embedding", 1, (30, 8))),
        (Conv1D(30, 8), ("dense", 1, (8, 30))),
        (torch.nn.LayerNorm((9, 9), bias=False), ("norm", 0, (0, 0))),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else "",
)
def test_a_modules_class_settles_what_its_weight_is(module: Any, expected: tuple[object, ...], channels: Any) -> None:
    holder = torch.nn.ModuleDict({"part": module})
    layers = {layer.name: layer for layer in read_layers(holder, channels)}
    layer = layers["part.weight"]
    assert held(layer) == expected
    assert len(layer.matrices()) == layer.n_matrices


def test_a_linear_layer_of_an_embedding_is_dense() -> None:
    class Own(torch.nn.Linear):
        """A subclass, as libraries have them."""

    module = torch.nn.ModuleDict({"time_embedding": torch.nn.ModuleDict({"linear": Own(9, 9, bias=False)})})
    assert held(only(module)) == ("dense", 1, (9, 9))


def test_a_normalisation_of_ones_own_is_known_by_its_name() -> None:
    class ChannelNorm(torch.nn.Module):
        """One that torch has not, as transformers' RMSNorm classes are."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(9, 9))

    assert held(only(ChannelNorm())) == ("norm", 0, (0, 0))


@pytest.mark.parametrize("n", [20, 50])
def test_bilinear_slices_make_the_bilinear_form(n: int) -> None:
    module = torch.nn.Bilinear(20, 30, n, bias=False)
    x, y = torch.randn(20), torch.randn(30)
    forms = [x @ torch.from_numpy(matrix.copy()) @ y for matrix in only(module).matrices()]
    torch.testing.assert_close(torch.stack(forms), module(x, y))


# Odd shapes


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 9), ("dense", 1, (1, 9))),
        ((9, 1), ("dense", 1, (9, 1))),
        ((1, 1), ("dense", 1, (1, 1))),
        ((2, 3, 2, 2, 4, 5), ("stack", 24, (4, 5))),
        ((2, 1, 1, 2, 1, 4, 5), ("stack", 4, (4, 5))),
    ],
)
def test_two_sides_or_more_make_matrices_with_all_the_values(
    shape: tuple[int, ...], expected: tuple[object, ...]
) -> None:
    values = gaussian(*shape)
    layer = only({"w": values})
    assert held(layer) == expected
    np.testing.assert_array_equal(np.stack(layer.matrices()).ravel(), values.ravel())
    assert spectrum(layer).sum() == pytest.approx((values**2).sum())


def test_one_row_and_one_column_have_one_eigenvalue() -> None:
    tensors = {"column.weight": gaussian(9, 1), "row.weight": gaussian(1, 9)}
    assert describe(tensors).skipped.tolist() == ["1 eigenvalue, fewer than min_evals=8"] * 2
    for layer in read_layers(tensors):
        np.testing.assert_allclose(spectrum(layer), [(tensors[layer.name] ** 2).sum()], rtol=1e-12)


NO_MATRIX = {
    "a.bias": (np.ones(4), "bias: no matrix in a tensor of shape (4,) of float64"),
    "a.bias_hh_l0_reverse": (np.ones(4), "bias: no matrix in a tensor of shape (4,) of float64"),
    "norm.weight": (np.ones(4), "norm: no matrix in a tensor of shape (4,) of float64"),
    "scalar": (np.array(2.0), "a single number"),
    "steps": (np.array(3), "integers, not weights"),
    "index": (np.ones((9, 9), np.int64), "integers, not weights"),
    "int8.weight": (np.ones((9, 9), np.int8), "integer codes, not weights; dequantise the checkpoint first"),
    "packed.weight": (np.ones((9, 9), np.int32), "integer codes, not weights; dequantise the checkpoint first"),
    "int4.weight": (
        np.ones((9, 9)).astype(ml_dtypes.int4),
        "integer codes, not weights; dequantise the checkpoint first",
    ),
    "mask": (np.ones((9, 9), np.bool_), "truth values, not weights"),
    "empty.weight": (np.ones((0, 9)), "no values in a tensor of shape (0, 9)"),
    "empty.bias": (np.ones(0), "no values in a tensor of shape (0,)"),
    "complex.weight": (np.ones((9, 9), np.complex64), "complex64 values, which are not real numbers"),
    "f4.weight": (
        np.ones((9, 9)).astype(ml_dtypes.float4_e2m1fn),
        "packed float4_e2m1fn codes, not weights; dequantise the checkpoint first",
    ),
    "e8m0": (
        np.ones((9, 9)).astype(ml_dtypes.float8_e8m0fnu),
        "powers of two that scale another tensor, not weights",
    ),
    "words": (np.array([["a", "b"]]), "<U1 values, which are not real numbers"),
    "x.running_mean": (np.ones(4), "other: no matrix in a tensor of shape (4,) of float64"),
}


@pytest.mark.parametrize("name", NO_MATRIX)
def test_a_tensor_without_matrices_says_why(name: str) -> None:
    value, reason = NO_MATRIX[name]
    table = describe({name: value, "good.weight": gaussian(9, 9)}).set_index("name")
    row = table.loc[name]
    assert (row.skipped, row.N, row.M, row.rf, row.num_evals) == (reason, 0, 0, 0, 0)
    assert (row["shape"], row.params) == (value.shape, value.size)
    assert analyze({name: value, "good.weight": gaussian(9, 9)}).longname.tolist() == ["good"]


# Quantised and packed formats


def quantised(dtype: torch.dtype) -> torch.Tensor:
    return torch._empty_affine_quantized([9, 9], scale=0.1, zero_point=0, dtype=dtype)


UNKNOWN = {
    "float4_e2m1fn_x2": lambda: torch.zeros(9, 9, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
    "bits8": lambda: torch.zeros(9, 9, dtype=torch.uint8).view(torch.bits8),
    "quint8": lambda: quantised(torch.quint8),
    "qint8": lambda: quantised(torch.qint8),
}


CASES = [(stored, opened) for stored in UNKNOWN for opened in ("mapping", "module", "file")]


@pytest.mark.parametrize(("stored", "opened"), CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_formats_numpy_has_not_cost_their_own_row(stored: str, opened: str, tmp_path: Path) -> None:
    module = torch.nn.Linear(9, 9, bias=False)
    module.register_buffer("codes", UNKNOWN[stored]())
    source: Any = module if opened == "module" else dict(module.state_dict())
    if opened == "file":
        torch.save(source, tmp_path / "x.pt")
        source = tmp_path / "x.pt"
    table = describe(source).set_index("name")
    row = table.loc["codes"]
    assert row.skipped == f"stored as {stored}, a quantised or packed format; dequantise the checkpoint first"
    assert (row["kind"], row["dtype"], row["shape"], row["bytes"]) == ("other", stored, (9, 9), 81)
    assert table.loc["weight", "skipped"] == ""
    assert analyze(source).longname.tolist() == ["weight"]


def test_codes_with_their_scale_elsewhere_are_no_weights(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.ones(16, 16).to(torch.float8_e4m3fn),
        "a.weight_scale_inv": torch.ones(9, 9),
        "b.weight": torch.randn(16, 16).to(torch.float8_e4m3fn),
        "c.qweight": torch.ones(9, 9, dtype=torch.int32),
        "c.scales": torch.ones(9, 9),
        "d.weight": torch.randn(16, 16),
        "d.weight_scale": torch.randn(16, 16),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    skipped = describe(tmp_path / "x.safetensors").set_index("name").skipped.to_dict()
    assert skipped == {
        "a.weight": "codes whose scale is a.weight_scale_inv; dequantise the checkpoint first",
        "a.weight_scale_inv": "the scale of a.weight, not weights",
        "b.weight": "",
        "c.qweight": "integer codes, not weights; dequantise the checkpoint first",
        "c.scales": "the scales of c.qweight, not weights",
        "d.weight": "",
        "d.weight_scale": "",
    }


# Taking apart and putting together


SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=7).map(tuple)


@given(SHAPES, st.sampled_from([None, "first", "last"]), st.sampled_from(["w", "embed.w"]))
@settings(max_examples=150, deadline=None)
def test_assemble_inverts_matrices(shape: tuple[int, ...], channels: Any, name: str) -> None:
    values = gaussian(*shape)
    layer = only({name: values}, channels)
    if layer.n_matrices == 0:
        assert name != "w"
        return
    parts = layer.matrices()
    assert [part.shape for part in parts] == [layer.matrix_shape] * layer.n_matrices
    np.testing.assert_array_equal(layer.assemble(parts), values)
    again = only({name: layer.assemble([2.0 * part for part in parts])}, channels)
    np.testing.assert_array_equal(np.stack(again.matrices()), 2.0 * np.stack(parts))


@pytest.mark.parametrize(
    "module",
    [torch.nn.LSTM(5, 7), torch.nn.GRU(5, 7), torch.nn.Bilinear(2, 3, 9), torch.nn.ConvTranspose2d(3, 4, (2, 5))],
    ids=lambda module: type(module).__name__,
)
def test_assemble_inverts_matrices_of_torchs_layers(module: Any) -> None:
    state = module.state_dict()
    for layer in read_layers(module):
        if layer.n_matrices:
            assert layer.n_matrices > 1
            np.testing.assert_array_equal(layer.assemble(layer.matrices()), state[layer.name].numpy())


def test_assemble_keeps_the_parts_dtype() -> None:
    layer = only({"w": np.ones((4, 20, 30), np.float32)})
    made = layer.assemble([part.astype(np.float64) / 3 for part in layer.matrices()])
    assert made.dtype == np.float64
    assert (made == 1 / 3).all()


def test_parts_that_do_not_fit_are_refused() -> None:
    layer = only({"w": gaussian(4, 20, 30)})
    parts = layer.matrices()
    with pytest.raises(OptionError, match=r"w is made of 4 matrices of shape \(20, 30\), not of 3 of \(20, 30\)"):
        layer.assemble(parts[:3])
    with pytest.raises(OptionError, match=r"not of 4 of \(20, 30\), \(30, 20\)"):
        layer.assemble([*parts[:3], parts[3].T])
    with pytest.raises(OptionError, match="made of 0 matrices"):
        only({"v": np.ones(3)}).assemble([])


def test_kinds_can_be_asked_for() -> None:
    module = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(9, 9), "dense": torch.nn.Linear(9, 9)})
    assert analyze(module, layers="recurrent").name.tolist() == ["weight_hh_l0", "weight_ih_l0"]
    assert analyze(module, layers="-recurrent").longname.tolist() == ["dense"]
