"""The axis that fractions of a network are drawn on."""

from typing import TYPE_CHECKING

import numpy as np

from spinspectra.plots.style import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_TICKS = 8


def fraction_axis(ax: "Axes", fraction: Floats) -> None:
    """Make x linear from 0 to the smallest fraction above it, so that 0 has a place, then logarithmic.

    Its ticks are written out: 0, 0.01, 0.02, 0.05, ..
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    above = np.unique(fraction[fraction > 0.0])
    if not above.size:
        return
    linear = float(above[0])
    ax.set_xscale("symlog", linthresh=linear, linscale=0.4)
    decades = [10.0**power for power in range(int(np.floor(np.log10(linear))), 1)]
    ticks = [step * decade for decade in decades for step in (1.0, 2.0, 5.0) if linear <= step * decade <= 1.0]
    if len(ticks) > _MOST_TICKS:
        ticks = [decade for decade in decades if linear <= decade]
    ax.xaxis.set_major_locator(FixedLocator([0.0, *ticks]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda f, _: f"{f:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(-0.3 * linear, 1.15 * max(float(above[-1]), linear))
