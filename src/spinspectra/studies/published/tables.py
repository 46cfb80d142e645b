"""Tables of the published densities: what the paper reads off them beside what the symmetry allows.

Widths are per spin, in the unit of the weights: `width` is E_max - E_min of the file, as the paper has it,
`symmetric_width` twice the longer half, at most the true width (`symmetry`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.ising.density import DensityOfStates
from spinspectra.studies.published.heat import NetworkHeat, largest_difference
from spinspectra.studies.published.reading import Published, Twins
from spinspectra.studies.published.symmetry import CurveFacts, facts_of, symmetric_width

if TYPE_CHECKING:
    import pandas as pd

_SAME_BINS = 1e-6  # parts by which the bins of twins may differ; all others share theirs
_TWINS = ("trained", "shuffled")


def curve_table(published: Published) -> "pd.DataFrame":
    """A row a file of a density: where it lies and its `CurveFacts`."""
    import pandas as pd

    rows = [{"file": file, **asdict(facts_of(density))} for file, density in _all(published)]
    return pd.DataFrame(rows, columns=["file", *CurveFacts.__slots__])


def network_table(published: Published, heats: Mapping[str, NetworkHeat]) -> "pd.DataFrame":
    """A row a network: trained against shuffled.

    ratio, symmetric_ratio: trained width over shuffled width of either kind. missed_*: share of the longer half that
    the other end lacks. side: the end that the trained network's walk reached farther, low or high. T_c_*, C_max_*: in
    the paper's convention, of the file and of its longer half mirrored (`NetworkHeat`).
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for network, twins in published.densities.items():
        facts = {name: facts_of(getattr(twins, name)) for name in _TWINS}
        row: dict[str, Any] = {"network": network, "n_spins": facts["trained"].n_spins}
        for kind in ("width", "symmetric_width", "missed"):
            row |= {f"{kind}_{name}": getattr(facts[name], kind) for name in _TWINS}
        row["ratio"] = row["width_trained"] / row["width_shuffled"]
        row["symmetric_ratio"] = row["symmetric_width_trained"] / row["symmetric_width_shuffled"]
        row["side"] = "low" if facts["trained"].missed_high > 0.0 else "high"
        for name in (*_TWINS, *(f"mirrored_{name}" for name in _TWINS)):
            heat = getattr(heats[network], name)
            row |= {f"T_c_{name}": heat.attrs["T_c"], f"C_max_{name}": heat.attrs["C_max"]}
        rows.append(row)
    return pd.DataFrame(rows)


def block_table(published: Published) -> "pd.DataFrame":
    """A row a model and depth. Widths here are those of the whole network, in the unit of the weights.

    depth: blocks over those of the network, or of the deepest file if its size is unknown. at_least: the trained
    network's width is at least that. Energies of more blocks reach at least as low, for the spins of the added layers
    can be set one layer after another so that each lowers E: so the largest symmetric width of all files with no more
    blocks counts, that of dos/ among them. delta: trained less shuffled. *_relative: over the model's largest, as the
    paper has it; its figure shows width_relative. same_bins: whether both twins have the same bins, as walks of the
    same values have everywhere else; those without count for no largest delta, and have no relative one.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for model, depths in published.blocks.items():
        deepest = published.sizes[model].blocks if model in published.sizes else max(depths, default=1)
        reached = 0.0
        for blocks, twins in depths.items():
            reached = max(reached, symmetric_width(twins.trained))
            if blocks == deepest and model in published.densities:
                reached = max(reached, symmetric_width(published.densities[model].trained))
            rows.append({"model": model, "blocks": blocks, "depth": blocks / deepest, **_widths(twins, reached)})
    table = pd.DataFrame(rows, columns=["model", "blocks", "depth", *_BLOCK_COLUMNS])
    for name in ("width_trained", "delta", "symmetric_delta"):
        good = table[name].where(table["same_bins"].astype(bool)) if "delta" in name else table[name]
        table[f"{name.removesuffix('_trained')}_relative"] = good / good.groupby(table["model"]).transform("max")
    return table


_BLOCK_COLUMNS = (
    *("n_spins", "width_trained", "width_shuffled", "symmetric_width_trained", "symmetric_width_shuffled"),
    *("at_least", "delta", "symmetric_delta", "states_trained", "states_shuffled", "same_bins"),
)


def fraction_table(published: Published) -> "pd.DataFrame":
    """A row a model and fraction shuffled: widths per spin, and the folder that the density is from.

    Fractions 0 and 1 that fraction/ lacks are the trained and the shuffled network of dos/.
    """
    import pandas as pd

    rows = []
    for model in dict.fromkeys([*published.fractions, *(curve.model for curve in published.tasks)]):
        found = {f: ("fraction", density) for f, density in published.fractions.get(model, {}).items()}
        if model in published.densities:
            twins = published.densities[model]
            found = {0.0: ("dos", twins.trained), 1.0: ("dos", twins.shuffled)} | found
        for f in sorted(found):
            source, density = found[f]
            facts = facts_of(density)
            row = {"model": model, "fraction": f, "n_spins": facts.n_spins, "width": facts.width}
            row |= {"symmetric_width": facts.symmetric_width, "missed": facts.missed}
            rows.append(row | {"states": facts.states, "source": source})
    columns = ["model", "fraction", "n_spins", "width", "symmetric_width", "missed", "states", "source"]
    return pd.DataFrame(rows, columns=columns)


def heat_table(published: Published, heats: Mapping[str, NetworkHeat]) -> "pd.DataFrame":
    """A row a curve of dos/: peak of the specific heat, and against the published one, where the folder has it.

    published_T_c: where the published curve is highest. difference: largest |C_published - C|. NaN without one.
    """
    import pandas as pd

    rows = []
    for network, heat in heats.items():
        for name, twin in (("trained", ""), ("shuffled", "_shuffled")):
            found, file = getattr(heat, name), published.heats.get(network + twin)
            row = {"curve": network + twin, "T_c": found.attrs["T_c"], "C_max": found.attrs["C_max"]}
            top = np.nan if file is None else file.temperatures[np.argmax(file.heat)]
            difference = np.nan if file is None else largest_difference(file, found)
            rows.append(row | {"published_T_c": float(top), "difference": difference})
    return pd.DataFrame(rows, columns=["curve", "T_c", "C_max", "published_T_c", "difference"])


def _widths(twins: Twins, reached: float) -> dict[str, Any]:
    trained, shuffled = twins.trained, twins.shuffled
    symmetric = symmetric_width(trained), symmetric_width(shuffled)
    values = (
        *(trained.n_spins, trained.width, shuffled.width, *symmetric, reached),
        *(trained.width - shuffled.width, symmetric[0] - symmetric[1]),
        *(facts_of(density).states for density in (trained, shuffled)),
        abs(trained.bin_width - shuffled.bin_width) <= _SAME_BINS * trained.bin_width,
    )
    return dict(zip(_BLOCK_COLUMNS, values, strict=True))


def _all(published: Published) -> Iterator[tuple[str, DensityOfStates]]:
    for network, twins in published.densities.items():
        yield f"dos/{network}", twins.trained
        yield f"dos/{network}_shuffled", twins.shuffled
    for model, depths in published.blocks.items():
        for blocks, twins in depths.items():
            yield f"blocks/{model}/blocks{blocks}", twins.trained
            yield f"blocks/{model}/blocks{blocks}_shuffled", twins.shuffled
    for model, fractions in published.fractions.items():
        for f, density in fractions.items():
            yield f"fraction/{model}/fraction{f:g}", density
