"""How stored tensors make one matrix of the chain: fused, grouped, gated, stacked; and the way back.

Every way of storing is one function: from the stored tensors to views of the parts that are added, of shapes that
broadcast to one, so that writing into the views writes into the tensors. All views have outputs before inputs. The
mapping adds query, key and value (arXiv 2209.08678 and its public code). Beyond it, our choices: keys and values that
a group of queries shares count for each of them, as attention computes with them; a gated MLP is gate + values; the
hidden units of experts stand side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Stored = Literal["out_in", "in_out"]
Fusion = Literal["separate", "rows", "groups"]
Gate = Literal["separate", "halves", "alternating"]
Way = Literal["one", "three", "rows", "groups", "sum", "halves", "alternating"]
Matrix = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Piece:
    """Stored tensors that make one matrix, or one run of its nodes.

    tensors: their names. way: how they make it. shape: outputs x inputs of what they make. stored: orientation on
    disk. groups: key and value heads, each used by `repeats` query heads; 1 and 1 where heads play no part. along:
    which nodes the experts of a tensor of three sides are stacked along, "out" or "in".
    """

    tensors: tuple[str, ...]
    way: Way
    shape: tuple[int, int]
    stored: Stored = "out_in"
    groups: int = 1
    repeats: int = 1
    along: Literal["out", "in"] = "out"


def _one(tensors: Sequence[Matrix], piece: Piece) -> tuple[Matrix, ...]:
    return tuple(tensors)


def _three(tensors: Sequence[Matrix], piece: Piece) -> tuple[Matrix, ...]:
    """Query (g r h, m), key (g h, m) and value (g h, m): g groups, r queries each, heads of dimension h."""
    m = tensors[0].shape[1]
    return tuple(
        one.reshape(piece.groups, repeats, -1, m) for one, repeats in zip(tensors, _repeats(piece), strict=True)
    )


def _rows(tensors: Sequence[Matrix], piece: Piece) -> tuple[Matrix, ...]:
    """One tensor, its outputs [query; key; value] (GPT-2, Phi-3, MPT)."""
    (fused,) = tensors
    head = fused.shape[0] // (piece.groups * (piece.repeats + 2))
    ends = np.cumsum([piece.groups * repeats * head for repeats in _repeats(piece)])
    return _three([fused[: ends[0]], fused[ends[0] : ends[1]], fused[ends[1] :]], piece)


def _groups(tensors: Sequence[Matrix], piece: Piece) -> tuple[Matrix, ...]:
    """One tensor, its outputs [group, (queries, key, value), head_dim] (BLOOM, GPT-NeoX, Falcon)."""
    (fused,) = tensors
    r = piece.repeats
    heads = fused.reshape(piece.groups, r + 2, -1, fused.shape[1])
    return heads[:, :r], heads[:, r : r + 1], heads[:, r + 1 :]


def _halves(tensors: Sequence[Matrix], piece: Piece) -> tuple[Matrix, ...]:
    """One tensor, its outputs [gate; values] (Phi-3, experts of transformers 5)."""
    (fused,) = tensors
    half = fused.shape[-2] // 2
    return fused[..., :half, :], fused[..., half:, :]


def _alternating(tensors: Sequence[Matrix], piece: Piece) -> tuple[Matrix, ...]:
    """One tensor, its outputs gate, value, gate, value, ... (GPT-OSS)."""
    (fused,) = tensors
    return fused[..., ::2, :], fused[..., 1::2, :]


_VIEWS: dict[Way, Callable[[Sequence[Matrix], Piece], tuple[Matrix, ...]]] = {
    "one": _one,
    "three": _three,
    "rows": _rows,
    "groups": _groups,
    "sum": _one,
    "halves": _halves,
    "alternating": _alternating,
}


def _repeats(piece: Piece) -> tuple[int, int, int]:
    return piece.repeats, 1, 1


def parts_of(piece: Piece, tensors: Sequence[Matrix]) -> tuple[Matrix, ...]:
    """Views of the stored tensors, to be added with broadcasting; outputs before inputs in the last two axes."""
    turned = [one.swapaxes(-1, -2) for one in tensors] if piece.stored == "in_out" else list(tensors)
    return _VIEWS[piece.way](turned, piece)


def compose(piece: Piece, tensors: Sequence[Matrix]) -> Matrix:
    """The matrix that stored tensors make, outputs x inputs: sums in float64, a single tensor as it is."""
    first, *others = parts_of(piece, tensors)
    total = first if not others else sum((one for one in others), first.astype(np.float64))
    return _folded(total, piece)


def spread(piece: Piece, tensors: Sequence[Matrix], asked: Matrix, stored: np.dtype[Any]) -> list[Matrix]:
    """New stored tensors that make `asked`, outputs x inputs (`compose` turned round); those given are not changed.

    The parts that are no one else's share the change alike: query, key and value, gate and values; of keys and values
    shared by a group only the query moves. All but the last are rounded to the dtype they are `stored` in and the last
    makes up for it, so the sum is off by the rounding of one stored number at most. Where the sum is `asked` already,
    all parts keep their bits.
    """
    if piece.way == "one":
        (part,) = parts_of(piece, tensors)
        total = _unfolded(asked, part.shape, piece)
        return [total.swapaxes(-1, -2) if piece.stored == "in_out" else total]
    made = [tensor.copy() for tensor in tensors]
    parts = parts_of(piece, made)
    before = sum((one for one in parts[1:]), parts[0].astype(np.float64))
    wanted = _unfolded(asked, before.shape, piece)
    moved = before.astype(asked.dtype) != wanted
    wanted = wanted.astype(np.float64)
    own = [one for one in parts if one.shape == before.shape]
    for one in own[:-1]:
        one[moved] = (one + (wanted - before) / len(own))[moved].astype(stored)
    last = own[-1]
    rest = sum((one for one in parts if one is not last), np.zeros(before.shape))
    last[moved] = (wanted - rest)[moved]
    return made


def _folded(total: Matrix, piece: Piece) -> Matrix:
    if piece.along == "in" and total.ndim == 3:
        return np.moveaxis(total, 0, 1).reshape(total.shape[1], -1)
    return total.reshape(-1, total.shape[-1])


def _unfolded(matrix: Matrix, shape: tuple[int, ...], piece: Piece) -> Matrix:
    """The inverse of `_folded`: the matrix as the parts have it."""
    if piece.along == "in" and len(shape) == 3:
        return np.moveaxis(matrix.reshape(shape[1], shape[0], shape[2]), 1, 0)
    return matrix.reshape(shape)
