"""Figures of a whole network: alpha along depth, spectra by depth, and alpha against the ERG gap."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError
from spinspectra.plots import style
from spinspectra.plots.style import Floats

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from spinspectra.spectra.esd import Spectrum

_MARKERS = "os^vDPX"
_COLORS = (style.BLUE, style.ORANGE, style.GREEN, style.RED, style.PURPLE, style.SKY, style.BLACK)
_OTHERS = "other layers"
_HIGHEST_ALPHA = 15.0  # drawn; beyond, an arrow at the top
_ROLE_CHARACTERS = 26
_RIDGE_BINS = 80
_RIDGE_LABELS = 60  # layers named; of more, every second, third ... is
_RIDGE_OVERLAP = 1.6  # height of a spectrum in steps between them
_DECADES = 6.0  # below the largest eigenvalue of all

Strings = Sequence[str]


def alpha_along_depth(details: "pd.DataFrame", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """Alpha of each row of `analyze` in its order, by the layer's role in its block; 2 to 6 is shaded.

    Layers without a fit are crosses at the bottom, alpha above 15 arrows at the top. OptionError without the columns.
    """
    _require(details, "alpha", "longname", "status")
    ax = style.axes_or_new(ax, 3.4)
    at, alpha = np.arange(len(details), dtype=np.float64), _numbers(details, "alpha")
    good = (details["status"] == "success").to_numpy() & np.isfinite(alpha)
    ax.axhspan(2.0, 6.0, color=style.GREEN, alpha=0.12, linewidth=0.0, label=style.HEAVY_TAILED)
    top = min(max(8.0, 1.1 * float(np.max(alpha[good], initial=0.0))), 1.05 * _HIGHEST_ALPHA)
    for label, members, color, marker in _groups(details["longname"]):
        drawn = members & good & (alpha <= _HIGHEST_ALPHA)
        ax.plot(at[drawn], alpha[drawn], marker, color=color, markersize=4, linestyle="none", label=label)
    _edge_marks(ax, at[good & (alpha > _HIGHEST_ALPHA)], 0.97, "^", f"{style.ALPHA} > {_HIGHEST_ALPHA:g}")
    _edge_marks(ax, at[~good], 0.03, "x", "no power law")
    ax.set_ylim(1.0, top)
    ax.set_xlim(-0.5, max(len(details), 1) - 0.5)
    ax.locator_params(axis="x", integer=True)
    return style.finish(ax, title, "layer, in order of depth", style.EXPONENT, columns=2)


def alpha_against_gap(details: "pd.DataFrame", *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """The funnel: alpha against ERG_gap, det X tail minus power-law tail in eigenvalues, ideal at gap 0 and alpha 2.

    Needs the columns of `analyze(..., detx=True)`, else OptionError. Layers without both numbers are counted in a note.
    """
    _require(details, "alpha", "ERG_gap", "longname", "status")
    ax = style.axes_or_new(ax, 3.4)
    alpha, gap = _numbers(details, "alpha"), _numbers(details, "ERG_gap")
    good = (details["status"] == "success").to_numpy() & np.isfinite(alpha) & np.isfinite(gap)
    ax.axvline(0.0, color=style.GREY, linewidth=0.8, linestyle=":")
    ax.axhline(2.0, color=style.GREY, linewidth=0.8, linestyle=":")
    for label, members, color, marker in _groups(details["longname"]):
        drawn = members & good
        ax.plot(gap[drawn], alpha[drawn], marker, color=color, markersize=4, linestyle="none", label=label)
    ax.plot(
        0.0,
        2.0,
        "*",
        color=style.YELLOW,
        markeredgecolor=style.BLACK,
        markersize=10,
        label=f"ideal: {style.ALPHA} = 2, gap 0",
    )
    missing = int(np.count_nonzero(~good))
    notes = [f"{missing} of {len(details)} layers without a fit: not drawn"] if missing else []
    return style.finish(ax, title, "ERG gap, eigenvalues", style.EXPONENT, notes, columns=2)


def esd_ridge(
    spectra: Sequence["Spectrum"], names: Strings | None = None, *, title: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Every layer's spectrum over one logarithmic axis, the first layer on top, each scaled to the same height.

    Eigenvalues more than 6 decades below the largest of all lie off the axis. Raises OptionError for no spectra, or
    names that are not one for each.
    """
    if not spectra:
        raise OptionError("a ridge needs at least one spectrum")
    labels = [str(i) for i in range(len(spectra))] if names is None else list(names)
    if len(labels) != len(spectra):
        raise OptionError(f"{len(spectra)} spectra and {len(labels)} names: give one for each")
    ax = style.axes_or_new(ax, float(np.clip(1.0 + 0.13 * len(spectra), 2.4, 9.0)))
    drawn = [style.shown_values(spectrum)[0] for spectrum in spectra]
    everything = np.concatenate(drawn)
    if everything.size:
        _ridges(ax, drawn, everything)
    step = -(-len(spectra) // _RIDGE_LABELS)
    ticks = range(0, len(spectra), step)
    ax.set_yticks(list(ticks))
    ax.set_yticklabels([style.shortened(style.drawable(_place(labels[at])), _ROLE_CHARACTERS) for at in ticks])
    for text in ax.get_yticklabels():
        style.as_written(text)
    ax.set_ylim(len(spectra) - 0.5, -_RIDGE_OVERLAP - 0.1)
    empty = sum(values.size == 0 for values in drawn)
    notes = [f"{empty} of {len(spectra)} layers have no eigenvalue above rounding"] if empty else []
    return style.finish(ax, title, style.EIGENVALUE, "layer, in order of depth", notes)


def _ridges(ax: "Axes", drawn: Sequence[Floats], everything: Floats) -> None:
    from matplotlib import colormaps

    high = float(everything.max())
    edges = np.geomspace(max(float(everything.min()), high * 10.0**-_DECADES) * 0.999, high * 1.001, _RIDGE_BINS + 1)
    middle = np.sqrt(edges[:-1] * edges[1:])
    ax.set_xscale("log")
    for i, values in enumerate(drawn):
        counts = np.histogram(values, edges)[0].astype(np.float64)
        curve = i - _RIDGE_OVERLAP * counts / max(counts.max(), 1.0)
        color = colormaps["cividis"](0.15 + 0.7 * i / max(len(drawn) - 1, 1))
        ax.fill_between(middle, curve, i, facecolor=color, edgecolor="white", linewidth=0.5, zorder=2 + i / len(drawn))
    ax.set_xlim(edges[0], edges[-1])


def _edge_marks(ax: "Axes", at: Floats, height: float, marker: str, label: str) -> None:
    """Marks at a height given as a fraction of the axes."""
    if at.size:
        heights = np.full(at.size, height)
        where = ax.get_xaxis_transform()
        ax.plot(at, heights, marker, color=style.GREY, markersize=4, linestyle="none", transform=where, label=label)


def _groups(names: "pd.Series[str]") -> Iterator[tuple[str, NDArray[np.bool_], str, str]]:
    """Label, members, colour and marker of each role, the most frequent first; the rare ones together, in grey."""
    roles = names.map(_role)
    common = list(roles.value_counts(sort=True).index)
    kept = common if len(common) <= len(_MARKERS) else common[: len(_MARKERS)]
    for role, color, marker in zip(kept, _COLORS, _MARKERS, strict=False):
        label = style.shortened(style.drawable(role), _ROLE_CHARACTERS)
        yield label, (roles == role).to_numpy(), color, marker
    if len(common) > len(kept):
        yield _OTHERS, (~roles.isin(kept)).to_numpy(), style.GREY, "."


def _role(name: str) -> str:
    """What a layer is in its block: its name after the last number that stands alone.

    >>> _role("encoder.layer.0.attention.self.query"), _role("pooler.dense")
    ('attention.self.query', 'pooler.dense')
    """
    number, _, role = _place(name).partition(".")
    return role if number.isdecimal() and role else _place(name)


def _place(name: str) -> str:
    """A layer's block and role: its name from the last number on that stands alone.

    >>> _place("encoder.layer.0.attention.self.query"), _place("pooler.dense")
    ('0.attention.self.query', 'pooler.dense')
    """
    parts = str(name).removesuffix(".weight").split(".")
    numbers = [i for i, part in enumerate(parts[:-1]) if part.isdecimal()]
    return ".".join(parts[numbers[-1] :] if numbers else parts)


def _numbers(details: "pd.DataFrame", column: str) -> Floats:
    return details[column].to_numpy(np.float64)


def _require(details: "pd.DataFrame", *columns: str) -> None:
    for column in columns:
        if column not in details:
            hint = "; run analyze(..., detx=True)" if column == "ERG_gap" else ""
            raise OptionError(f"the table has no column {column!r}{hint}")
