"""What each number on the page means, where it stands: the columns of the table, and the numbers of an opened layer."""

from dataclasses import dataclass

import numpy as np

from spinspectra.report.parts import Row
from spinspectra.report.signs import DASH, MINUS, TIMES
from spinspectra.report.status import remark_of, status_of
from spinspectra.report.words import mean_of
from spinspectra.text import printable

FIGURES = -1  # in place of digits after the point: four figures in all


@dataclass(frozen=True, slots=True)
class Term:
    """A number of a layer. key: its column of `analyze`. short: under its name in the table. digits: after the
    point, or FIGURES; None: a word or a whole number.
    """

    key: str
    title: str
    short: str
    meaning: str
    digits: int | None = None


# Columns of the table, beside the layer's name; those whose key no row has are left out.
COLUMNS = (
    Term(
        "status_word",
        "status",
        "by its spectrum",
        "Heavy-tailed, over-trained and under-trained are HT-SR's words for alpha in, below and above 2 to 6; noise: "
        "the spectrum is that of independent random weights.",
    ),
    Term("layer_type", "kind", "of layer", "What the tensor is: dense, embedding, conv2d and so on."),
    Term(
        "size",
        "size",
        f"N {TIMES} M",
        "Longer and shorter side of the matrix, and how many there are where it is more than one (kernel positions, "
        "gates, experts). M eigenvalues each.",
    ),
    Term(
        "alpha",
        "alpha",
        "exponent ± error",
        "Exponent of the power law fitted to the largest eigenvalues, by maximum likelihood; HT-SR finds 2 to 6 in "
        "well-trained layers, lower for heavier tails. Its standard error takes the start of the tail for granted; "
        "the search for that start adds to it.",
        2,
    ),
    Term(
        "power_law",
        "power law?",
        "by three tests",
        "Whether the tail can be a power law at all: no, at a level of 10 % by a distance and against an exponential "
        "and a lognormal; unclear, a tail of less than 50 that nothing rules out.",
    ),
    Term(
        "D",
        "D",
        "distance of fit",
        "Kolmogorov-Smirnov distance of the tail from the fitted power law; 0 is perfect.",
        3,
    ),
    Term(
        "num_pl_spikes",
        "tail",
        "eigenvalues",
        "How many eigenvalues the fitted tail has. With less than 50 alpha is a guess.",
        0,
    ),
    Term(
        "alpha_weighted",
        "alpha-hat",
        f"alpha {TIMES} log₁₀ λ max",
        "alpha times log10 of the largest eigenvalue: exponent and size in one number; it has a unit.",
        2,
    ),
    Term(
        "ERG_gap",
        "ERG gap",
        "eigenvalues",
        "By how many eigenvalues SETOL's tail with det X = 1 is longer than the power law's; 0 in its ideal layer, "
        "beside alpha 2.",
        0,
    ),
    Term(
        "num_spikes",
        "spikes",
        "beyond noise",
        "Eigenvalues beyond the edge of the Marchenko-Pastur bulk and a margin that noise passes once in 1,000.",
        0,
    ),
    Term(
        "num_traps",
        "traps",
        "of big weights",
        "Eigenvalues beyond the noise bulk that remain when the weights are permuted: made by a few very large "
        "weights.",
        0,
    ),
    Term(
        "remark",
        "remark",
        "",
        "Why a layer failed, or how many of its eigenvalues are above rounding where not all are.",
    ),
)

# Numbers of an opened layer, in order; the columns above come first.
MORE = (
    Term(
        "Q",
        "aspect ratio",
        "N / M",
        "Longer over shorter side. Alphas of layers of different aspect ratios do not quite compare.",
        2,
    ),
    Term("num_evals", "eigenvalues", "of WᵀW", "How many eigenvalues the layer has, all slices together."),
    Term("matrix_rank", "rank", "", "Eigenvalues above the rounding of the stored numbers."),
    Term(
        "lambda_max",
        "largest eigenvalue",
        "λ max",
        "Of WᵀW, the square of the largest singular value; unit of the weights squared.",
        FIGURES,
    ),
    Term(
        "xmin",
        "xmin",
        "start of the tail",
        "Where the fitted tail starts: the eigenvalue from which on the fit's distance D is smallest.",
        FIGURES,
    ),
    Term(
        "norm",
        "norm",
        "squared",
        "Sum of all eigenvalues, the squared Frobenius norm; unit of the weights squared.",
        FIGURES,
    ),
    Term("log_norm", "log norm", "log₁₀", "log10 of the squared Frobenius norm.", 3),
    Term(
        "stable_rank",
        "stable rank",
        "norm / λ max",
        "How many directions carry the norm: the squared norm over the largest eigenvalue.",
        2,
    ),
    Term(
        "entropy",
        "entropy",
        "0 to 1",
        "Of the eigenvalues as shares of their sum, over its largest possible value: 1 for a flat spectrum.",
        3,
    ),
    Term(
        "hill_alpha",
        "Hill alpha",
        "no scan",
        "Hill's estimate from the upper half of the eigenvalues, without a search for xmin.",
        2,
    ),
    Term(
        "ERG_verdict",
        "SETOL",
        "verdict",
        "By the exponent and by where the two tails start (docs/setol.md); a statement about the spectrum, not about "
        "accuracy.",
    ),
    Term("detX_num", "det X tail", "eigenvalues", "Eigenvalues in SETOL's effective correlation space."),
    Term(
        "mp_softrank",
        "MP softrank",
        "edge / λ max",
        "The part of the largest eigenvalue that noise alone reaches; 1 where nothing stands out.",
        3,
    ),
    Term(
        "signal_to_noise",
        "signal to noise",
        "",
        "Of the Marchenko-Pastur fit: what lies beyond the bulk over the bulk (docs/spectra.md).",
        3,
    ),
    Term(
        "mp_D",
        "bulk distance",
        "KS",
        "Kolmogorov-Smirnov distance of the bulk from the Marchenko-Pastur law; beyond 0.1 it is no noise bulk.",
        3,
    ),
    Term(
        "rand_distance",
        "twin distance",
        "0 to 0.83",
        "Jensen-Shannon distance of the spectrum from that of the permuted weights: 0 for independent random weights.",
        3,
    ),
    Term("ww_softrank", "twin softrank", "", "Largest eigenvalue of the permuted weights over the layer's own.", 3),
)


