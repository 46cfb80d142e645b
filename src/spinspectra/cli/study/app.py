"""The subcommands of `spinspectra study`."""

import typer

study = typer.Typer(
    help="The experiments of arXiv 2209.08678 on any model: depth, fraction shuffled, accuracy; and comparisons.",
    no_args_is_help=True,
)
