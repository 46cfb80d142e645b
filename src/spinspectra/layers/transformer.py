"""From a checkpoint to the matrices of its transformer blocks, in the order a layered chain takes them.

Every block gives four matrices, input x output: qkv = W_Q + W_K + W_V, proj, fc1, fc2 (arXiv 2209.08678). Biases,
norms, embeddings, heads and positional tables are left out. Beyond the paper, our choices: where attention and MLP both
read the block's input (GPT-J, GPT-NeoX, Falcon, Phi), they follow one another all the same; cross-attention of a
decoder, which would couple it to another chain, is left out; hidden units of experts are all nodes, whatever a router
would choose; ALBERT's one block stands at every depth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from spinspectra.errors import ChainError
from spinspectra.layers.composition import Piece, Stored, Way
from spinspectra.layers.families import Family, Layout
from spinspectra.layers.families.base import Mlp, experts_of
from spinspectra.layers.heads import attention_piece
from spinspectra.layers.network import BlockMatrix, Network
from spinspectra.layers.settings import Heads
from spinspectra.text import shown

Side = Literal["out", "in"]

ROLES = ("qkv", "proj", "fc1", "fc2")


@dataclass(frozen=True, slots=True)
class Transformer(Network):
    """A checkpoint recognised as a stack of transformer blocks; no tensor has been read.

    prefix: what stands before the block names (`bert.`, `transformer.`, or nothing). heads: from config.json, as far
    as it says. parts: of each block on disk the names below it; fewer than n_blocks where blocks share them.
    """

    family: Family
    layout: Layout
    prefix: str
    heads: Heads
    parts: Mapping[int, frozenset[str]]

    @property
    def name(self) -> str:
        return self.family.name

    def matrices_of(self, block: int) -> list[BlockMatrix]:
        on_disk = block * len(self.parts) // self.n_blocks  # blocks that share theirs come in runs of equal length
        stem = self.prefix + self.layout.block.format(i=on_disk)
        proj = self._single(stem + self.layout.proj, self.layout.stored, "out")
        names = tuple(stem + name for name in self.layout.qkv)
        sizes = self.layout.fusion, self.layout.stored, self.heads
        qkv = attention_piece(self.weights, names, *sizes, n_query=proj.shape[1])
        mlps = [(mlp, stem, number) for mlp in self.layout.mlps for number in _numbers(mlp, self.parts[on_disk])]
        return [
            self._matrix(f"{block}.qkv", [qkv], "out"),
            self._matrix(f"{block}.proj", [proj], "out"),
            self._matrix(f"{block}.fc1", [self._hidden(*one) for one in mlps], "out"),
            self._matrix(f"{block}.fc2", [self._back(*one) for one in mlps], "in"),
        ]

    def _hidden(self, mlp: Mlp, stem: str, expert: int) -> Piece:
        """What maps the inputs to these hidden units: one tensor, or gate + values."""
        names = tuple(stem + name.format(e=expert) for name in mlp.fc1)
        if len(names) == 1 and mlp.gate == "separate":
            return self._single(names[0], mlp.stored, "out", mlp.stacked)
        shapes = [self._shape(name, mlp.stored, mlp.stacked) for name in names]
        found = ", ".join(f"{shown(name)} {self.weights.info(name).shape}" for name in names)
        if len(set(shapes)) != 1:
            raise ChainError(f"{self.weights.source}: gate and values differ in shape, so they do not add: {found}")
        *experts, n_out, n_in = shapes[0]
        if mlp.gate == "separate":
            return Piece(names, "sum", (prod(experts) * n_out, n_in), mlp.stored)
        if n_out % 2:
            raise ChainError(f"{self.weights.source}: {found} cannot be gate and values, its outputs are odd")
        way: Way = mlp.gate
        return Piece(names, way, (prod(experts) * n_out // 2, n_in), mlp.stored)

    def _back(self, mlp: Mlp, stem: str, expert: int) -> Piece:
        return self._single(stem + mlp.fc2.format(e=expert), mlp.stored, "in", mlp.stacked)

    def _single(self, name: str, stored: Stored, along: Side, stacked: bool = False) -> Piece:
        *experts, n_out, n_in = self._shape(name, stored, stacked)
        shape = (prod(experts) * n_out, n_in) if along == "out" else (n_out, prod(experts) * n_in)
        return Piece((name,), "one", shape, stored, along=along)

    def _shape(self, name: str, stored: Stored, stacked: bool) -> tuple[int, ...]:
        """Outputs x inputs, before them the number of experts where the tensor holds them all."""
        shape = self.weights.info(name).shape
        if len(shape) != (3 if stacked else 2):
            needed = "a stack of matrices, one an expert" if stacked else "a matrix"
            raise ChainError(f"{self.weights.source}: {shown(name)} has shape {shape}, the chain needs {needed}")
        if 0 in shape:
            raise ChainError(f"{self.weights.source}: {shown(name)} has shape {shape}, a layer without nodes")
        return (*shape[:-2], shape[-1], shape[-2]) if stored == "in_out" else shape

    def _matrix(self, label: str, pieces: list[Piece], side: Side) -> BlockMatrix:
        dtype = self.dtype_of(tuple(name for piece in pieces for name in piece.tensors))
        return BlockMatrix(label, tuple(pieces), side, dtype)


def _numbers(mlp: Mlp, parts: frozenset[str]) -> list[int]:
    """The experts of these hidden units that a block has; one number, which no name needs, where it is no expert's."""
    if "{e}" in mlp.fc1[0]:
        return experts_of(mlp.fc1[0], parts)
    return [0] if mlp.fc1[0] in parts else []
