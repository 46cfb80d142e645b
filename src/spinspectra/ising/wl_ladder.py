"""Replicas at temperatures beside the windows of Wang-Landau: heat-bath sweeps, swaps, and exchanges with walkers.

Single flips do not leave a valley at a frozen end, whatever their weight, and windows there exchange only with one
another. A ladder of replicas from beta = 0 down goes round (`ladder`), and a walker in a window may change places
with a replica whose energy lies in it. Both sample known weights, 1 / g of the window and exp(-beta E), so the
exchange is a Metropolis step of the two together and alters neither; only the walkers are counted.
"""

import numpy as np
from numpy.typing import NDArray

from spinspectra.ising.chain import IsingChain
from spinspectra.ising.heat_bath import heat_bath, load, one_thread, sweep, uniforms, unload
from spinspectra.ising.ladder import cooling_betas, make_ladder, start_places, swap_often
from spinspectra.ising.windows import Descent, Windows
from spinspectra.seeds import child_seed

_BETAS, _COOL, _SWEEP = 5, 6, 7  # purposes of random numbers, first in the spawn key; `wl_state` has 0 to 3
_SWAP_RATE = 0.5  # of neighbours
_COOLING, _MEASURED = 100, 100  # sweeps; as many settle after cooling before energies are measured

Replicas = tuple[NDArray[np.int8], NDArray[np.float64]]  # spins (R, N) by rung, energies (R,)


def make_betas(chain: IsingChain, windows: Windows, root: np.random.SeedSequence) -> NDArray[np.float64]:
    """Inverse temperatures from 0 to where the mean energy is the windows' lowest, (R,); none without couplings."""
    if chain.sum_of_squares == 0.0:
        return np.empty(0)
    with one_thread(None):
        return make_ladder(chain, heat_bath(chain), windows.e_low, _SWAP_RATE, child_seed(root, _BETAS))


def cool_replicas(chain: IsingChain, betas: NDArray[np.float64], root: np.random.SeedSequence, team: int) -> Descent:
    """The replicas of a team, cooled together from random spins, and their mean energies in the swaps after that.

    Heat bath and swaps pass where single flips freeze, so these are the energies of equilibrium, or near them.
    """
    seeds = [child_seed(root, _COOL, team, part) for part in range(3)]
    rng = np.random.default_rng(seeds[0])
    spins = 2 * rng.integers(0, 2, (betas.size, chain.n_spins), np.int8) - 1
    with one_thread(None):
        bath = heat_bath(chain)
        layers, draw = load(bath, spins), uniforms(bath, seeds[1])
        for i in range(_COOLING):
            sweep(bath, layers, cooling_betas(betas, (i + 1) / _COOLING), draw)
        rng, places, sums = np.random.default_rng(seeds[2]), start_places(betas.size), np.zeros(betas.size)
        for i in range(2 * _MEASURED):
            energies = sweep(bath, layers, betas[places.rungs], draw)
            if i >= _MEASURED:
                sums[places.rungs] += energies
            places, _ = swap_often(places, betas, energies, i, rng)
        means = np.minimum.accumulate(sums / _MEASURED)
        return Descent(betas, np.append(0.0, means[1:]), unload(bath, layers)[np.argsort(places.rungs)])


def sweep_replicas(
    chain: IsingChain,
    betas: NDArray[np.float64],
    n_sweeps: int,
    root: np.random.SeedSequence,
    number: int,
    team: int,
    spins: NDArray[np.int8],
) -> Replicas:
    """The replicas of a team, (R, N) by rung, after a round's sweeps and swaps."""
    with one_thread(None):
        bath = heat_bath(chain)
        draw = uniforms(bath, child_seed(root, _SWEEP, team, number, 0))
        rng = np.random.default_rng(child_seed(root, _SWEEP, team, number, 1))
        layers, places, energies = load(bath, spins), start_places(betas.size), np.zeros(betas.size)
        for i in range(n_sweeps):
            energies = sweep(bath, layers, betas[places.rungs], draw)
            places, _ = swap_often(places, betas, energies, i, rng)
        replicas = np.argsort(places.rungs)
        return unload(bath, layers)[replicas], energies[replicas]
