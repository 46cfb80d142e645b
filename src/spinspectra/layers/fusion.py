"""How a family stores the query, key and value maps, and how they become one: W_Q + W_K + W_V.

Each function takes the stored tensors of one block and returns their sum in float64 and stored orientation;
`parts` says how many tensors it takes. The mapping adds the three (arXiv 2209.08678 and its public code).
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import ChainError

Fusion = Literal["separate", "columns", "heads"]
Matrix = NDArray[np.floating]


def add_separate(tensors: Sequence[Matrix], n_heads: int | None) -> NDArray[np.float64]:
    """Three tensors of one shape, (m, n) each."""
    query, key, value = tensors
    return query.astype(np.float64) + key + value


def add_columns(tensors: Sequence[Matrix], n_heads: int | None) -> NDArray[np.float64]:
    """One tensor (m, 3 n), its columns [q | k | v] (GPT-2)."""
    (fused,) = tensors
    n = fused.shape[1] // 3
    return fused[:, :n].astype(np.float64) + fused[:, n : 2 * n] + fused[:, 2 * n :]


def add_heads(tensors: Sequence[Matrix], n_heads: int | None) -> NDArray[np.float64]:
    """One tensor (3 n, m), its rows [head, (q, k, v), head_dim] (BLOOM, GPT-NeoX)."""
    (fused,) = tensors
    assert n_heads is not None  # `fused_shape` has refused the file otherwise
    query, key, value = np.moveaxis(fused.reshape(n_heads, 3, -1, fused.shape[1]), 1, 0)
    total: NDArray[np.float64] = query.astype(np.float64) + key + value
    return total.reshape(-1, fused.shape[1])


ADD: dict[Fusion, Callable[[Sequence[Matrix], int | None], NDArray[np.float64]]] = {
    "separate": add_separate,
    "columns": add_columns,
    "heads": add_heads,
}


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
