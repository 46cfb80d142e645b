"""From a chain back to its checkpoint: new values for the stored tensors of the transformer blocks, and for no others.

Each function gives an `Edit` for `weights.writing.rewrite`. Biases, norms, embeddings, heads and positional tables are
no part of the chain, so their bytes stay.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import ChainError
from spinspectra.layers.network import Network
from spinspectra.weights.writing import Edit

Matrix = NDArray[np.floating]


def stored_tensors(network: Network) -> list[str]:
    """The tensors behind the chain in its order, query, key and value each; what shares one memory counts once.

    Raises ChainError as `block_matrices` does.
    """
    first_of: dict[str, str] = {}
    for matrix in network.block_matrices():
        for name in matrix.tensors:
            first_of.setdefault(network.weights.info(name).same_as or name, name)
    return list(first_of.values())


def read_elements(network: Network) -> Matrix:
    """All values of `stored_tensors`, one tensor after another as stored, (n,); float64 if one is, else float32.

    Raises NonFiniteError, naming file and tensor, if a value is NaN or infinite.
    """
    names = stored_tensors(network)
    infos = [network.weights.info(name) for name in names]
    wide = any(info.dtype == np.float64 for info in infos)
    flat: Matrix = np.empty(sum(info.size for info in infos), np.float64 if wide else np.float32)
    start = 0
    for name, info in zip(names, infos, strict=True):
        flat[start : start + info.size] = network.read_stored(name).ravel()
        start += info.size
    return flat


def elements_edit(network: Network, flat: Matrix) -> Edit:
    """Put values in the order of `read_elements` in the place of the stored ones; those in other formats are rounded.

    Raises ChainError for another number of values.
    """
    places: dict[str, tuple[slice, tuple[int, ...]]] = {}
    start = 0
    for name in stored_tensors(network):
        info = network.weights.info(name)
        places[name] = slice(start, start + info.size), info.shape
        start += info.size
    if flat.shape != (start,):
        raise ChainError(f"{network.weights.source}: has {start} elements in its chain, not {flat.shape}")

    def edit(name: str) -> Matrix | None:
        if name not in places:
            return None
        where, shape = places[name]
        return flat[where].reshape(shape)

    return edit


def couplings_edit(network: Network, couplings: Sequence[Matrix]) -> Edit:
    """Write matrices of the whole chain, input x output, into the tensors behind them: the mapping turned round.

    Tensors that are added share the change of their sum (`composition.spread`). What is written maps to `couplings`
    again, up to the rounding of the stored dtype; tensors of matrices that are as they were keep their bits.

    Raises ChainError for matrices of other shapes, or if blocks share a tensor, which cannot become two.
    """
    plan = network.block_matrices()
    source = network.weights.source
    if [matrix.shape for matrix in plan] != [J.shape for J in couplings]:
        raise ChainError(f"{source}: {len(couplings)} couplings of other shapes than its {len(plan)} matrices")
    if len(stored_tensors(network)) < sum(len(matrix.tensors) for matrix in plan):
        raise ChainError(
            f"{source}: blocks share tensors, so couplings of each cannot be written; move elements instead"
        )
    index_of = {name: index for index, matrix in enumerate(plan) for name in matrix.tensors}
    made: dict[str, Matrix | None] = {}  # those of a fused sum that were made with the one asked for

    def edit(name: str) -> Matrix | None:
        if name not in index_of:
            return None
        if name not in made:
            index = index_of[name]
            made.update(network.stored_for(plan[index], couplings[index]))
        return made.pop(name)

    return edit
