"""Signs that tempering runs are not in equilibrium, or not long enough to tell: what is frozen agrees with itself."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from spinspectra.ising.reweight import autocorrelation_times

_ENOUGH_TIMES = 20  # autocorrelation times that a run should last at each rung
_DOUBT, _DOUBTFUL_RUNGS = 0.99, 0.1  # runs differ more than chance would allow, at more than this share of rungs


def equilibrium_doubts(energies: NDArray[np.float64], betas: NDArray[np.float64]) -> list[str]:
    """A line each, none if all is well; energies (runs, sweeps, R) on the rungs betas (R,)."""
    runs, sweeps, _ = energies.shape
    times = autocorrelation_times(energies)
    doubts = []
    if (slow := np.flatnonzero(times * _ENOUGH_TIMES > sweeps)).size:
        cold, hot = 1.0 / betas[slow[-1]], 1.0 / betas[max(slow[0], 1)]
        doubts.append(
            f"energies stay alike for up to {times.max():.0f} of {sweeps} sweeps at T = {cold:.3g} to {hot:.3g}: "
            "errors there may be larger than they seem; take more sweeps"
        )
    if runs > 1:
        expected = 2.0 * times * energies.var(axis=(0, 1)) / sweeps
        between = energies.mean(axis=1).var(axis=0, ddof=1)
        apart = between > expected * chdtri(runs - 1.0, 1.0 - _DOUBT) / (runs - 1)
        if np.count_nonzero(apart) > max(1.0, _DOUBTFUL_RUNGS * betas.size):
            doubts.append(
                f"runs differ by more than chance allows at {np.count_nonzero(apart)} of {betas.size} temperatures: "
                "they are not in equilibrium; take more sweeps"
            )
    return doubts
