"""What `study blocks` and `study fraction` share: their options, tables and files."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinspectra.cli.interrupted import how_to_go_on
from spinspectra.cli.options import MOST_BINS, MOST_RUNS, MOST_SWEEPS
from spinspectra.cli.output import console, json_rows, points_bar, print_json
from spinspectra.cli.study.folder import StudyFolder
from spinspectra.cli.study.options import cooling_sweeps
from spinspectra.errors import DoubtWarning, OptionError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from rich.table import Table

    from spinspectra.studies.widths import How

Sweeps = Annotated[int | None, cooling_sweeps("1000")]
Dos = Annotated[bool, typer.Option("--dos", help="Widths from densities of states, and T_c: far slower.")]
DosSweeps = Annotated[
    int | None,
    typer.Option(help="With --dos: recorded sweeps a run.", min=8, max=MOST_SWEEPS, show_default="1000"),
]
Runs = Annotated[int | None, typer.Option(help="With --dos: independent runs.", min=1, max=MOST_RUNS, show_default="4")]
Bins = Annotated[
    int | None,
    typer.Option(
        help="With --dos: energy bins from the lowest energy to 0.", min=2, max=MOST_BINS, show_default="2000"
    ),
]


def how_of(
    dos: bool,
    sweeps: int | None,
    restarts: int | None,
    dos_sweeps: int | None,
    runs: int | None,
    bins: int | None,
    folder: StudyFolder,
) -> "How":
    """From what was given on the command line; None is not given. Raises OptionError for what belongs to the other."""
    from spinspectra.studies.widths import FromDensity, FromGround

    ground = {"sweeps": sweeps, "restarts": restarts}
    density = {"dos_sweeps": dos_sweeps, "runs": runs, "bins": bins}
    for name, value in (ground if dos else density).items():
        if value is not None:
            why = "is for widths from the ground state, not for --dos" if dos else "is for --dos only"
            raise OptionError(f"--{name.replace('_', '-')}: {why}")
    given = {name: value for name, value in (density if dos else ground).items() if value is not None}
    if not dos:
        return FromGround(**given)
    names = {"dos_sweeps": "sweeps", "runs": "runs", "bins": "n_bins"}
    return FromDensity(folder=folder.path, **{names[name]: value for name, value in given.items()})


@contextmanager
def working(title: str, n_points: int, folder: StudyFolder, workers: int | None) -> Iterator[tuple[Any, Any]]:
    """Executor and progress of a study; on Ctrl-C it says how to go on."""
    pool = nullcontext[Executor | None](None) if workers is None else ThreadPoolExecutor(workers)
    with warnings.catch_warnings(), how_to_go_on(folder.record), pool as executor:
        warnings.simplefilter("ignore", DoubtWarning)  # shown under the table, from the points
        with points_bar(title, n_points) as progress:
            yield executor, progress


def report(
    name: str,
    study: Any,
    told: dict[str, Any],
    folder: StudyFolder,
    draw: "Callable[[pd.DataFrame], Axes]",
    table_of: "Callable[[Any], Table]",
    as_json: bool,
) -> None:
    """Write points.csv, summary.csv and NAME.png, and show the table or one JSON object."""
    written: list[str] = []
    if folder.path is not None:
        from spinspectra.plots.save import save_png

        folder.save_tables({"points": study.points, "summary": study.summary})
        save_png(draw(study.summary), folder.path / f"{name}.png")
        written = ["points.csv", "summary.csv", f"{name}.png"]
        written += sorted(path.name for path in folder.path.glob(f"{name}*.dat"))
    if as_json:
        print_json(
            {"study": name, "source": study.source, **told}
            | {"summary": json_rows(study.summary), "points": json_rows(study.points)}
        )
        return
    out = console()
    out.print(table_of(study))
    for line in _doubts(study.points):
        out.print(f"  {line}", markup=False)
    if written:
        out.print(f"  Written to {folder.path}: {', '.join(written)}", markup=False)


def _doubts(points: "pd.DataFrame") -> Sequence[str]:
    doubted = points[points["doubts"] != ""] if "doubts" in points else points[:0]
    if not len(doubted):
        return []
    first = str(doubted["doubts"].iloc[0])
    return [f"Doubt ({len(doubted)} of {len(points)} chains; all in the column `doubts`): {first}"]
