"""From a checkpoint to the matrices of its transformer blocks, in the order a layered chain takes them.

Every block gives four matrices, input x output: qkv = W_Q + W_K + W_V, proj, fc1, fc2 (arXiv 2209.08678).
Biases, norms, embeddings, heads and positional tables are left out.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import ChainError, NonFiniteError, OptionError
from spinspectra.layers.families import Family, Layout
from spinspectra.layers.fusion import add, fused_shape
from spinspectra.layers.kinds import SCALES
from spinspectra.weights import Weights
from spinspectra.weights.dtypes import stored_bits

ROLES = ("qkv", "proj", "fc1", "fc2")


@dataclass(frozen=True, slots=True)
class BlockMatrix:
    """One matrix of the chain, not yet read: its label (`3.fc1`), its tensors, its shape input x output."""

    label: str
    tensors: tuple[str, ...]
    shape: tuple[int, int]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Transformer:
    """A checkpoint recognised as a stack of transformer blocks; no tensor has been read.

    prefix: what stands before the block names (`bert.`, `transformer.`, or nothing). n_blocks: how many
    blocks the file holds. n_heads: from config.json, None if unknown and not needed.
    """

    family: Family
    layout: Layout
    prefix: str
    n_blocks: int
    n_heads: int | None
    weights: Weights

    def block_matrices(self, blocks: int | None = None) -> list[BlockMatrix]:
        """The matrices of the first `blocks` blocks (default all), in chain order, from the headers alone.

        Raises OptionError if there are fewer blocks, ChainError if shapes do not fit one another.
        """
        if blocks is None:
            blocks = self.n_blocks
        if isinstance(blocks, bool) or not isinstance(blocks, int | np.integer) or not 1 <= blocks <= self.n_blocks:
            raise OptionError(
                f"blocks={blocks}: {self.weights.source} has {self.n_blocks} blocks; give 1 to {self.n_blocks}"
            )
        self._require_unquantised(blocks)
        matrices = [self._matrix(block, role) for block in range(blocks) for role in ROLES]
        for before, after in pairwise(matrices):
            if before.shape[1] != after.shape[0]:
                raise ChainError(
                    f"{self.weights.source}: {' + '.join(before.tensors)} ends in {before.shape[1]} nodes and "
                    f"{' + '.join(after.tensors)} starts from {after.shape[0]}; the file does not fit "
                    f"{self.family.name}"
                )
        return matrices

    def read(self, matrix: BlockMatrix) -> NDArray[np.floating]:
        """The values of one matrix, input x output, in its dtype (the transpose is a view).

        Raises NonFiniteError, naming file and tensor, if a value is NaN or infinite.
        """
        tensors = [self.read_stored(name) for name in matrix.tensors]
        is_sum = matrix.label.endswith("qkv")
        values: NDArray[np.floating] = add(self.layout.fusion, tensors, self.n_heads) if is_sum else tensors[0]
        with np.errstate(over="ignore"):
            values = values.astype(matrix.dtype, copy=False)
        if is_sum:
            _require_finite(values, self.weights.source, "the sum of " + ", ".join(matrix.tensors))
        return values.T if self.layout.stored == "out_in" else values

    def _require_unquantised(self, blocks: int) -> None:
        """Refuse the codes of a quantised checkpoint, which are not the weights the network computes with."""
        there = set(self.weights.names())
        for name in (name for block in range(blocks) for role in ROLES for name in self._tensors(block, role)):
            dtype = self.weights.info(name).dtype
            scale = next((name + suffix for suffix in SCALES if name + suffix in there), None)
            if dtype.kind in "iub" or stored_bits(dtype) < 8 or scale:
                said = f"with its scale in {scale}" if scale else "which are codes, not weights"
                raise ChainError(
                    f"{self.weights.source}: {name} is stored as {dtype}, {said}; dequantise the checkpoint first"
                )

    def _tensors(self, block: int, role: str) -> tuple[str, ...]:
        parts = self.layout.qkv if role == "qkv" else (getattr(self.layout, role),)
        stem = self.prefix + self.layout.block.format(i=block)
        return tuple(f"{stem}{part}.weight" for part in parts)

    def _matrix(self, block: int, role: str) -> BlockMatrix:
        names = self._tensors(block, role)
        infos = [self.weights.info(name) for name in names]
        shapes = [info.shape for info in infos]
        if role == "qkv":
            rows, columns = fused_shape(self.layout.fusion, names, shapes, self.n_heads, self.weights.source)
        elif len(shapes[0]) == 2:
            rows, columns = shapes[0]
        else:
            raise ChainError(f"{self.weights.source}: {names[0]} has shape {shapes[0]}, the chain needs a matrix")
        if rows == 0 or columns == 0:
            raise ChainError(f"{self.weights.source}: {names[0]} has shape {shapes[0]}, a layer without nodes")
        wide = any(info.dtype == np.float64 for info in infos)
        shape = (columns, rows) if self.layout.stored == "out_in" else (rows, columns)
        return BlockMatrix(f"{block}.{role}", names, shape, np.dtype(np.float64 if wide else np.float32))

    def read_stored(self, name: str) -> NDArray[np.floating]:
        """A tensor as it is stored, float32 or float64. Raises NonFiniteError as `read` does."""
        values = self.weights.read(name)
        _require_finite(values, self.weights.info(name).file, name)
        return values


def _require_finite(values: NDArray[np.floating], source: str, name: str) -> None:
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        kind = "NaN" if np.isnan(values).any() else "infinite"
        raise NonFiniteError(
            f"{source}: {name} has {bad} {kind} values in {values.size}; fetch the file again or leave that block out"
        )
