"""The subcommands of `spinspectra study`."""

import typer

from spinspectra.cli.study import accuracy, blocks, compare, fraction, published

study = typer.Typer(
    help="The experiments of arXiv 2209.08678 on any model: depth, fraction shuffled, accuracy; and comparisons.",
    no_args_is_help=True,
)
study.command("blocks")(blocks.command)
study.command("fraction")(fraction.command)
study.command("accuracy")(accuracy.command)
study.command("compare")(compare.command)
study.command("published")(published.command)
