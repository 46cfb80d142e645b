"""The table of everything in a checkpoint, and what its chain would be, from its headers alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spinspectra.errors import ChainError, UnknownFamilyError
from spinspectra.layers.kinds import Channels
from spinspectra.layers.layer import read_layers
from spinspectra.layers.network import BlockMatrix
from spinspectra.layers.recognise import recognise
from spinspectra.layers.selection import MIN_EVALS, n_evals, why_skipped
from spinspectra.weights import Weights, open_weights

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ChainSummary:
    """The Ising chain a checkpoint makes: its family, blocks, spins N, bonds B, and each tensor's label in it."""

    family: str
    n_blocks: int
    n_spins: int
    n_bonds: int
    label_of: dict[str, str]


def describe(source: Any, channels: Channels | None = None) -> "pd.DataFrame":
    """One row a tensor, nothing left out, from the headers alone.

    Columns: layer_id, name, kind, dtype, shape, params, bytes; chain, the tensor's part in the Ising chain, `3.fc1` for
    the first MLP matrix of block 3, or empty; N and M, the sides of its matrices, the larger first, rf how many there
    are, num_evals their eigenvalues, all 0 where it holds no matrix; same_as, the tensor it is tied to, being the same
    memory, whose parameters and bytes it repeats; skipped, why `analyze` leaves it out by default, or empty. source,
    channels: as for `read_layers`. Raises what `read_layers` raises.
    """
    import pandas as pd

    weights = open_weights(source)
    summary = summarise_chain(weights)
    label_of = {} if isinstance(summary, str) else summary.label_of
    rows = []
    for layer in read_layers(weights, channels):
        info = weights.info(layer.name)
        rows.append(
            {
                "layer_id": layer.index,
                "name": layer.name,
                "kind": layer.kind,
                "dtype": info.stored_as,
                "shape": layer.shape,
                "params": info.size,
                "bytes": info.n_bytes,
                "chain": label_of.get(layer.name, ""),
                "N": max(layer.matrix_shape),
                "M": min(layer.matrix_shape),
                "rf": layer.n_matrices,
                "num_evals": n_evals(layer),
                "same_as": layer.same_as,
                "skipped": why_skipped(layer, MIN_EVALS, None),
            }
        )
    return pd.DataFrame(rows)


def summarise_chain(weights: Weights) -> ChainSummary | str:
    """The chain a checkpoint makes, without reading a tensor; or, if it makes none, the reason in one line."""
    try:
        network = recognise(weights)
        matrices = network.block_matrices()
    except (UnknownFamilyError, ChainError) as error:
        return str(error)
    return ChainSummary(
        family=network.name,
        n_blocks=network.n_blocks,
        n_spins=matrices[0].shape[0] + sum(matrix.shape[1] for matrix in matrices),
        n_bonds=sum(matrix.shape[0] * matrix.shape[1] for matrix in matrices),
        label_of=_labels(matrices),
    )


def _labels(matrices: list[BlockMatrix]) -> dict[str, str]:
    """The label of each stored tensor; `*.qkv` for one that stands in several blocks."""
    found: dict[str, str] = {}
    for matrix in matrices:
        for name in matrix.tensors:
            found[name] = f"*.{matrix.label.rpartition('.')[2]}" if name in found else matrix.label
    return found
