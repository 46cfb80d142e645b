"""Arguments and limits that several subcommands have."""

from typing import Annotated

import typer

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Weight file, folder, or hub id such as org/name.", show_default=False)
]
Adapter = Annotated[
    str | None, typer.Option(help="A LoRA adapter's folder: take MODEL with it merged.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]

MOST_SWEEPS = 100_000_000
MOST_RESTARTS = 1_000_000
MOST_REPLICAS = 1_000_000
MOST_BINS = 10_000_000
MOST_RUNS = 100_000
LARGEST_SEED = 2**63 - 1

Prefix = Annotated[
    str | None, typer.Option(help="Which stack of blocks, where a file holds several.", show_default="the only one")
]
Seed = Annotated[int, typer.Option(help="Same seed, same answer.", min=0, max=LARGEST_SEED)]
