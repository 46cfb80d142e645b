"""`spinspectra describe`: tables of a checkpoint's tensors and of the chain it makes."""

import re

import pandas as pd

from spinspectra.cli.output import cell, console, duration, print_json, table
from spinspectra.cli.source import Source
from spinspectra.layers import read_layers
from spinspectra.layers.describe import ChainSummary, describe, summarise_chain
from spinspectra.layers.selection import MIN_EVALS, why_skipped
from spinspectra.studies.cost import Cost, Machine, cost_of_analysis, cost_of_density, cost_of_ground, this_machine
from spinspectra.weights import Weights

_BLOCK_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")  # a whole part of a dotted name


def run(source: Source, every: bool, as_json: bool) -> None:
    weights = source.open()
    rows = describe(weights)
    chain = summarise_chain(weights)
    if as_json:
        costs = _costs(weights, chain, this_machine())
        print_json(_as_json(weights.source, rows, chain, costs))
        return
    out = console()
    shown = rows.assign(count=1) if every else _grouped(rows)
    tensors = table(weights.source, "tensor", "kind", "stored as", "shape", "chain", "count", "parameters", left=5)
    for row in shown.to_dict(orient="records"):
        shape = " x ".join(map(str, row["shape"])) or "scalar"
        tensors.add_row(
            cell(row["name"]),
            row["kind"],
            cell(row["dtype"]),
            shape,
            row["chain"],
            f"{row['count']:,}",
            f"{row['params']:,}",
        )
    out.print(tensors)
    own = rows[rows.same_as == ""]
    ties = f", {len(rows) - len(own):,} of them tied" if len(own) < len(rows) else ""
    out.print(f"  {len(rows):,} tensors{ties}, {own.params.sum():,} parameters, {own.bytes.sum() / 1e6:,.1f} MB\n")
    if left_out := _left_out(shown):
        out.print("  Not analysed, beside vectors:")
        for line in left_out:
            out.print(cell(f"    {line}"))
        out.print()
    if isinstance(chain, ChainSummary):
        out.print(
            f"  Ising chain: {chain.family}, {chain.n_blocks} blocks, "
            f"N = {chain.n_spins:,} spins, B = {chain.n_bonds:,} bonds"
        )
    else:
        out.print(f"  No Ising chain: {chain}", markup=False)
    machine = this_machine()
    out.print(f"\n  On this machine ({machine.cores} core{'s' * (machine.cores > 1)}), roughly:")
    for command, cost in _costs(weights, chain, machine).items():
        memory = f"{cost.n_bytes / 1e9:,.1f} GB"
        too_much = f", more than the {machine.memory / 1e9:,.0f} GB here" if 0 < machine.memory < cost.n_bytes else ""
        out.print(f"    {command:<8} {duration(cost.seconds):>10}   {memory}{too_much}")


def _costs(weights: Weights, chain: ChainSummary | str, machine: Machine) -> dict[str, Cost]:
    """What each command would take with its defaults; those that cannot be run are left out."""
    layers = [layer for layer in read_layers(weights) if not why_skipped(layer, MIN_EVALS, None)]
    costs = {"analyze": cost_of_analysis(layers, machine)} if layers else {}
    if isinstance(chain, ChainSummary):
        costs |= {"ground": cost_of_ground(chain, machine), "dos": cost_of_density(chain, machine)}
    return costs


def _left_out(rows: pd.DataFrame) -> list[str]:
    """A line with the reason for each row that has no spectrum or another's; of vectors it is plain."""
    matters = rows[(rows.skipped != "") & ~rows.kind.isin(["norm", "bias"])]
    return [f"{name}: {reason}" for name, reason in zip(matters.name, matters.skipped, strict=True)]


def _grouped(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for tensors that differ only in their numbers (blocks, shards of a list), in order of first sight."""
    pattern = [_BLOCK_NUMBER.sub("*", name) for name in rows.name]
    role = rows.chain.str.rpartition(".")[2]
    skipped = [_BLOCK_NUMBER.sub("*", reason) for reason in rows.skipped]
    groups = rows.assign(pattern=pattern, role=role, skipped=skipped).groupby(
        ["pattern", "kind", "dtype", "shape", "role", "skipped"], sort=False, as_index=False
    )
    made = groups.agg(name=("name", "first"), params=("params", "sum"), count=("name", "size"))
    made["name"] = made.name.where(made["count"] == 1, made.pattern)
    return made.rename(columns={"role": "chain"})


def _as_json(source: str, rows: pd.DataFrame, chain: ChainSummary | str, costs: dict[str, Cost]) -> dict[str, object]:
    made: dict[str, object] = {"source": source, "chain": None, "no_chain_because": None}
    if isinstance(chain, ChainSummary):
        made["chain"] = {
            "family": chain.family,
            "n_blocks": chain.n_blocks,
            "n_spins": chain.n_spins,
            "n_bonds": chain.n_bonds,
        }
    else:
        made["no_chain_because"] = chain
    made["costs"] = {command: {"seconds": cost.seconds, "bytes": cost.n_bytes} for command, cost in costs.items()}
    return made | {"layers": rows.to_dict(orient="records")}
