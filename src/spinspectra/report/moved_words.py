"""The verdict on what moved between checkpoints, in plain sentences with how sure each is."""

from collections.abc import Iterator

import numpy as np

from spinspectra.report.glossary import FIGURES, Number, Term
from spinspectra.report.moved import Moved
from spinspectra.report.parts import Floats, Ising, Spins
from spinspectra.report.signs import DASH, MINUS
from spinspectra.report.words import NO_CHAIN, Finding, count, energy, mean_of, percent
from spinspectra.spectra.columns import OVER_TRAINED_BELOW
from spinspectra.spectra.effective_space import UNDER_TRAINED_ABOVE
from spinspectra.text import printable

_NAMED = 5  # layers named in a sentence

COLUMNS = (
    Term(
        "alpha_a",
        "alpha, first",
        "tail exponent",
        "Exponent of the power law fitted to the tail, in the first checkpoint.",
        2,
    ),
    Term("alpha_b", "alpha, last", "tail exponent", "The same in the last checkpoint.", 2),
    Term("alpha_change", "moved", "of alpha", "Last minus first alpha.", 2),
    Term(
        "change",
        "change",
        "of the layer, %",
        "Size of the difference over the size of the layer, in Frobenius norms, in percent.",
        FIGURES,
    ),
    Term(
        "change_top",
        "of the top",
        "%",
        "The same for the largest singular values: above the change of the layer where the difference has few "
        "directions.",
        FIGURES,
    ),
    Term(
        "change_stable_rank",
        "rank of it",
        "directions",
        "Stable rank of the difference: about a quarter of the columns for noise, near 1 for a change in one "
        "direction.",
        1,
    ),
    Term("log_norm_change", "log norm", "moved", "Last minus first log10 of the squared norm.", 3),
    Term("remark", "remark", "", "Why a number is missing."),
)


def row_of(moved: Moved, at: int) -> dict[str, object]:
    """A layer as the table of what moved has it; percentages in percent."""
    made: dict[str, object] = {
        "longname": printable(moved.names[at]),
        "layer_type": moved.kinds[at],
        "remark": printable(moved.reasons[at]),
    }
    known = moved.values["alpha"][at]
    known = known[np.isfinite(known)]
    made |= {"alpha_a": _end(known, 0), "alpha_b": _end(known, -1), "alpha_change": float(moved.moved("alpha")[at])}
    for name, factor in (("change", 100.0), ("change_top", 100.0), ("change_stable_rank", 1.0)):
        if name in moved.values:
            made[name] = factor * float(moved.values[name][at, -1])
    if "log_norm" in moved.values:
        made["log_norm_change"] = float(moved.moved("log_norm")[at])
    return made


def headline(moved: Moved) -> str:
    """In one sentence."""
    n = len(moved.names)
    alpha = moved.values["alpha"]
    first, last = mean_of(alpha[:, 0]), mean_of(alpha[:, -1])
    start = f"{count(n, 'layer')} in {'both' if len(moved.labels) == 2 else f'{len(moved.labels)} checkpoints'}"
    if "change" in moved.values:
        change = moved.values["change"][:, -1]
        same = int(np.count_nonzero(change == 0.0))
        if same == n:
            return f"{start}: all are equal."
        if np.isfinite(change).any():
            start += f"; the largest change is {percent(float(np.nanmax(change)))} of its layer"
            start += f", {same} did not change" if same else ""
    return f"{start}; mean alpha went from {first:.2f} to {last:.2f}."


def findings(moved: Moved, ising: Ising | None) -> list[Finding]:
    """What moved, by group."""
    return [*_of_layers(moved), *_of_alpha(moved), *_of_energies(moved, ising), _of_quality()]


def numbers(moved: Moved) -> list[Number]:
    """On top of the section."""
    alpha = moved.values["alpha"]
    made = [
        Number("layers", f"{len(moved.names):,}", "that are in all checkpoints or some of them"),
        Number("mean alpha, first", _plain(mean_of(alpha[:, 0]), 2), "over its fitted layers"),
        Number("mean alpha, last", _plain(mean_of(alpha[:, -1]), 2), "over its fitted layers"),
    ]
    if "change" in moved.values:
        change = moved.values["change"][:, -1]
        made.append(Number("mean change", percent(mean_of(change)), "of a layer's size, first to last"))
    return made


def _of_layers(moved: Moved) -> Iterator[Finding]:
    failed = tuple(i for i, reason in enumerate(moved.reasons) if reason)
    if failed:
        text = f"{count(len(failed), 'layer')} could not be compared all through; the remarks say why."
        yield Finding("unsound", text, "certain", failed)
    order = moved.by_change()[:_NAMED]
    if "change" in moved.values:
        change = moved.values["change"][:, -1]
        most = [i for i in order if np.isfinite(change[i]) and change[i] > 0.0]
        if most:
            sizes = ", ".join(percent(float(change[i])) for i in most)
            text = f"The largest changes, beside the size of the layer: {sizes}."
            yield Finding("look", text, "certain", tuple(most))
    alone = [
        f"{count(len(names), 'tensor')} in the {which} alone"
        for names, which in ((moved.only_first, "first"), (moved.only_last, "last"))
        if names
    ]
    if alone:
        yield Finding("look", f"Not all have a partner: {', '.join(alone)}.", "certain")


def _of_alpha(moved: Moved) -> Iterator[Finding]:
    alpha = moved.values["alpha"]
    first, last = alpha[:, 0], alpha[:, -1]
    both = np.isfinite(first) & np.isfinite(last)
    if not both.any():
        return
    inside = [(one >= OVER_TRAINED_BELOW) & (one <= UNDER_TRAINED_ABOVE) for one in (first, last)]
    for came, went, word, group in (
        (inside[1], inside[0], "came into", "sound"),
        (inside[0], inside[1], "left", "look"),
    ):
        rows = np.flatnonzero(both & came & ~went)
        if rows.size:
            text = (
                f"{count(rows.size, 'layer')} {word} the range of alpha from 2 to 6 in which HT-SR finds well-trained "
                "layers."
            )
            yield Finding("sound" if group == "sound" else "look", text, "reading", tuple(rows.tolist()))
    falls, rises = (int(np.count_nonzero(both & compared)) for compared in (last < first, last > first))
    text = (
        f"Alpha fell in {falls} layers and rose in {rises}. It falls with training of any kind, good or bad "
        "(docs/zoo.md)."
    )
    yield Finding("look", text, "reading")


def _of_energies(moved: Moved, ising: Ising | None) -> Iterator[Finding]:
    if ising is None or not ising.spins:
        return
    if any(isinstance(one, str) for one in ising.spins):
        yield Finding("unknown", NO_CHAIN)
    ends = ising.spins[0], ising.spins[-1]
    if all(isinstance(one, Spins) for one in ends):
        first, last = (one for one in ends if isinstance(one, Spins))
        text = (
            f"The lowest energy per spin went from {energy(first.network.energy)} to {energy(last.network.energy)}, "
            f"and from {first.network.ratio:.2f} to {last.network.ratio:.2f} times that of the weights shuffled. More "
            "structure is not better structure: memorising lowers it as learning does."
        )
        yield Finding("look", text, "tested")


def _of_quality() -> Finding:
    text = (
        "Whether it got better. Along one training all measures move together; evaluate the checkpoints to know. The "
        "one order that energies do tell is that of a network with itself more and more shuffled."
    )
    return Finding("unknown", text)


def _end(known: Floats, at: int) -> float:
    return float(known[at]) if known.size else float("nan")


def _plain(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".replace("-", MINUS) if np.isfinite(value) else DASH
