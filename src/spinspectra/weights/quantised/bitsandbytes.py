"""bitsandbytes: 4 bits by a table and a scale a block (nf4, fp4), 8 bits by a scale a row.

What `Linear4bit` and `Linear8bitLt` put into a state dict, as transformers saves it. arXiv 2305.14314, 2208.07339.
"""

import json
import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

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
from spinspectra.weights.quantised.scaled import scaled

_STATE = ".quant_state.bitsandbytes__"
_NESTED = (".nested_absmax", ".nested_quant_map")
_MOST = 1 << 40  # a block is never longer
_ROW_MAJOR = 0  # the only layout that is still written


@dataclass(frozen=True, slots=True)
class _State:
    """shape: of the weight. block: values that share a scale. nested: scales that share a scale, 0 if stored as floats.
    offset: what is added to nested scales.
    """

    shape: tuple[int, ...]
    block: int
    nested: int
    offset: float


def _build_4bit(stored: Stored, stem: str, kind: str) -> Weight:
    state = _read_state(stored, f"{stem}{_STATE}{kind}", f"{stem}.nested_absmax" in stored.names)
    positive_sides(state.shape)
    n = math.prod(state.shape)
    codes = stored.info(stem)
    require(codes, "codes", None, "uint8")
    if codes.size != -(-n // 2):
        raise Misfit(f"{codes.size} bytes for a weight of shape {state.shape}")
    blocks = -(-n // state.block)
    absmax, table = stored.info(f"{stem}.absmax"), stored.info(f"{stem}.quant_map")
    require(absmax, "absmax", (blocks,), *(("uint8",) if state.nested else FLOATS))
    require(table, "quant_map", (16,), *FLOATS)
    if state.nested:
        require(stored.info(f"{stem}.nested_absmax"), "nested_absmax", (-(-blocks // state.nested),), *FLOATS)
        require(stored.info(f"{stem}.nested_quant_map"), "nested_quant_map", (256,), *FLOATS)
    return Weight(state.shape, kind, partial(_values_4bit, stored, stem, state))


def _read_state(stored: Stored, name: str, nested: bool) -> _State:
    """The JSON of a quant_state tensor, one byte a value."""
    require(stored.info(name), "quant_state", None, "uint8")
    try:
        said: Any = json.loads(bytes(stored.small(name).astype(np.uint8)))
        shape, block = said["shape"], said["blocksize"]
        inner = said["nested_blocksize"] if nested else 1
        offset = float(said["nested_offset"]) if nested else 0.0
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise Misfit("a quant_state that is not readable") from None
    if not isinstance(shape, list) or not all(type(side) is int for side in (*shape, block, inner)):
        raise Misfit("a quant_state without a shape and block sizes")
    if not (0 < block < _MOST and 0 < inner < _MOST and math.isfinite(offset)):
        raise Misfit("a quant_state with block sizes or an offset out of range")
    return _State(tuple(shape), block, inner if nested else 0, offset)


def _values_4bit(stored: Stored, stem: str, state: _State) -> Values:
    """table[code] scale[block], two codes a byte, the first in the upper half."""
    read = stored.weights.read
    codes, table = read(stem).ravel(), read(f"{stem}.quant_map").astype(np.float32)
    scales = _scales(stored, stem, state)
    n = math.prod(state.shape)
    made: Values = np.empty(n, np.float32)
    for start, end in chunks(codes.size, 2):
        pair = codes[start:end].astype(np.uint8)
        both = np.stack([pair >> 4, pair & 15], axis=1).ravel()[: n - 2 * start]
        block = np.arange(2 * start, 2 * start + both.size) // state.block
        made[2 * start : 2 * start + both.size] = table[both] * scales[block]
    return made.reshape(state.shape)


def _scales(stored: Stored, stem: str, state: _State) -> Values:
    read = stored.weights.read
    scales = read(f"{stem}.absmax").ravel()
    if not state.nested:
        return scales.astype(np.float32)
    table = read(f"{stem}.nested_quant_map").astype(np.float32)
    outer = read(f"{stem}.nested_absmax").astype(np.float32)
    inner = table[scales.astype(np.uint8)] * outer[np.arange(scales.size) // state.nested]
    return inner + np.float32(state.offset)


def _build_8bit(stored: Stored, stem: str) -> Weight | None:
    codes, scales = stored.info(f"{stem}.weight"), stored.info(f"{stem}.SCB")
    if codes.dtype.name != "int8":
        return None
    if len(codes.shape) != 2:
        raise Misfit(f"codes of shape {codes.shape}")
    positive_sides(codes.shape)
    require(scales, "SCB", (codes.shape[0],), *FLOATS)
    layout = f"{stem}.weight_format"
    if layout in stored.names:
        require(stored.info(layout), "weight_format", None, "uint8")
        if stored.small(layout).tolist() != [_ROW_MAJOR]:
            raise Misfit("a weight_format other than rows")
    return Weight(codes.shape, "int8 (bitsandbytes)", partial(_values_8bit, stored, stem))


def _values_8bit(stored: Stored, stem: str) -> Values:
    scales = stored.weights.read(f"{stem}.SCB").astype(np.float32) / np.float32(127.0)
    codes = stored.weights.read(f"{stem}.weight")
    return scaled(codes, scales, (1, codes.shape[1]))


SCHEMES = (
    *(
        Scheme(
            kind,
            _STATE + kind,
            "",
            (".absmax", ".quant_map", *_NESTED, _STATE + kind),
            "",
            partial(_build_4bit, kind=kind),
        )
        for kind in ("nf4", "fp4")
    ),
    Scheme("int8 (bitsandbytes)", ".SCB", ".weight", (".SCB", ".weight_format"), ".weight", _build_8bit),
)
