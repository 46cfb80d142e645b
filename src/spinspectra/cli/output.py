"""What all subcommands share in showing: tables, progress, numbers, and text that came out of a file."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from spinspectra.errors import OptionError
from spinspectra.text import printable

if TYPE_CHECKING:
    import pandas as pd

MINUS = "\N{MINUS SIGN}"


def console() -> Console:
    """Standard output, as wide as the terminal, or wide enough for any table when it goes to a file."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=160)


def table(title: str, *columns: str, left: int = 1) -> Table:
    """A table with the first `left` columns aligned left and the rest right."""
    made = Table(title=Text(printable(title)), box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index < left else "right", overflow="fold")
    return made


def cell(text: str) -> Text:
    """A cell of text from a file: no markup is read in it."""
    return Text(printable(text))


def signed(value: float, digits: int) -> str:
    """A number with a typographic minus sign and thousands separators."""
    return f"{value:,.{digits}f}".replace("-", MINUS)


def duration(seconds: float) -> str:
    """A rough time in the unit that suits it.

    >>> duration(0.26), duration(95.0), duration(9000.0), duration(1e6)
    ('0.3 s', '95 s', '2.5 h', '12 days')
    """
    for limit, unit, name in ((100.0, 1.0, "s"), (6000.0, 60.0, "min"), (360_000.0, 3600.0, "h")):
        if seconds < limit:
            value = seconds / unit
            return f"{value:.1f} {name}" if value < 9.95 else f"{value:.0f} {name}"
    return f"{seconds / 86_400.0:,.0f} days"


def rounded_up(value: float, digits: int) -> float:
    """A bound with so many digits after the point that is still a bound."""
    step = 10.0**-digits
    return math.ceil(value / step) * step


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, indent=2))


def number_or_none(value: float) -> float | None:
    """A number as JSON has it: null for NaN and infinity."""
    return value if math.isfinite(value) else None


def json_rows(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows by column as JSON has them: null for NaN and infinity."""
    return [
        {str(name): number_or_none(value) if isinstance(value, float) else value for name, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]


def require_writable(output: Path, option: str = "-o") -> None:
    """Refuse before the work a folder that could not be written to after it; nothing is made here."""
    there = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OptionError(f"{option} {output}: {there} is no folder that can be written to; give another")


def require_file(option: str, path: Path) -> None:
    """Refuse before the work a file that could not be written after it; nothing is made here."""
    if path.is_dir():
        raise OptionError(f"{option} {path}: is a folder; give the name of a file")
    parent = path.absolute().parent
    there = next(folder for folder in (parent, *parent.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OptionError(f"{option} {path}: {there} is no folder that can be written to; give another")


def bar_of(*columns: ProgressColumn) -> Progress:
    """On standard error, if that is a terminal, and gone at the end."""
    screen = Console(stderr=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


@contextmanager
def layers_bar(title: str) -> Iterator[Any]:
    """A spinner with the layer just done on standard error if that is a terminal; gives a function to call with it."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with bar_of(*columns) as bar:
        task = bar.add_task(title, total=None)
        yield lambda name: bar.update(task, description=f"{title}: {printable(name)}")


@contextmanager
def sweeps_bar(title: str, total: int) -> Iterator[Any]:
    """A progress bar of sweeps on standard error if that is a terminal; gives a function to call with sweeps done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,} sweeps"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with bar_of(*columns) as bar:
        task = bar.add_task(title, total=max(total, 1))
        yield lambda done: bar.advance(task, done)


@contextmanager
def points_bar(title: str, total: int) -> Iterator[Any]:
    """A bar of a study's points on standard error if that is a terminal; gives the `progress` of `run_points`."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} points"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with bar_of(*columns) as bar:
        task = bar.add_task(title, total=max(total, 1))

        def show(name: str, n_known: int) -> None:
            bar.update(task, completed=n_known, description=f"{title}: {printable(name)}" if name else title)

        yield show
