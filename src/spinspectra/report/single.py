"""The page on one checkpoint."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from spinspectra.layers.describe import ChainSummary
from spinspectra.report import words
from spinspectra.report.context import page_context, spins_context, table_context, title_of
from spinspectra.report.drawing import Figure
from spinspectra.report.glossary import COLUMNS, MORE, Term, glance, row_for_page, shown, terms_for
from spinspectra.report.layer_figures import figures_of
from spinspectra.report.made import Fact
from spinspectra.report.network_figures import network_figures
from spinspectra.report.page import plain, render
from spinspectra.report.parts import Ising, LayerPart, ModelPart, Row, Spins
from spinspectra.report.signs import DASH
from spinspectra.report.spin_figures import density_figures, ground_figure
from spinspectra.report.status import STATUSES
from spinspectra.text import printable

_FOR_FILTER = ("longname", "layer_type", "remark", "status_word")
_HELP = (
    "One row a layer. A name opens its figures and all its numbers; a head sorts; rest on a head for what the column "
    "means, or see below the table."
)


def single_page(model: ModelPart, ising: Ising | None, facts: Sequence[Fact]) -> str:
    """The HTML."""
    rows = [row_for_page(part.row) for part in model.layers]
    names = [str(row["longname"]) for row in rows]
    columns, more = terms_for(rows, COLUMNS), terms_for(rows, MORE)
    context = page_context(
        title=title_of(model.source),
        kind="spinspectra report: one checkpoint",
        subtitle=_subtitle(model),
        headline=words.headline(model, ising),
        findings=words.findings(model, ising),
        names=names,
        glance=glance(rows, model.n_parameters),
        spins=spins_context(ising),
        facts=facts,
    )
    context |= table_context(dict(enumerate(rows)), columns, _statuses(rows))
    context |= {"network_title": "The network at a glance", "layers_help": _HELP}
    terms = [term for term in (*columns, *more) if term.key not in ("status_word", "remark", "layer_type")]
    data = {
        "rows": [
            {name: plain(row.get(name)) for name in (*_FOR_FILTER, *(term.key for term in columns))} for row in rows
        ],
        "terms": [{"title": term.title, "meaning": term.meaning} for term in terms],
        "figures": {
            "glance": plain_figures(list(network_figures(model.layers))),
            "spins": plain_figures(spin_figures(ising)),
        },
    }
    layers = [_layer(part, row, terms) for part, row in zip(model.layers, rows, strict=True)]
    return render("page.html.j2", context, data, layers)


def plain_figures(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """For JSON."""
    return [figure.plain() for figure in figures]


def spin_figures(ising: Ising | None) -> list[Figure]:
    """Of one checkpoint, or of two or three side by side."""
    if ising is None:
        return []
    known = {"ABCDEFGH"[at]: one for at, one in enumerate(ising.spins) if isinstance(one, Spins)}
    made = [ground_figure(known)] if known else []
    return made + (list(density_figures(ising.curves)) if ising.curves else [])


def _layer(part: LayerPart, row: Row, terms: Sequence[Term]) -> dict[str, Any]:
    texts = [shown(term, row) for term in terms]
    return {
        "name": printable(str(row["longname"])),
        "notes": [f"Could not be measured: {row['reason']}."] if part.failed else [],
        "shown": ["" if text == DASH else text for text in texts],
        "row": {name: plain(value) for name, value in part.row.items()},
        "figures": plain_figures(list(figures_of(part))),
    }


def _subtitle(model: ModelPart) -> list[str]:
    chain = model.chain
    made = [
        f"{words.count(model.n_tensors, 'tensor')}, {words.count(model.n_parameters, 'parameter')}, "
        f"{words.count(len(model.layers), 'layer')} analysed."
    ]
    if isinstance(chain, ChainSummary):
        made.append(
            f"{chain.family}, {words.count(chain.n_blocks, 'block')}; as an Ising model {chain.n_spins:,} spins."
        )
    return made


def _statuses(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Those that some row has, and how many do."""
    own = [row["status_word"] for row in rows]
    return [asdict(status) | {"count": own.count(status.word)} for status in STATUSES if status.word in own]
