"""The `spinspectra` command and its subcommands. Nothing heavy is imported before a subcommand needs it."""

import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from spinspectra import __version__
from spinspectra.cli import compare, report
from spinspectra.cli.options import (
    LARGEST_SEED,
    MOST_BINS,
    MOST_REPLICAS,
    MOST_RESTARTS,
    MOST_RUNS,
    MOST_SWEEPS,
    Adapter,
    Json,
    Model,
    Prefix,
    Seed,
)
from spinspectra.cli.study.app import study
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

# What typer raises for words it cannot parse, whichever library it is built on.
_UsageError: Any = typer.BadParameter.__mro__[1]


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
    adapter: Adapter = None,
    as_json: Json = False,
) -> None:
    """What is in a checkpoint: tensors, kinds, shapes, architecture family, Ising chain."""
    from spinspectra.cli.describe import run
    from spinspectra.cli.source import Source

    run(Source(model, adapter=adapter), every, as_json)


@app.command()
def analyze(
    model: Model,
    fit: Annotated[str, typer.Option(help="Kind of tail: PL, TPL or E_TPL.")] = "PL",
    detx: Annotated[
        bool, typer.Option("--detx", help="SETOL's effective correlation space and tail qualities.")
    ] = False,
    randomize: Annotated[bool, typer.Option("--randomize", help="Compare with the weights permuted.")] = False,
    mp_fit: Annotated[bool, typer.Option("--mp-fit", help="Marchenko-Pastur bulk and spikes.")] = False,
    vectors: Annotated[bool, typer.Option("--vectors", help="How localised the eigenvectors are.")] = False,
    farms: Annotated[bool, typer.Option("--farms", help="Alpha at one aspect ratio for all layers.")] = False,
    bootstrap: Annotated[
        int, typer.Option(help="Replicas for alpha's p-value and interval; 0 for none.", min=0, max=MOST_REPLICAS)
    ] = 0,
    ks: Annotated[
        str, typer.Option(help="Distance of the tail fit: one-sided, as published, or two-sided.")
    ] = "one-sided",
    fix_fingers: Annotated[
        str | None, typer.Option(help="Against a few huge eigenvalues: clip_xmax or xmin_peak.", show_default=False)
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", "--layers", help="Only this id, name or kind; -x leaves x out. Repeatable."),
    ] = None,
    min_evals: Annotated[int, typer.Option(help="Skip layers with fewer eigenvalues.", min=1)] = 8,
    max_evals: Annotated[
        int | None, typer.Option(help="Skip layers with more eigenvalues.", min=1, show_default="no limit")
    ] = None,
    pool: Annotated[
        bool, typer.Option("--pool/--slices", help="A convolution's slices together, or a row each.")
    ] = True,
    channels: Annotated[
        str | None, typer.Option(help="Where convolutions have theirs: first or last.", show_default="by shape")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Analyse what MODEL changed of this one: their difference.", show_default=False)
    ] = None,
    adapter: Adapter = None,
    seed: Annotated[int, typer.Option(help="Behind all randomised columns.", min=0, max=LARGEST_SEED)] = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="All columns, .csv, .parquet or .json.")] = None,
    plots: Annotated[Path | None, typer.Option("--plots", help="Folder for the figures of every layer.")] = None,
    as_json: Json = False,
) -> None:
    """Every layer's eigenvalue spectrum: power-law alpha, norms, ranks, and what they say of the layer."""
    from spinspectra.cli.analyze import run
    from spinspectra.cli.source import Source

    options = {
        "fit": fit,
        "detx": detx,
        "randomize": randomize,
        "mp_fit": mp_fit,
        "vectors": vectors,
        "farms": farms,
        "bootstrap": bootstrap,
        "ks": ks,
        "fix_fingers": fix_fingers,
        "layers": layers,
        "min_evals": min_evals,
        "max_evals": max_evals,
        "pool": pool,
        "channels": channels,
        "seed": seed,
    }
    run(Source(model, base, adapter), options, output, plots, as_json)


@app.command()
def ground(
    model: Model,
    shuffled: Annotated[bool, typer.Option("--shuffled", help="Also for the same weights shuffled.")] = False,
    blocks: Annotated[int | None, typer.Option(help="Only the first so many blocks.", show_default="all")] = None,
    prefix: Prefix = None,
    adapter: Adapter = None,
    sweeps: Annotated[
        int, typer.Option(help="Cooling sweeps over all spins; 0 only quenches.", min=0, max=MOST_SWEEPS)
    ] = 1000,
    restarts: Annotated[int, typer.Option(help="Independent searches; the best counts.", min=1, max=MOST_RESTARTS)] = 1,
    seed: Seed = 0,
    bounds: Annotated[bool, typer.Option(help="Prove how low the energy could be.")] = True,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of its own for the spins, l0.dat, l1.dat, ...")
    ] = None,
    as_json: Json = False,
) -> None:
    """Lowest energy of the network as an Ising model, between what a search finds and what can be proved."""
    from spinspectra.cli.ground import run
    from spinspectra.cli.source import Source
    from spinspectra.studies.ground import Search

    run(
        Source(model, adapter=adapter),
        blocks,
        prefix,
        Search(sweeps, restarts, seed),
        shuffled,
        bounds,
        output,
        as_json,
    )


