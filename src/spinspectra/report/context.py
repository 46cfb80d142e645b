"""What the template is filled with, alike for a page on one checkpoint and for one on what moved between several."""

from collections.abc import Mapping, Sequence
from typing import Any

from spinspectra.plots import style
from spinspectra.report.glossary import Number, Term, shown
from spinspectra.report.made import Fact
from spinspectra.report.parts import Ising, Spins
from spinspectra.report.signs import MINUS
from spinspectra.report.words import GROUPS, SURE, Finding, energy
from spinspectra.text import printable

_NAMED = 6  # layers named after a finding


def page_context(
    *,
    title: str,
    kind: str,
    subtitle: Sequence[str],
    headline: str,
    findings: Sequence[Finding],
    names: Sequence[str],
    glance: Sequence[Number],
    spins: tuple[Sequence[str], Sequence[Number]],
    facts: Sequence[Fact],
) -> dict[str, Any]:
    """All but the table, whose parts `table_context` has. names: of the layers, by row."""
    return {
        "title": title,
        "kind": kind,
        "subtitle": subtitle,
        "headline": headline,
        "groups": [_group(key, said, findings, names) for key, said in GROUPS.items()],
        "sure": SURE,
        "glance": glance,
        "spins_text": spins[0],
        "spins_numbers": spins[1],
        "facts": facts,
    }


def table_context(
    rows: Mapping[int, Mapping[str, Any]], columns: Sequence[Term], statuses: Sequence[Any] = (), sorted_by: str = ""
) -> dict[str, Any]:
    """rows: by their number, in the order shown. sorted_by: the column by which they are; empty: in order of depth."""
    numeric = {term.key for term in columns if not any(isinstance(row.get(term.key), str) for row in rows.values())}
    return {
        "columns": columns,
        "numeric": numeric,
        "statuses": statuses,
        "sorted_by": sorted_by,
        "rows": [
            {"at": at, "name": row["longname"], "cells": [_cell(term, row, numeric) for term in columns]}
            for at, row in rows.items()
        ],
    }


def spins_context(ising: Ising | None) -> tuple[list[str], list[Number]]:
    """Text and numbers of the section on spins, of a single checkpoint."""
    if ising is None or not ising.spins:
        return ["The search for its lowest energy was left out, as asked."], []
    spins = ising.spins[0]
    if isinstance(spins, str):
        return [f"There is no Ising chain: {spins}. The spectra above do not need one."], []
    text = [
        f"The weights are couplings between spins of ±1, E = {MINUS}Σ sᵀJs over the blocks, with W_Q + W_K + W_V of "
        "an attention as one matrix. The lowest energy is sought by annealing; the same search on the weights in "
        "random places says what their sizes alone would give.",
    ]
    return text, _numbers(spins)


def title_of(source: str) -> str:
    """The end of a path, which tells most; the whole of it stands with the digests.

    >>> title_of("/models/run/step-100/model.safetensors")
    'step-100/model.safetensors'
    """
    return "/".join(printable(source).replace("\\", "/").split("/")[-2:])


def _numbers(spins: Spins) -> list[Number]:
    null = spins.network
    made = [
        Number("spins N", f"{spins.n_spins:,}", f"nodes of the network; {spins.n_bonds:,} couplings between them"),
        Number(
            "E / N found", energy(null.energy), f"lowest energy per spin, {spins.sweeps:,} sweeps; unit of the weights"
        ),
        Number("E / N at least", energy(-spins.bound), "proved: no state of the spins lies below"),
        Number(
            "shuffled",
            energy(null.mean),
            f"mean of {null.n} shuffles over the network, standard deviation {null.sd:.2g}",
        ),
        Number("ratio", f"{null.ratio:.2f}", "found over shuffled: 1 is no more order than chance"),
    ]
    if spins.matrix is not None:
        said = (
            f"within each matrix: ratio {spins.matrix.ratio:.2f}; p of as low by chance, Student's t of "
            f"{spins.matrix.n}"
        )
        made.append(Number("p against chance", f"{spins.matrix.p:.2g}", said))
    return made


def _group(key: str, said: str, findings: Sequence[Finding], names: Sequence[str]) -> dict[str, Any]:
    own = [
        {
            "text": one.text,
            "sure": one.sure,
            "names": [(at, names[at]) for at in _named(one)],
            "more": max(0, len(one.layers) - _NAMED),
        }
        for one in findings
        if one.group == key
    ]
    return {"key": key, "title": said, "findings": own}


def _named(finding: Finding) -> tuple[int, ...]:
    """Layers to name: not what is sound in nearly all."""
    return () if finding.group == "sound" and len(finding.layers) > _NAMED else finding.layers[:_NAMED]


def _cell(term: Term, row: Mapping[str, Any], numeric: set[str]) -> dict[str, str]:
    text = shown(term, dict(row))
    if term.key == "status_word":
        return {"kind": "word", "text": text, "status": text}
    kind = "remark" if term.key == "remark" else "num" if term.key in numeric else "word"
    return {"kind": kind, "text": style.shortened(text, 200), "status": ""}
