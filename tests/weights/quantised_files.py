"""Quantised checkpoints written from the descriptions of their formats, value by value in plain Python."""

import json
import math

import numpy as np
import torch


def stream(values, bits):
    """Fields of `bits` bits, the first lowest, as signed words of 32 bits: one long number, cut into pieces."""
    number = sum(int(value) << (bits * at) for at, value in enumerate(values))
    words = [number >> (32 * at) & 0xFFFFFFFF for at in range(math.ceil(len(values) * bits / 32))]
    return [word - (1 << 32) if word >> 31 else word for word in words]


def rows_packed(values, bits):
    """Each row of whole numbers as a row of words."""
    return np.array([stream(row, bits) for row in values], np.int32)


def draw_codes(shape, bits, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << bits, shape)


def draw_scales(shape, seed=1):
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape).astype(np.float16)


# GPTQ and AWQ


def gptq(codes, zeros, scales, bits, order=None, less_one=True):
    """codes (in, out), zeros and scales (groups, out), order (in,) the group of each input."""
    made = {
        "qweight": rows_packed(codes.T, bits).T.copy(),
        "qzeros": rows_packed((zeros - 1) % (1 << bits) if less_one else zeros, bits),
        "scales": scales,
    }
    return made if order is None else made | {"g_idx": np.asarray(order, np.int32)}


def awq(codes, zeros, scales):
    """As above, in words of eight outputs: the lowest field holds output 0, the next 2, then 4, 6, 1, 3, 5, 7."""

    def packed(values):
        order = [8 * word + at for word in range(values.shape[1] // 8) for at in (0, 2, 4, 6, 1, 3, 5, 7)]
        return rows_packed(values[:, order], 4)

    return {"qweight": packed(codes), "qzeros": packed(zeros), "scales": scales}


def weight_of(codes, zeros, scales, order):
    """(out, in): scale (code - zero) of the group of each input."""
    made = np.empty(codes.T.shape, np.float32)
    for i, group in enumerate(order):
        made[:, i] = scales[group].astype(np.float32) * (codes[i] - zeros[group])
    return made


# bitsandbytes


def nf4(shape=(4, 16), block=16, nested=0, seed=0, **state):
    """A weight of random codes. nested: blocks that share a scale. state: what the JSON says instead."""
    rng, n = np.random.default_rng(seed), math.prod(shape)
    blocks = math.ceil(n / block)
    said = {"quant_type": "nf4", "blocksize": block, "dtype": "bfloat16", "shape": list(shape)}
    made = {
        "weight": rng.integers(0, 256, (math.ceil(n / 2), 1)).astype(np.uint8),
        "weight.absmax": rng.uniform(0.5, 2.0, blocks).astype(np.float32),
        "weight.quant_map": np.linspace(-1.0, 1.0, 16, dtype=np.float32),
    }
    if nested:
        made["weight.absmax"] = rng.integers(0, 256, blocks).astype(np.uint8)
        made["weight.nested_absmax"] = rng.uniform(0.5, 2.0, math.ceil(blocks / nested)).astype(np.float32)
        made["weight.nested_quant_map"] = np.linspace(-1.0, 1.0, 256, dtype=np.float32)
        said |= {"nested_blocksize": nested, "nested_dtype": "float32", "nested_offset": 1.25}
    made["weight.quant_state.bitsandbytes__nf4"] = text_as_bytes(json.dumps(said | state))
    return made


def text_as_bytes(text):
    return np.frombuffer(text.encode(), np.uint8).copy()


def nf4_weight(tensors):
    """What `nf4` stands for, one value at a time."""
    said = json.loads(bytes(tensors["weight.quant_state.bitsandbytes__nf4"]))
    codes, table = tensors["weight"].ravel(), tensors["weight.quant_map"]
    made = np.empty(math.prod(said["shape"]), np.float64)
    for at in range(made.size):
        code = int(codes[at // 2]) >> 4 if at % 2 == 0 else int(codes[at // 2]) & 15
        block = at // said["blocksize"]
        scale = float(tensors["weight.absmax"][block])
        if "nested_offset" in said:
            outer = tensors["weight.nested_absmax"][block // said["nested_blocksize"]]
            scale = float(tensors["weight.nested_quant_map"][int(scale)]) * float(outer) + said["nested_offset"]
        made[at] = float(table[code]) * scale
    return made.reshape(said["shape"])


# Scaled and packed


def fp8(shape, seed=0, dtype=torch.float8_e4m3fn):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32)).to(dtype)


def packed_rows(codes, bits, scales, zeros=None):
    """compressed-tensors: codes (out, in) and zeros from -2^(b - 1), packed along rows and along columns."""
    middle = 1 << (bits - 1)
    made = {
        "weight_packed": rows_packed(codes + middle, bits),
        "weight_scale": scales,
        "weight_shape": np.array(codes.shape, np.int64),
    }
    return made if zeros is None else made | {"weight_zero_point": rows_packed((zeros + middle).T, bits).T.copy()}


def named(module, tensors):
    return {f"{module}.{name}": value for name, value in tensors.items()}


def config(method, **values):
    return {"quantization_config": {"quant_method": method, **values}}
