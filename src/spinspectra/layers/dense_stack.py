"""Plain MLPs: a checkpoint of dense matrices alone, each of which ends where the next one starts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from spinspectra.layers.composition import Piece, Stored
from spinspectra.layers.kinds import nature_of
from spinspectra.layers.layer import natural_key
from spinspectra.layers.network import BlockMatrix, Network
from spinspectra.text import shown
from spinspectra.weights import TensorInfo, Weights

_ATTENTION = re.compile(r"attn|attention|query|(^|[._])(key|value)([._]|$)|qkv|[qkv]_proj")


@dataclass(frozen=True, slots=True)
class DenseStack(Network):
    """Dense layers in their order, each a block of its own. stored: orientation of all of them on disk."""

    layers: tuple[str, ...]
    stored: Stored

    @property
    def name(self) -> str:
        return "MLP"

    def matrices_of(self, block: int) -> list[BlockMatrix]:
        name = self.layers[block]
        shape = _out_in(self.weights.info(name), self.stored)
        return [
            BlockMatrix(f"{block}.dense", (Piece((name,), "one", shape, self.stored),), "out", self.dtype_of((name,)))
        ]


def dense_stack(weights: Weights, infos: Mapping[str, TensorInfo]) -> DenseStack | str:
    """The dense layers of a checkpoint that holds no other matrix and whose sizes meet; of any other the reason.

    Matrices of attention, by their names, are none: they do not follow one another, even where their sizes meet.
    Their order is that of the file, or else the natural one of their names; the natural one first where the file's is
    that of the alphabet, which tells nothing. Their orientation is that of torch, or else input x output, as Keras has
    it, whichever makes sizes meet first. Keras's own layers and names (`kernel`) are taken as input x output at once.
    Where all sides are alike, nothing but this rule tells.
    """
    natures = {name: nature_of(name, infos) for name in infos}
    matrices = [name for name, nature in natures.items() if nature.n_matrices]
    for name in matrices:
        if natures[name].kind != "dense" or _ATTENTION.search(name):
            kind = "part of an attention" if natures[name].kind == "dense" else f"of kind {natures[name].kind}"
            return f"{shown(name)} is {kind}"
    if len(matrices) < 2:
        return "it has one matrix" if matrices else "it has no matrices"
    keras = all(infos[name].module in ("Dense", "EinsumDense") or name.endswith("kernel") for name in matrices)
    orientations: tuple[Stored, ...] = ("in_out",) if keras else ("out_in", "in_out")
    orders = (matrices, sorted(matrices, key=natural_key))
    for stored in orientations:
        for order in orders[::-1] if matrices == sorted(matrices) else orders:
            if _meet([infos[name] for name in order], stored):
                return DenseStack(len(order), weights, frozenset(infos), tuple(order), stored)
    return _where_sizes_part(orders[1], infos, orientations[0])


def _where_sizes_part(order: Sequence[str], infos: Mapping[str, TensorInfo], stored: Stored) -> str:
    for before, after in pairwise(order):
        if not _meet([infos[before], infos[after]], stored):
            shapes = infos[before].shape, infos[after].shape
            return f"{shown(before)} of {shapes[0]} and {shown(after)} of {shapes[1]} do not meet"
    return "sizes do not meet"


def _meet(infos: Sequence[TensorInfo], stored: Stored) -> bool:
    shapes = [_out_in(info, stored) for info in infos]
    return all(before[0] == after[1] for before, after in pairwise(shapes))


def _out_in(info: TensorInfo, stored: Stored) -> tuple[int, int]:
    rows, columns = info.shape
    return (columns, rows) if stored == "in_out" else (rows, columns)
