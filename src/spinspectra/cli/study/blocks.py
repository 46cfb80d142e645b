"""`spinspectra study blocks`: how the range of energies grows with the number of blocks."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinspectra.cli.options import Json, Model, Prefix, Seed
from spinspectra.cli.study import widths
from spinspectra.cli.study.folder import Output, Resume, Workers, study_folder
from spinspectra.cli.study.options import Restarts, Shuffles, numbers

if TYPE_CHECKING:
    from rich.table import Table


def command(
    model: Model,
    depths: Annotated[
        str | None, typer.Option(help="Numbers of blocks, such as 1,2,4.", show_default="1,2,4,8,.. and all")
    ] = None,
    shuffles: Shuffles = 3,
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
    """Width W of the range of energies for the first 1, 2, 4, .. blocks, trained and shuffled."""
    folder = study_folder(output, resume)
    from spinspectra.layers import recognise
    from spinspectra.plots.widths import width_by_depth
    from spinspectra.studies.blocks import default_depths, study_blocks
    from spinspectra.weights import open_weights

    weights = open_weights(model)
    wanted = None if depths is None else numbers("--depths", depths, int)
    how = widths.how_of(dos, sweeps, restarts, dos_sweeps, runs, bins, folder)
    n_points = len(wanted or default_depths(recognise(weights, prefix).n_blocks)) * (shuffles + 1)
    with widths.working("blocks", n_points, folder, workers) as (executor, progress):
        study = study_blocks(weights, wanted, shuffles, how, seed, prefix, folder.record, executor, progress)
    told = {"seed": seed, "shuffles": shuffles}
    widths.report("blocks", study, told, folder, partial(width_by_depth, title=study.source), _table, as_json)


def _table(study: Any) -> "Table":
    from spinspectra.cli.heat import plus_minus
    from spinspectra.cli.output import table

    heat = ["T_c", "T_c shuffled"] if "T_c" in study.summary else []
    columns = ("blocks", "N", "W/N", "W/N shuffled", "Delta/N", "Delta over largest W")
    made = table(f"{study.source}: width W of the range of energies by depth", *columns, *heat, left=0)
    for row in study.summary.to_dict("records"):
        made.add_row(
            f"{row['n_blocks']:,}",
            f"{row['n_spins']:,}",
            f"{row['width_per_spin']:.4f}",
            *(
                plus_minus(row[name], row[f"{name}_err"])
                for name in ("width_shuffled_per_spin", "delta_per_spin", "delta_over_largest")
            ),
            *(plus_minus(row[name], row[f"{name}_err"]) for name in ("T_c", "T_c_shuffled") if heat),
        )
    return made
