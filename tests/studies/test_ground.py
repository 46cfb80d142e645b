"""The search that `ground` runs, on a chain whose ground state is known exactly."""

import numpy as np
import pytest

from spinspectra import IsingChain, quench
from spinspectra.studies.ground import Search, find_ground, shuffled_twin


@pytest.fixture(scope="module")
def ferromagnet() -> IsingChain:
    """All couplings 1: the ground state has all spins equal and E = -B."""
    return IsingChain.from_matrices([np.ones((7, 9)), np.ones((9, 5))])


@pytest.mark.parametrize("sweeps", [0, 50], ids=["quench", "anneal"])
def test_found_and_proved_meet_on_a_ferromagnet(ferromagnet: IsingChain, sweeps: int) -> None:
    found = find_ground(ferromagnet, Search(sweeps=sweeps, restarts=5))
    assert found.state.energy == -ferromagnet.n_bonds
    assert found.bounds is not None
    assert ferromagnet.n_bonds <= found.bounds.dual <= found.bounds.spectral


def test_no_sweeps_is_a_quench() -> None:
    rng = np.random.default_rng(0)
    chain = IsingChain.from_matrices([rng.standard_normal((30, 30))])
    found = find_ground(chain, Search(sweeps=0, restarts=8, seed=3), bounds=False)
    assert found.state.energy == quench(chain, 3, restarts=8).energy
    assert found.bounds is None


def test_progress_counts_every_sweep(ferromagnet: IsingChain) -> None:
    done: list[int] = []
    find_ground(ferromagnet, Search(sweeps=20, restarts=2), bounds=False, progress=done.append)
    assert sum(done) == 40


def test_the_twin_holds_the_same_values() -> None:
    chain = IsingChain.from_matrices([np.arange(12.0).reshape(3, 4), np.arange(20.0).reshape(4, 5)])
    twin = shuffled_twin(chain, Search(seed=1))
    assert np.array_equal(np.sort(twin.flat), np.sort(chain.flat))
    assert not np.array_equal(twin.flat, chain.flat)
