"""`spinspectra compare`: two checkpoints or more, layer by layer, those that changed most first."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinspectra.cli.options import Json

if TYPE_CHECKING:
    import pandas as pd

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL_A MODEL_B...",
        help="Weight files, folders or hub ids, in any formats; an adapter's folder is merged into the first.",
        show_default=False,
    ),
]


def command(
    models: Models,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", "--layers", help="Only this id, name or kind; -NAME leaves one out.")
    ] = None,
    min_evals: Annotated[int, typer.Option(help="Skip layers with fewer eigenvalues.", min=1)] = 8,
    detx: Annotated[bool, typer.Option("--detx", help="SETOL's effective correlation space, of both.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The whole table: .csv, .json or .parquet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What became of each layer's spectrum: after more training, a fine-tune, an adapter, a quantisation."""
    from spinspectra.cli.frames import check_output, write_frame
    from spinspectra.cli.output import json_rows, layers_bar, print_json
    from spinspectra.cli.source import id_or_name
    from spinspectra.studies.layer_by_layer import compare

    if output is not None:
        check_output(output)
    options: dict[str, Any] = {"min_evals": min_evals, "detx": detx}
    options["layers"] = [id_or_name(one) for one in layers or []] or None
    with layers_bar("comparing") as tell:
        made = compare(_opened(models), tell, **options)
    if output is not None:
        write_frame(made, output)
    if as_json:
        alone = {str(side): names for side, names in made.attrs.items()}
        print_json({"first": models[0], "layers": json_rows(made), **alone})
        return
    for _model, part in made.groupby("model", sort=False):
        _show(models[0], part, made.attrs)


def _opened(models: list[str]) -> list[Any]:
    """Adapters are compared as what they make of the first model."""
    from spinspectra.weights import is_adapter, merge_adapter

    return [merge_adapter(models[0], one) if is_adapter(one) and one is not models[0] else one for one in models]


def _show(first: str, made: "pd.DataFrame", attrs: dict[Any, Any]) -> None:
    from spinspectra.cli.output import cell, console, signed, table

    out = console()
    title = f"{first} and {made['model'].iloc[0]}: layers that changed most first"
    columns = ("layer", "kind", "stored as", "N", "M", "alpha", "then", "moved", "change", "of the top", "rank of it")
    rows = table(title, *columns, "remark", left=3)
    for row in made.sort_values("change", ascending=False, na_position="first").to_dict(orient="records"):
        stored = row["stored_a"] if row["stored_a"] == row["stored_b"] else f"{row['stored_a']} > {row['stored_b']}"
        rows.add_row(
            cell(row["longname"]),
            row["layer_type"],
            cell(stored),
            f"{row['N']:,}",
            f"{row['M']:,}",
            _number(row["alpha_a"], 2),
            _number(row["alpha_b"], 2),
            _number(row["alpha_change"], 2),
            _percent(row["change"]),
            _percent(row["change_top"]),
            _number(row["change_stable_rank"], 1),
            cell(_remark(row)),
        )
    out.print(rows)
    good = made[made["status"] == "success"]
    means = [signed(good[f"alpha_{side}"].mean(), 2) for side in "ab"]
    out.print(f"  {len(good)} of {len(made)} layers in both: mean alpha {means[0]}, then {means[1]}.", markup=False)
    out.print("  change: size of the difference over that of the layer; of the top: the same for the largest singular")
    out.print(
        "  values; rank of it: stable rank of the difference, about a quarter of M for noise, 1 for one direction."
    )
    for side, whose in (("only_a", "the first"), ("only_b", "the second")):
        if names := attrs.get(side):
            some = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            out.print(cell(f"  {len(names)} in {whose} alone: {some}"))


def _remark(row: dict[Any, Any]) -> str:
    if row["reason"]:
        return str(row["reason"])
    before, after = row["warning_a"], row["warning_b"]
    return "" if before == after else f"{before or 'sound'} > {after or 'sound'}"


def _number(value: float, digits: int) -> str:
    from spinspectra.cli.output import signed

    return "-" if math.isnan(value) else signed(value if round(value, digits) else 0.0, digits)


def _percent(value: float) -> str:
    percent = 100.0 * value
    return "-" if math.isnan(value) else f"{percent:,.0f} %" if percent >= 10.0 else f"{percent:.2g} %"
