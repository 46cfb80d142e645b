"""The layered Ising chain: E(s) = - sum_l s_l^T J_l s_{l+1}, its energy and local fields.

Layer l = 0..L holds n_l spins; J_l has shape (n_l, n_{l+1}), rows = input nodes. No field term. Energies
carry the unit of the weights. Source: the network-to-spins mapping of arXiv 2209.08678.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import ChainError, NonFiniteError
from spinspectra.ising.packed import PackedChain, pack
from spinspectra.ising.spins import Spins, check_spins
from spinspectra.layers import BlockMatrix, Network, recognise
from spinspectra.weights import open_weights
from spinspectra.weights.dtypes import is_real, to_float

_LARGEST = 1e140
_LARGEST_FLOAT32 = 1e12
_CHUNK = 1 << 20  # couplings turned into float64 at a time, when float32 ones are summed


@dataclass(frozen=True, eq=False, repr=False)
class IsingChain:
    """Couplings between consecutive layers of spins. Build one with `from_weights` or `from_matrices`.

    flat: all couplings, matrix after matrix, row-major, (n_bonds,), float32 or float64, read-only.
    nodes: spins a layer, (n_0, .., n_L). labels: what each matrix is, `3.fc1`. source: where it came from.
    """

    flat: NDArray[np.floating]
    nodes: tuple[int, ...]
    labels: tuple[str, ...]
    source: str

    @classmethod
    def from_weights(cls, source: Any, blocks: int | None = None, prefix: str | None = None) -> "IsingChain":
        """The chain of a transformer checkpoint, four matrices a block: W_Q + W_K + W_V, proj, fc1, fc2.

        source: as for `open_weights`. blocks: only the first so many (default all). prefix: which stack of
        blocks, where the file holds several. float32 unless the checkpoint is float64; sums are made in
        float64. One tensor is in memory at a time, beside the chain.

        Raises UnknownFamilyError, ChainError, OptionError, NonFiniteError or WeightsError; the text names
        the file, the tensor and what to do.
        """
        network = recognise(open_weights(source), prefix)
        plan = network.block_matrices(blocks)
        nodes = (plan[0].shape[0], *(matrix.shape[1] for matrix in plan))
        dtype = np.result_type(*(matrix.dtype for matrix in plan))
        read = _read_all(network, plan)
        return _assemble(read, nodes, dtype, tuple(matrix.label for matrix in plan), network.weights.source)

    @classmethod
    def from_matrices(cls, matrices: Iterable[ArrayLike], source: str = "matrices") -> "IsingChain":
        """The chain of given matrices J_l, (n_l, n_{l+1}), input x output; they are copied.

        float64 if any of them is float64 or of integers, else float32. Raises ChainError if there are none, or
        if sizes do not meet; NonFiniteError for NaN or infinity.
        """
        arrays = [_as_array(matrix, index) for index, matrix in enumerate(matrices)]
        _check_matrices(arrays)
        narrow = all(array.dtype.kind == "f" and array.dtype.itemsize <= 4 for array in arrays)
        nodes = (arrays[0].shape[0], *(array.shape[1] for array in arrays))
        labels = tuple(f"couplings[{index}]" for index in range(len(arrays)))
        return _assemble(iter(arrays), nodes, np.dtype(np.float32 if narrow else np.float64), labels, source)

    @property
    def n_spins(self) -> int:
        """N, the number of spins."""
        return sum(self.nodes)

    @property
    def n_bonds(self) -> int:
        """B, the number of couplings."""
        return self.flat.size

    @cached_property
    def couplings(self) -> tuple[NDArray[np.floating], ...]:
        """J_l, (n_l, n_{l+1}) each: views of `flat`."""
        starts = np.cumsum([0, *(m * n for m, n in zip(self.nodes, self.nodes[1:], strict=False))])
        return tuple(
            self.flat[starts[i] : starts[i + 1]].reshape(self.nodes[i], self.nodes[i + 1])
            for i in range(len(self.nodes) - 1)
        )

    @cached_property
    def packed(self) -> PackedChain:
        """The form the compiled kernels take; made once, since it costs a transposed copy of the couplings."""
        return pack(self.couplings, self.flat, self.nodes)

    def with_flat(self, flat: NDArray[np.floating], source: str) -> "IsingChain":
        """A chain of the same layers with other couplings, (n_bonds,); the array is taken over, not copied."""
        return _read_only(flat, self.nodes, self.labels, source)

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers get the couplings once and derive the rest themselves."""
        return _read_only, (self.flat, self.nodes, self.labels, self.source)

    def local_fields(self, spins: Spins) -> list[NDArray[np.float64]]:
        """Fields h_l = J_{l-1}^T s_{l-1} + J_l s_{l+1}, (n_l,) each; flipping spin i of layer l costs 2 s_i h_i.

        Summed in float64 whatever the couplings are. Raises SpinsError if a layer is missing, misshapen or
        holds values besides -1 and +1.
        """
        check_spins(spins, self.nodes)
        fields = [np.zeros(n) for n in self.nodes]
        for i, matrix in enumerate(self.couplings):
            right, left = np.asarray(spins[i + 1], np.float64), np.asarray(spins[i], np.float64)
            for rows, chunk in _float64_chunks(matrix):
                fields[i][rows] += chunk @ right
                fields[i + 1] += left[rows] @ chunk
        return fields

    def energy(self, spins: Spins) -> float:
        """E(s), in the unit of the weights, summed in float64. Raises SpinsError as `local_fields` does.

        >>> chain = IsingChain.from_matrices([[[2.0]]])
        >>> chain.energy([np.array([1], np.int8), np.array([-1], np.int8)])
        2.0
        """
        check_spins(spins, self.nodes)
        total = 0.0
        for i, matrix in enumerate(self.couplings):
            right, left = np.asarray(spins[i + 1], np.float64), np.asarray(spins[i], np.float64)
            for rows, chunk in _float64_chunks(matrix):
                total -= float(left[rows] @ (chunk @ right))
        return total

    @cached_property
    def sum_of_squares(self) -> float:
        """sum(J^2): the variance of E over uniform random spins, exactly."""
        chunks = (self.flat[i : i + _CHUNK].astype(np.float64) for i in range(0, self.n_bonds, _CHUNK))
        return float(sum(chunk @ chunk for chunk in chunks))

    def __repr__(self) -> str:
        layers = f"{len(self.nodes)} layers" if len(self.nodes) > 9 else f"nodes={self.nodes}"
        return f"IsingChain({self.source}: {layers}, N={self.n_spins:,}, B={self.n_bonds:,}, {self.flat.dtype})"


