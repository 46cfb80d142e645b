"""Four-bit floats (E2M1), two a byte, the first in the lower half, with a scale a group of a row: MXFP4 and NVFP4.

MXFP4: groups of 32, scales powers of two, as GPT-OSS has its experts (`X_blocks`, `X_scales`) and compressed-tensors
its weights (`weight_packed`, `weight_scale`). NVFP4: groups of 16, scales float8, and one scale of the whole tensor:
ModelOpt multiplies by it (`weight_scale_2`), compressed-tensors divides (`weight_global_scale`).
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights.quantised.base import (
    Misfit,
    Scheme,
    Stored,
    Values,
    Weight,
    chunks,
    fp4_values,
    positive_sides,
    require,
)
from spinspectra.weights.quantised.scaled import scales_of

_POWERS = ("uint8", "float8_e8m0fnu")


def _build_experts(stored: Stored, stem: str) -> Weight | None:
    """GPT-OSS: (experts, out, groups, 16) bytes become (experts, in, out), as transformers has them."""
    if f"{stem}_scales" not in stored.names:
        return None
    codes, scales = stored.info(f"{stem}_blocks"), stored.info(f"{stem}_scales")
    if codes.dtype.name != "uint8" or len(codes.shape) != 4:
        return None
    require(codes, "blocks", (*codes.shape[:3], 16))
    require(scales, "scales", codes.shape[:3], *_POWERS)
    positive_sides(codes.shape)
    experts, out, groups, _ = codes.shape
    return Weight((experts, 32 * groups, out), "MXFP4", partial(_expert_values, stored, stem))


def _expert_values(stored: Stored, stem: str) -> Values:
    codes = stored.weights.read(f"{stem}_blocks")
    scales = scales_of(stored.weights.info(f"{stem}_scales"), stored.weights.read(f"{stem}_scales"))
    experts, out, groups, _ = codes.shape
    made: Values = np.empty((experts, 32 * groups, out), np.float32)
    for expert in range(experts):
        made[expert] = _decoded(codes[expert].reshape(out, -1), scales[expert], 1.0).T
    return made


def _build_rows(stored: Stored, stem: str, codes: str, whole: str) -> Weight | None:
    """A weight (out, in) of bytes (out, in / 2). whole: the ending of the scale of the whole tensor."""
    there, packed = (
        f"{stem}{whole}" in stored.names,
        stored.info(stem + codes) if stem + codes in stored.names else None,
    )
    if packed is None or packed.dtype.name != "uint8" or packed.format or f"{stem}_scale" not in stored.names:
        return None
    if len(packed.shape) != 2:
        raise Misfit(f"codes of shape {packed.shape}")
    size = 16 if there else 32
    shape = packed.shape[0], 2 * packed.shape[1]
    positive_sides(shape)
    if shape[1] % size:
        raise Misfit(f"{shape[1]} columns in groups of {size}")
    expected = shape[0], shape[1] // size
    require(stored.info(f"{stem}_scale"), "scales", expected, *(("float8_e4m3fn",) if there else _POWERS))
    if there:
        require(stored.info(stem + whole), "the scale of the tensor", None, "float32", "bfloat16", "float16")
        if stored.info(stem + whole).size != 1:
            raise Misfit("more than one scale of the tensor")
    return Weight(shape, "NVFP4" if there else "MXFP4", partial(_row_values, stored, stem, codes, whole))


def _row_values(stored: Stored, stem: str, codes: str, whole: str) -> Values:
    read, scale = stored.weights.read, f"{stem}_scale"
    factor = float(read(stem + whole).ravel()[0]) if stem + whole in stored.names else 1.0
    if not factor:
        raise Misfit("a scale of the tensor of 0")
    if whole == "_global_scale":
        factor = 1.0 / factor
    return _decoded(read(stem + codes), scales_of(stored.weights.info(scale), read(scale)), factor)


def _decoded(codes: NDArray[np.floating], scales: Values, factor: float) -> Values:
    """codes (n, m / 2) and scales (n, m / group) as values (n, m)."""
    n, m = len(codes), 2 * codes.shape[1]
    made: Values = np.empty((n, m), np.float32)
    for start, end in chunks(n, m):
        pair = codes[start:end].astype(np.uint8)
        both = np.stack([pair & 15, pair >> 4], axis=2).reshape(end - start, scales.shape[1], -1)
        factors = scales[start:end] * np.float32(factor)
        made[start:end] = (fp4_values()[both] * factors[:, :, None]).reshape(end - start, m)
    return made


SCHEMES = (
    Scheme("MXFP4", "_blocks", "_blocks", ("_scales",), "", _build_experts),
    Scheme("NVFP4", "_scale_2", "", ("_scale", "_scale_2"), "", partial(_build_rows, codes="", whole="_scale_2")),
    Scheme(
        "fp4",
        "_packed",
        "_packed",
        ("_scale", "_global_scale"),
        "",
        partial(_build_rows, codes="_packed", whole="_global_scale"),
    ),
)
