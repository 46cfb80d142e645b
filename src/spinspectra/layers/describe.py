"""The table of everything in a checkpoint, from its headers alone."""

from typing import TYPE_CHECKING, Any

from spinspectra.errors import ChainError, UnknownFamilyError
from spinspectra.layers.layer import read_layers
from spinspectra.layers.recognise import recognise
from spinspectra.weights import Weights, open_weights

if TYPE_CHECKING:
    import pandas as pd


def describe(source: Any) -> "pd.DataFrame":
    """One row a tensor, nothing left out: layer_id, name, kind, dtype, shape, params, bytes, chain.

    source: as for `open_weights`. `chain` is the tensor's part in the Ising chain, `3.fc1` for the first MLP
    matrix of block 3, or empty where it has none. Raises what `open_weights` raises.
    """
    import pandas as pd

    weights = open_weights(source)
    parts = chain_parts(weights)
    rows = [
        {
            "layer_id": layer.index,
            "name": layer.name,
            "kind": layer.kind,
            "dtype": str(layer.dtype),
            "shape": layer.shape,
            "params": weights.info(layer.name).size,
            "bytes": weights.info(layer.name).n_bytes,
            "chain": parts.get(layer.name, ""),
        }
        for layer in read_layers(weights)
    ]
    return pd.DataFrame(rows)


def chain_parts(weights: Weights) -> dict[str, str]:
    """The chain's label of every tensor in it; empty if the checkpoint makes no chain."""
    try:
        matrices = recognise(weights).block_matrices()
    except (UnknownFamilyError, ChainError):
        return {}
    return {name: matrix.label for matrix in matrices for name in matrix.tensors}
