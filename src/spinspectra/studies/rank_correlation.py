"""Rank correlations with intervals: Kendall's tau-b or Spearman's rho of a whole, within groups, and pooled over them.

Both come from the signs of all differences, a_ij = sign(x_i - x_j) and b_ij alike, with a weight for each point (1, or
how often a resample drew it): tau-b = sum w_i w_j a_ij b_ij, normalised (Kendall 1945); rho = the correlation of the
centred mid-ranks u_i = sum_j w_j a_ij / 2. A point drawn twice is no pair with itself, so it adds nothing to tau-b and
nothing to what it is divided by. Pooled over groups, only pairs of one group count.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import OptionError
from spinspectra.seeds import Seed, child_seed, seed_sequence
from spinspectra.studies.chance import Correlation, Floats, p_by_chance, p_within

FEWEST = 4  # points; of fewer no order is unlikely by chance
REPLICAS, LEVEL = 2000, 0.95

_FEWEST_REPLICAS = 100
_CHUNK = 1 << 24  # numbers in a product of replicas with points
_ORDERS = 1  # purpose of random numbers, child of the seed that resamples


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """How alike two orders are. n: pairs (x, y) used; left_out: those with NaN or infinity.

    value: -1 .. 1, positive where y rises with x. low, high: its bootstrap interval. p: of so much or more either way
    by chance. All NaN where there is none, and `reason` says why; else that is empty.
    """

    n: int
    value: float
    low: float
    high: float
    p: float
    left_out: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WithinGroups:
    """groups: each one's own. pooled: over pairs of one group only, which differences between groups do not enter."""

    groups: dict[Hashable, RankCorrelation]
    pooled: RankCorrelation


@dataclass(frozen=True, slots=True)
class _Signs:
    """Signs of differences of x and of y, (n, n) each, 0 between groups; group: each point's number, (n,)."""

    a: Floats
    b: Floats
    group: NDArray[np.intp]


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    kind: Correlation = "kendall",
    replicas: int = REPLICAS,
    level: float = LEVEL,
    seed: Seed = 0,
) -> RankCorrelation:
    """Kendall's tau-b or Spearman's rho of two columns, (n,) each, p by permutations, interval by resampling pairs.

    p is exact up to 8 points, ties or not, and for tau-b without ties to 33; else see `p_by_chance`.

    The interval is bias-corrected and accelerated (BCa; Efron 1987). Where no pair disagrees, or none agrees, resamples
    know no doubt; there it is the exact one from the n // 2 pairs that share no point (Clopper, Pearson 1934; for rho
    carried over by Daniels' inequality, 1950). Points with a value that is not finite are left out and counted. Memory
    grows as n^2.

    Fewer than 4 points or a constant column give NaN and a reason. Raises OptionError for columns of different lengths,
    another kind, replicas < 100 or a level outside 0 .. 1.

    >>> found = rank_correlation([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    >>> found.n, round(found.value, 2), round(found.p, 2)
    (5, 0.8, 0.08)
    """
    _check(kind, replicas, level)
    x, y, kept = _columns(x, y)
    signs, root = _signs(x[kept], y[kept], np.zeros(int(kept.sum()), np.intp)), seed_sequence(seed)
    p = p_by_chance(signs.a, signs.b, kind, child_seed(root, _ORDERS))
    return _correlation(signs, kind, replicas, level, root, p, ~kept)


def within_groups(
    x: ArrayLike,
    y: ArrayLike,
    groups: Sequence[Hashable],
    kind: Correlation = "kendall",
    replicas: int = REPLICAS,
    level: float = LEVEL,
    seed: Seed = 0,
) -> WithinGroups:
    """`rank_correlation` of every group, in the order in which they appear, and one pooled over pairs of one group.

    groups: of each point, (n,). The pooled one resamples within groups; its p is that of permutations within groups by
    the normal approximation, with their exact variance (Daniels 1944). Raises OptionError as `rank_correlation` does.
    """
    _check(kind, replicas, level)
    x, y, kept = _columns(x, y)
    names = list(dict.fromkeys(groups))
    if len(groups) != x.size:
        raise OptionError(f"groups: {len(groups)} for {x.size} points; give one for each")
    number = np.array([names.index(group) for group in groups], np.intp)
    root = seed_sequence(seed)
    own: dict[Hashable, RankCorrelation] = {
        name: rank_correlation(x[number == i], y[number == i], kind, replicas, level, child_seed(root, i + 1))
        for i, name in enumerate(names)
    }
    signs = _signs(x[kept], y[kept], number[kept])
    p = p_within(signs.a, signs.b, signs.group, kind)
    pooled = _correlation(signs, kind, replicas, level, child_seed(root, 0), p, ~kept)
    return WithinGroups(own, pooled)


def _check(kind: str, replicas: int, level: float) -> None:
    if kind not in get_args(Correlation):
        raise OptionError(f"kind={kind!r}: give 'kendall' or 'spearman'")
    if replicas < _FEWEST_REPLICAS:
        raise OptionError(f"replicas={replicas}: give at least {_FEWEST_REPLICAS}")
    if not 0.0 < level < 1.0:
        raise OptionError(f"level={level}: give a number between 0 and 1")


