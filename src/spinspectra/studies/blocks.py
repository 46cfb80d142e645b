"""Width against depth: the first 1, 2, 4, .. blocks of a network, trained and shuffled (arXiv 2209.08678, Structures).

Delta = W_trained - W_shuffled, with W = E_max - E_min.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.checkpoint import CheckpointError, chain_digest
from spinspectra.layers import recognise
from spinspectra.seeds import Seed, child_seed, seed_sequence
from spinspectra.studies.points import read_record
from spinspectra.studies.widths import (
    FromGround,
    How,
    Twin,
    first_blocks,
    identity_of,
    mean_and_error,
    mean_temperature,
    measure_twins,
    require_at_least,
)
from spinspectra.weights import open_weights

if TYPE_CHECKING:
    import pandas as pd

N_SHUFFLES = 3
_SEEDS = 10  # purpose of random numbers, first in the spawn key; then depth, shuffle, and 0 to shuffle, 1 to search


@dataclass(frozen=True, slots=True, eq=False)
class BlocksStudy:
    """Energies, widths and temperatures in the unit of the weights; errors are standard errors over the shuffles.

    points: a row a chain: n_blocks, shuffle (0: trained), and what `measure_twins` tells. summary: a row a depth:
    n_blocks, n_spins, shuffles, width (trained), width_shuffled and _err, delta and _err, also _per_spin and, as the
    paper's figure has them, _over_largest, that is over the largest width; from densities also T_c and T_c_shuffled,
    with _err.
    """

    source: str
    points: "pd.DataFrame"
    summary: "pd.DataFrame"


def study_blocks(
    source: Any,
    depths: Sequence[int] | None = None,
    shuffles: int = N_SHUFFLES,
    how: How = FromGround(),  # noqa: B008, frozen
    seed: Seed = 0,
    prefix: str | None = None,
    record: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> BlocksStudy:
    """Widths of the first `depths` blocks (default `default_depths`), trained and as many times shuffled.

    source, prefix: as for `IsingChain.from_weights`. The twin of a depth has the couplings of those blocks, permuted
    over all of them. A point depends on weights, seed, depth and number of the shuffle, not on what else is asked for.
    how: `FromGround` or `FromDensity`. record, executor, progress: as for `measure_twins`.

    With a folder in FromDensity there are blocks4.dat and blocks4_shuffled.dat, the first shuffle's, as the paper's
    data have them.

    Raises OptionError for depths that are none of the network's, or twice there, and shuffles < 1; CheckpointError for
    the record of another study; and what `from_weights` raises.
    """
    require_at_least("shuffles", shuffles, 1)
    root, weights = seed_sequence(seed), open_weights(source)
    n_blocks = recognise(weights, prefix).n_blocks
    wanted = default_depths(n_blocks) if depths is None else _checked(depths, n_blocks, weights.source)
    chain = IsingChain.from_weights(weights, wanted[-1], prefix)
    identity = identity_of("blocks", how, root) | {"first_block": chain_digest(first_blocks(chain, 1))}
    if record is not None:
        _require_same(record, identity, chain, wanted[-1])
    twins = [_twin(root, depth, number) for depth in wanted for number in range(shuffles + 1)]
    points = measure_twins(chain, twins, how, identity, record, executor, progress)
    points.insert(0, "n_blocks", np.repeat(wanted, shuffles + 1))
    points.insert(1, "shuffle", np.tile(np.arange(shuffles + 1), len(wanted)))
    return BlocksStudy(weights.source, points, _summary(points))


def default_depths(n_blocks: int) -> list[int]:
    """1, 2, 4, .. and n_blocks itself.

    >>> default_depths(12)
    [1, 2, 4, 8, 12]
    """
    return [2**power for power in range(n_blocks.bit_length()) if 2**power < n_blocks] + [n_blocks]


def _checked(depths: Sequence[int], n_blocks: int, source: str) -> list[int]:
    given = list(depths)
    if not given:
        raise OptionError("depths: give at least one number of blocks")
    for depth in given:
        if isinstance(depth, bool) or not isinstance(depth, int | np.integer) or not 1 <= depth <= n_blocks:
            raise OptionError(
                f"depths: {depth}: {source} has {n_blocks} blocks; give whole numbers from 1 to {n_blocks}"
            )
        if given.count(depth) > 1:
            raise OptionError(f"depths: {depth} is there {given.count(depth)} times; give each once")
    return sorted(int(depth) for depth in given)


def _require_same(record: Path, identity: Mapping[str, Any], chain: IsingChain, deepest: int) -> None:
    """Refuse a record of other weights: its depths may be others than those asked for, so each has its own digest."""
    kept = {
        int(found["n_blocks"]): str(found["couplings"])
        for found in read_record(record, identity).values()
        if found["n_blocks"] <= deepest
    }
    for depth, digest in kept.items():
        if digest != chain_digest(first_blocks(chain, depth)):
            raise CheckpointError(
                f"{record}: of another network, whose first {depth} blocks have other weights; ask for the same "
                "network again, or name another folder"
            )


def _twin(root: np.random.SeedSequence, depth: int, number: int) -> Twin:
    suffix = ("", "_shuffled")[number] if number < 2 else f"_shuffled{number}"
    shuffle_seed, seed = (child_seed(root, _SEEDS, depth, number, purpose) for purpose in (0, 1))
    fraction = 1.0 if number else 0.0
    return Twin(f"blocks{depth}{suffix}", depth, fraction, "network", number < 2, shuffle_seed, seed)


def _summary(points: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    table = pd.DataFrame([_at_depth(rows) for _, rows in points.groupby("n_blocks", sort=True)])
    largest = float(np.max(table[["width", "width_shuffled"]].to_numpy()))
    for name, by in (("per_spin", table["n_spins"]), ("over_largest", largest)):
        for column in ("width", "width_shuffled", "width_shuffled_err", "delta", "delta_err"):
            stem, err = column.removesuffix("_err"), "_err" * column.endswith("_err")
            table[f"{stem}_{name}{err}"] = table[column] / by
    heat = [column for column in table.columns if column.startswith("T_c")]
    return table[[column for column in table.columns if column not in heat] + heat]


def _at_depth(rows: "pd.DataFrame") -> dict[str, Any]:
    trained, shuffled = rows[rows["shuffle"] == 0], rows[rows["shuffle"] > 0]
    width = float(trained["width"].iloc[0])
    mean, error = mean_and_error(shuffled["width"])
    row = {
        "n_blocks": int(rows["n_blocks"].iloc[0]),
        "n_spins": int(rows["n_spins"].iloc[0]),
        "shuffles": len(shuffled),
        "width": width,
        "width_shuffled": mean,
        "width_shuffled_err": error,
        "delta": width - mean,
        "delta_err": error,
    }
    if "T_c" in rows:
        row |= dict(zip(("T_c", "T_c_err"), mean_temperature(trained), strict=True))
        row |= dict(zip(("T_c_shuffled", "T_c_shuffled_err"), mean_temperature(shuffled), strict=True))
    return row
