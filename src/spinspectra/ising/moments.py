"""Moments of a density of states at a temperature, all by log-sum-exp over bins, and how they vary with ln g.

Energies are counted from the lowest bin's, so that nothing cancels at low temperature. Errors are those of ln g times
the slopes of each quantity in ln g (the delta method).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spinspectra.ising.density import Vector

_CHUNK = 1 << 21  # temperatures times bins held at once
_UNKNOWN = 0.01  # weight of bins of unknown error from which a propagated error is unknown too


@dataclass(frozen=True, slots=True)
class Levels:
    """Weights exp(ln_w - e / T) of bins e = lowest + above, (K,).

    error: of ln_w, (K,), NaN where unknown. mirrored: bins err together with their mirror images. together: how ln_w
    varies from run to run, (R, K), such that the squares of a quantity's R changes sum to its squared error; or None.
    share: of all states, (K,); errors common to all bins do not count, since ln g was brought to a known total.
    """

    lowest: float
    above: Vector
    ln_w: Vector
    error: Vector
    mirrored: bool
    together: Vector | None
    share: Vector


@dataclass(frozen=True, slots=True)
class Moments:
    """At temperatures T, (n, 1): p and y = (e - U) / T, (n, K), 0 where p is; ln_z and u of e - lowest, (n,)."""

    t: Vector
    p: Vector
    y: Vector
    ln_z: Vector
    u: Vector


def over(levels: Levels, t: Vector, function: Callable[[Levels, Moments], Vector]) -> Vector:
    """A function of moments, (quantities, n) each time, over all temperatures, some at a time."""
    step = max(1, _CHUNK // levels.above.size)
    parts = [function(levels, moments(levels, t[at : at + step])) for at in range(0, t.size, step)]
    return np.concatenate(parts, axis=1)


def moments(levels: Levels, temperatures: Vector) -> Moments:
    t = temperatures[:, None]
    exponents = levels.ln_w - levels.above / t
    top = exponents.max(axis=1, keepdims=True)
    weights = np.exp(exponents - top)
    total = weights.sum(axis=1, keepdims=True)
    p = weights / total
    u = p @ levels.above
    y = np.divide(levels.above - u[:, None], t, out=np.zeros_like(p), where=p > 0.0)
    return Moments(t, p, y, (top + np.log(total))[:, 0], u)


def heat_of(at: Moments) -> Vector:
    return np.asarray(np.einsum("tk,tk,tk->t", at.p, at.y, at.y))


def quantities(levels: Levels, at: Moments) -> Vector:
    """ln Z, U, C, F, S, (5, n)."""
    t = at.t[:, 0]
    return np.stack(
        [
            at.ln_z - levels.lowest / t,
            levels.lowest + at.u,
            heat_of(at),
            levels.lowest - t * at.ln_z,
            at.u / t + at.ln_z,
        ]
    )


def errors_of(levels: Levels, at: Moments) -> Vector:
    """Standard errors of ln Z, U, C, F, S, (5, n), by their slopes d/d ln w_k."""
    ln_z = at.p - levels.share
    slopes_u = at.p * at.y  # of U / T
    slopes_c = at.p * (at.y**2 - heat_of(at)[:, None])
    slopes = (ln_z, at.t * slopes_u, slopes_c, at.t * ln_z, ln_z + slopes_u)
    return np.stack([standard_error(levels, at.p, slope) for slope in slopes])


def standard_error(levels: Levels, p: Vector, slopes: Vector) -> Vector:
    """Standard error, (n,), of what has these slopes; NaN where bins of unknown error weigh too much. p: (n, K)."""
    known = np.isfinite(levels.error)
    if levels.together is not None:
        changes = slopes @ levels.together.T
    else:
        changes = slopes * np.where(known, levels.error, 0.0)
        if levels.mirrored:  # one draw of errors for a bin and its image: their slopes add first
            half, odd = divmod(known.size, 2)
            images = changes[:, : half + odd - 1 : -1]
            changes = np.concatenate([changes[:, :half] + images, changes[:, half : half + odd]], axis=1)
    found = np.sqrt(np.einsum("tk,tk->t", changes, changes))
    return np.where(p[:, ~known].sum(axis=1) > _UNKNOWN, np.nan, found)
