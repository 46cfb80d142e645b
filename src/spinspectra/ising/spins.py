"""Spins of a chain: a list of L + 1 int8 arrays of -1 and +1, one a layer. Checks, random draws, text files.

The text format is that of stosicresearch/dnnising: `l{i}.dat` for layer i, one spin a line.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import SpinsError
from spinspectra.files import whole_file

Spins = Sequence[NDArray[np.int8]]  # s_l, shape (n_l,), every entry -1 or +1

SPIN_FILE = re.compile(r"l\d+\.dat")  # what `save_spins` writes


def check_spins(spins: Spins, nodes: Sequence[int]) -> None:
    """Raise SpinsError unless there is one vector a layer, of the layer's size, of -1 and +1 only."""
    if len(spins) != len(nodes):
        raise SpinsError(f"the chain has {len(nodes)} layers of spins, got {len(spins)}")
    for i, (layer, n) in enumerate(zip(spins, nodes, strict=True)):
        values = np.asarray(layer)
        if values.shape != (n,):
            raise SpinsError(f"spins[{i}] has shape {values.shape}, layer {i} of the chain needs ({n},)")
        if not np.all((values == 1) | (values == -1)):
            raise SpinsError(f"spins[{i}] has values besides -1 and +1; try np.where(bits, 1, -1)")


def random_spins(nodes: Sequence[int], rng: np.random.Generator) -> list[NDArray[np.int8]]:
    """Independent spins, -1 and +1 equally likely."""
    return split(2 * rng.integers(0, 2, size=sum(nodes), dtype=np.int8) - 1, nodes)


def split(flat: NDArray[np.int8], nodes: Sequence[int]) -> list[NDArray[np.int8]]:
    """(N,) to one array a layer, each its own copy."""
    return [np.array(layer, np.int8) for layer in np.split(flat, np.cumsum(nodes)[:-1])]


def join(spins: Spins) -> NDArray[np.int8]:
    """One array a layer to (N,), a copy."""
    return np.concatenate([np.asarray(layer, np.int8) for layer in spins])


def save_spins(spins: Spins, folder: str | os.PathLike[str]) -> None:
    """Write `l{i}.dat` files into a folder, made if need be; each is whole or not there at all.

    Spin files of a deeper chain left in the folder from before are removed. Raises SpinsError for
    values besides -1 and +1, OSError if it cannot be written.
    """
    check_spins(spins, [np.size(layer) for layer in spins])
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"l{i}.dat" for i in range(len(spins))]
    for name, layer in zip(names, spins, strict=True):
        with whole_file(folder / name) as part:
            part.write_text("".join(f"{spin}\n" for spin in layer.tolist()), encoding="utf-8")
    for path in folder.iterdir():
        if SPIN_FILE.fullmatch(path.name) and path.name not in names:
            path.unlink()


def load_spins(folder: str | os.PathLike[str]) -> list[NDArray[np.int8]]:
    """Read the `l{i}.dat` files of a folder, in order of i. Raises SpinsError if one is missing or malformed."""
    folder = Path(folder)
    n_layers = sum(1 for path in folder.glob("l*.dat") if SPIN_FILE.fullmatch(path.name))
    if n_layers == 0:
        raise SpinsError(f"{folder}: no spin files l0.dat, l1.dat, ... in this folder")
    spins = []
    for i in range(n_layers):
        path = folder / f"l{i}.dat"
        try:
            spins.append(np.array(path.read_text().split(), dtype=np.int8))
        except (OSError, ValueError, OverflowError) as error:
            raise SpinsError(f"{path}: not a file of one -1 or 1 a line ({error})") from None
        if spins[-1].size == 0:
            raise SpinsError(f"{path}: the file is empty; save the spins again")
    check_spins(spins, [layer.size for layer in spins])
    return spins
