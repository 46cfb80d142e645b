"""Quench and anneal against the dnnising C code and the machine's memory, side by side in one run.

    python benchmarks/ground_state.py MODEL --dnnising PATH/dnnising.h

MODEL: a transformer checkpoint with MLP ratio 4 (what the C code can hold). The header of stosicresearch/dnnising is
compiled outside the project with gcc -O3 -march=native, as published and with 32-bit words in its random number
generator: with 64-bit ones, as on Linux, it throws away all but one draw in 18,000.

Every figure is the median of several repeats; both codes' energies are checked on the same spins before any ratio
is printed.
"""

import argparse
import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinspectra import IsingChain, anneal, quench
from spinspectra.ising.kernels.search import descend_by_layer, metropolis_sweep
from spinspectra.ising.packed import pack
from spinspectra.ising.spins import split
from spinspectra.ising.state import start

SWEEPS = 40
REPEATS = 7
COPY_BYTES = 400_000_000


@dataclass
class CNetwork:
    """A network inside the compiled C code: its couplings, spins and layer sizes as C pointers."""

    library: ctypes.CDLL
    couplings: ctypes.c_void_p
    spins: ctypes.c_void_p
    nodes: ctypes.c_void_p
    n_layers: int
    sizes: tuple[int, ...]

    def run(self, n_steps: int) -> float:
        """n_steps single-flip tries from the present spins; returns seconds (stepping from C, no printing)."""
        began = time.perf_counter()
        self.library.mcmc_quiet(self.couplings, self.spins, self.nodes, self.n_layers, n_steps)
        return time.perf_counter() - began

    def energy(self) -> float:
        return float(self.library.energy(self.couplings, self.spins, self.nodes, self.n_layers))

    def write_spins(self, spins: Sequence[NDArray[np.int8]]) -> None:
        rows = ctypes.cast(self.spins, ctypes.POINTER(ctypes.POINTER(ctypes.c_int)))
        for i, layer in enumerate(spins):
            np.ctypeslib.as_array(rows[i], (self.sizes[i],))[:] = layer

    def read_spins(self) -> list[NDArray[np.int8]]:
        rows = ctypes.cast(self.spins, ctypes.POINTER(ctypes.POINTER(ctypes.c_int)))
        return [np.ctypeslib.as_array(rows[i], (n,)).astype(np.int8) for i, n in enumerate(self.sizes)]


def compile_c(header: Path, folder: Path, word: str) -> ctypes.CDLL:
    """Build the C code with its generator's state in `word`s; adds a loop over its own step that prints nothing."""
    source = header.read_text().replace("unsigned long s1", f"{word} s1")
    source += """
    double mcmc_quiet(double*** J, int** S, int* nodes, int num_layers, int max_steps) {
        double e = energy(J, S, nodes, num_layers);
        for (int n = 0; n < max_steps; n++) e = mcmc_step(e, J, S, nodes, num_layers);
        return e;
    }
    """
    code = folder / f"dnnising_{word.replace(' ', '_')}.c"
    code.write_text(source)
    built = code.with_suffix(".so")
    subprocess.run(
        ["gcc", "-O3", "-march=native", "-w", "-shared", "-fPIC", str(code), "-o", str(built), "-lm"], check=True
    )
    library = ctypes.CDLL(str(built))
    network = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    library.energy.restype, library.energy.argtypes = ctypes.c_double, network
    library.mcmc_quiet.restype, library.mcmc_quiet.argtypes = ctypes.c_double, [*network, ctypes.c_int]
    library.alloc.restype = None
    return library


def load_c(library: ctypes.CDLL, chain: IsingChain) -> CNetwork:
    """The chain's couplings in the C code's memory, all spins +1."""
    couplings, spins, nodes = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    n_layers = len(chain.couplings)
    library.alloc(ctypes.byref(couplings), ctypes.byref(spins), ctypes.byref(nodes), n_layers, chain.nodes[0])
    matrices = ctypes.cast(couplings, ctypes.POINTER(ctypes.POINTER(ctypes.POINTER(ctypes.c_double))))
    for layer, matrix in enumerate(chain.couplings):
        wide = np.ascontiguousarray(matrix, np.float64)
        ctypes.memmove(matrices[layer][0], wide.ctypes.data, wide.nbytes)  # rows lie one after another
    return CNetwork(library, couplings, spins, nodes, n_layers, chain.nodes)


