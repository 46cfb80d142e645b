"""The network as a layered Ising model: chain, searches for its ground state, bounds on it.

Densities of states and their heat are in `sampling`, `density` and `thermodynamics`, not imported here: a search for
the ground state need not wait for what they load.
"""

from spinspectra.ising.anneal import anneal
from spinspectra.ising.bounds import EnergyBounds, energy_bounds
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.quench import quench
from spinspectra.ising.shuffle import shuffle
from spinspectra.ising.spins import load_spins, save_spins
from spinspectra.ising.state import GroundState

__all__ = [
    "EnergyBounds",
    "GroundState",
    "IsingChain",
    "anneal",
    "energy_bounds",
    "load_spins",
    "quench",
    "save_spins",
    "shuffle",
]
