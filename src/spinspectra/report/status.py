"""What a layer looks like in one word, by what its numbers carry, and how that is drawn."""

import math
from dataclasses import dataclass
from typing import Literal

from spinspectra.plots import style
from spinspectra.report.parts import Row
from spinspectra.spectra.columns import OVER_TRAINED_BELOW
from spinspectra.spectra.effective_space import UNDER_TRAINED_ABOVE

Word = Literal["failed", "noise", "over-trained", "under-trained", "heavy-tailed"]

NOISE_KS = 0.1  # distance from the Marchenko-Pastur law beyond which a spectrum is not called noise


@dataclass(frozen=True, slots=True)
class Status:
    """word: by which rows are filtered. meaning: one line. color, symbol: of its marks."""

    word: Word
    meaning: str
    color: str
    symbol: str


STATUSES = (
    Status("failed", "could not be read or measured; the remark says why", style.RED, "x"),
    Status("noise", "no eigenvalue beyond what independent random weights make", style.GREY, "square"),
    Status(
        "over-trained", f"alpha below {OVER_TRAINED_BELOW:g}: HT-SR's word; look at it", style.ORANGE, "triangle-down"
    ),
    Status("under-trained", f"alpha above {UNDER_TRAINED_ABOVE:g}: hardly a heavy tail", style.PURPLE, "triangle-up"),
    Status(
        "heavy-tailed",
        f"alpha from {OVER_TRAINED_BELOW:g} to {UNDER_TRAINED_ABOVE:g}, as in well-trained layers",
        style.GREEN,
        "circle",
    ),
)
BY_WORD = {status.word: status for status in STATUSES}


def status_of(row: Row) -> Word:
    """Of a row of `analyze`. Noise goes before alpha, which means nothing there; it takes the columns of `mp_fit`."""
    if row["status"] != "success":
        return "failed"
    if row.get("num_spikes", math.nan) == 0 and row.get("mp_D", math.nan) <= NOISE_KS:
        return "noise"
    if row["alpha"] < OVER_TRAINED_BELOW:
        return "over-trained"
    return "under-trained" if row["alpha"] > UNDER_TRAINED_ABOVE else "heavy-tailed"


def remark_of(row: Row) -> str:
    """What there is to say of a row beside its numbers, for the last column of the table."""
    if row["status"] != "success":
        return str(row["reason"])
    return f"rank {row['matrix_rank']} of {row['num_evals']}" if row.get("rank_loss", 0) else ""
