"""Drop-in for the Python module of stosicresearch/dnnising: `from spinspectra.compat import dnnising`.

The nine calls, their arguments, printed lines and text formats are the original's. As there, one network at a
time lives inside the module: `py_alloc` makes it, the other calls work on it. Couplings are float64, as there.
What differs, on purpose:

- Random numbers come from numpy (fixed seed at `py_alloc`), so single steps differ; the rule of each step, a layer
  picked uniformly, then a spin in it, flipped if that lowers the energy, is the same.
- Local fields are kept, so a step that flips nothing costs O(1) instead of a sum over both neighbouring layers.
- A missing or misshapen file is a one-line error instead of a crash; `spins/` is made if it is not there.
- `py_mcmc` returns the energy summed anew from the final spins.
"""

import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import ChainError, OptionError, SpinSpectraError, WeightsError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.search import descend_by_layer
from spinspectra.ising.kernels.swaps import swap_passes
from spinspectra.ising.spins import save_spins, split
from spinspectra.ising.state import KeptFields, refresh, start
from spinspectra.layers.transformer import ROLES

_SPINS_FOLDER = "spins"
_PRINT_EVERY = 10_000  # steps between lines of py_mcmc

_SEED = 0


@dataclass
class _Network:
    """The network inside the module; `state` is made when first needed after the couplings changed."""

    chain: IsingChain
    spins: list[NDArray[np.int8]]
    rng: np.random.Generator
    state: KeptFields | None = None


_network: _Network | None = None


def py_alloc(num_layers: int, num_nodes: int) -> None:
    """Make room for `num_layers` matrices (four a transformer block) of hidden size `num_nodes`, MLP ratio 4.

    Couplings start at 0, spins at +1. Raises OptionError unless num_layers is a positive multiple of 4 and
    num_nodes is positive (the original writes past its memory there).
    """
    global _network
    if num_layers < 4 or num_layers % 4 or num_nodes < 1:
        raise OptionError(f"py_alloc({num_layers}, {num_nodes}): give 4 matrices a block and at least one node a layer")
    nodes = (num_nodes, num_nodes, num_nodes, 4 * num_nodes) * (num_layers // 4) + (num_nodes,)
    labels = tuple(f"{i // 4}.{ROLES[i % 4]}" for i in range(num_layers))
    flat = np.zeros(sum(m * n for m, n in pairwise(nodes)))
    spins = split(np.ones(sum(nodes), np.int8), nodes)
    _network = _Network(IsingChain(flat, nodes, labels, "zeros"), spins, np.random.default_rng(_SEED))


def py_read(dirname: str) -> None:
    """Read every `layers.{i}.{qkv,proj,fc1,fc2}.txt` of a folder, rows = input nodes; prints each name.

    Raises WeightsError, naming the file, if one is missing, is no table of numbers, or has another shape.
    """
    network = _allocated("py_read")
    flat = np.empty(network.chain.n_bonds)
    start_at = 0
    for label, matrix in zip(network.chain.labels, network.chain.couplings, strict=True):
        path = Path(dirname) / f"layers.{label}.txt"
        flat[start_at : start_at + matrix.size] = _read_matrix(path, matrix.shape).ravel()
        start_at += matrix.size
        print(path)
    _replace_couplings(network, flat, dirname)


def py_shuffle(num_reps: int) -> None:
    """`num_reps` passes over all couplings, each swapped with a random one of a random matrix."""
    network = _allocated("py_shuffle")
    flat = network.chain.flat.copy()
    first_bond = np.cumsum([0, *(matrix.size for matrix in network.chain.couplings)], dtype=np.int64)
    swap_passes(flat, first_bond, num_reps, network.rng)
    _replace_couplings(network, flat, f"{network.chain.source} (shuffled)")


def py_spins() -> int:
    """Number of spins."""
    return _allocated("py_spins").chain.n_spins


def py_bonds() -> int:
    """Number of couplings."""
    return _allocated("py_bonds").chain.n_bonds


def py_energy() -> float:
    """Energy of the present spins, in the unit of the weights."""
    network = _allocated("py_energy")
    return network.chain.energy(_current_spins(network))


def py_mcmc_step(e: float) -> float:
    """Try one flip, made if it lowers the energy; returns `e` plus what the energy changed by."""
    network = _allocated("py_mcmc_step")
    state = _kept(network)
    _flips, change = descend_by_layer(network.chain.packed, state.spins, state.fields, 1, network.rng)
    return e + float(change)


def py_mcmc(max_steps: int) -> float:
    """Try `max_steps` flips, with a line of step and energy every 10,000; returns the final energy."""
    network = _allocated("py_mcmc")
    state = _kept(network)
    for step in range(0, max_steps, _PRINT_EVERY):  # the original prints after the first step of each stretch
        descend_by_layer(network.chain.packed, state.spins, state.fields, 1, network.rng)
        refresh(network.chain, state)
        print(f"steps: {step}\tenergy: {-0.5 * float(state.spins @ state.fields):f}")
        rest = min(_PRINT_EVERY, max_steps - step) - 1
        descend_by_layer(network.chain.packed, state.spins, state.fields, rest, network.rng)
    refresh(network.chain, state)
    return py_energy()


def py_save() -> None:
    """Write the spins to `spins/l{i}.dat`, one a line, below the working directory."""
    save_spins(_current_spins(_allocated("py_save")), _SPINS_FOLDER)


def write_layers(chain: IsingChain, dirname: str) -> None:
    """Write a chain of transformer blocks as the text files that `py_read` and the original read.

    Full float64 precision. Raises ChainError if the matrices are not labelled as blocks (`0.qkv`, `0.proj`, ...).
    """
    folder = Path(dirname)
    if any(label.rpartition(".")[2] not in ROLES for label in chain.labels):
        raise ChainError(f"{chain.source}: only chains of transformer blocks have names in this format")
    folder.mkdir(parents=True, exist_ok=True)
    for label, matrix in zip(chain.labels, chain.couplings, strict=True):
        np.savetxt(folder / f"layers.{label}.txt", matrix.astype(np.float64))


def _allocated(call: str) -> _Network:
    if _network is None:
        raise SpinSpectraError(f"{call}: there is no network yet; call py_alloc(num_layers, num_nodes) first")
    return _network


def _kept(network: _Network) -> KeptFields:
    if network.state is None:
        network.state = start(network.chain, network.rng, network.spins)
    return network.state


def _current_spins(network: _Network) -> list[NDArray[np.int8]]:
    return network.spins if network.state is None else split(network.state.spins, network.chain.nodes)


def _replace_couplings(network: _Network, flat: NDArray[np.floating], source: str) -> None:
    network.spins = _current_spins(network)
    network.state = None
    network.chain = network.chain.with_flat(flat, source)


def _read_matrix(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # numpy only warns of an empty file
            matrix = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError, UserWarning) as error:
        raise WeightsError(f"{path}: not a table of numbers ({error})") from None
    if matrix.shape != shape:
        raise WeightsError(f"{path}: holds {matrix.shape}, py_alloc made {shape}; rows are input nodes")
    if not np.isfinite(matrix).all():
        raise WeightsError(f"{path}: holds NaN or infinite values")
    return matrix
