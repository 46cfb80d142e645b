"""compressed-tensors' pack-quantized: whole numbers of 2, 4 or 8 bits, packed along the rows of a weight.

weight_packed (out, in b / 32), weight_scale (out, groups), (out, 1) or a single one, weight_shape (2,), the last word
of a row filled up with zeros. A number is stored plus 2^(b - 1), weight_zero_point too, packed along the outputs.
Other widths were packed in two ways over the years, which shapes do not tell apart.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights.quantised.base import (
    FLOATS,
    Misfit,
    Scheme,
    Stored,
    Values,
    Weight,
    chunks,
    n_words,
    positive_sides,
    require,
    unpacked,
    words,
)

_BITS = (2, 4, 8)


@dataclass(frozen=True, slots=True)
class _Layout:
    """bits: of a number. shape: (out, in). groups: scales of a row. zeros_packed: as words, else a number each."""

    bits: int
    shape: tuple[int, int]
    groups: int
    zeros_packed: bool


def _build(stored: Stored, stem: str) -> Weight | None:
    if not {f"{stem}_scale", f"{stem}_shape"} <= stored.names or stored.info(f"{stem}_packed").dtype.name != "int32":
        return None
    codes, scales = stored.info(f"{stem}_packed"), stored.info(f"{stem}_scale")
    require(stored.info(f"{stem}_shape"), "weight_shape", (2,), "int64", "int32")
    out, n_in = (int(side) for side in stored.small(f"{stem}_shape"))
    positive_sides((out, n_in))
    require(codes, "weight_packed", (out, codes.shape[-1] if codes.shape else 0))
    bits = _bits(codes.shape[1], n_in, {weights.get("num_bits") for weights in stored.settings.groups()})
    require(scales, "scales", None, *FLOATS)
    groups = scales.shape[1] if len(scales.shape) == 2 and scales.shape[0] == out else 1
    if groups < 1 or n_in % groups or (scales.size != 1 and scales.size != out * groups):
        raise Misfit(f"scales of shape {scales.shape} for a weight of shape {(out, n_in)}")
    if f"{stem}_g_idx" in stored.names:
        require(stored.info(f"{stem}_g_idx"), "g_idx", (n_in,), "int32", "int64")
    layout = _Layout(bits, (out, n_in), groups, _zeros_packed(stored, stem, bits, out, groups))
    return Weight((out, n_in), f"int{bits} (compressed-tensors)", partial(_values, stored, stem, layout))


def _bits(columns: int, n_in: int, said: set[object]) -> int:
    fits = [bits for bits in _BITS if n_words(n_in, bits) == columns and (not said or bits in said)]
    if len(fits) != 1:
        raise Misfit(f"{n_in} columns in {columns} words")
    return fits[0]


def _zeros_packed(stored: Stored, stem: str, bits: int, out: int, groups: int) -> bool:
    """Older versions kept zero points as int8, one a scale."""
    if f"{stem}_zero_point" not in stored.names:
        return False
    zeros = stored.info(f"{stem}_zero_point")
    is_packed = zeros.dtype.name == "int32"
    require(zeros, "zero points", (n_words(out, bits), groups) if is_packed else None, "int32", "int8")
    if not is_packed and zeros.size != stored.info(f"{stem}_scale").size:
        raise Misfit(f"zero points of shape {zeros.shape}")
    return is_packed


def _values(stored: Stored, stem: str, layout: _Layout) -> Values:
    """scale (code - zero) of the group of each column."""
    (out, n_in), read = layout.shape, stored.weights.read
    codes, scales = read(f"{stem}_packed"), _per_group(read(f"{stem}_scale"), layout)
    zeros = _zeros(stored, stem, layout)
    group = _order(stored, stem, layout)
    made: Values = np.empty((out, n_in), np.float32)
    for start, end in chunks(out, n_in):
        fields = unpacked(words(codes[start:end]).T, layout.bits, 0, n_in).T.astype(np.float32)
        made[start:end] = (fields - zeros[start:end][:, group]) * scales[start:end][:, group]
    return made


def _zeros(stored: Stored, stem: str, layout: _Layout) -> Values:
    """Zero points as they are stored with codes: plus 2^(b - 1)."""
    out, middle = layout.shape[0], np.float32(1 << (layout.bits - 1))
    if f"{stem}_zero_point" not in stored.names:
        return np.full((out, layout.groups), middle)
    zeros = stored.weights.read(f"{stem}_zero_point")
    if layout.zeros_packed:
        return unpacked(words(zeros), layout.bits, 0, out).astype(np.float32)
    return _per_group(zeros, layout) + middle


def _per_group(values: NDArray[np.floating], layout: _Layout) -> Values:
    """One value a tensor, a row or a group as (out, groups)."""
    shape = layout.shape[0], layout.groups
    found: Values = np.broadcast_to(values.astype(np.float32).reshape(-1, layout.groups), shape)
    return found


def _order(stored: Stored, stem: str, layout: _Layout) -> NDArray[np.int64]:
    """The group of each column; -1 in a stored order stands for none."""
    n_in, groups = layout.shape[1], layout.groups
    if f"{stem}_g_idx" in stored.names:
        order = stored.weights.read(f"{stem}_g_idx").astype(np.int64)
        if -1 not in order:
            if order.min() < 0 or order.max() >= groups:
                raise Misfit(f"g_idx from {order.min()} to {order.max()} with {groups} groups")
            return order
    return np.arange(n_in) // (n_in // groups)


SCHEMES = (
    Scheme("compressed-tensors", "_packed", "_packed", ("_scale", "_shape", "_zero_point", "_g_idx"), "", _build),
)
