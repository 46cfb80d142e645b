"""`spinspectra study compare`: a series of models side by side, and against a quality that is known of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from spinspectra.cli.options import MOST_REPLICAS, MOST_RUNS, MOST_SWEEPS, Json, Prefix, Seed
from spinspectra.cli.study.folder import Output, Resume, StudyFolder, Workers, study_folder
from spinspectra.errors import OptionError

if TYPE_CHECKING:
    from rich.table import Table

    from spinspectra.studies.comparison import Comparison, Measuring

# What is shown of all columns, and drawn against a quality.
MAIN = (
    "alpha",
    "alpha_weighted",
    "log_norm",
    "log_spectral_norm",
    "stable_rank",
    "rand_distance",
    "ERG_gap",
    "Q_computed",
    "energy_per_spin",
    "null_z",
    "ratio",
    "T_c",
    "n_weights",
)

_SHOWN = 2  # columns of the quality in the table of models; all are in points.csv


def command(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODELS...", help="One or more, in their order: files, folders or hub ids.", show_default=False
        ),
    ],
    quality: Annotated[
        Path | None,
        typer.Option(help="CSV file: model by name or path, then columns such as accuracy.", show_default=False),
    ] = None,
    correlation: Annotated[str, typer.Option(help="With a quality: kendall (tau-b) or spearman.")] = "kendall",
    replicas: Annotated[
        int, typer.Option(help="Resamples for the correlations' intervals.", min=100, max=MOST_REPLICAS)
    ] = 2000,
    shuffles: Annotated[int, typer.Option(help="Shuffled twins of each model.", min=0, max=MOST_RUNS)] = 3,
    within: Annotated[
        str, typer.Option(help="What they shuffle: the network, or each matrix in itself, whose z is a test.")
    ] = "network",
    sweeps: Annotated[int, typer.Option(help="Cooling sweeps of each search.", min=1, max=MOST_SWEEPS)] = 1000,
    heat: Annotated[bool, typer.Option(help="Also T_c, by short tempering runs: far slower.")] = False,
    blocks: Annotated[
        int | None, typer.Option(help="Chains of the first so many blocks.", min=1, show_default="all")
    ] = None,
    prefix: Prefix = None,
    seed: Seed = 0,
    workers: Workers = None,
    output: Output = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """One table and figure over a series of models: alpha, lowest energy against shuffled twins, and what follows it.

    Sizes of one family, or checkpoints of one run. With --quality every measure gets its rank correlation with it.
    """
    from spinspectra.cli.study.widths import working
    from spinspectra.ising.shuffle import Within
    from spinspectra.studies.chance import Correlation
    from spinspectra.studies.comparison import Correlating, Measuring, compare_models
    from spinspectra.studies.quality import read_quality

    folder = study_folder(output, resume)
    kind = cast("Correlation", _one_of("--correlation", correlation, get_args(Correlation)))
    where = cast("Within", _one_of("--within", within, get_args(Within)))
    known = None if quality is None else read_quality(quality)
    measuring = Measuring(shuffles, sweeps, where, heat, blocks, prefix, seed)
    correlating = Correlating(kind, replicas, seed=seed)
    with working("compare", len(models), folder, workers) as (pool, progress):
        found = compare_models(models, None, known, measuring, correlating, folder.record, pool, progress)
    written = _save(found, folder)
    if as_json:
        _print_json(found, measuring, kind)
    else:
        _show(found, measuring, kind, folder, written)


def _one_of(option: str, given: str, known: tuple[str, ...]) -> str:
    if given not in known:
        raise OptionError(f"{option} {given}: give {' or '.join(known)}")
    return given


def _qualities(found: "Comparison") -> list[str]:
    return list(dict.fromkeys(found.correlations["quality"]))


def _save(found: "Comparison", folder: StudyFolder) -> list[str]:
    """Tables and figures; gives the names of the files."""
    if folder.path is None:
        return []
    from spinspectra.plots.comparison import against_quality, along_series, shown_against, shown_along
    from spinspectra.plots.save import safe_stem, save_png

    tables = {"points": found.table}
    if len(found.correlations):
        tables["correlations"] = found.correlations
    folder.save_tables(tables)
    figures = {}
    qualities = _qualities(found)
    plain = ["-".join(quality.split()) for quality in qualities]
    if shown_along(found.table):
        figures["compare.png"] = along_series(found.table)
    for quality, name in zip(qualities, plain if len(set(plain)) == len(plain) else qualities, strict=True):
        if shown_against(found.table, quality, MAIN):
            axes = against_quality(found.table, found.correlations, quality, MAIN)
            figures[f"quality-{safe_stem(name)}.png"] = axes
    for file, axes in figures.items():
        save_png(axes[0], folder.path / file)
    return [*(f"{name}.csv" for name in tables), *figures]


def _print_json(found: "Comparison", measuring: Any, kind: str) -> None:
    from dataclasses import asdict

    from spinspectra.cli.output import json_rows, print_json

    print_json(
        {
            "study": "compare",
            **asdict(measuring),
            "correlation": kind,
            "models": json_rows(found.table),
            "correlations": json_rows(found.correlations),
            "notes": list(found.notes),
        }
    )


def _show(found: "Comparison", measuring: "Measuring", kind: str, folder: StudyFolder, written: list[str]) -> None:
    from spinspectra.cli.output import console
    from spinspectra.text import printable

    out = console()
    out.print(_table(found, measuring.shuffles))
    for row in found.table.to_dict("records"):
        if row["reason"]:
            out.print(f"  {printable(row['model'])}: {row['status']}: {printable(row['reason'])}", markup=False)
    for quality in _qualities(found):
        out.print(_correlations(found, quality, kind))
    for note in (*found.notes, *_warnings(found, measuring)):
        out.print(f"  {printable(note)}.", markup=False)
    if written:
        out.print(f"  Written to {folder.path}: {', '.join(written)}", markup=False)


def _table(found: "Comparison", shuffles: int) -> "Table":
    from spinspectra.cli.heat import plus_minus
    from spinspectra.cli.output import cell, table

    there = found.table
    spins = "energy_per_spin" in there
    columns = ["alpha", "alpha-hat"]
    columns += ["N", "E_min/N", "shuffled", "z", "W/W shuffled"] if spins else []
    columns += ["T_c", "T_c/shuffled"] if "T_c" in there else []
    shown = _qualities(found)[:_SHOWN]
    title = "Means over layers" + (f"; energies beside mean and spread of {shuffles} shuffled twins" if spins else "")
    made = table(title, "model", *columns, *shown)
    for row in there.to_dict("records"):
        cells = [_number(row.get(name), 2) for name in ("alpha", "alpha_weighted")]
        if spins:
            cells += [_number(row["n_spins"], 0), _number(row["energy_per_spin"], 4)]
            cells += [plus_minus(row["null_energy"], row["null_sd"], figures=1).replace("-", "\N{MINUS SIGN}")]
            cells += [_number(row["null_z"], 1), _number(row["ratio"], 3)]
        if "T_c" in there:
            cells += [plus_minus(row["T_c"], row["T_c_err"], figures=1), _number(row["T_c_ratio"], 2)]
        cells += [_number(row[name], 4) for name in shown]
        made.add_row(cell(row["model"]), *cells)
    return made


def _correlations(found: "Comparison", quality: str, kind: str) -> "Table":
    from spinspectra.cli.output import cell, table

    name = {"kendall": "tau", "spearman": "rho"}[kind]
    made = table(f"Rank correlation with {quality}", "measure", name, "95 % interval", "p", "q", "n", "")
    rows = {row["measure"]: row for row in found.correlations.to_dict("records") if row["quality"] == quality}
    for measure in MAIN:
        if measure not in rows:
            continue
        row = rows[measure]
        low, high = (_number(row[end], 2) for end in ("low", "high"))
        interval = f"{low} to {high}" if row["low"] == row["low"] else ""
        cells = (_number(row["value"], 2), interval, _chance(row["p"]), _chance(row["q"]), f"{row['n']:,}")
        made.add_row(measure, *cells, cell(str(row["reason"])))
    return made


def _number(value: float | None, digits: int) -> str:
    """A dash where there is none."""
    from spinspectra.cli.output import signed

    return "\N{EN DASH}" if value is None or value != value else signed(value, digits)


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else _number(p, 3)


def _warnings(found: "Comparison", measuring: "Measuring") -> list[str]:
    """What the numbers above cannot tell."""
    from math import factorial

    said = []
    if "null_z" in found.table and measuring.shuffles > 1:
        if measuring.shuffles < 10:
            said.append(f"{measuring.shuffles} shuffles know their spread, and so z, to {_rough(measuring.shuffles)} %")
        if measuring.within == "network":
            said.append(
                "Untrained networks too have z far from 0 where their matrices differ in size: see --within matrix"
            )
    if len(found.correlations):
        n = int(found.correlations["n"].max())
        if 4 <= n <= 7:
            least = f"With {n} models even a perfect order has p = {2.0 / factorial(n):.2g}"
            said.append(f"{least}, before it is said how many measures were tried")
        n_measures = found.correlations["measure"].nunique()
        said.append(f"Column q: false finds to be expected among those with so small a p, of all {n_measures} measures")
    return said


def _rough(shuffles: int) -> int:
    """Relative error of a standard deviation of so many normal values, in per cent."""
    return round(100.0 / float((2.0 * (shuffles - 1)) ** 0.5))
