"""`spinspectra study published`: the data of arXiv 2209.08678, its figures redrawn, and what the symmetry says."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinspectra.cli.options import Json
from spinspectra.cli.output import console, json_rows, print_json
from spinspectra.cli.study.folder import Output, StudyFolder, study_folder
from spinspectra.errors import OptionError
from spinspectra.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from spinspectra.studies.published import ChainSize, NetworkHeat, Ours, Published

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder paper/ of a clone of stosicresearch/dnnising.")]
Size = Annotated[
    list[str] | None,
    typer.Option("--size", metavar="NAME=DxL", help="Width and blocks of a network that the paper has not."),
]
OwnFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--ours",
        metavar="NAME=FILE",
        help="Our own result to draw beside NAME's: a density (.nc, .dat), or a study's summary.csv.",
    ),
]


def command(
    folder: Folder, output: Output = None, size: Size = None, ours: OwnFiles = None, as_json: Json = False
) -> None:
    """The paper's published data: its figures redrawn, and what g(E) = g(-E), exact for these networks, says of them.

    Writes the tables as CSV and the figures as PNG to the folder of -o.
    """
    from spinspectra.studies import published as study

    target = study_folder(output, resume=False)
    sizes = {name: _size(name, text) for name, text in _pairs("--size", size)}
    published = study.read_published(folder, sizes)
    own = study.read_ours(published, _pairs("--ours", ours))
    heats = {name: study.network_heat(twins) for name, twins in published.densities.items()}
    tables = {
        "curves": study.curve_table(published),
        "networks": study.network_table(published, heats),
        "blocks": study.block_table(published),
        "fractions": study.fraction_table(published),
        "heats": study.heat_table(published, heats),
    }
    tables["tasks"] = study.task_table(published, tables["fractions"])
    tables["ranks"] = study.rank_table(tables["tasks"])
    target.save_tables({name: table for name, table in tables.items() if len(table)})
    if as_json:
        print_json({name: json_rows(table) for name, table in tables.items()})
    else:
        from spinspectra.cli.study.published_tables import show

        show(published, tables)
    _save_figures(_figures(published, own, heats, tables), target)
    if target.path is not None and not as_json:
        console().print(f"  Written: {printable(str(target.path))}", markup=False)


def _pairs(option: str, given: list[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in given or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise OptionError(f"{option} {text}: write NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _size(name: str, text: str) -> "ChainSize":
    from spinspectra.studies.published import ChainSize

    width, _, blocks = text.partition("x")
    if not (width.isdecimal() and blocks.isdecimal() and int(width) and int(blocks)):
        raise OptionError(f"--size {name}={text}: write width x blocks, such as {name}=768x12")
    return ChainSize(int(width), int(blocks))


def _figures(
    published: "Published",
    own: "Ours",
    heats: "Mapping[str, NetworkHeat]",
    tables: "Mapping[str, pd.DataFrame]",
) -> "Iterator[tuple[str, Axes]]":
    """Each by the name of its file, drawn when asked for; those that the folder has data for."""
    from spinspectra.plots import published as plots
    from spinspectra.plots.density import specific_heat

    for name, twins in published.densities.items():
        ours = {
            kind: own.densities[key]
            for kind, key in (("trained", name), ("shuffled", f"{name}_shuffled"))
            if key in own.densities
        }
        both = {"trained": twins.trained, "shuffled": twins.shuffled}
        yield f"dos_{name}", plots.published_density(both, ours, title=name)
        yield (
            f"heat_{name}",
            specific_heat({"trained": heats[name].trained, "shuffled": heats[name].shuffled}, title=name),
        )
    if published.densities:
        yield "widths", plots.energy_ranges(tables["networks"])
        yield "critical-temperatures", plots.critical_temperatures(tables["networks"])
    if published.blocks:
        yield "blocks", plots.block_widths(tables["blocks"], own.blocks)
        yield "blocks-delta", plots.block_deltas(tables["blocks"], own.blocks)
    if published.fractions:
        yield "fraction", plots.fraction_widths(tables["fractions"], own.fractions)
    if published.tasks:
        yield "accuracy", plots.task_errors(tables["tasks"], own.tasks)
    if len(plots.with_widths(tables["tasks"])):
        yield "accuracy-width", plots.errors_against_widths(tables["tasks"])


def _save_figures(figures: "Iterator[tuple[str, Axes]]", target: StudyFolder) -> None:
    from spinspectra.plots.save import safe_stem, save_png

    if target.path is not None:
        for name, ax in figures:
            save_png(ax, target.path / f"{safe_stem(name)}.png")
