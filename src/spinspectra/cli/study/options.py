"""Options that several studies have, and numbers between commas."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from spinspectra.cli.options import MOST_RESTARTS, MOST_SWEEPS
from spinspectra.errors import OptionError

MOST_SHUFFLES = 10_000

N = TypeVar("N", int, float)


def cooling_sweeps(default: str | bool) -> Any:
    """The option of annealing. default: shown; True: that of the parameter."""
    return typer.Option(help="Cooling sweeps over all spins.", min=1, max=MOST_SWEEPS, show_default=default)


Shuffles = Annotated[int, typer.Option(help="Independent shuffles, for the errors.", min=1, max=MOST_SHUFFLES)]
Restarts = Annotated[
    int | None,
    typer.Option(help="Searches, of which the best counts.", min=1, max=MOST_RESTARTS, show_default="1 to 16 by size"),
]


def numbers(option: str, text: str, kind: Callable[[str], N]) -> list[N]:
    """`1,2,4` as numbers. Raises OptionError for anything else."""
    try:
        return [kind(part) for part in text.split(",")]
    except (ValueError, OverflowError):
        whole = "whole " if kind is int else ""
        raise OptionError(f"{option} {text}: give {whole}numbers with commas between them") from None
