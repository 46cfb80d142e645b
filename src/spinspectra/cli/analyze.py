"""`spinspectra analyze`: one line a layer, and a closing summary to act on."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from spinspectra.cli.frames import check_output, write_frame
from spinspectra.cli.output import cell, console, layers_bar, print_json, require_writable, signed, table
from spinspectra.cli.source import Source, id_or_name
from spinspectra.errors import OptionError
from spinspectra.spectra.analyze import analyze, summarize
from spinspectra.spectra.columns import OVER_TRAINED_BELOW
from spinspectra.spectra.effective_space import UNDER_TRAINED_ABOVE

_CHOICES = {
    "fit": ("PL", "TPL", "E_TPL"),
    "ks": ("one-sided", "two-sided"),
    "fix_fingers": ("clip_xmax", "xmin_peak", None),
    "channels": ("first", "last", None),
}


def run(source: Source, options: dict[str, Any], output: Path | None, plots: Path | None, as_json: bool) -> None:
    for name, known in _CHOICES.items():
        if options[name] not in known:
            said = ", ".join(one for one in known if one is not None)
            raise OptionError(f"--{name.replace('_', '-')} {options[name]}: give one of {said}")
    if output is not None:
        check_output(output)
    if plots is not None:
        require_writable(plots)
    options = options | {"layers": [id_or_name(one) for one in options["layers"] or []] or None}
    weights = source.open()
    with layers_bar("analyzing") as tell:
        details = analyze(weights, **options, progress=tell)
    if output is not None:
        write_frame(details, output)
    drawn = 0
    if plots is not None:
        from spinspectra.plots import save_figures

        with layers_bar("drawing") as tell:
            drawn = len(save_figures(weights, plots, details, **options, progress=tell))
    if as_json:
        summary = pd.Series(summarize(details))
        as_text = {"summary": summary.to_json(), "layers": details.to_json(orient="records")}
        print_json({"source": weights.source} | {name: json.loads(text) for name, text in as_text.items()})
    else:
        _show(weights.source, details, output)
        if plots is not None:
            console().print(f"  {drawn} figures written to {plots}", markup=False)


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
            remark = ", ".join(filter(None, (row["warning"], "no power law" if row["power_law"] == "no" else "")))
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
    groups.append(("are no power law, so that alpha says little", good["power_law"] == "no"))
    if "num_traps" in good:
        groups.append(("hold correlation traps", good["num_traps"] > 0))
    if "ERG_verdict" in good:
        groups.append(("are SETOL's ideal (alpha 2, both tails start together)", good["ERG_verdict"] == "ideal"))
    for said, chosen in groups:
        names = good["longname"][chosen].tolist()
        if names:
            lines.append(f"{len(names)} {said}: " + ", ".join(names[:4]) + (", ..." if len(names) > 4 else ""))
    failed = details[details["status"] != "success"]
    if len(failed):
        lines.append(f"{len(failed)} could not be fitted; the remark says why.")
    return lines
