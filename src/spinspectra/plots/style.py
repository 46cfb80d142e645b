"""What all figures share: a figure of column width, colours, and text that is drawn as it is written.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), told apart by readers with any colour vision; lines also
differ in their dashes, groups in their markers. Nothing global is touched: no pyplot, no rcParams.
"""

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import MissingExtraError
from spinspectra.text import printable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    from spinspectra.spectra.esd import Spectrum
    from spinspectra.spectra.powerlaw import PowerLawFit

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#7F7F7F"

WIDTH = 3.4  # inches, a column of a two-column page
HEIGHT = 3.0
SMALL, NORMAL = 7.0, 8.0  # points

ALPHA, SIGMA = "\N{GREEK SMALL LETTER ALPHA}", "\N{GREEK SMALL LETTER SIGMA}"
HEAVY_TAILED = f"2 ≤ {ALPHA} ≤ 6"
EXPONENT = f"power-law exponent {ALPHA}"
EIGENVALUE = "eigenvalue of $W^T W$"
DENSITY = "density per unit eigenvalue"

_TITLE_CHARACTERS = 44  # in a line of the title
_TITLE_LINES = 3
_NOTE_CHARACTERS = 52
_MAX_BINS = 100

Floats = NDArray[np.float64]


def axes_or_new(ax: "Axes | None", height: float = HEIGHT) -> "Axes":
    """The Axes given, or those of a new figure of column width that belongs to no window.

    Raises MissingExtraError without matplotlib.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("figures need matplotlib: pip install matplotlib") from error
    return Figure(figsize=(WIDTH, height), dpi=200, layout="constrained").add_subplot()


def finish(ax: "Axes", name: str, xlabel: str, ylabel: str, notes: Sequence[str] = (), columns: int = 1) -> "Axes":
    """Title, axis labels, and below the axes a legend of all that has a label, then the notes."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    as_written(ax.set_title(_title(name), fontsize=NORMAL, loc="left"))
    ax.set_xlabel(xlabel, fontsize=NORMAL)
    ax.set_ylabel(ylabel, fontsize=NORMAL)
    ax.tick_params(which="both", labelsize=SMALL)
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_offset_text().set_fontsize(SMALL)
    if not ax.has_data():  # numbers on the axes of an empty figure would mean nothing
        ax.set_xticks([])
        ax.set_yticks([])
    ax.spines[["top", "right"]].set_visible(False)
    handles: list[Artist] = list(ax.get_legend_handles_labels()[0])
    labels = [str(handle.get_label()) for handle in handles]
    for note in notes:
        handles.append(Line2D([], [], linestyle="none"))
        labels.append(textwrap.fill(drawable(note), _NOTE_CHARACTERS))
    if handles:
        below = ax.transAxes + ScaledTranslation(-0.1, -0.44, ax.get_figure(root=True).dpi_scale_trans)  # type: ignore[union-attr]
        legend = ax.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(0.0, 0.0),
            bbox_transform=below,
            fontsize=SMALL,
            frameon=False,
            ncols=columns,
            borderaxespad=0.0,
            labelspacing=0.3,
            columnspacing=1.0,
            handlelength=1.8,
        )
        for text in legend.get_texts():
            as_written(text)
    return ax


def as_written(text: "Text") -> "Text":
    """Text in which a dollar sign is a dollar sign: no mathtext, no TeX."""
    text.set_parse_math(False)
    text.set_usetex(False)
    return text


def drawable(text: str) -> str:
    r"""One line in characters that the font has; others are spelled out, and no label starts with an underscore.

    >>> drawable("layer\n0")
    'layer\\n0'
    """
    known = _characters()
    line = "".join(c if ord(c) in known else c.encode("unicode_escape").decode() for c in printable(text))
    return f" {line}" if line.startswith("_") else line


def shortened(text: str, length: int) -> str:
    """At most `length` characters; what is too much is taken from the middle.

    >>> shortened("encoder.layer.0.query", 13)
    'encode….query'
    """
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def shown_values(spectrum: "Spectrum") -> tuple[Floats, list[str]]:
    """The eigenvalues above rounding, ascending, and notes on those left out."""
    values = spectrum.eigenvalues
    good = values[np.isfinite(values)]
    kept = good[good > spectrum.floor] if good.size and good.size == values.size else good[good > 0.0]
    notes = []
    if not kept.size:
        notes.append(f"none of {values.size} eigenvalues is above rounding")
    elif left_out := values.size - kept.size:
        notes.append(f"{left_out} of {values.size} eigenvalues are zero to rounding: not drawn")
    return kept, notes


def log_bins(values: Floats) -> Floats:
    """Edges of logarithmic bins over positive values, shape (bins + 1,)."""
    low, high = float(values.min()), float(values.max())
    if high <= low * (1.0 + 1e-9):
        low, high = low / 1.5, high * 1.5
    bins = int(np.clip(2.0 * np.sqrt(values.size), 10, _MAX_BINS))
    edges = np.geomspace(low, high, bins + 1)
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)  # rounding must not lose the extremes
    return edges


def vertical(ax: "Axes", x: float, label: str, color: str, dashes: str = "--") -> "Line2D":
    """A line across the axes at x, in the legend under its label."""
    return ax.axvline(x, color=color, linestyle=dashes, linewidth=1.4, label=label)


def fit_notes(fit: "PowerLawFit | None") -> list[str]:
    """What there is to say of a fit in words: nothing of a good one."""
    return [f"no power law: {fit.reason or 'the fit failed'}"] if fit is not None and not fitted(fit) else []


def fitted(fit: "PowerLawFit | None") -> bool:
    """Whether there is a fit to draw."""
    return fit is not None and fit.status == "success"


def _title(name: str) -> str:
    """The name, over at most three lines, cut in its middle if it is longer."""
    line = shortened(drawable(name).strip(), _TITLE_CHARACTERS * _TITLE_LINES)
    return "\n".join(line[at : at + _TITLE_CHARACTERS] for at in range(0, len(line), _TITLE_CHARACTERS))


@lru_cache(maxsize=1)
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())
