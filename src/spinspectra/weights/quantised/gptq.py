"""GPTQ (arXiv 2210.17323) as AutoGPTQ and GPTQModel write it, and AutoRound in the same layout: 2, 3, 4 or 8 bits.

qweight (in b / 32, out) and qzeros (groups, out b / 32) are streams of fields of b bits in words of 32, along the
inputs and along the outputs; scales (groups, out); g_idx (in,) says to which group each input belongs.
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

_BITS = (2, 3, 4, 8)


@dataclass(frozen=True, slots=True)
class _Layout:
    """bits: of a field. shape: (out, in). group: inputs of a group where g_idx does not say."""

    bits: int
    shape: tuple[int, int]
    group: int


def _build(stored: Stored, stem: str) -> Weight | None:
    if f"{stem}.qzeros" not in stored.names or stored.settings.is_awq:
        return None
    codes, zeros, scales = (stored.info(f"{stem}.{part}") for part in ("qweight", "qzeros", "scales"))
    require(codes, "qweight", None, "int32")
    if len(codes.shape) != 2 or len(scales.shape) != 2:
        raise Misfit(f"qweight of shape {codes.shape} and scales of shape {scales.shape}")
    groups, out = scales.shape
    require(codes, "qweight", (codes.shape[0], out))
    require(zeros, "qzeros", (groups, zeros.shape[-1] if zeros.shape else 0), "int32")
    require(scales, "scales", None, *FLOATS)
    n_in = None
    if f"{stem}.g_idx" in stored.names:
        order = stored.info(f"{stem}.g_idx")
        require(order, "g_idx", (order.size,), "int32", "int64")
        n_in = order.size
    bits = _bits(codes.shape[0], n_in, zeros.shape[1], out, stored.settings.number("bits"))
    shape = out, codes.shape[0] * 32 // bits if n_in is None else n_in
    positive_sides((*shape, groups))
    layout = _Layout(bits, shape, _group(shape[1], groups, stored.settings.number("group_size")))
    return Weight(shape, f"GPTQ {bits} bit", partial(_values, stored, stem, layout))


def _bits(rows: int, n_in: int | None, columns: int, out: int, said: int | None) -> int:
    """The width that the shapes have room for; single layers may have another than the configuration says."""
    fits = [
        bits
        for bits in _BITS
        if n_words(out, bits) == columns and (rows * 32 % bits == 0 if n_in is None else n_words(n_in, bits) == rows)
    ]
    if said in fits:
        return said
    if len(fits) != 1:
        raise Misfit(f"{said} bits" if said and said not in _BITS else f"shapes that fit {len(fits)} of the widths")
    return fits[0]


def _group(n_in: int, groups: int, said: int | None) -> int:
    """Inputs of a group: what the configuration says, if so many groups come out, else what makes them equal."""
    if said and said > 0 and -(-n_in // said) == groups:
        return said
    if n_in % groups:
        raise Misfit(f"{groups} groups of {n_in} inputs")
    return n_in // groups


def _values(stored: Stored, stem: str, layout: _Layout) -> Values:
    """scale (code - zero) of the group of each input, worked out input by input and turned to (out, in)."""
    read = stored.weights.read
    codes, scales = words(read(f"{stem}.qweight")), read(f"{stem}.scales").astype(np.float32)
    zeros = _zeros(stored, stem, layout.bits, scales.shape[1])
    order = _order(stored, stem, layout, len(scales))
    made: Values = np.empty(layout.shape, np.float32)
    for start, end in chunks(layout.shape[1], layout.shape[0]):
        group = order[start:end]
        part = unpacked(codes, layout.bits, start, end).astype(np.float32) - zeros[group]
        made[:, start:end] = (part * scales[group]).T
    return made


def _zeros(stored: Stored, stem: str, bits: int, out: int) -> Values:
    """Zero points (groups, out). The older layout stores them less one.

    GPTQModel subtracts word by word, so that a borrow may run from one field into the next and adding word by word
    undoes it; with 3 bits it works on the fields. Some of its files say `gptq` and hold zero points as they are: in a
    symmetric one all are 2^(b - 1), which the older layout has as 2^(b - 1) - 1.
    """
    packed = words(stored.weights.read(f"{stem}.qzeros")).T
    fields = unpacked(packed, bits, 0, out).T
    as_they_are = stored.settings.values.get("sym") is not False and bool(np.all(fields == 1 << (bits - 1)))
    if not stored.settings.zeros_less_one or as_they_are:
        return fields.astype(np.float32)
    if bits == 3:
        return (fields + np.uint64(1) & np.uint64(7)).astype(np.float32)
    ones = np.uint64(sum(1 << at for at in range(0, 32, bits)))
    return unpacked(packed + ones & np.uint64(0xFFFFFFFF), bits, 0, out).T.astype(np.float32)


def _order(stored: Stored, stem: str, layout: _Layout, groups: int) -> NDArray[np.int64]:
    """The group of each input. Raises Misfit for one that is not there; all zeros stand for no order at all."""
    plain = np.arange(layout.shape[1]) // layout.group
    if f"{stem}.g_idx" not in stored.names:
        return plain
    order = stored.weights.read(f"{stem}.g_idx").astype(np.int64)
    if order.min() < 0 or order.max() >= groups:
        raise Misfit(f"g_idx from {order.min()} to {order.max()} with {groups} groups")
    return order if order.any() else plain


SCHEMES = (Scheme("GPTQ", ".qweight", ".qweight", (".qzeros", ".scales", ".g_idx"), ".weight", _build),)
