"""A checkpoint as a sequence of matrices whose sizes meet: what a layered chain is made of, block after block."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import ChainError, NonFiniteError, OptionError
from spinspectra.layers.composition import Piece, compose, spread
from spinspectra.layers.kinds import SCALES
from spinspectra.text import shown
from spinspectra.weights import Weights
from spinspectra.weights.dtypes import stored_bits

Matrix = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class BlockMatrix:
    """One matrix of the chain, not yet read: its label (`3.fc1`), its shape input x output, and what makes it.

    pieces: one, or one an expert, beside one another along their outputs (`side` "out") or inputs ("in").
    """

    label: str
    pieces: tuple[Piece, ...]
    side: Literal["out", "in"]
    dtype: np.dtype[Any]

    @property
    def tensors(self) -> tuple[str, ...]:
        """All stored tensors in it."""
        return tuple(name for piece in self.pieces for name in piece.tensors)

    @property
    def shape(self) -> tuple[int, int]:
        """Inputs x outputs."""
        n_out, n_in = self.pieces[0].shape
        if self.side == "out":
            return n_in, sum(piece.shape[0] for piece in self.pieces)
        return sum(piece.shape[1] for piece in self.pieces), n_out


@dataclass(frozen=True, slots=True)
class Network(ABC):
    """A checkpoint recognised as blocks of matrices that follow one another; no tensor has been read.

    n_blocks: how many blocks the file holds. held: the names of all its tensors.
    """

    n_blocks: int
    weights: Weights
    held: frozenset[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in messages: the family."""

    @abstractmethod
    def matrices_of(self, block: int) -> list[BlockMatrix]:
        """The matrices of one block, in chain order, from the headers alone. Raises ChainError."""

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
        matrices = [matrix for block in range(blocks) for matrix in self.matrices_of(block)]
        for before, after in pairwise(matrices):
            if before.shape[1] != after.shape[0]:
                raise ChainError(
                    f"{self.weights.source}: {_some(before)} ends in {before.shape[1]} nodes and "
                    f"{_some(after)} starts from {after.shape[0]}; the file does not fit {self.name}"
                )
        return matrices

    def read(self, matrix: BlockMatrix) -> Matrix:
        """The values of one matrix, input x output, in its dtype (a view of outputs x inputs); one piece at a time.

        Raises NonFiniteError, naming file and tensor, if a value is NaN or infinite.
        """
        if len(matrix.pieces) == 1:
            return self._piece(matrix.pieces[0], matrix.dtype).T
        n_in, n_out = matrix.shape
        values = np.empty((n_out, n_in), matrix.dtype)
        for piece, place in _places(matrix, values):
            place[...] = self._piece(piece, matrix.dtype)
        return values.T

    def stored_for(self, matrix: BlockMatrix, values: Matrix) -> dict[str, Matrix | None]:
        """New stored tensors that make these values, input x output; None for all of them where they make them now."""
        if np.array_equal(self.read(matrix), values):
            return dict.fromkeys(matrix.tensors)
        made: dict[str, Matrix | None] = {}
        for piece, asked in _places(matrix, values.T):
            tensors = [self.read_stored(name) for name in piece.tensors]
            stored = self.weights.info(piece.tensors[0]).dtype
            made.update(zip(piece.tensors, spread(piece, tensors, asked, stored), strict=True))
        return made

    def read_stored(self, name: str) -> Matrix:
        """A tensor as it is stored, float32 or float64. Raises NonFiniteError as `read` does."""
        values = self.weights.read(name)
        _require_finite(values, self.weights.info(name).file, name)
        return values

    def dtype_of(self, names: tuple[str, ...]) -> np.dtype[Any]:
        """float64 if a tensor is, else float32. Raises ChainError for codes, which no network computes with."""
        for name in names:
            self._require_unquantised(name)
        wide = any(self.weights.info(name).dtype == np.float64 for name in names)
        return np.dtype(np.float64 if wide else np.float32)

    def _piece(self, piece: Piece, dtype: np.dtype[Any]) -> Matrix:
        values = compose(piece, [self.read_stored(name) for name in piece.tensors])
        with np.errstate(over="ignore"):
            values = values.astype(dtype, copy=False)
        if piece.way != "one":
            _require_finite(values, self.weights.source, "the sum of " + ", ".join(piece.tensors))
        return values

    def _require_unquantised(self, name: str) -> None:
        info = self.weights.info(name)
        scale = next((name + suffix for suffix in SCALES if name + suffix in self.held), None)
        if info.dtype.kind in "iub" or info.format or stored_bits(info.dtype) < 8 or scale:
            said = f"with its scale in {shown(scale)}" if scale else "which are codes, not weights"
            raise ChainError(
                f"{self.weights.source}: {shown(name)} is stored as {info.stored_as}, {said}; dequantise the "
                "checkpoint first"
            )


def _places(matrix: BlockMatrix, values: Matrix) -> list[tuple[Piece, Matrix]]:
    """The pieces of a matrix and where each stands in its values, outputs x inputs."""
    axis = 0 if matrix.side == "out" else 1
    ends = np.cumsum([piece.shape[axis] for piece in matrix.pieces])
    return list(zip(matrix.pieces, np.split(values, ends[:-1], axis=axis), strict=True))


def _some(matrix: BlockMatrix) -> str:
    names = [shown(name) for name in matrix.tensors]
    return " + ".join(names[:3]) + (f" + {len(names) - 3} more" if len(names) > 3 else "")


def _require_finite(values: Matrix, source: str, name: str) -> None:
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        kind = "NaN" if np.isnan(values).any() else "infinite"
        raise NonFiniteError(
            f"{source}: {name} has {bad} {kind} values in {values.size}; fetch the file again or leave that block out"
        )
