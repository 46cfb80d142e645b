"""The verdict on one checkpoint: plain sentences from its numbers, each with how sure it is.

What alpha, traps and energies may be trusted for is measured in docs/zoo.md and docs/findings.md; no sentence here
says more than these leave of them, and none tells how well a network does its task.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spinspectra.report.parts import Floats, Ising, ModelPart, Row, Spins
from spinspectra.report.signs import MINUS
from spinspectra.report.status import status_of
from spinspectra.spectra.columns import OVER_TRAINED_BELOW
from spinspectra.spectra.effective_space import UNDER_TRAINED_ABOVE
from spinspectra.spectra.goodness import RULES_OUT_LITTLE
from spinspectra.spectra.marchenko_pastur import FALSE_ALARM
from spinspectra.studies.null import ShuffledNull

Group = Literal["sound", "unsound", "look", "unknown"]
Sure = Literal["certain", "tested", "reading", ""]

GROUPS: dict[Group, str] = {
    "sound": "Sound",
    "unsound": "Not sound",
    "look": "Worth a look",
    "unknown": "What this cannot tell",
}
SURE: dict[Sure, str] = {
    "certain": "arithmetic on the stored numbers",
    "tested": "a statistical test with a known rate of false alarms, or a comparison with the weights shuffled",
    "reading": "a theory's reading, which held for some networks of known quality and failed for others",
}

NO_CHAIN = "Its weights as an Ising model: there is no chain of spins for it; the section on spins says why."

_LOST_RANK = 0.01  # of the eigenvalues: less is rounding's
_STRUCTURE = 1.03  # ratio of lowest energies below which a network is called no lower than its twin


@dataclass(frozen=True, slots=True)
class Finding:
    """text: one or two sentences. layers: rows that it is about, in order, empty where it is about all."""

    group: Group
    text: str
    sure: Sure = ""
    layers: tuple[int, ...] = ()


def headline(model: ModelPart, ising: Ising | None) -> str:
    """The verdict in two sentences."""
    rows = [part.row for part in model.layers]
    words = [status_of(row) for row in rows]
    failed, noise = words.count("failed"), words.count("noise")
    if failed == len(rows):
        return (
            f"None of {count(len(rows), 'layer')} could be measured."
            if failed > 1
            else "The layer could not be measured."
        )
    good = len(rows) - failed
    parts = [
        f"{good} of {count(len(rows), 'layer')} could be measured" if failed else f"All {good} layers were measured"
    ]
    if any("num_spikes" in row for row in rows):
        parts.append(
            f"{noise or 'none'} of them look{'s' if noise < 2 else ''} like random numbers"
            if noise < good
            else "all of them look like random numbers: untrained, as far as spectra tell"
        )
    parts.append(_energy_clause(ising))
    return "; ".join(filter(None, parts)) + "."


def findings(model: ModelPart, ising: Ising | None) -> list[Finding]:
    """All that the numbers carry, in the order of the page's groups."""
    rows = [part.row for part in model.layers]
    made = list(_of_numbers(rows))
    if any(row["status"] == "success" for row in rows):
        made += [*_of_noise(rows), *_of_alpha(rows), *_of_traps(rows)]
    made += (
        _of_spins(ising.spins[0])
        if ising is not None and ising.spins
        else [_not_asked("The search for low energies was")]
    )
    made += _of_doubt(rows)
    order = list(GROUPS)
    return sorted(made, key=lambda one: order.index(one.group))