def _read_all(network: Network, plan: Sequence[BlockMatrix]) -> Iterator[NDArray[np.floating]]:
    for matrix in plan:
        yield network.read(matrix)


def _assemble(
    matrices: Iterator[NDArray[Any]],
    nodes: tuple[int, ...],
    dtype: np.dtype[Any],
    labels: tuple[str, ...],
    source: str,
) -> IsingChain:
    """Copy matrices into one flat array as they come, so that only one is held beside it."""
    flat = np.empty(sum(m * n for m, n in itertools.pairwise(nodes)), dtype)
    start = 0
    for matrix in matrices:
        flat[start : start + matrix.size].reshape(matrix.shape)[...] = matrix
        start += matrix.size
    return _read_only(_in_range(flat, source), nodes, labels, source)


def _in_range(flat: NDArray[np.floating], source: str) -> NDArray[np.floating]:
    """The couplings, as float64 if their size would lose float32 sums of squares; refused beyond float64's own."""
    largest = float(max(-flat.min(), flat.max()))
    if largest > _LARGEST or 0.0 < largest < 1.0 / _LARGEST:
        raise NonFiniteError(
            f"{source}: couplings of up to {largest:.1e}, whose squares no float64 holds; rescale the weights"
        )
    if flat.dtype == np.float32 and (largest > _LARGEST_FLOAT32 or 0.0 < largest < 1.0 / _LARGEST_FLOAT32):
        return flat.astype(np.float64)
    return flat


def _read_only(flat: NDArray[np.floating], nodes: tuple[int, ...], labels: tuple[str, ...], source: str) -> IsingChain:
    flat.flags.writeable = False  # shared by views, packed form and shuffled twins: nobody may write to it
    return IsingChain(flat, nodes, labels, source)


def _as_array(matrix: Any, index: int) -> NDArray[Any]:
    """A numpy array, a list or a torch tensor as an array; formats numpy lacks, such as bfloat16, as float32."""
    where = f"couplings[{index}]"
    if hasattr(matrix, "detach"):
        from spinspectra.weights.torch_file import tensor_to_numpy

        matrix = tensor_to_numpy(matrix, where)
    try:
        array = np.asarray(matrix)
    except ValueError:
        raise ChainError(f"{where} has rows of different lengths; give a matrix, input x output") from None
    return to_float(array, where) if array.dtype.kind not in "fiub" and is_real(array.dtype) else array


def _check_matrices(arrays: Sequence[NDArray[Any]]) -> None:
    if not arrays:
        raise ChainError("a chain needs at least one matrix of couplings, got none")
    for i, array in enumerate(arrays):
        if array.ndim != 2 or array.dtype.kind not in "fiub":
            raise ChainError(
                f"couplings[{i}] is {array.dtype} of shape {array.shape}; give a real matrix, input x output"
            )
        if array.size == 0:
            raise ChainError(f"couplings[{i}] has shape {array.shape}, a layer without nodes")
        if i and arrays[i - 1].shape[1] != array.shape[0]:
            raise ChainError(
                f"couplings[{i - 1}] is {arrays[i - 1].shape} and couplings[{i}] is {array.shape}, so layer {i} would "
                f"have {arrays[i - 1].shape[1]} and {array.shape[0]} nodes; is one transposed?"
            )
        if bad := array.size - int(np.count_nonzero(np.isfinite(array))):
            raise NonFiniteError(f"couplings[{i}] has {bad} values in {array.size} that are NaN or infinite")


def _float64_chunks(matrix: NDArray[np.floating]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Rows of a matrix as float64, about _CHUNK couplings at a time, so no second copy of it is ever whole."""
    step = max(1, _CHUNK // matrix.shape[1])
    for start in range(0, matrix.shape[0], step):
        rows = slice(start, start + step)
        yield rows, matrix[rows].astype(np.float64, copy=False)
