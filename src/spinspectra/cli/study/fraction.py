"""`spinspectra study fraction`: how the range of energies shrinks as couplings are shuffled."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from spinspectra.cli.options import Json, Model, Prefix, Seed
from spinspectra.cli.study import widths
from spinspectra.cli.study.folder import Output, Resume, Workers, study_folder
from spinspectra.cli.study.options import Restarts, Shuffles, numbers

if TYPE_CHECKING:
    from rich.table import Table


def command(
    model: Model,
    fractions: Annotated[
        str, typer.Option(help="Fractions of the couplings to shuffle.")
    ] = "0,0.01,0.025,0.05,0.1,0.2,0.3,0.5,1",
    shuffles: Shuffles = 3,
    within: Annotated[
        str, typer.Option(help="network: values move between all matrices; matrix: each stays in its own.")
    ] = "network",
    blocks: Annotated[int | None, typer.Option(help="Only the first so many blocks.", show_default="all")] = None,
    sweeps: widths.Sweeps = None,
    restarts: Restarts = None,
    dos: widths.Dos = False,
    dos_sweeps: widths.DosSweeps = None,
    runs: widths.Runs = None,
    bins: widths.Bins = None,
    prefix: Prefix = None,
    seed: Seed = 0,
    workers: Workers = None,
    output: Output = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Width W of the range of energies with a fraction of the couplings shuffled; with --dos T_c too."""
    folder = study_folder(output, resume)
    wanted = numbers("--fractions", fractions, float)
    how = widths.how_of(dos, sweeps, restarts, dos_sweeps, runs, bins, folder)
    from spinspectra.ising.shuffle import Within
    from spinspectra.plots.widths import fraction_figure
    from spinspectra.studies.fraction import study_fraction
    from spinspectra.studies.fractions import shuffled_points

    asked = cast("Within", within)  # which the study checks
    n_points = len(shuffled_points(wanted, shuffles))
    with widths.working("fraction", n_points, folder, workers) as (executor, progress):
        study = study_fraction(
            model, wanted, shuffles, how, asked, seed, blocks, prefix, folder.record, executor, progress
        )
    told = {"seed": seed, "shuffles": shuffles, "within": within}
    widths.report("fraction", study, told, folder, partial(fraction_figure, title=study.source), _table, as_json)


def _table(study: Any) -> "Table":
    from spinspectra.cli.heat import plus_minus
    from spinspectra.cli.output import table

    heat = ["T_c"] if "T_c" in study.summary else []
    n_spins = int(study.summary["n_spins"].iloc[0])
    title = f"{study.source}: N = {n_spins:,} spins, width W of the range of energies by fraction shuffled"
    made = table(title, "fraction", "shuffles", "W/N", "W / W trained", *heat, left=0)
    for row in study.summary.to_dict("records"):
        made.add_row(
            f"{row['fraction']:g}",
            str(row["shuffles"]),
            *(plus_minus(row[name], row[f"{name}_err"]) for name in ("width_per_spin", "width_over_trained", *heat)),
        )
    return made
