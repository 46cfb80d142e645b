"""Energy bins over the half range E_min .. 0, placed so that mirroring in E = 0 maps bins onto bins exactly.

g(E) = g(-E), so the range E <= 0 is enough. The bin of E = 0 is centred on 0; bin k is centred on -k * width, and its
mirror image, bin -k, on +k * width.
"""

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import OptionError

# An energy this part of a bin outside its edge still counts as inside: E_min, the outermost edge itself, is summed in
# another order by every method that reports it.
SLACK = 1e-9
_MOST_BINS = 1_000_000  # with more of them, the rounding of E / width would come near the slack
_FARTHEST = 2.0**62  # the place of an energy so many bins away or more: it still is an int64


@dataclass(frozen=True, slots=True)
class EnergyBins:
    """n_bins bins over [e_min, 0], numbered from E = 0 downwards.

    e_min: the lowest energy, below zero, in the unit of the weights; the outer edge of the last bin.
    n_bins: bins of the half range, the one around 0 included, at most a million.

    Raises OptionError if e_min is not a finite number below zero or n_bins not a whole number in range.

    >>> bins = EnergyBins(-9.0, 5)
    >>> bins.width, bins.centres.tolist()
    (2.0, [0.0, -2.0, -4.0, -6.0, -8.0])
    >>> [bins.index_of(energy) for energy in (-9.0, -2.5, 0.9, 2.5)]
    [4, 1, 0, -1]
    """

    e_min: float
    n_bins: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.e_min) and self.e_min < 0.0):
            raise OptionError(f"e_min={self.e_min}: give a finite energy below zero, such as that of an annealed state")
        if isinstance(self.n_bins, bool) or not isinstance(self.n_bins, int | np.integer) or self.n_bins < 1:
            raise OptionError(f"n_bins={self.n_bins}: give a whole number, at least 1")
        if self.n_bins > _MOST_BINS:
            raise OptionError(f"n_bins of more than {_MOST_BINS:,}: give fewer bins")
        object.__setattr__(self, "e_min", float(self.e_min))  # of a float32, all that follows would be float32 too
        object.__setattr__(self, "n_bins", int(self.n_bins))
        if self.width < sys.float_info.min:
            raise OptionError(f"e_min={self.e_min}: too near 0 to be cut into {self.n_bins} bins; rescale the weights")

    @property
    def width(self) -> float:
        """Width of a bin: |e_min| / (n_bins - 1/2), as half of the bin around 0 belongs to the other side."""
        return -self.e_min / (self.n_bins - 0.5)

    @property
    def centres(self) -> NDArray[np.float64]:
        """0, -width, -2 width, .., shape (n_bins,)."""
        return 0.0 - self.width * np.arange(self.n_bins, dtype=np.float64)

    def index_of(self, energy: float) -> int:
        """The bin of an energy; below 0 for the mirror image, n_bins or more below e_min.

        Raises OptionError for NaN and infinity.
        """
        return int(self.indices_of(energy))

    def indices_of(self, energies: ArrayLike) -> NDArray[np.int64]:
        """`index_of` for an array of energies, of its shape."""
        values = np.asarray(energies, np.float64)
        if bad := values.size - int(np.count_nonzero(np.isfinite(values))):
            raise OptionError(f"energies: {bad} in {values.size} are NaN or infinite and belong to no bin")
        with np.errstate(over="ignore"):
            places = np.ceil(np.abs(values) / self.width - 0.5 - SLACK)
        return np.asarray(-np.sign(values) * np.clip(places, 0.0, _FARTHEST)).astype(np.int64)


def bin_index(energy: float, width: float) -> int:
    """The bin of a finite energy, 0 around E = 0, 1, 2, .. below it, -1, -2, .. above. Plain floats: numba compiles it.

    An edge belongs to the bin nearer to 0 on either side, so that bin_index(-E) = -bin_index(E) exactly.
    """
    place = math.ceil(min(abs(energy) / width - 0.5 - SLACK, _FARTHEST))
    return place if energy < 0.0 else -place
