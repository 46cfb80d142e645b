"""Stored number formats, and how each becomes the float32 or float64 that the analysis works on."""

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown

# The codes of the safetensors format.
SAFETENSORS: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("bool"),
    "C64": np.dtype("<c8"),
}

# Packed below a byte, with a scale in another tensor: they can be described, but the numbers alone are no weights.
PACKED: dict[str, np.dtype[Any]] = {
    "F4": np.dtype(ml_dtypes.float4_e2m1fn),
    "F6_E2M3": np.dtype(ml_dtypes.float6_e2m3fn),
    "F6_E3M2": np.dtype(ml_dtypes.float6_e3m2fn),
}

_ML_FLOATS = {dtype for dtype in SAFETENSORS.values() if dtype.kind == "V"} | {
    np.dtype(ml_dtypes.float8_e4m3b11fnuz),
    np.dtype(ml_dtypes.float8_e4m3),
    np.dtype(ml_dtypes.float8_e3m4),
}


def stored_bits(dtype: np.dtype[Any]) -> int:
    """Bits a value of this dtype takes in a file."""
    return int(ml_dtypes.finfo(dtype).bits) if dtype in PACKED.values() else 8 * dtype.itemsize


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether values of this dtype are numbers on the real line that `to_float` can return."""
    return dtype.kind in "fiub" or dtype in _ML_FLOATS


def to_float(array: NDArray[Any], where: str) -> NDArray[np.floating]:
    """The same values as a contiguous float32 or float64 array, in native byte order.

    float64 (and wider) gives float64; every narrower float gives float32, which holds it exactly. Integers
    and booleans give float32 where that is exact for all of their values, else float64 (exact up to 2^53).
    Raises WeightsError, naming `where`, for complex numbers and for anything that is not a number.
    """
    dtype = array.dtype
    if not is_real(dtype):
        raise WeightsError(
            f"{where} holds {shown(str(dtype))} values, which are not real numbers; leave this tensor out"
        )
    if dtype.kind == "f":
        target: type[np.floating] = np.float64 if dtype.itemsize >= 8 else np.float32
    elif dtype.kind in "iu" and array.size and max(abs(int(array.max())), abs(int(array.min()))) > 2**24:
        target = np.float64
    else:
        target = np.float32
    # order="C" keeps 0-d tensors 0-d, which np.ascontiguousarray would not.
    return array.astype(target, order="C", copy=False)
