"""Weights of 8 bits, each times the scale of its tensor, its row, its group or its block.

float8 as of DeepSeek (`weight_scale_inv`, `scale` in its own files), transformers, FBGEMM, ModelOpt and
compressed-tensors (`weight_scale`), int8 as of compressed-tensors. What ends in _inv is multiplied by all the same.
"""

import math
from functools import partial

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from spinspectra.weights.base import TensorInfo
from spinspectra.weights.quantised.base import (
    FLOATS,
    Misfit,
    Scheme,
    Stored,
    Values,
    Weight,
    chunks,
    positive_sides,
    require,
)

_DEEPSEEK = (128, 128)  # where the configuration names no block
_E8M0 = np.dtype(ml_dtypes.float8_e8m0fnu)

Block = tuple[int, int]


def _build(stored: Stored, stem: str, weight: str, marker: str, kind: str) -> Weight | None:
    name = stem + weight
    if name not in stored.names:
        return None
    codes, scale = stored.info(name), stored.info(stem + marker)
    is_kind = codes.dtype.name.startswith("float8_e") if kind == "fp8" else codes.dtype.name == "int8"
    if codes.format or codes.dtype == _E8M0 or not is_kind or len(codes.shape) < 2:
        return None
    positive_sides(codes.shape)
    bytes_too = (_E8M0.name, "uint8") if kind == "fp8" else ()
    require(scale, "scales", None, *FLOATS, *bytes_too)
    block = _block(codes.shape, scale.shape, stored.settings.block)
    zero = f"{stem}_zero_point"
    if zero in stored.names:
        require(stored.info(zero), "zero points", scale.shape)
    if f"{stem}_g_idx" in stored.names:
        raise Misfit("an order of columns (g_idx)")
    label = f"{kind} ({_sharing(codes.shape, block)})"
    return Weight(codes.shape, label, partial(_values, stored, name, stem + marker, zero, block))


def _block(shape: tuple[int, ...], grid: tuple[int, ...], said: Block | None) -> Block:
    """Rows and columns that share a scale: one scale; one a row; or a grid over the last two sides.

    The last block of a grid may be cut by the edge, so that its size is not told by the shapes: it is what the
    configuration says, else DeepSeek's 128 x 128, else what divides the sides. Raises Misfit.
    """
    rows, columns = shape[-2:]
    if math.prod(grid) == 1:
        return rows, columns
    if grid == (rows,) and len(shape) == 2:
        return 1, columns
    if len(grid) == len(shape) and grid[:-2] == shape[:-2] and min(grid) > 0:
        exact = (rows // grid[-2], columns // grid[-1])
        for block in (said, _DEEPSEEK, exact):
            if block and min(block) > 0 and (-(-rows // block[0]), -(-columns // block[1])) == grid[-2:]:
                return block
    raise Misfit(f"scales of shape {grid} for a weight of shape {shape}")


def _sharing(shape: tuple[int, ...], block: Block) -> str:
    rows, columns = (min(side, whole) for side, whole in zip(block, shape[-2:], strict=True))
    if columns == shape[-1]:
        return "one scale" if rows == shape[-2] else "row scales" if rows == 1 else "block scales"
    return "group scales" if rows == 1 else "column scales" if columns == 1 else "block scales"


def _values(stored: Stored, name: str, scale: str, zero: str, block: Block) -> Values:
    read = stored.weights.read
    factors = scales_of(stored.weights.info(scale), read(scale))
    return scaled(read(name), factors, block, read(zero) if zero in stored.names else None)


def scales_of(info: TensorInfo, values: NDArray[np.floating]) -> Values:
    """Scales as numbers: bytes are exponents, 2^(b - 127), 255 being NaN (E8M0 of OCP Microscaling Formats 1.0)."""
    if info.dtype.name == "uint8":
        values = values.astype(np.uint8).view(_E8M0)
    return values.astype(np.float32)


def scaled(
    codes: NDArray[np.floating], scales: Values, block: Block, zeros: NDArray[np.floating] | None = None
) -> Values:
    """(codes - zeros) scales, codes (..., n, m); scales and zeros a block each, in row-major order of blocks."""
    rows, columns = codes.shape[-2:]
    grid = -(-rows // block[0]), -(-columns // block[1])
    stack = codes.reshape(-1, rows, columns)
    # Stored as 8 bits, they were made float32 by the reader, so the memory is no one else's, unless it says so.
    made: Values = stack if stack.flags.writeable and stack.dtype == np.float32 else np.empty(stack.shape, np.float32)
    many = np.broadcast_to(scales.reshape(-1, *_as_grid(scales, grid)), (len(stack), *grid))
    shifts = None if zeros is None else np.broadcast_to(zeros.reshape(-1, *_as_grid(zeros, grid)), (len(stack), *grid))
    for index, one in enumerate(stack):
        for start, end in chunks(rows, columns):
            where = np.arange(start, end) // block[0]
            part: NDArray[np.floating] = one[start:end]
            if shifts is not None:
                part = part - _spread(shifts[index, where], block[1], columns)
            made[index, start:end] = part * _spread(many[index, where], block[1], columns)
    return made.reshape(codes.shape)


def _as_grid(values: NDArray[np.floating], grid: Block) -> Block:
    return (1, 1) if values.size == 1 else grid


def _spread(values: NDArray[np.floating], block: int, columns: int) -> NDArray[np.floating]:
    """Values a block as values a column; where one holds for all it is left to broadcast."""
    return values if values.shape[1] == 1 else np.repeat(values, block, axis=1)[:, :columns]


def _scheme(weight: str, marker: str, kind: str) -> Scheme:
    build = partial(_build, weight=weight, marker=marker, kind=kind)
    return Scheme("" if kind == "fp8" else kind, marker, weight, (marker, "_zero_point"), weight, build)


SCHEMES = (
    _scheme("", "_scale_inv", "fp8"),
    _scheme("", "_scale", "fp8"),
    _scheme("", "_scale", "int8"),
    _scheme(".weight", ".scale", "fp8"),
)