@app.command()
def dos(
    model: Model,
    shuffled: Annotated[bool, typer.Option("--shuffled", help="Also for the same weights shuffled.")] = False,
    method: Annotated[str, typer.Option(help="tempering, or wang-landau: far slower, independent.")] = "tempering",
    blocks: Annotated[int | None, typer.Option(help="Only the first so many blocks.", show_default="all")] = None,
    prefix: Prefix = None,
    adapter: Adapter = None,
    bins: Annotated[int, typer.Option(help="Energy bins from the lowest energy to 0.", min=2, max=MOST_BINS)] = 2000,
    sweeps: Annotated[
        int | None, typer.Option(help="Tempering: recorded sweeps a run.", min=8, max=MOST_SWEEPS, show_default="1000")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(help="Tempering: independent runs.", min=1, max=MOST_RUNS, show_default="4")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Tempering: torch's name of one, such as cuda.", show_default="NumPy")
    ] = None,
    ln_f_end: Annotated[
        float | None, typer.Option(help="Wang-Landau: the last ln f.", min=1e-12, max=1.0, show_default="1e-6")
    ] = None,
    windows: Annotated[
        int | None, typer.Option(help="Wang-Landau: energy windows.", min=1, max=MOST_BINS, show_default="by bins")
    ] = None,
    teams: Annotated[
        int | None, typer.Option(help="Wang-Landau: independent runs.", min=1, max=MOST_RUNS, show_default="8")
    ] = None,
    seed: Seed = 0,
    workers: Annotated[
        int | None, typer.Option(help="Threads; the answer is the same.", min=1, max=4096, show_default="all cores")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File that keeps the run, to go on after any interruption.", show_default=False)
    ] = None,
    checkpoint_every: Annotated[
        float | None, typer.Option(help="Wang-Landau: seconds between checkpoints.", min=0.0, show_default="60")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint if it is there.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The density: .nc, or .dat.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Figure of ln g, a PNG file.")] = None,
    as_json: Json = False,
) -> None:
    """Density of states of the network as an Ising model: its range of energies, its critical temperature."""
    from spinspectra.cli.dos import Files, run, sampling_of
    from spinspectra.cli.source import Source

    options = {
        "sweeps": sweeps,
        "runs": runs,
        "device": device,
        "ln_f_end": ln_f_end,
        "n_windows": windows,
        "teams": teams,
        "checkpoint_every": checkpoint_every,
    }
    files = Files(checkpoint, resume, output, plot)
    sampling = sampling_of(method, bins, seed, options)
    run(Source(model, adapter=adapter), blocks, prefix, sampling, shuffled, workers, files, as_json)


@app.command()
def heat(
    densities: Annotated[list[Path], typer.Argument(metavar="DOS...", help="Files of densities, .nc or .dat.")],
    n_spins: Annotated[
        int | None, typer.Option(help="Number of spins, for .dat files that do not say it.", min=1, show_default=False)
    ] = None,
    log_base: Annotated[str, typer.Option(help="Of a .dat file's second column: e, 10, or auto.")] = "auto",
    convention: Annotated[
        str, typer.Option(help="extensive: the physics'; paper: energies over the width, as arXiv 2209.08678 has it.")
    ] = "extensive",
    width: Annotated[
        float | None, typer.Option(help="Width for the paper's convention.", show_default="the first file's, for all")
    ] = None,
    low: Annotated[float | None, typer.Option(help="Lowest temperature.", show_default="by the density")] = None,
    high: Annotated[float | None, typer.Option(help="Highest temperature.", show_default="by the density")] = None,
    points: Annotated[int, typer.Option(help="Temperatures.", min=2, max=1_000_000)] = 500,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="ln Z, U, C, F, S: .csv or .nc.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Figure of C(T), a PNG file.")] = None,
    as_json: Json = False,
) -> None:
    """Heat of densities of states: energy, specific heat, entropy over temperature, and where the heat peaks."""
    from spinspectra.cli.heat import Heating, Reading, run

    heating = Heating(convention, width, low, high, points)
    run(densities, Reading(n_spins, log_base), heating, output, plot, as_json)


@app.command()
def demo() -> None:
    """The story on four small checkpoints that come with the package, offline, in under a minute."""
    from spinspectra.cli.demo import run

    run()


app.command("compare")(compare.command)
app.command("report")(report.command)
app.add_typer(study, name="study")


def main() -> None:
    """Entry point: run a subcommand; a known error is one line and exit code 2, Ctrl-C is 130."""
    # the libraries we import make half a million objects that stay; looking among them for garbage takes 0.1 s
    gc.set_threshold(200_000, 50, 50)
    nowhere = Path(os.devnull)  # in place of streams closed by whoever started us
    sys.stdout, sys.stderr = sys.stdout or nowhere.open("w"), sys.stderr or nowhere.open("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a typographic minus gets a question mark
    try:
        code = app(standalone_mode=False)
        _leave(code if isinstance(code, int) else 0)
    except _UsageError as error:
        _fail(f"{error.format_message()} (see spinspectra --help)", 2)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        _fail(f"{error.filename or 'input or output'}: {error.strerror or error}", 2)
    except (SpinSpectraError, MemoryError) as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)


def _leave(code: int) -> NoReturn:
    """End at once: all files are closed, and taking compiled kernels apart costs a third of a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _fail(text: str, code: int) -> NoReturn:
    print(f"spinspectra: {printable(text)}", file=sys.stderr)
    raise SystemExit(code) from None
