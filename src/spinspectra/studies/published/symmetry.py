"""What the exact symmetry g(E) = g(-E) of a layered chain says of a curve that does not have it.

Flipping every spin of the odd layers maps E to -E (physics.md, section 2): a state that a walk met at E has its mirror
image at -E, so the true range of energies is at least twice the larger end of the walk's, and whatever the other end
lacks was missed.
"""

import math
from dataclasses import dataclass

import numpy as np

from spinspectra.ising.density import DensityOfStates, from_half

_LN2 = math.log(2.0)


@dataclass(frozen=True, slots=True)
class CurveFacts:
    """Of one density. Energies are per spin, in the unit of the weights.

    e_min, e_max: its ends. width: e_max - e_min, as the paper has it. symmetric_width: 2 max(-e_min, e_max), at most
    the true width. missed_low, missed_high: by how much that end falls short of the other; one is 0. missed: the same
    as a share of the longer half. asymmetry: largest |ln g(E) - ln g(-E)| / N over energies that both sides have; 0
    exactly. states: log2 of the sum of g over N; 1 exactly. mean: of E under g; 0 exactly. std: of E under g; the
    same for trained and shuffled exactly. log_base: of the file's second column.
    """

    n_spins: int
    bins: int
    bin_width: float
    log_base: str
    e_min: float
    e_max: float
    width: float
    symmetric_width: float
    missed_low: float
    missed_high: float
    missed: float
    asymmetry: float
    states: float
    mean: float
    std: float


def facts_of(density: DensityOfStates) -> CurveFacts:
    """All that can be known of a curve from its file alone."""
    n, low, high = density.n_spins, density.e_min, density.e_max
    share = np.exp(density.ln_g - density.ln_total)
    mean = float(share @ density.energies)
    variance = float(share @ (density.energies - mean) ** 2)
    return CurveFacts(
        n,
        density.energies.size,
        density.bin_width / n,
        str(density.how.get("log_base", "e")),
        low / n,
        high / n,
        density.width / n,
        symmetric_width(density) / n,
        max(0.0, low + high) / n,
        max(0.0, -low - high) / n,
        abs(low + high) / max(-low, high),
        _asymmetry(density) / n,
        density.ln_total / (n * _LN2),
        mean / n,
        math.sqrt(variance) / n,
    )


def symmetric_width(density: DensityOfStates) -> float:
    """Twice the larger of |E_min| and |E_max|, in the unit of the weights: the true width is at least that."""
    return 2.0 * max(-density.e_min, density.e_max)


def mirrored(density: DensityOfStates) -> DensityOfStates:
    """The side of E = 0 that reaches farther, taken for both: symmetric, and sums to 2^N. how["side"]: low or high."""
    low = -density.e_min >= density.e_max
    sign = 1.0 if low else -1.0
    side = sign * density.energies <= 0.0
    how = {**density.how, "side": "low" if low else "high"}
    return from_half(
        sign * density.energies[side], density.ln_g[side], None, None, density.n_spins, density.bin_width, how
    )


def _asymmetry(density: DensityOfStates) -> float:
    """Of ln g, between bins by interpolation."""
    reach = min(-density.e_min, density.e_max)
    at = density.energies[np.abs(density.energies) <= reach]
    here, there = (np.interp(sign * at, density.energies, density.ln_g) for sign in (1.0, -1.0))
    return float(np.max(np.abs(here - there), initial=0.0))
