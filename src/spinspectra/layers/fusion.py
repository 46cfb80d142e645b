"""How a family stores the query, key and value maps, how they become one, W_Q + W_K + W_V, and the way back.

Every way of storing is one function: from the stored tensors of a block to views of its query, key and value, of one
shape, so that writing into the views writes into the tensors. The mapping adds the three (arXiv 2209.08678 and its
public code).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import ChainError

Fusion = Literal["separate", "columns", "heads"]
Matrix = NDArray[np.floating]
Parts = tuple[Matrix, Matrix, Matrix]


def separate_parts(tensors: Sequence[Matrix], n_heads: int | None) -> Parts:
    """Three tensors of one shape, (m, n) each."""
    query, key, value = tensors
    return query, key, value


def column_parts(tensors: Sequence[Matrix], n_heads: int | None) -> Parts:
    """One tensor (m, 3 n), its columns [q | k | v] (GPT-2)."""
    (fused,) = tensors
    n = fused.shape[1] // 3
    return fused[:, :n], fused[:, n : 2 * n], fused[:, 2 * n :]


def head_parts(tensors: Sequence[Matrix], n_heads: int | None) -> Parts:
    """One tensor (3 n, m), its rows [head, (q, k, v), head_dim] (BLOOM, GPT-NeoX); views (heads, head_dim, m)."""
    (fused,) = tensors
    assert n_heads is not None  # `fused_shape` has refused the file otherwise
    query, key, value = np.moveaxis(fused.reshape(n_heads, 3, -1, fused.shape[1]), 1, 0)
    return query, key, value


PARTS: dict[Fusion, Callable[[Sequence[Matrix], int | None], Parts]] = {
    "separate": separate_parts,
    "columns": column_parts,
    "heads": head_parts,
}


def add(fusion: Fusion, tensors: Sequence[Matrix], n_heads: int | None) -> NDArray[np.float64]:
    """The stored tensors of one block as W_Q + W_K + W_V, in float64 and stored orientation."""
    query, key, value = PARTS[fusion](tensors, n_heads)
    total: NDArray[np.float64] = query.astype(np.float64) + key + value
    return total.reshape(-1, total.shape[-1])


def spread(
    fusion: Fusion, tensors: Sequence[Matrix], total: Matrix, stored: np.dtype[Any], n_heads: int | None
) -> list[Matrix]:
    """Copies of the stored tensors whose sum, rounded to the dtype of `total`, is `total` (`add` turned round).

    Query, key and value each take a third of the change. The first two are rounded to the dtype they are `stored` in
    and the third makes up for it, so the sum is off by the rounding of one stored number at most. Where the sum is
    `total` already, all three keep their bits.
    """
    made = [tensor.copy() for tensor in tensors]
    query, key, value = PARTS[fusion](made, n_heads)
    asked = total.reshape(query.shape)
    before = query.astype(np.float64) + key + value
    moved = before.astype(total.dtype) != asked
    asked = asked.astype(np.float64)
    for part in (query, key):
        part[moved] = (part + (asked - before) / 3.0)[moved].astype(stored)
    value[moved] = (asked - query - key)[moved]
    return made


def fused_shape(
    fusion: Fusion, names: Sequence[str], shapes: Sequence[tuple[int, ...]], n_heads: int | None, source: str
) -> tuple[int, int]:
    """The shape of the sum, in stored orientation, from the headers alone.

    Raises ChainError, naming tensors and shapes, if the stored tensors cannot be one query, key and value.
    """
    found = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
    if any(len(shape) != 2 for shape in shapes):
        raise ChainError(f"{source}: query, key and value must be matrices, found {found}")
    rows, columns = shapes[0]
    if fusion == "separate":
        if len(set(shapes)) != 1:
            raise ChainError(f"{source}: query, key and value differ in shape, so they do not add: {found}")
        return rows, columns
    if fusion == "columns":
        if columns % 3:
            raise ChainError(f"{source}: {found} cannot be [q | k | v], its columns do not divide by 3")
        return rows, columns // 3
    if n_heads is None:
        raise ChainError(
            f"{source}: {found} is fused per head and the number of heads is in no tensor; put the model's "
            "config.json beside the file, or pass open_weights(..., config={'n_head': ...})"
        )
    if n_heads < 1 or rows % (3 * n_heads):
        raise ChainError(f"{source}: {found} cannot be [head, (q, k, v), head_dim] with {n_heads} heads")
    return rows // 3, columns
