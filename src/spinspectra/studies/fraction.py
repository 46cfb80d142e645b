"""Width and critical temperature against the fraction of couplings that are shuffled (arXiv 2209.08678)."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.checkpoint import chain_digest
from spinspectra.ising.shuffle import Within
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.studies.fractions import Shuffled, checked_fractions, shuffled_points
from spinspectra.studies.widths import (
    FromGround,
    How,
    Twin,
    identity_of,
    mean_and_error,
    mean_temperature,
    measure_twins,
    require_at_least,
)

if TYPE_CHECKING:
    import pandas as pd

FRACTIONS = (0.0, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
N_SHUFFLES = 3
_SEEDS = 11  # purpose of random numbers, first in the spawn key; then fraction, shuffle, and 0 to shuffle, 1 to search


@dataclass(frozen=True, slots=True, eq=False)
class FractionStudy:
    """Energies, widths and temperatures in the unit of the weights; errors are standard errors over the shuffles.

    points: a row a chain: fraction, shuffle (0: trained), and what `measure_twins` tells. summary: a row a fraction:
    fraction, n_spins, shuffles, width and _err, width_per_spin and _err, width_over_trained and _err (NaN without
    fraction 0), from densities also T_c and _err.
    """

    source: str
    points: "pd.DataFrame"
    summary: "pd.DataFrame"


def study_fraction(
    source: Any,
    fractions: Sequence[float] = FRACTIONS,
    shuffles: int = N_SHUFFLES,
    how: How = FromGround(),  # noqa: B008, frozen
    within: Within = "network",
    seed: Seed = 0,
    blocks: int | None = None,
    prefix: str | None = None,
    record: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> FractionStudy:
    """Widths with a fraction of the couplings shuffled, so many times each; the trained network, fraction 0, once.

    source, blocks, prefix: as for `IsingChain.from_weights`. fraction, within: as for `shuffle`. A point depends on
    weights, seed, its fraction and the number of the shuffle, not on what else is asked for. how: `FromGround` or
    `FromDensity`. record, executor, progress: as for `measure_twins`.

    With a folder in FromDensity there is fraction0.1.dat, the first shuffle's, as the paper's data have it.

    Raises OptionError for fractions outside 0..1 or twice there, another within, and shuffles < 1; CheckpointError for
    the record of another study; and what `from_weights` raises.
    """
    require_at_least("shuffles", shuffles, 1)
    places = shuffled_points(checked_fractions(fractions), shuffles)
    if within not in get_args(Within):
        raise OptionError(f"within={within!r}: give {' or '.join(get_args(Within))}")
    root = seed_sequence(seed)
    chain = IsingChain.from_weights(source, blocks, prefix)
    identity = identity_of("fraction", how, root) | {"couplings": chain_digest(chain), "within": within}
    twins = [_twin(root, place, within) for place in places]
    points = measure_twins(chain, twins, how, identity, record, executor, progress)
    points.insert(0, "fraction", [place.fraction for place in places])
    points.insert(1, "shuffle", [place.number for place in places])
    return FractionStudy(chain.source, points, _summary(points))


def _twin(root: np.random.SeedSequence, point: Shuffled, within: Within) -> Twin:
    shuffle_seed, seed = (point.seed(root, _SEEDS, purpose) for purpose in (0, 1))
    return Twin(point.name, None, point.fraction, within, point.number < 2, shuffle_seed, seed)


def _summary(points: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    table = pd.DataFrame([_at_fraction(rows) for _, rows in points.groupby("fraction", sort=True)])
    trained = table.loc[table["fraction"] == 0.0, "width"]
    whole = float(trained.iloc[0]) if len(trained) else np.nan
    at = table.columns.get_loc("width_per_spin_err")
    assert isinstance(at, int)
    table.insert(at + 1, "width_over_trained", table["width"] / (whole or np.nan))
    table.insert(at + 2, "width_over_trained_err", table["width_err"] / (whole or np.nan))
    return table


def _at_fraction(rows: "pd.DataFrame") -> dict[str, Any]:
    n_spins = int(rows["n_spins"].iloc[0])
    mean, error = mean_and_error(rows["width"])
    row = {
        "fraction": float(rows["fraction"].iloc[0]),
        "n_spins": n_spins,
        "shuffles": int((rows["shuffle"] > 0).sum()),
        "width": mean,
        "width_err": error,
        "width_per_spin": mean / n_spins,
        "width_per_spin_err": error / n_spins,
    }
    if "T_c" in rows:
        row |= dict(zip(("T_c", "T_c_err"), mean_temperature(rows), strict=True))
    return row
