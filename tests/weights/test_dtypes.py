"""Every stored number format becomes the number PyTorch makes of it, from every container."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from spinspectra import open_weights


def every_pattern(dtype):
    """All values of an 8- or 16-bit format, NaN and infinities among them."""
    if dtype.itemsize == 1:
        return torch.arange(256, dtype=torch.int16).to(torch.uint8).view(dtype)
    return torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)


NARROW_FLOATS = [
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2,
    torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
]
SMALL_INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.uint16]
LARGE_INTEGERS = {
    torch.int32: [-(2**31), -(2**24) - 1, 0, 2**31 - 1],
    torch.uint32: [0, 2**24 + 1, 2**32 - 1],
    torch.int64: [-(2**53), -(2**24) - 1, 0, 2**24 + 1, 2**53],
    torch.uint64: [0, 2**24 + 1, 2**53],
}


def by_safetensors(tensor, folder):
    save_file({"t": tensor}, folder / "x.safetensors")
    return open_weights(folder / "x.safetensors")


def by_torch_file(tensor, folder):
    torch.save({"t": tensor}, folder / "x.bin")
    return open_weights(folder / "x.bin")


def by_mapping(tensor, folder):
    return open_weights({"t": tensor})


pytestmark = pytest.mark.parametrize("container", [by_safetensors, by_torch_file, by_mapping])


def check(container, tensor, folder, expected):
    weights = container(tensor, folder)
    assert weights.info("t").dtype == str(tensor.dtype).removeprefix("torch.")
    values = weights.read("t")
    assert values.dtype == expected.dtype
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("dtype", NARROW_FLOATS, ids=str)
def test_narrow_floats_become_float32(container, dtype, tmp_path):
    tensor = every_pattern(dtype)
    check(container, tensor, tmp_path, tensor.float().numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_wide_floats_stay(container, dtype, tmp_path):
    tensor = torch.tensor([0.1, -0.0, 1e-40, 3e38, float("inf"), float("nan")], dtype=dtype)
    check(container, tensor, tmp_path, tensor.numpy())


@pytest.mark.parametrize("dtype", SMALL_INTEGERS, ids=str)
def test_small_integers_become_float32(container, dtype, tmp_path):
    tensor = every_pattern(dtype)
    check(container, tensor, tmp_path, tensor.numpy().astype(np.float32))


@pytest.mark.parametrize("dtype", LARGE_INTEGERS, ids=str)
def test_integers_beyond_float32_become_float64(container, dtype, tmp_path):
    numbers = LARGE_INTEGERS[dtype]
    tensor = torch.tensor(numbers, dtype=dtype)
    check(container, tensor, tmp_path, tensor.double().numpy())
    assert [int(value) for value in container(tensor, tmp_path).read("t")] == numbers


@pytest.mark.parametrize("dtype", LARGE_INTEGERS, ids=str)
def test_integers_that_float32_holds_become_float32(container, dtype, tmp_path):
    tensor = torch.tensor([0, 1, 2**24 - 1, 2**24], dtype=dtype)
    check(container, tensor, tmp_path, tensor.float().numpy())


@pytest.mark.parametrize("number", [2**24 + 1, -(2**24) - 1])
def test_the_first_integer_that_float32_lacks_is_kept(container, number, tmp_path):
    tensor = torch.tensor([number])
    assert float(tensor.float()) != number
    assert int(container(tensor, tmp_path).read("t")[0]) == number


def test_the_extremes_of_64_bits_are_rounded_as_torch_rounds_them(container, tmp_path):
    tensor = torch.tensor([-(2**63), 2**63 - 1, 2**53 + 1])
    check(container, tensor, tmp_path, tensor.double().numpy())


def test_booleans_become_zero_and_one(container, tmp_path):
    check(container, torch.tensor([True, False]), tmp_path, np.array([1, 0], np.float32))


@given(number=st.floats(width=16))
def test_a_float16_comes_back_as_it_went(container, number, tmp_path_factory):
    tensor = torch.tensor([number], dtype=torch.float16)
    check(container, tensor, tmp_path_factory.mktemp("float16"), np.array([number], np.float32))


@given(high=st.integers(0, 2**16 - 1))
def test_a_bfloat16_is_the_upper_half_of_a_float32(container, high, tmp_path_factory):
    expected = np.array([high << 16], np.uint32).view(np.float32)
    tensor = torch.from_numpy(expected.copy()).bfloat16()
    check(container, tensor, tmp_path_factory.mktemp("bfloat16"), expected)
