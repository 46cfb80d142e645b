"""Keras's int8 layers: codes and scales read as the numbers that they stand for; what else it packs has a name."""

import re
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights.keras.classes import Known, Shape, einsum_terms, matrix_shape, summed_axes

SCHEME = "int8 (Keras)"
_CODES = ("kernel", "embeddings")


def quantisation(known: Known) -> str:
    """How the config says that a layer's weights are quantised, `int8` or `int4`; empty if it says nothing of it."""
    policy = known.options.get("dtype")
    options = policy.get("config") if isinstance(policy, Mapping) else None
    mode = options.get("mode") if isinstance(options, Mapping) else policy
    match = re.match(r"(int8|int4|float8|gptq|awq)(?![a-z0-9])", mode) if isinstance(mode, str) else None
    return match[1] if match else ""


def codes(known: Known, leaf: str, dtype: "np.dtype[Any]") -> str:
    """What a kernel of codes without a scale is called in messages; empty for all else."""
    if dtype != np.int8 or leaf not in _CODES:
        return ""
    return f"{quantisation(known) or 'int8 or int4'} codes of Keras"


def scale_shape(known: Known, leaf: str, shape: Shape, dtype: "np.dtype[Any]", scale: Shape) -> Shape:
    """The sides that a scale must be given so that the matrix of int8 codes can be divided by it; () if it is none.

    One scale an output of a kernel, one a row of an embedding. Codes may as well be of 4 bits where the config does not
    say; those of einsum kernels then have two sides.
    """
    mode = quantisation(known) or ("int8" if known.kind == "EinsumDense" and len(shape) > 2 else "")
    sides = matrix_shape(known, leaf, shape)
    if mode != "int8" or dtype != np.int8 or len(sides) != 2 or leaf not in _CODES:
        return ()
    axis = _scaled_axis(known, shape)
    if axis is None or prod(scale) != sides[axis]:
        return ()
    return (1, sides[1]) if axis == 1 else (sides[0], 1)


def _scaled_axis(known: Known, shape: Shape) -> int | None:
    """The axis of the matrix along which scales differ; None if they do not stand in its order."""
    if known.kind in ("Dense", "Embedding"):
        return 1 if known.kind == "Dense" else 0
    terms = einsum_terms(known.options.get("equation"))
    if terms is None:
        return 1 if known.summed else None
    n = summed_axes(known.options["equation"], len(shape))
    axis = 1 if terms[1][0] in terms[0] else 0
    kept = terms[1][n:] if axis else terms[1][:n]
    return axis if n and kept == "".join(letter for letter in terms[2] if letter in terms[1]) else None


def dequantise(codes: NDArray[Any], scale: NDArray[Any], sides: Shape) -> NDArray[np.float32]:
    """The float32 numbers that codes stand for. A scale is 127 over the largest number of its column or row."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quotient: NDArray[np.float32] = np.divide(codes, scale.astype(np.float32).reshape(sides), dtype=np.float32)
    return quotient
