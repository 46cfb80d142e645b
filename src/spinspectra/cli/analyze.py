"""`spinspectra analyze`: one line a layer, and a closing summary to act on."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from spinspectra.cli.output import cell, console, layers_bar, print_json, require_writable, signed, table
from spinspectra.errors import OptionError
from spinspectra.files import whole_file
from spinspectra.plots import save_figures
from spinspectra.spectra.analyze import OVER_TRAINED_BELOW, UNDER_TRAINED_ABOVE, analyze, summarize
from spinspectra.spectra.powerlaw import Kind

# An alpha this close to 2, and tails this close in number (as a share of all eigenvalues), are near SETOL's ideal.
_NEAR_TWO = 0.5
_NEAR_GAP = 0.05

_WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": lambda details, path: details.to_csv(path, index=False),
    ".json": lambda details, path: details.to_json(path, orient="records", indent=2),
    ".parquet": lambda details, path: details.to_parquet(path, index=False),
}


def run(
    model: str,
    fit: str,
    detx: bool,
    randomize: bool,
    mp_fit: bool,
    layers: list[str] | None,
    min_evals: int,
    seed: int,
    output: Path | None,
    plots: Path | None,
    as_json: bool,
) -> None:
    if output is not None:
        _check_output(output)
    if plots is not None:
        require_writable(plots)
    options: dict[str, Any] = {
        "fit": _kind(fit),
        "randomize": randomize,
        "mp_fit": mp_fit,
        "detx": detx,
        "layers": [_id_or_name(one) for one in layers or []] or None,
        "min_evals": min_evals,
        "seed": seed,
    }
    with layers_bar("analyzing") as tell:
        details = analyze(model, **options, progress=tell)
    if output is not None:
        _write(details, output)
    drawn = 0
    if plots is not None:
        with layers_bar("drawing") as tell:
            drawn = len(save_figures(model, plots, details, **options, progress=tell))
    if as_json:
        summary = pd.Series(summarize(details))
        as_text = {"summary": summary.to_json(), "layers": details.to_json(orient="records")}
        print_json({"source": model} | {name: json.loads(text) for name, text in as_text.items()})
    else:
        _show(model, details, output)
        if plots is not None:
            console().print(f"  {drawn} figures written to {plots}", markup=False)


def _kind(fit: str) -> Kind:
    kinds: dict[str, Kind] = {"PL": "PL", "TPL": "TPL", "E_TPL": "E_TPL"}
    if fit not in kinds:
        raise OptionError(f"--fit {fit}: give one of {', '.join(kinds)}")
    return kinds[fit]


def _id_or_name(text: str) -> int | str:
    return int(text) if text.removeprefix("-").isdecimal() else text


def _check_output(output: Path) -> None:
    if output.suffix not in _WRITERS:
        raise OptionError(f"-o {output}: the name must end in {', '.join(_WRITERS)}")
    if output.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise OptionError(f"-o {output}: Parquet needs pyarrow; pip install pyarrow, or write .csv") from None
    require_writable(output.absolute().parent)


def _write(details: pd.DataFrame, output: Path) -> None:
    """Whole, so the old file stays until the new one is."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output) as part:
        _WRITERS[output.suffix](details, part)


def _show(model: str, details: pd.DataFrame, output: Path | None) -> None:
    out = console()
    optional = [
        (column, title)
        for column, title in (("ERG_gap", "ERG gap"), ("num_spikes", "spikes"), ("num_traps", "traps"))
        if column in details
    ]
    titles = [title for _column, title in optional]
    made = table(model, "id", "layer", "kind", "N", "M", "alpha", "D", "tail", "alpha-hat", *titles, "remark", left=3)
    for row in details.to_dict(orient="records"):
        if row["status"] == "success":
            numbers = [f"{row['alpha']:.2f}", f"{row['D']:.3f}", f"{row['num_pl_spikes']:.0f}"]
            numbers.append(signed(row["alpha_weighted"], 2))
            numbers += [_whole(row[column]) for column, _title in optional]
            remark = row["warning"]
        else:
            numbers, remark = ["-"] * (4 + len(optional)), f"failed: {row['reason']}"
        start = [str(row["layer_id"]), cell(row["longname"]), row["layer_type"], f"{row['N']:,}", f"{row['M']:,}"]
        made.add_row(*start, *numbers, cell(remark))
    out.print(made)
    for line in _closing(details):
        out.print("  " + line, markup=False)
    if output is not None:
        out.print(f"  {len(details.columns)} columns of {len(details)} rows written to {output}", markup=False)


def _whole(value: float) -> str:
    """A count, or a dash where there is none: a spectrum without a Marchenko-Pastur bulk has no spikes to count."""
    return "-" if math.isnan(value) else signed(value, 0)


def _closing(details: pd.DataFrame) -> list[str]:
    """What a person can act on: how many layers look how, and which."""
    good = details[details["status"] == "success"]
    mean = summarize(details)
    lines = [
        f"{len(good)} of {len(details)} layers fitted: mean alpha {mean['alpha']:.2f}, "
        f"mean alpha-hat {signed(mean['alpha_weighted'], 2)}, mean log norm {signed(mean['log_norm'], 2)}."
    ]
    groups = [
        (f"look under-trained (alpha > {UNDER_TRAINED_ABOVE:g})", good["alpha"] > UNDER_TRAINED_ABOVE),
        (f"look over-trained (alpha < {OVER_TRAINED_BELOW:g})", good["alpha"] < OVER_TRAINED_BELOW),
    ]
    if "num_traps" in good:
        groups.append(("hold correlation traps", good["num_traps"] > 0))
    if "ERG_gap" in good:
        near = (good["alpha"] - 2).abs() <= _NEAR_TWO
        groups.append(("are near SETOL's ideal (alpha near 2, both tails alike)", near & _small_gap(good)))
    for said, chosen in groups:
        names = good["longname"][chosen].tolist()
        if names:
            lines.append(f"{len(names)} {said}: " + ", ".join(names[:4]) + (", ..." if len(names) > 4 else ""))
    failed = details[details["status"] != "success"]
    if len(failed):
        lines.append(f"{len(failed)} could not be fitted; the remark says why.")
    return lines


def _small_gap(good: pd.DataFrame) -> "pd.Series[bool]":
    return good["ERG_gap"].abs() <= _NEAR_GAP * good["num_evals"]
