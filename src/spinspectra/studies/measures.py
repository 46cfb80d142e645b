"""All that the weights of one model say of it, as one row of numbers: spectra averaged over layers, and spins."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import DoubtWarning
from spinspectra.ising.bounds import energy_bounds
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.sampling import density_of_states
from spinspectra.ising.shuffle import Within
from spinspectra.seeds import Seed, child_seed, seed_sequence
from spinspectra.spectra.analyze import SUMMARY, analyze
from spinspectra.spectra.columns import OVER_TRAINED_BELOW
from spinspectra.spectra.effective_space import UNDER_TRAINED_ABOVE
from spinspectra.spectra.layer_quality import QUALITIES
from spinspectra.studies.null import SHUFFLES, SWEEPS, shuffled_null, twin_of_null
from spinspectra.studies.widths import heat_peak

if TYPE_CHECKING:
    import pandas as pd

# Columns of `analyze`, each a mean over layers.
SPECTRAL = (
    *SUMMARY,
    "hill_alpha",
    "D",
    "num_pl_spikes",
    "entropy",
    "rand_distance",
    "ww_softrank",
    "num_traps",
    "ERG_gap",
    "ERG_start_gap",
    *(f"Q_{name}" for name in QUALITIES),
)
SHARES = ("over_trained", "under_trained", "ideal")  # of the layers
SPINS = ("energy_per_spin", "width_per_spin", "bound_per_spin", "null_energy", "null_sd", "null_z", "null_p", "ratio")
HEAT = ("T_c", "T_c_err", "T_c_shuffled", "T_c_shuffled_err", "T_c_ratio", "C_max_per_spin")

_HEAT = 3  # purpose of random numbers; those before it are of the null
_N_BINS, _RUNS, _HEAT_SWEEPS = 500, 2, 600


def measure_model(
    source: Any,
    blocks: int | None = None,
    prefix: str | None = None,
    spectra: bool = True,
    ising: bool = True,
    shuffles: int = SHUFFLES,
    sweeps: int = SWEEPS,
    heat: bool = False,
    seed: int = 0,
    chain: IsingChain | None = None,
    within: Within = "network",
) -> dict[str, float]:
    """One number a measure, by name; NaN where a model has none.

    source: as for `open_weights`, or a sequence of matrices, input x output, that meet in their sizes. blocks, prefix:
    of the chain only (`chain_of`). seed: behind all that is random. chain: instead of the one made of `source`. within:
    what the null permutes (`shuffled_null`).

    spectra: `n_layers` analysed and `n_weights` in them, means over them of the columns SPECTRAL of `analyze`
    (alpha_weighted is alpha-hat), and SHARES: how many have alpha below 2, alpha above 6, SETOL's ideal pair.

    ising: `n_spins`, `n_bonds` and SPINS, energies in the unit of the weights: the lowest energy found per spin, the
    width 2 |E_min| / N, the bound that no state lies below; of the shuffled null (`shuffled_null`) its mean, standard
    deviation, z and p, and the ratio to it. heat: also HEAT, by a short tempering run of the chain and of the first
    shuffle: the temperature where the specific heat peaks, NaN where no peak is told.

    Raises what `analyze`, `chain_of` and `anneal` raise.
    """
    found: dict[str, float] = {}
    if spectra:
        found |= _spectral(analyze(_opened(source), randomize=True, mp_fit=True, detx=True, seed=seed))
    if not (ising or heat):
        return found
    chain = chain_of(source, blocks, prefix) if chain is None else chain
    found |= {"n_spins": float(chain.n_spins), "n_bonds": float(chain.n_bonds)}
    if ising:
        found |= _spins(chain, shuffles, sweeps, seed, within)
    if heat:
        found |= _heat(chain, seed, within)
    return found


def chain_of(source: Any, blocks: int | None = None, prefix: str | None = None) -> IsingChain:
    """`IsingChain.from_weights`, also of a list of matrices, input x output. Raises what that raises."""
    if isinstance(source, Sequence) and not isinstance(source, str) and blocks is None and prefix is None:
        return IsingChain.from_matrices(source)
    return IsingChain.from_weights(_opened(source), blocks, prefix)


def _opened(source: Any) -> Any:
    """Matrices, input x output, as a mapping of tensors stored as torch does; all else as it is."""
    if isinstance(source, Sequence) and not isinstance(source, str):
        return {f"{i}.weight": np.asarray(matrix).T for i, matrix in enumerate(source)}
    return source


def _spectral(details: "pd.DataFrame") -> dict[str, float]:
    good = details[details["status"] == "success"]
    alpha = good["alpha"].to_numpy(np.float64)
    ideal = good["ERG_verdict"].to_numpy() == "ideal"
    kinds = (alpha < OVER_TRAINED_BELOW, alpha > UNDER_TRAINED_ABOVE, ideal)
    found = {"n_layers": float(len(details)), "n_weights": float((details["N"] * details["M"] * details["rf"]).sum())}
    found |= {name: _finite_mean(good[name].to_numpy(np.float64)) for name in SPECTRAL}
    return found | {name: _finite_mean(kind.astype(np.float64)) for name, kind in zip(SHARES, kinds, strict=True)}


def _finite_mean(values: "np.ndarray[Any, np.dtype[np.float64]]") -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")


def _spins(chain: IsingChain, shuffles: int, sweeps: int, seed: Seed, within: Within) -> dict[str, float]:
    null = shuffled_null(chain, shuffles, sweeps, seed, within)
    bound = -energy_bounds(chain).dual / chain.n_spins
    width = 2.0 * abs(null.energy)
    values = (null.energy, width, bound, null.mean, null.sd, null.z, null.p, null.ratio)
    return dict(zip(SPINS, values, strict=True))


def _heat(chain: IsingChain, seed: Seed, within: Within) -> dict[str, float]:
    root = seed_sequence(seed)
    trained = _peak(chain, child_seed(root, _HEAT, 0))
    shuffled = _peak(twin_of_null(chain, root, within), child_seed(root, _HEAT, 1))
    (t_c, error, c_max), (twin, twin_error, _) = trained, shuffled
    values = (t_c, error, twin, twin_error, t_c / twin, c_max / chain.n_spins)
    return dict(zip(HEAT, values, strict=True))


def _peak(chain: IsingChain, seed: Seed) -> tuple[float, float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)  # of temperatures that are not looked at
        return heat_peak(density_of_states(chain, n_bins=_N_BINS, seed=seed, sweeps=_HEAT_SWEEPS, runs=_RUNS))
