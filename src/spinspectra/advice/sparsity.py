"""A sparsity for each layer, as AlphaPruning has it: prune more where a layer looks less trained.

Source: Lu, Zhou, Liu, Wang, Mahoney, Yang, NeurIPS 2024 (arXiv 2410.10912).
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from spinspectra.advice.table import Alphas, Values, alphas_of, positions, require_columns, suggestions
from spinspectra.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


def suggest_sparsity(
    details: "pd.DataFrame",
    sparsity: float,
    spread: float = 0.3,
    by: str = "hill_alpha",
    per: Literal["block", "layer"] = "block",
    most: float = 0.99,
) -> "pd.DataFrame":
    """AlphaPruning: sparsity_i = eta [ (alpha_i - alpha_min) / (alpha_max - alpha_min) (s2 - s1) + s1 ].

    s1, s2 = 1 -+ spread, and eta such that sum p_i sparsity_i = sparsity sum p_i over layers of p_i = N M rf weights:
    of all weights in the table exactly the share `sparsity` goes. spread: 0 or more, below 1; the authors' scripts have
    0.2 to 0.5, chosen for each model and method. by: PL_Alpha_Hill in the paper, in their code `alpha` of
    analyze(..., fix_fingers="xmin_peak"). per: "block" takes the mean alpha of a transformer block for all its layers,
    their code's default for language models. most: no layer above this. Where the formula goes beyond, the spread is
    narrowed until the largest sparsity is `most`, which keeps the share; the remark says so.

    Embeddings and failed layers get `sparsity`, so do all if alphas are equal. Leave out of details what is not to be
    pruned: the authors prune the blocks only.

    Columns: layer_id, longname, `by`, block_alpha (per="block"), sparsity, remark; rows and index those of details.
    Raises OptionError for values out of range, or a column that is missing.
    """
    if not (0.0 <= sparsity <= most < 1.0):
        raise OptionError(f"sparsity={sparsity!r}, most={most!r}: give 0 <= sparsity <= most < 1")
    if not 0.0 <= spread < 1.0:
        raise OptionError(f"spread={spread!r}: give 0 or more, below 1")
    if per not in ("block", "layer"):
        raise OptionError(f"per={per!r}: give 'block' or 'layer'")
    alphas = alphas_of(details, by)
    require_columns(details, ("N", "M"), "analyze writes the sides of each layer's matrices")
    gone_by = block_means(alphas, details["longname"].tolist()) if per == "block" else alphas
    if gone_by.all_equal:
        values, narrowed = np.full(len(details), sparsity), spread
    else:
        values, narrowed = _allocate(gone_by.values, _weights(details), sparsity, spread, most)
    remark = f"spread narrowed to {narrowed:.3g}, to prune at most {most:g}" if narrowed < spread else ""
    if gone_by.all_equal and not alphas.all_equal:
        remark = "all blocks have one mean alpha: plain value"
    made = suggestions(details, alphas, "sparsity", values, remark)
    if per == "block":
        made.insert(list(made.columns).index("sparsity"), "block_alpha", gone_by.values)
    return made


def block_means(alphas: Alphas, names: list[str]) -> Alphas:
    """Each usable alpha replaced by the mean of those in its block; see `block_of`."""
    blocks = np.array([block_of(name) for name in names], dtype=object)
    values = alphas.values.copy()
    for block in set(blocks[alphas.usable]):
        members = (blocks == block) & alphas.usable
        values[members] = alphas.values[members].mean()
    return replace(alphas, values=values)


def block_of(name: str) -> str:
    """A layer's name up to its first number; the whole name where it has none.

    >>> block_of("encoder.layer.3.attention.self.query")
    'encoder.layer.3'
    >>> block_of("pooler.dense")
    'pooler.dense'
    """
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1]) if numbers else name


def _weights(details: "pd.DataFrame") -> Values:
    """How many weights each row has: its matrices' sides, and how many matrices."""
    sizes = details["N"].to_numpy(np.float64) * details["M"].to_numpy(np.float64)
    if "rf" in details:
        sizes = sizes * details["rf"].to_numpy(np.float64)
    return np.asarray(sizes)


def _allocate(alphas: Values, weights: Values, sparsity: float, spread: float, most: float) -> tuple[Values, float]:
    """Sparsities, (n,), and the spread they have.

    With x_i in 0..1 and x its mean over weights, eta = sparsity / (1 - spread + 2 spread x), so the largest sparsity is
    eta (1 + spread), which equals most where spread (sparsity - most (2 x - 1)) = most - sparsity.
    """
    usable = np.isfinite(alphas)
    places = positions(alphas)
    mean = float(np.average(places[usable], weights=weights[usable]))
    slope = sparsity - most * (2.0 * mean - 1.0)
    if slope > 0.0:
        spread = min(spread, (most - sparsity) / slope)
    eta = sparsity / (1.0 - spread + 2.0 * spread * mean)
    return np.where(usable, eta * (1.0 - spread + 2.0 * spread * places), sparsity), spread
