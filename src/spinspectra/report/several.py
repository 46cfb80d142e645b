"""The page on what moved: two checkpoints side by side, or a series over its steps."""

from collections.abc import Mapping, Sequence
from typing import Any

from spinspectra.report import moved_figures, moved_words
from spinspectra.report.context import page_context, spins_context, table_context
from spinspectra.report.drawing import Figure
from spinspectra.report.glossary import Term, shown, terms_for
from spinspectra.report.made import Fact
from spinspectra.report.moved import Moved
from spinspectra.report.page import plain, render
from spinspectra.report.parts import Ising, LayerPart, Spins
from spinspectra.report.signs import DASH
from spinspectra.report.single import plain_figures, spin_figures
from spinspectra.text import printable

_HELP = "One row a layer, those that moved most first. A name opens the layer's figures; a head sorts."
_TITLES = {
    "alpha": "alpha",
    "D": "KS distance D",
    "log_norm": "log norm",
    "log_spectral_norm": "log largest eigenvalue",
    "stable_rank": "stable rank",
}

Parts = Mapping[str, LayerPart]


def several_page(
    title: str,
    sources: Sequence[str],
    moved: Moved,
    ends: tuple[Parts, Parts] | None,
    ising: Ising | None,
    facts: Sequence[Fact],
) -> str:
    """The HTML. sources: of the checkpoints. ends: the layers of the first and of the last one by name, or None."""
    rows: list[dict[str, Any]] = [moved_words.row_of(moved, at) for at in range(len(moved.names))]
    columns = terms_for(rows, moved_words.COLUMNS)
    two = len(moved.labels) == 2
    context = page_context(
        title=printable(title),
        kind="spinspectra report: two checkpoints" if two else f"spinspectra report: {len(moved.labels)} checkpoints",
        subtitle=_subtitle(moved, sources),
        headline=moved_words.headline(moved),
        findings=moved_words.findings(moved, ising),
        names=[str(row["longname"]) for row in rows],
        glance=moved_words.numbers(moved),
        spins=_spins_text(ising),
        facts=facts,
    )
    order = moved.by_change()
    sorted_by = "change" if "change" in moved.values else ""
    context |= table_context({at: rows[at] for at in order}, columns, (), sorted_by)
    context |= {"network_title": "What moved, at a glance", "layers_help": _HELP}
    glance = (
        moved_figures.two_figures(moved) if two and "change" in moved.values else moved_figures.series_figures(moved)
    )
    data = {
        "rows": [{name: plain(value) for name, value in row.items()} | {"at": at} for at, row in enumerate(rows)],
        "terms": _terms(moved),
        "figures": {"glance": plain_figures(list(glance)), "spins": plain_figures(_spin_figures(moved, ising))},
    }
    return render("page.html.j2", context, data, [_layer(moved, at, ends) for at in range(len(moved.names))])


def _layer(moved: Moved, at: int, ends: tuple[Parts, Parts] | None) -> dict[str, Any]:
    own = (moved.names[at], moved.others[at])
    name = printable(own[0] if own[0] == own[1] or not own[1] else f"{own[0]}  →  {own[1]}")
    figures = list[Figure]()
    if ends is not None:
        parts = [side.get(one) for side, one in zip(ends, own, strict=True)]
        labels = [moved.labels[0], moved.labels[-1]]
        figures += moved_figures.both_spectra(parts, labels)
    if len(moved.labels) > 2:
        figures += moved_figures.layer_lines(moved, at)
    return {
        "name": name,
        "notes": [printable(moved.reasons[at])] if moved.reasons[at] else [],
        "shown": _shown(moved, at),
        "row": {key: [plain(value) for value in values[at].tolist()] for key, values in moved.values.items()},
        "figures": plain_figures(figures),
    }


def _terms(moved: Moved) -> list[dict[str, str]]:
    first, last = moved.labels[0], moved.labels[-1]
    said = f"In {printable(first)}, then in {printable(last)}."
    return [{"title": title, "meaning": said} for name, title in _TITLES.items() if name in moved.values]


def _shown(moved: Moved, at: int) -> list[str]:
    made = []
    for name in _TITLES:
        if name in moved.values:
            known = moved.values[name][at]
            term = Term("value", name, "", "", 3)
            ends = [shown(term, {"value": float(known[end])}) for end in (0, -1)]
            made.append("" if ends == [DASH, DASH] else " → ".join(ends))
    return made


def _spin_figures(moved: Moved, ising: Ising | None) -> list[Figure]:
    if ising is None or len(ising.spins) < 3:
        return spin_figures(ising)
    known = any(isinstance(one, Spins) for one in ising.spins)
    made = [moved_figures.energies_over_steps(ising.spins, moved)] if known else []
    return made + spin_figures(Ising((), ising.curves))


def _spins_text(ising: Ising | None) -> tuple[list[str], list[Any]]:
    if ising is None or not ising.spins:
        return ["Left out: only a table of numbers was given, or it was asked to be."], []
    reasons = list(dict.fromkeys(one for one in ising.spins if isinstance(one, str)))
    known = [one for one in ising.spins if isinstance(one, Spins)]
    text = spins_context(Ising((known[0],)))[0] if known else []
    return [*text, *(f"Without a chain: {reason}." for reason in reasons)], []


def _subtitle(moved: Moved, sources: Sequence[str]) -> list[str]:
    if len(sources) == 2:
        return [f"{letter}: {printable(source)}" for letter, source in zip("AB", sources, strict=True)]
    first, last = moved.steps[0], moved.steps[-1]
    return [f"{len(moved.labels)} checkpoints; {moved.axis}, {first:g} to {last:g}."]
