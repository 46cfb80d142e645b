"""Our own results for a network that the paper has: read to be drawn beside its curves."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from spinspectra.ising.density import DensityOfStates
from spinspectra.studies.published.reading import TWIN, Published, PublishedError
from spinspectra.text import shown

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = {  # columns by which a summary is known, of `study accuracy`, `study fraction`, `study blocks`
    "tasks": ("fraction", "metric", "task_error"),
    "fractions": ("fraction", "width_per_spin"),
    "blocks": ("n_blocks", "width", "delta"),
}


@dataclass(frozen=True, slots=True)
class Ours:
    """By the name of the network; densities: `_shuffled` for the twin. Tables are the studies' summaries."""

    densities: Mapping[str, DensityOfStates] = field(default_factory=dict)
    blocks: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    fractions: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    tasks: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)


def read_ours(published: Published, files: Iterable[tuple[str, str | os.PathLike[str]]]) -> Ours:
    """Each a name and a file: a density (.nc, .dat), or the summary.csv of `study blocks`, `fraction` or `accuracy`.

    Raises PublishedError for a name that the published data have not, a density of another number of spins, and a
    table of something else; DensityError for a damaged density.
    """
    found: dict[str, dict[str, DensityOfStates]] = {"densities": {}}
    tables: dict[str, dict[str, pd.DataFrame]] = {kind: {} for kind in _NEEDED}
    for name, file in files:
        path = Path(file)
        if path.suffix == ".csv":
            kind, table = _summary(path)
            _require_known(name, _names(published, kind))
            tables[kind][name] = table
        else:
            _require_known(name.removesuffix(TWIN), list(published.densities))
            found["densities"][name] = _density(published, name, path)
    return Ours(found["densities"], tables["blocks"], tables["fractions"], tables["tasks"])


def _density(published: Published, name: str, path: Path) -> DensityOfStates:
    n_spins = published.densities[name.removesuffix(TWIN)].trained.n_spins
    density = DensityOfStates.load(path, None if path.suffix == ".nc" else n_spins)
    if density.n_spins != n_spins:
        raise PublishedError(f"{path}: of {density.n_spins} spins, and {name} has {n_spins}; give the same network's")
    return density


def _summary(path: Path) -> "tuple[str, pd.DataFrame]":
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise PublishedError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise PublishedError(f"{path}: not a table ({shown(str(error))})") from None
    for kind, columns in _NEEDED.items():
        if set(columns) <= set(table.columns):
            return kind, table
    raise PublishedError(f"{path}: not the summary.csv of study blocks, study fraction or study accuracy")


def _names(published: Published, kind: str) -> list[str]:
    tasks = list(dict.fromkeys(curve.model for curve in published.tasks))
    return {"blocks": list(published.blocks), "fractions": list(published.fractions), "tasks": tasks}[kind]


def _require_known(name: str, names: list[str]) -> None:
    if name not in names:
        raise PublishedError(f"{name}: the published data have no such curve; they have {', '.join(names) or 'none'}")
