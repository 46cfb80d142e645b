"""`write_report`: from checkpoints to one HTML file."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from spinspectra.errors import OptionError
from spinspectra.files import whole_file
from spinspectra.layers.selection import MIN_EVALS, Choice
from spinspectra.report.collect import collect
from spinspectra.report.context import title_of
from spinspectra.report.made import facts_of
from spinspectra.report.moved import ROWS, compared, followed, read_rows
from spinspectra.report.page import require_extra
from spinspectra.report.parts import LayerPart
from spinspectra.report.several import several_page
from spinspectra.report.single import single_page
from spinspectra.report.spins import Asked, ising_half
from spinspectra.spectra.analyze import to_analyze
from spinspectra.spectra.measure import Measures
from spinspectra.text import printable
from spinspectra.weights import Weights, open_weights

Progress = Callable[[str], None]


def write_report(
    source: Any,
    path: str | PathLike[str],
    *,
    compare_to: Any = None,
    densities: Sequence[str | PathLike[str]] = (),
    ising: bool = True,
    heat: bool = False,
    detx: bool = True,
    randomize: bool = True,
    mp_fit: bool = True,
    layers: Choice = None,
    prefix: str | None = None,
    seed: int = 0,
    command: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write one self-contained page on a checkpoint, whole or not at all; returns its path. It opens offline.

    source: as for `open_weights`; or a file of rows over training steps, .parquet, .csv or .json with the columns step,
    longname and alpha, whose lines are drawn. compare_to: another checkpoint, for a page on what moved between the two,
    or a list of them, for a series from `source` on. densities: files of `spinspectra dos` to draw with their heat.

    ising: seek the lowest energies; a checkpoint without a chain, or too large for this machine, says so on the page.
    heat: also sample the density of states of one checkpoint and its shuffled twin, as `spinspectra dos` does: minutes.
    detx, randomize, mp_fit: as for `analyze`, of one checkpoint. layers, seed: as for `analyze`. prefix: as for
    `IsingChain.from_weights`. command: said on the page. progress: called with a few words now and then.

    Raises MissingExtraError without jinja2 and plotly, OptionError for a target that is a folder or options that do not
    go together, and what `analyze`, `compare` and `DensityOfStates.load` raise.
    """
    target = Path(path)
    if target.is_dir():
        raise OptionError(f"{target}: is a folder; give the name of a file, such as report.html")
    require_extra()
    tell = progress or (lambda _text: None)
    asked = Asked(densities, ising, heat, prefix, seed)
    if is_rows(source):
        if compare_to is not None or densities or heat:
            raise OptionError(f"{source}: a table over training has a page of its own; give nothing beside it")
        moved = followed(read_rows(Path(source)))
        page = several_page(title_of(str(source)), [str(source)], moved, None, None, facts_of([], {}, command))
    else:
        others = list(compare_to) if isinstance(compare_to, list | tuple) else [compare_to]
        sources = [source, *(one for one in others if one is not None)]
        models = [open_weights(one) for one in sources]
        options = {"detx": detx, "randomize": randomize, "mp_fit": mp_fit, "layers": layers, "seed": seed}
        tell("digests of the files")
        of_spins = {"ising": ising, "heat": heat, "prefix": prefix, "densities": [str(one) for one in densities]}
        spectra = options if len(models) == 1 else {"layers": layers, "seed": seed}
        facts = facts_of(
            models, {name: value for name, value in (spectra | of_spins).items() if value not in (None, [])}, command
        )
        if len(models) == 1:
            page = _single(models[0], asked, options, facts, tell)
        else:
            page = _several(sources, models, asked, layers, facts, tell)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as part:
        part.write_text(page, encoding="utf-8")
    return target


def is_rows(source: Any) -> bool:
    """Whether it names a table over training steps rather than a checkpoint."""
    return isinstance(source, str | PathLike) and Path(source).suffix in ROWS


def _single(model: Weights, asked: Asked, options: dict[str, Any], facts: Any, tell: Progress) -> str:
    options = dict(options)
    layers = options.pop("layers")
    to_analyze(model, layers, MIN_EVALS, None, None)  # refused before the search for energies
    half = ising_half(asked, [model], tell)
    return single_page(collect(model, Measures(**options), layers, tell), half, facts)


def _several(
    sources: Sequence[Any], models: Sequence[Weights], asked: Asked, layers: Choice, facts: Any, tell: Progress
) -> str:
    """Spectra with their fits of the first and the last; of those between, numbers."""
    if asked.heat:
        raise OptionError("heat: is sampled for one checkpoint; give densities of several as files")
    half = ising_half(replace(asked, heat=False), models, tell)
    moved = compared(models, _labels(sources, models), tell, layers=layers)
    plain = Measures(seed=asked.seed)
    first, last = (_by_name(collect(one, plain, None, tell).layers) for one in (models[0], models[-1]))
    title = f"{moved.labels[0]} {'and' if len(models) == 2 else 'to'} {moved.labels[-1]}"
    return several_page(title, [model.source for model in models], moved, (first, last), half, facts)


def _labels(sources: Sequence[Any], models: Sequence[Weights]) -> list[str]:
    """What each is called: its path less what all have alike; numbered where two would be called alike."""
    names = [
        printable(str(one) if isinstance(one, str | PathLike) else model.source)
        for one, model in zip(sources, models, strict=True)
    ]
    names = apart(names)
    return [name if names.count(name) == 1 else f"{name} ({at})" for at, name in enumerate(names, start=1)]


def apart(names: Sequence[str]) -> list[str]:
    """What tells paths apart: without the folders that all begin and end with, and without a suffix that all have.

    >>> apart(["run/step-1/model.safetensors", "run/step-2/model.safetensors"]), apart(["a.npz", "b.npz"])
    (['step-1', 'step-2'], ['a', 'b'])
    """
    parts = [list(Path(name).parts) or [name] for name in names]
    for end in (0, -1):
        while all(len(one) > 1 for one in parts) and len({one[end] for one in parts}) == 1:
            for one in parts:
                one.pop(end)
    paths = [Path(*one) for one in parts]
    alike = len({path.suffix for path in paths}) == 1
    return [str(path.with_suffix("")) if alike and path.name != path.suffix else str(path) for path in paths]


def _by_name(layers: Sequence[LayerPart]) -> dict[str, LayerPart]:
    return {str(part.row["longname"]): part for part in layers}
