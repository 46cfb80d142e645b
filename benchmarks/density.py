"""What the density of states costs: sweeps, flips, and seconds to a given error, and how all that grows with the chain.

    python benchmarks/density.py MODEL [--blocks 1,2,4,6] [--repeats 5] [--device cuda]

Prints four tables, medians of several repeats: heat-bath spin updates a second and their share of the machine's
matrix-product rate; tries and flips a second of the Wang-Landau walk and their share of its copy rate; seconds and
errors of tempering by blocks, with the fitted exponent; tempering against Wang-Landau on the first block, once both
have been found to agree.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spinspectra import IsingChain
from spinspectra.errors import DoubtWarning
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.heat_bath import heat_bath, load, one_thread, sweep, uniforms
from spinspectra.ising.kernels.wang_landau import walk
from spinspectra.ising.sampling import lowest_energy
from spinspectra.ising.state import start
from spinspectra.ising.tempering import temper
from spinspectra.ising.wang_landau import wang_landau

REPLICAS = 144
COPY_BYTES = 400_000_000
SIDE = 2048  # of the square matrices whose product gives the machine's rate
TRIES = 100_000
TARGET = 1e-4  # error of ln g / N to which seconds are scaled
N_BINS = 500
DEPTH = 0.5  # of the lowest energy, to which both methods are compared


@dataclass(frozen=True)
class Sampled:
    seconds: float
    density: DensityOfStates

    @property
    def error(self) -> float:
        """Median standard error of ln g, over N."""
        return float(np.nanmedian(self.density.stderr)) / self.density.n_spins

    @property
    def to_target(self) -> float:
        """Seconds to the target error, as errors fall with the root of the time."""
        return self.seconds * (self.error / TARGET) ** 2


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def matrix_rate(repeats: int) -> float:
    """Operations a second of a float32 product on one core."""
    a = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    with one_thread(None):
        return 2.0 * SIDE**3 / median_seconds(lambda: a @ a, repeats)


def copy_rate(repeats: int) -> float:
    """Bytes a second copied, as much again is read."""
    source = np.zeros(COPY_BYTES // 8)
    target = np.empty_like(source)
    return COPY_BYTES / median_seconds(lambda: np.copyto(target, source), repeats)


def sweep_seconds(chain: IsingChain, device: str | None, repeats: int) -> float:
    with one_thread(device):
        bath = heat_bath(chain, device)
        rng = np.random.default_rng(0)
        layers = load(bath, 2 * rng.integers(0, 2, (REPLICAS, chain.n_spins), np.int8) - 1)
        draw, betas = uniforms(bath, np.random.SeedSequence(0)), np.linspace(0.0, 1.0, REPLICAS)
        return median_seconds(lambda: sweep(bath, layers, betas, draw), repeats)


def print_sweeps(chains: dict[int, IsingChain], device: str | None, repeats: int) -> None:
    rate = matrix_rate(repeats)
    print(f"heat bath, {REPLICAS} replicas, one core; a product of {SIDE} x {SIDE} makes {rate / 1e9:.0f} Gflop/s")
    for blocks, chain in chains.items():
        seconds = sweep_seconds(chain, device, repeats)
        done = 4.0 * chain.n_bonds * REPLICAS / seconds
        print(
            f"  {blocks} blocks, N = {chain.n_spins:6,}: {REPLICAS * chain.n_spins / seconds / 1e6:6.1f} M spins/s, "
            f"{done / 1e9:5.0f} Gflop/s, {100 * done / rate:3.0f} % of it"
        )


def walk_rates(chain: IsingChain, repeats: int) -> tuple[float, float]:
    """Tries and flips a second under a flat weight around E = 0, where nearly every try is a flip."""
    state = start(chain, np.random.default_rng(0))
    energy = -0.5 * float(state.spins @ state.fields)
    reach = 40.0 * np.sqrt(chain.sum_of_squares)
    table, seen, visits = np.zeros(64), np.ones(64, np.uint8), np.zeros(64, np.int64)
    rng, flips, at = np.random.default_rng(1), [], [energy]

    def work() -> None:
        at[0], n_flips = walk(
            chain.packed, state.spins, state.fields, at[0], -reach, 2.0 * reach / 64, table, table, table, seen,
            visits, table.copy(), 0.0, 0, TRIES, rng,
        )  # fmt: skip
        flips.append(n_flips)

    seconds = median_seconds(work, repeats)
    return TRIES / seconds, statistics.median(flips) / seconds


def print_walks(chains: dict[int, IsingChain], repeats: int) -> None:
    copied = copy_rate(repeats)
    print(f"walk of single flips, one core; numpy copies {copied / 1e9:.1f} GB/s")
    for blocks, chain in chains.items():
        tries, flips = walk_rates(chain, repeats)
        read = 4.0 * 2.0 * chain.n_bonds / chain.n_spins * flips  # bytes of couplings, float32
        print(
            f"  {blocks} blocks: {tries / 1e6:5.2f} M tries/s, {flips / 1e6:5.2f} M flips/s, "
            f"{read / 1e9:5.1f} GB/s of couplings, {100 * read / copied:3.0f} % of the copy"
        )


def timed(work: Callable[[], DensityOfStates]) -> Sampled:
    began = time.perf_counter()
    density = work()
    return Sampled(time.perf_counter() - began, density)


def tempered(chain: IsingChain, sweeps: int, device: str | None) -> Sampled:
    bins = EnergyBins(lowest_energy(chain), N_BINS)
    return timed(lambda: temper(chain, bins, sweeps=sweeps, runs=2, device=device))


def print_tempering(chains: dict[int, IsingChain], device: str | None) -> None:
    print("tempering, 2 runs of 400 sweeps, ladder included; 500 bins over the half range")
    rows = {blocks: tempered(chain, 400, device) for blocks, chain in chains.items()}
    for blocks, row in rows.items():
        print(
            f"  {blocks} blocks: {row.seconds:6.1f} s, {len(row.density.how['betas'])} temperatures, error of ln g / N "
            f"{row.error:.1e}, so {row.to_target:6.1f} s to {TARGET:.0e}"
        )
    if len(rows) > 1:
        sizes = np.log([chain.n_spins for chain in chains.values()])
        slope = np.polyfit(sizes, np.log([row.seconds for row in rows.values()]), 1)[0]
        rungs = np.polyfit(sizes, np.log([len(row.density.how["betas"]) for row in rows.values()]), 1)[0]
        print(f"  seconds grow as N^{slope:.2f}, temperatures as N^{rungs:.2f}")


def print_both(chain: IsingChain, device: str | None) -> None:
    """Over the upper part of the half range: at the frozen end single flips do not get through."""
    bins = EnergyBins(DEPTH * lowest_energy(chain), N_BINS // 4)
    rows = {
        "tempering": timed(lambda: temper(chain, bins, sweeps=1000, runs=2, device=device)),
        "Wang-Landau": timed(lambda: wang_landau(chain, bins, teams=4, ln_f_end=2e-4)),
    }
    places = [np.rint(-row.density.energies / bins.width).astype(int) for row in rows.values()]
    common = np.intersect1d(*[place[place >= 0] for place in places])
    kept = [np.isin(place, common) for place in places]
    ln_g = [row.density.ln_g[keep] for row, keep in zip(rows.values(), kept, strict=True)]
    errors = [row.density.stderr[keep] for row, keep in zip(rows.values(), kept, strict=True)]
    apart = np.abs(ln_g[0] - ln_g[1]) / np.hypot(*errors)
    print(f"first block, down to {DEPTH} of E_min: the two methods differ by {apart.max():.1f} standard errors at most")
    assert np.median(apart) < 3.0, "the two methods do not agree"
    to_target = []
    for (name, row), error in zip(rows.items(), errors, strict=True):
        median = float(np.median(error)) / chain.n_spins
        to_target.append(row.seconds * (median / TARGET) ** 2)
        scaled = f"{to_target[-1]:8.2f} s to {TARGET:.0e}"
        print(f"  {name:12} {row.seconds:7.1f} s, error of ln g / N {median:.1e}, so {scaled}")
    print(f"  ratio {to_target[1] / to_target[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--blocks", default="1,2,4,6")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", help="torch's name of one, for the heat bath")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DoubtWarning)  # short runs, timed and not believed
    chains = {int(n): IsingChain.from_weights(arguments.model, int(n)) for n in arguments.blocks.split(",")}
    print_sweeps(chains, arguments.device, arguments.repeats)
    print_walks(chains, arguments.repeats)
    print_tempering(chains, arguments.device)
    print_both(next(iter(chains.values())), arguments.device)


if __name__ == "__main__":
    main()
