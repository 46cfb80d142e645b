"""What is watched, how often, and at what cost; and how the watch speaks up without stopping anything."""

import logging
import warnings
from dataclasses import dataclass

from spinspectra.errors import OptionError
from spinspectra.layers.selection import Choice


class MonitorWarning(UserWarning):
    """What a training should hear of its monitor: a measurement that failed, a budget too small, why it was stopped."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Two clocks, a choice of layers, a budget and a rule for stopping.

    every: steps between cheap measurements (norms, stable rank; no eigenvalues). spectra_every: steps between
    measurements of spectra (alpha), which have the cheap numbers too. None: never, but when told to. layers: ids, names
    or kinds (`analyze`); None for all that are trained. budget: the most of the training's own time that measuring may
    take, 0.05 for 5 %; what is due waits until it is within it. None: no limit. stop_below: ask the training to stop
    once the mean alpha of two measurements in a row is below it; None: never.

    Raises OptionError for anything out of range.
    """

    every: int | None = 100
    spectra_every: int | None = 1000
    layers: Choice = None
    budget: float | None = 0.05
    stop_below: float | None = None

    def __post_init__(self) -> None:
        for name in ("every", "spectra_every"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise OptionError(f"{name}={value!r}: give a whole number of steps, 1 or more, or None")
        if self.budget is not None and not 0.0 < self.budget <= 1.0:
            raise OptionError(f"budget={self.budget!r}: give a share of the training's time, as 0.05, or None for none")
        if self.stop_below is not None and not 1.0 < self.stop_below < float("inf"):
            raise OptionError(f"stop_below={self.stop_below!r}: give a mean alpha above 1, as 2.0, or None")

    @property
    def cadence(self) -> int:
        """Steps between the moments at which several processes compare whether to stop."""
        return self.every or self.spectra_every or 1


def tell(text: str) -> None:
    """Warn, in one line; where warnings are errors, log it instead: the training goes on whatever is said."""
    try:
        warnings.warn(f"spinspectra: {text}", MonitorWarning, stacklevel=3)
    except MonitorWarning:
        logging.getLogger("spinspectra").warning(text)