def count(n: int, noun: str) -> str:
    """`1 layer`, `1,200 layers`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _of_numbers(rows: Sequence[Row]) -> Iterator[Finding]:
    unread = _where(rows, lambda row: not row["has_esd"])
    tailless = _where(rows, lambda row: row["has_esd"] and row["status"] != "success")
    if unread:
        text = f"{count(len(unread), 'layer')} could not be measured: not finite, or not readable; the table says why."
        yield Finding("unsound", text, "certain", unread)
    if tailless:
        text = (
            f"{count(len(tailless), 'layer')} {_have(len(tailless))} no tail to fit, so no alpha; the table says why."
        )
        yield Finding("look", text, "certain", tailless)
    if not (unread or tailless):
        yield Finding(
            "sound", "Every layer could be read, holds only finite numbers, and has a tail that was fitted.", "certain"
        )
    lost = _where(rows, lambda row: row.get("rank_loss", 0) > _LOST_RANK * row.get("num_evals", 1))
    if lost:
        share = max(rows[i]["rank_loss"] / rows[i]["num_evals"] for i in lost)
        text = (
            f"{count(len(lost), 'layer')} {_have(len(lost))} a lower rank than {_their(len(lost))} size allows: up to "
            f"{100.0 * share:.0f} % of the eigenvalues are zero to rounding, so that part does nothing (unused "
            "embeddings and merged low-rank changes look like this)."
        )
        yield Finding("look", text, "certain", lost)


def _of_noise(rows: Sequence[Row]) -> Iterator[Finding]:
    if not any("num_spikes" in row for row in rows):
        yield _not_asked("The noise bulk (Marchenko-Pastur) was")
        return
    noise = _where(rows, lambda row: status_of(row) == "noise")
    signal = _where(rows, lambda row: row.get("num_spikes", 0) > row.get("num_traps", 0))
    if signal:
        text = (
            f"{_of_all(len(signal), len(rows))} structure that random weights do not have: eigenvalues beyond the "
            f"noise bulk, by more than noise exceeds in {100.0 * FALSE_ALARM:g} % of cases."
        )
        yield Finding("sound", text, "tested", () if len(signal) == len(rows) else signal)
    if noise:
        text = (
            f"{count(len(noise), 'layer')} look{'s' if len(noise) == 1 else ''} like random numbers: the whole "
            "spectrum is what independent weights make. Not trained, or hardly moved from the first weights."
        )
        yield Finding("unsound", text, "tested", noise)


def _of_alpha(rows: Sequence[Row]) -> Iterator[Finding]:
    heavy = _where(rows, lambda row: status_of(row) == "heavy-tailed")
    if heavy:
        passed = sum(rows[i]["power_law"] == "yes" for i in heavy)
        text = (
            f"{count(len(heavy), 'layer')} {_have(len(heavy))} an exponent alpha between {OVER_TRAINED_BELOW:g} and "
            f"{UNDER_TRAINED_ABOVE:g}, where HT-SR finds well-trained layers; in {passed or 'none'} of them the tail "
            "is long enough and passes as a power law."
        )
        yield Finding("sound", text, "reading", heavy)
    below = _where(rows, lambda row: status_of(row) == "over-trained")
    if below:
        clearly = sum(rows[i]["alpha"] + 2.0 * rows[i]["sigma"] < OVER_TRAINED_BELOW for i in below)
        text = (
            f"{count(len(below), 'layer')} {_have(len(below))} alpha below {OVER_TRAINED_BELOW:g} "
            f"({clearly or 'none'} by more than two standard errors), which HT-SR calls over-trained. So have all "
            "eight layers of the package's own small network of 99 % accuracy: a reason to look, not a fault."
        )
        yield Finding("look", text, "reading", below)
    above = _where(rows, lambda row: status_of(row) == "under-trained")
    if above:
        clearly = sum(rows[i]["alpha"] - 2.0 * rows[i]["sigma"] > UNDER_TRAINED_ABOVE for i in above)
        text = (
            f"{count(len(above), 'layer')} {_have(len(above))} alpha above {UNDER_TRAINED_ABOVE:g} "
            f"({clearly or 'none'} by more than two standard errors), which HT-SR calls under-trained: there is "
            "hardly a heavy tail."
        )
        yield Finding("look", text, "reading", above)


def _of_traps(rows: Sequence[Row]) -> Iterator[Finding]:
    if not any("num_traps" in row for row in rows):
        yield _not_asked("The comparison with permuted weights was")
        return
    traps = _where(rows, lambda row: row.get("num_traps", 0) > 0)
    if traps:
        text = (
            f"{count(len(traps), 'layer')} {_have(len(traps))} correlation traps: a few single weights so large that "
            "they make an eigenvalue of their own, also in random places. The all-MiniLM-L6-v2 in wide use has "
            "them in 8 of 39 layers."
        )
        yield Finding("look", text, "tested", traps)


def _of_spins(spins: Spins | str) -> Iterator[Finding]:
    if isinstance(spins, str):
        yield Finding("unknown", NO_CHAIN)
        return
    null = spins.network
    text = (
        f"As an Ising model the network reaches an energy of {energy(null.energy)} per spin, {null.ratio:.2f} times "
        f"as low as its weights shuffled ({energy(null.mean)}); it is proved that nothing lies below "
        f"{energy(-spins.bound)}."
    )
    if null.ratio >= _STRUCTURE:
        text += (
            " So the weights work together across layers. It does not say how well: a spoilt network was lower than a "
            "sound one."
        )
        yield Finding("sound", text, "tested")
    else:
        text += (
            " So its weights show no more order than chance. A vision transformer of 97 % accuracy reaches 1.05 "
            "times, so this alone condemns nothing."
        )
        yield Finding("look", text, "tested")
    if spins.matrix is not None:
        yield _within(spins.matrix)


def _within(null: ShuffledNull) -> Finding:
    """The test that keeps each matrix's sizes, under which independent entries are one more draw."""
    if not np.isfinite(null.p):
        return Finding("unknown", "The shuffles within matrices all have one energy: no test.")
    if null.p < 0.01 and null.energy < null.mean:
        text = (
            f"Shuffled within each matrix it would be that low with a chance of p = {null.p:.2g} (Student's t, "
            f"{null.n} shuffles)."
        )
        return Finding("sound", text, "tested")
    text = (
        f"Against shuffles within each matrix the energy is no proof of training: p = {null.p:.2g} (Student's t, "
        f"{null.n} shuffles), {null.ratio:.3f} times as low."
    )
    return Finding("look", text, "tested")