def median_seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    work()  # warm
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def quench_ours(chain: IsingChain, n_tries: int, seed: int = 0) -> NDArray[np.int8]:
    """The same tries by the same rule from all spins +1, fields computed first; returns the spins."""
    rng = np.random.default_rng(seed)
    state = start(chain, rng, split(np.ones(chain.n_spins, np.int8), chain.nodes))
    descend_by_layer(chain.packed, state.spins, state.fields, n_tries, rng)
    return state.spins


def anneal_rate(chain: IsingChain, n_sweeps: int = 20) -> float:
    """Bytes of couplings read a second in Metropolis sweeps so hot that every flip is accepted."""
    rng = np.random.default_rng(0)
    state = start(chain, rng)

    def work() -> None:
        for _ in range(n_sweeps):
            flips = metropolis_sweep(chain.packed, state.spins, state.fields, 1e-12, rng, state.rows, state.scales)
            assert flips == chain.n_spins

    # every spin flips once a sweep, so every coupling is read once from either side
    return n_sweeps * 2 * chain.flat.nbytes / median_seconds(work)


def copy_rate() -> float:
    """Bytes copied a second by numpy (memcpy), arrays far larger than any cache."""
    source = np.ones(COPY_BYTES // 8)
    target = np.empty_like(source)
    return COPY_BYTES / median_seconds(lambda: np.copyto(target, source))


def check_ours_in_c(network: CNetwork, chain: IsingChain) -> None:
    """Our final states have the same energy in the C code, and its own step finds no spin left to flip."""
    for found in (quench(chain), quench(chain, selection="layer"), anneal(chain)):
        network.write_spins(found.spins)
        assert np.isclose(network.energy(), found.energy, rtol=1e-9)
        network.run(SWEEPS * chain.n_spins)
        assert all(np.array_equal(a, b) for a, b in zip(network.read_spins(), found.spins, strict=True))
    print("our quench, layer-wise quench and anneal end in states that 40 sweeps of the C code leave as they are")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--dnnising", type=Path, required=True, help="dnnising.h of stosicresearch/dnnising")
    arguments = parser.parse_args()
    chain = IsingChain.from_weights(arguments.model)
    n_tries = SWEEPS * chain.n_spins
    print(f"{chain}\n{SWEEPS} sweeps = {n_tries:,} attempted flips")
    pack_seconds = median_seconds(lambda: pack(chain.couplings, chain.flat, chain.nodes))
    ours = median_seconds(lambda: quench_ours(chain, n_tries))
    print(f"ours, fields and flips      {ours:9.4f} s   E/N {energy_per_spin(chain, quench_ours(chain, n_tries)):.4f}")
    print(f"ours, transposed copy, once {pack_seconds:9.4f} s")
    with tempfile.TemporaryDirectory() as folder:
        for word in ("unsigned long", "unsigned int"):
            network = load_c(compile_c(arguments.dnnising, Path(folder), word), chain)
            seconds = network.run(n_tries)
            assert np.isclose(network.energy(), chain.energy(network.read_spins()), rtol=1e-9)
            print(
                f"C, generator in {word:13} {seconds:7.2f} s   E/N {network.energy() / chain.n_spins:.4f}   "
                f"ratio {seconds / ours:,.0f} (with the copy {seconds / (ours + pack_seconds):,.0f})"
            )
        check_ours_in_c(network, chain)
    copied, read = copy_rate(), anneal_rate(chain)
    print(f"memory copy                 {copied / 1e9:9.1f} GB/s copied (as much again is read)")
    print(f"couplings read while hot    {read / 1e9:9.1f} GB/s   {100 * read / copied:.0f} % of the copy")


def energy_per_spin(chain: IsingChain, spins: NDArray[np.int8]) -> float:
    return chain.energy(split(spins, chain.nodes)) / chain.n_spins


if __name__ == "__main__":
    main()
