"""The `spinspectra` command and its subcommands. Nothing heavy is imported before a subcommand needs it."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from spinspectra import __version__
from spinspectra.errors import SpinSpectraError
from spinspectra.text import printable

app = typer.Typer(
    name="spinspectra",
    help="Judge a trained neural network from its weights alone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Weight file, folder, or hub id such as org/name.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def _version(asked: bool) -> None:
    if asked:
        print(f"spinspectra {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


@app.command()
def describe(
    model: Model,
    every: Annotated[bool, typer.Option("--all", help="One line a tensor instead of one a kind of block.")] = False,
    as_json: Json = False,
) -> None:
    """What is in a checkpoint: tensors, kinds, shapes, architecture family, Ising chain."""
    from spinspectra.cli.describe import run

    run(model, every, as_json)


@app.command()
def ground(
    model: Model,
    shuffled: Annotated[bool, typer.Option("--shuffled", help="Also for the same weights shuffled.")] = False,
    blocks: Annotated[int | None, typer.Option(help="Only the first so many blocks.", show_default="all")] = None,
    sweeps: Annotated[int, typer.Option(help="Cooling sweeps over all spins; 0 only quenches.", min=0)] = 1000,
    restarts: Annotated[int, typer.Option(help="Independent searches; the best counts.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Same seed, same answer.", min=0)] = 0,
    bounds: Annotated[bool, typer.Option(help="Prove how low the energy could be.")] = True,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the spins, l0.dat, l1.dat, ...")
    ] = None,
    as_json: Json = False,
) -> None:
    """Lowest energy of the network as an Ising model, between what a search finds and what can be proved."""
    from spinspectra.cli.ground import run
    from spinspectra.studies.ground import Search

    run(model, blocks, Search(sweeps, restarts, seed), shuffled, bounds, output, as_json)


@app.command()
def demo() -> None:
    """The story on four small checkpoints that come with the package, offline, in under a minute."""
    from spinspectra.cli.demo import run

    run()


def main() -> None:
    """Entry point: run a subcommand; a known error is one line and exit code 2, Ctrl-C is 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a typographic minus gets a question mark
    try:
        app()
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (SpinSpectraError, OSError, MemoryError) as error:
        print(f"spinspectra: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("spinspectra: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
