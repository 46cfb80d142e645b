"""AWQ (arXiv 2306.00978) as AutoAWQ writes it for its gemm kernel: 4 bits.

qweight (in, out / 8) and qzeros (groups, out / 8) hold eight outputs a word of 32 bits, in the order below; scales
(groups, out); groups are of equal numbers of inputs, in their order.
"""

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
    positive_sides,
    require,
    words,
)

_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # the output of each field of a word, lowest bits first


def _build(stored: Stored, stem: str) -> Weight | None:
    if f"{stem}.qzeros" not in stored.names or stored.settings.is_awq is False:
        return None
    codes, zeros, scales = (stored.info(f"{stem}.{part}") for part in ("qweight", "qzeros", "scales"))
    looks_like_it = len(codes.shape) == len(scales.shape) == 2 and 8 * codes.shape[1] == scales.shape[1]
    if not looks_like_it and not stored.settings.is_awq:
        return None
    if not looks_like_it:
        raise Misfit(f"qweight of shape {codes.shape} and scales of shape {scales.shape}")
    groups, out = scales.shape
    require(codes, "qweight", None, "int32")
    require(zeros, "qzeros", (groups, codes.shape[1]), "int32")
    require(scales, "scales", None, *FLOATS)
    positive_sides((out, codes.shape[0], groups))
    if codes.shape[0] % groups:
        raise Misfit(f"{groups} groups of {codes.shape[0]} inputs")
    if stored.settings.is_awq and stored.settings.number("bits", "w_bit") not in (None, 4):
        raise Misfit(f"{stored.settings.number('bits', 'w_bit')} bits")
    return Weight((out, codes.shape[0]), "AWQ 4 bit", partial(_values, stored, stem))


def _values(stored: Stored, stem: str) -> Values:
    read = stored.weights.read
    codes, scales = read(f"{stem}.qweight"), read(f"{stem}.scales").astype(np.float32)
    zeros = _fields(words(read(f"{stem}.qzeros")))
    n_in, out = len(codes), scales.shape[1]
    made: Values = np.empty((out, n_in), np.float32)
    for start, end in chunks(n_in, out):
        group = np.arange(start, end) // (n_in // len(scales))
        made[:, start:end] = ((_fields(words(codes[start:end])) - zeros[group]) * scales[group]).T
    return made


def _fields(packed: NDArray[np.uint64]) -> Values:
    """(n, words) as (n, 8 words) numbers from 0 to 15 in the order of the outputs."""
    made: Values = np.empty((*packed.shape, 8), np.float32)
    for field, output in enumerate(_ORDER):
        made[..., output] = packed >> np.uint64(4 * field) & np.uint64(15)
    return made.reshape(len(packed), -1)


SCHEMES = (Scheme("AWQ", ".qweight", ".qweight", (".qzeros", ".scales"), ".weight", _build),)
