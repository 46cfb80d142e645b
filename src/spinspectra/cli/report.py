"""`spinspectra report`: one HTML page on a checkpoint, on what moved between several, or over a training."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from spinspectra.cli.options import LARGEST_SEED, Prefix

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help="Weight file, folder or hub id; more: what moved. Or a table over training, .parquet or .csv.",
        show_default=False,
    ),
]

_DENSITIES = (".nc", ".dat")


def command(
    models: Models,
    output: Annotated[Path, typer.Option("-o", "--output", help="The page.", show_default=True)] = Path("report.html"),
    dos: Annotated[
        list[Path] | None,
        typer.Option("--dos", help="Densities of states, .nc or .dat; more may follow.", show_default="none"),
    ] = None,
    heat: Annotated[bool, typer.Option("--heat", help="Sample the density of states too: minutes.")] = False,
    ising: Annotated[bool, typer.Option("--ising/--no-ising", help="Seek the lowest energies.")] = True,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", "--layers", help="Only this id, name or kind; -NAME leaves one out.")
    ] = None,
    prefix: Prefix = None,
    seed: Annotated[int, typer.Option(help="Behind all that is random.", min=0, max=LARGEST_SEED)] = 0,
) -> None:
    """One HTML page that opens offline: verdict in words, every layer with its figures, spins, how it was made."""
    from spinspectra.cli.output import console, layers_bar, require_file
    from spinspectra.cli.source import Source, id_or_name
    from spinspectra.errors import OptionError
    from spinspectra.report.write import is_rows, write_report
    from spinspectra.text import printable
    from spinspectra.weights import is_adapter, merge_adapter

    require_file("-o", output)
    densities = [*(dos or ()), *(Path(one) for one in models if Path(one).suffix in _DENSITIES)]
    sources = [one for one in models if Path(one).suffix not in _DENSITIES]
    if not sources:
        raise OptionError("report: give a model; densities go with one")
    opened = [sources[0] if is_rows(sources[0]) else Source(sources[0]).open()]
    opened += [merge_adapter(sources[0], one) if is_adapter(one) else Source(one).open() for one in sources[1:]]
    with layers_bar("reporting") as tell:
        write_report(
            opened[0],
            output,
            compare_to=opened[1:] or None,
            densities=densities,
            ising=ising,
            heat=heat,
            layers=[id_or_name(one) for one in layers or []] or None,
            prefix=prefix,
            seed=seed,
            command=shlex.join(["spinspectra", *sys.argv[1:]]),
            progress=tell,
        )
    size = output.stat().st_size / 1e6
    console().print(f"  {printable(str(output))}: {size:.1f} MB; open it in any browser.", markup=False)