def shown(term: Term, row: Row) -> str:
    """The number as the page prints it; a dash where there is none."""
    value = row.get(term.key)
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return DASH
    if term.key == "size":
        slices = f" {TIMES} {row['rf']:,}" if row["rf"] > 1 else ""
        return f"{row['N']:,} {TIMES} {row['M']:,}{slices}"
    if term.key == "alpha" and "sigma" in row:
        return f"{row['alpha']:.2f} ± {row['sigma']:.2f}".replace("-", MINUS)
    return value if isinstance(value, str) else printed(value, term.digits)


def printed(value: float, digits: int | None) -> str:
    """With thousands separators and a typographic minus sign.

    >>> printed(12345, None), printed(-0.5, 2), printed(2445.4898, FIGURES), printed(1e-5, 2)
    ('12,345', '−0.50', '2,445', '1e−05')
    """
    if digits is None or isinstance(value, int | np.integer):
        text = f"{value:,}"
    elif digits == FIGURES:
        text = f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.4g}"
    else:
        wide = abs(value) >= 1e7 or 0.0 < abs(value) < 0.5 * 10.0**-digits
        text = f"{value:.3g}" if wide else f"{value:,.{digits}f}"
    return text.replace("-", MINUS)


def row_for_page(row: Row) -> Row:
    """A row of `analyze` with the columns that are the page's own, its name fit to be shown."""
    size = row["N"] * row["M"] * row["rf"]
    own = {"status_word": status_of(row), "remark": remark_of(row), "size": size}
    return row | own | {"longname": printable(str(row["longname"]))}


def terms_for(rows: "list[Row]", terms: tuple[Term, ...]) -> list[Term]:
    """Those that some row has."""
    return [term for term in terms if any(term.key in row for row in rows)]


@dataclass(frozen=True, slots=True)
class Number:
    """One of the large numbers on top of a section: what it is called, as printed, and what it means."""

    title: str
    value: str
    meaning: str


def glance(rows: "list[Row]", n_parameters: int) -> list[Number]:
    """Means over the layers that were fitted."""

    def mean(key: str, digits: int) -> str:
        value = mean_of(np.array([row.get(key, np.nan) for row in rows], np.float64))
        return f"{value:,.{digits}f}".replace("-", MINUS) if np.isfinite(value) else DASH

    words = [status_of(row) for row in rows]
    analysed = sum(int(row["N"]) * int(row["M"]) * int(row["rf"]) for row in rows)
    return [
        Number(
            "layers",
            f"{len(rows):,}",
            f"matrices with 8 eigenvalues or more; they hold {100.0 * analysed / max(n_parameters, 1):.0f} % of "
            f"{n_parameters:,} parameters",
        ),
        Number("heavy-tailed", f"{words.count('heavy-tailed'):,}", "layers with alpha from 2 to 6"),
        Number(
            "mean alpha",
            mean("alpha", 2),
            f"over fitted layers; a layer's alpha has an error of {mean('sigma', 2)} on average",
        ),
        Number(
            "mean alpha-hat",
            mean("alpha_weighted", 2),
            "alpha times log10 of the largest eigenvalue; depends on the unit of the weights",
        ),
        Number(
            "mean log norm",
            mean("log_norm", 2),
            "log10 of the squared Frobenius norm; compares networks trained alike only",
        ),
        Number("mean stable rank", mean("stable_rank", 1), "directions that carry a layer's norm"),
    ]