def _columns(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Both as float64, and which points are finite in both."""
    one, other = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise OptionError(f"a rank correlation of shapes {one.shape} and {other.shape}: give two columns of one length")
    return one, other, np.isfinite(one) & np.isfinite(other)


def _signs(x: Floats, y: Floats, group: NDArray[np.intp]) -> _Signs:
    same = group[:, None] == group
    a, b = (np.sign(column[:, None] - column) * same for column in (x, y))
    return _Signs(a, b, group)


def _correlation(
    signs: _Signs,
    kind: Correlation,
    replicas: int,
    level: float,
    seed: np.random.SeedSequence,
    p: float,
    left_out: NDArray[np.bool_],
) -> RankCorrelation:
    n, nan = signs.group.size, float("nan")
    n_left = int(np.count_nonzero(left_out))
    if reason := _why_none(signs):
        return RankCorrelation(n, nan, nan, nan, nan, n_left, reason)
    value = float(_values(signs, kind, np.ones((1, n)))[0])
    agree = signs.a * signs.b
    if agree.min() >= 0.0 or agree.max() <= 0.0:
        low, high = _one_sided(signs, kind, level, value)
    else:
        low, high = _bca(signs, kind, replicas, level, value, np.random.default_rng(seed))
    return RankCorrelation(n, value, low, high, p, n_left)


def _why_none(signs: _Signs) -> str:
    n = signs.group.size
    if n < FEWEST:
        return f"{n} point{'' if n == 1 else 's'}, of the {FEWEST} that a correlation needs"
    for name, part in (("x", signs.a), ("y", signs.b)):
        if not part.any():
            return f"{name} is constant" + (" in every group" if signs.group.any() else "")
    return ""


def _values(signs: _Signs, kind: Correlation, weights: Floats) -> Floats:
    """The correlation under each row of weights, (R, n); NaN where x or y is then constant. (R,)."""
    step = max(1, _CHUNK // weights.shape[1])
    parts = [weights[start : start + step] for start in range(0, len(weights), step)]
    one = _tau if kind == "kendall" else _rho
    return np.concatenate([one(signs, part) for part in parts])


def _tau(signs: _Signs, weights: Floats) -> Floats:
    both, x, y = (
        np.einsum("ri,ri->r", weights @ part, weights) for part in (signs.a * signs.b, signs.a**2, signs.b**2)
    )
    return _over(both, x, y)


def _rho(signs: _Signs, weights: Floats) -> Floats:
    u, v = weights @ signs.a, weights @ signs.b  # both of the other sign, and twice the rank: neither matters
    return _over((weights * u * v).sum(1), (weights * u * u).sum(1), (weights * v * v).sum(1))


def _over(both: Floats, x: Floats, y: Floats) -> Floats:
    scale = np.sqrt(x * y)
    return np.divide(both, scale, out=np.full_like(both, np.nan), where=scale > 0.0)


def _bca(
    signs: _Signs, kind: Correlation, replicas: int, level: float, value: float, rng: np.random.Generator
) -> tuple[float, float]:
    """The bias-corrected and accelerated interval, acceleration from leaving each point out."""
    from scipy.special import ndtr, ndtri

    found = _values(signs, kind, _resampled(signs.group, replicas, rng))
    found = found[np.isfinite(found)]
    below = (np.count_nonzero(found < value) + 0.5 * np.count_nonzero(found == value)) / found.size
    bias = ndtri(np.clip(below, 0.5 / found.size, 1.0 - 0.5 / found.size))
    left = _values(signs, kind, 1.0 - np.eye(signs.group.size))
    off = np.nanmean(left) - left[np.isfinite(left)]
    spread = float(np.sum(off**2))
    acceleration = float(np.sum(off**3)) / (6.0 * spread**1.5) if spread > 0.0 else 0.0
    ends = bias + ndtri(np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level]))
    low, high = np.quantile(found, ndtr(bias + ends / (1.0 - acceleration * ends)))
    return float(low), float(high)


def _resampled(group: NDArray[np.intp], replicas: int, rng: np.random.Generator) -> Floats:
    """How often each point is drawn, with replacement from its group, (replicas, n)."""
    counts = np.empty((replicas, group.size))
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        counts[:, members] = rng.multinomial(members.size, np.full(members.size, 1.0 / members.size), replicas)
    return counts


def _one_sided(signs: _Signs, kind: Correlation, level: float, value: float) -> tuple[float, float]:
    """If a pair does not disagree with chance q, m that share no point all do not with q^m; tau is 2 q - 1."""
    m = int(sum(size // 2 for size in np.bincount(signs.group)))
    tau = 2.0 * (0.5 - 0.5 * level) ** (1.0 / m) - 1.0
    bound = tau if kind == "kendall" else max(-1.0, 0.5 * (3.0 * tau - 1.0))
    low = min(bound, abs(value))
    return (low, 1.0) if value > 0.0 else (-1.0, -low)