def _of_doubt(rows: Sequence[Row]) -> Iterator[Finding]:
    good = [row for row in rows if row["status"] == "success"]
    no = _where(rows, lambda row: row.get("power_law") == "no")
    unclear = sum(row.get("power_law") == "unclear" for row in good)
    if no or unclear:
        why = [f"in {len(no)} a power law is ruled out"] if no else []
        why += (
            [f"in {unclear} the tail is shorter than {RULES_OUT_LITTLE} eigenvalues, too few to tell"]
            if unclear
            else []
        )
        text = f"Alpha is a weak witness in {len(no) + unclear} of {count(len(good), 'layer')}: {', '.join(why)}."
        yield Finding("unknown", text, "tested", no)
    yield Finding(
        "unknown",
        "How well the network does its task. Of 78 small networks of known quality, those trained equally long were "
        "not ranked by alpha, nor by energies; the training loss and the share of wrong labels told more "
        "(docs/zoo.md). Weights tell where to look.",
    )


def _energy_clause(ising: Ising | None) -> str:
    spins = ising.spins[0] if ising is not None and ising.spins else "not asked for"
    if not isinstance(spins, Spins):
        return ""
    ratio = spins.network.ratio
    return f"as an Ising model it reaches {ratio:.2f} times the energy of its weights shuffled"


def energy(value: float) -> str:
    """With a typographic minus sign."""
    return f"{value:.4g}".replace("-", MINUS)


def percent(share: float) -> str:
    """To two figures, without an exponent.

    >>> percent(1.814), percent(0.0123), percent(0.0)
    ('181 %', '1.2 %', '0 %')
    """
    value = 100.0 * share
    return f"{value:.0f} %" if value >= 99.5 else f"{value:.2g} %"


def _not_asked(what: str) -> Finding:
    return Finding("unknown", f"{what} left out, as asked.")


def _where(rows: Sequence[Row], chosen: Callable[[Row], bool]) -> tuple[int, ...]:
    return tuple(i for i, row in enumerate(rows) if chosen(row))


def _of_all(n: int, among: int) -> str:
    whole = "The layer holds" if among == 1 else f"All {among:,} layers hold"
    return whole if n == among else f"{n} of {among:,} layers hold{'s' if n == 1 else ''}"


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def _their(n: int) -> str:
    return "its" if n == 1 else "their"


def mean_of(values: Floats) -> float:
    """Of the finite ones; NaN without any."""
    good = values[np.isfinite(values)]
    return float(good.mean()) if good.size else float("nan")
