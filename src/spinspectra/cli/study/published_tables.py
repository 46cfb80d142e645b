"""What `spinspectra study published` shows."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from spinspectra.cli.output import cell, console, signed, table
from spinspectra.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from spinspectra.studies.published import Published

_NONE = "\N{EN DASH}"


def show(published: "Published", tables: "Mapping[str, pd.DataFrame]") -> None:
    """Tables with rows, each with the sentences that it allows."""
    out = console()
    shown = {"networks": _networks, "blocks": _blocks, "fractions": _fractions, "ranks": _ranks}
    for name, make in shown.items():
        if len(tables[name]):
            made, *lines = make(tables[name])
            out.print(made)
            for line in lines:
                out.print(f"  {line}", markup=False)
            out.print()
    for line in (*_reading(published, tables["curves"]), *_heats(tables["heats"])):
        out.print(f"  {line}", markup=False)


def _networks(networks: "pd.DataFrame") -> "Iterator[Table | str]":
    made = table(
        "Densities of states: widths per spin, T_c in the paper's convention; sym.: with g(E) = g(-E)",
        *("network", "width", "shuffled", "ratio", "sym. width", "shuffled", "ratio", "missed at", "T_c", "shuffled"),
        *("sym. T_c", "shuffled"),
    )
    for row in _of(networks):
        end = "high" if row.side == "low" else "low"
        made.add_row(
            cell(row.network),
            *_numbers(4, row.width_trained, row.width_shuffled),
            *_numbers(2, row.ratio),
            *_numbers(4, row.symmetric_width_trained, row.symmetric_width_shuffled),
            *_numbers(2, row.symmetric_ratio),
            f"{end} end {100 * row.missed_trained:.0f} %",
            *_numbers(4, row.T_c_trained, row.T_c_shuffled, row.T_c_mirrored_trained, row.T_c_mirrored_shuffled),
        )
    yield made
    n = len(networks)
    wider = [int((networks[ratio] > 1.0).sum()) for ratio in ("ratio", "symmetric_ratio")]
    hotter = [int((networks[f"T_c_{kind}trained"] > networks[f"T_c_{kind}shuffled"]).sum()) for kind in _KINDS]
    yield f"Wider than its shuffled twin: {wider[0]} of {n} as published, {wider[1]} by the symmetry."
    yield f"Higher T_c than its shuffled twin: {hotter[0]} of {n} as published, {hotter[1]} by longer halves mirrored."


_KINDS = ("", "mirrored_")


def _blocks(blocks: "pd.DataFrame") -> "Iterator[Table | str]":
    made = table(
        "Blocks: widths of the whole network; sym.: twice the longer half",
        *("model", "blocks", "width", "shuffled", "Δ", "/ largest", "sym. width", "shuffled", "sym. Δ", "/ largest"),
        *("at least", "same bins"),
    )
    for row in _of(blocks):
        made.add_row(
            cell(row.model),
            str(row.blocks),
            *_numbers(0, row.width_trained, row.width_shuffled, row.delta),
            *_numbers(3, row.delta_relative),
            *_numbers(0, row.symmetric_width_trained, row.symmetric_width_shuffled, row.symmetric_delta),
            *_numbers(3, row.symmetric_delta_relative),
            *_numbers(0, row.at_least),
            "yes" if row.same_bins else "no",
        )
    yield made
    short = blocks[blocks["width_trained"] < blocks["at_least"] * (1.0 - 1e-9)]
    yield f"Trained widths below what the symmetry and fewer blocks allow: {len(short)} of {len(blocks)}."
    for row in _of(blocks[~blocks["same_bins"].astype(bool)]):
        yield f"{printable(row.model)}, {row.blocks} blocks: the twins' bins differ; left out of relative values."


def _fractions(fractions: "pd.DataFrame") -> "Iterator[Table | str]":
    made = table(
        "Fraction shuffled: widths per spin", "model", "fraction", "width", "sym. width", "missed", "from", left=1
    )
    for row in _of(fractions):
        made.add_row(
            cell(row.model),
            f"{row.fraction:g}",
            *_numbers(4, row.width, row.symmetric_width),
            f"{100 * row.missed:.0f} %",
            row.source,
        )
    yield made


def _ranks(ranks: "pd.DataFrame") -> "Iterator[Table | str]":
    made = table("Width against task error: rank correlations", "task", "width", "n", "tau", "95 %", "p", "rho", left=2)
    for row in _of(ranks):
        interval = f"{signed(row.tau_low, 2)} .. {signed(row.tau_high, 2)}" if row.tau == row.tau else _NONE
        made.add_row(
            cell(f"{row.model}, {row.task}"),
            "published" if row.of == "width" else "symmetric",
            str(row.n),
            *_numbers(2, row.tau),
            interval,
            *_numbers(3, row.p),
            *_numbers(2, row.rho),
        )
    yield made
    yield "n: fractions that have both. They are points of one curve, not independent of one another as p supposes."


def _reading(published: "Published", curves: "pd.DataFrame") -> Iterator[str]:
    if not len(curves):
        return
    bases = curves["log_base"].value_counts()
    read = ", ".join(f"{'natural' if base == 'e' else f'base {base}'} in {n}" for base, n in bases.items())
    sums = f"2^({curves['states'].min():.3f} N) to 2^({curves['states'].max():.3f} N)"
    yield f"Second columns of {len(curves)} densities, log g / N, were read as {read}; sums of g: {sums}."
    if published.lattice is not None:
        base = published.lattice.how["log_base"]
        read = "natural" if base == "e" else f"base {base}"
        yield f"The lattice, {published.lattice.how['source']}, was read as {read}."


def _heats(heats: "pd.DataFrame") -> Iterator[str]:
    found = heats.dropna(subset=["difference"])
    if len(found):
        worst = found["difference"].max()
        yield f"Published specific heats: {len(found)}, at most {worst:.2g} from those computed here."


def _numbers(digits: int, *values: float) -> list[str]:
    return [signed(value, digits) if value == value else _NONE for value in values]


def _of(rows: "pd.DataFrame") -> Iterator[Any]:
    return rows.itertuples(index=False)
