"""Rank correlations against scipy's, their intervals against populations of known tau, and groups that mislead."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from spinspectra.errors import OptionError
from spinspectra.studies.chance import Correlation
from spinspectra.studies.rank_correlation import (
    _signs,
    _values,
    rank_correlation,
    within_groups,
)

KINDS: tuple[Correlation, ...] = ("kendall", "spearman")
PEERS = {"kendall": kendalltau, "spearman": spearmanr}


def with_ties(n: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, n).astype(np.float64)
    return x, np.round(x + 2.0 * rng.standard_normal(n))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [4, 9, 40])
def test_value_is_scipys(kind: Correlation, n: int) -> None:
    x, y = with_ties(n)
    found = rank_correlation(x, y, kind, replicas=100)
    assert found.value == pytest.approx(PEERS[kind](x, y).statistic, abs=1e-12)
    assert found.low <= found.value <= found.high
    assert (found.n, found.left_out, found.reason) == (n, 0, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_weighted_point_is_a_repeated_point(kind: Correlation) -> None:
    x, y = with_ties(12)
    counts = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), 20)
    found = _values(_signs(x, y, np.zeros(12, np.intp)), kind, counts.astype(np.float64))
    peers = [PEERS[kind](np.repeat(x, count), np.repeat(y, count)).statistic for count in counts]
    assert found == pytest.approx(peers, abs=1e-12)


@pytest.mark.parametrize(("n", "rho"), [(8, 0.95), (20, 0.0), (20, 0.8), (50, 0.5)])
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_what_they_say(kind: Correlation, n: int, rho: float) -> None:
    """Of a bivariate normal population tau is 2/pi asin(rho) and Spearman's rho 6/pi asin(rho/2)."""
    true = 2 / math.pi * math.asin(rho) if kind == "kendall" else 6 / math.pi * math.asin(rho / 2)
    rng = np.random.default_rng(7)
    draws = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], (300, n))
    found = [rank_correlation(*draw.T, kind, replicas=300, seed=i) for i, draw in enumerate(draws)]
    covered = np.mean([one.low <= true <= one.high for one in found])
    assert covered >= 0.91
    if n >= 20:
        assert covered <= 0.985


def test_a_perfect_order_leaves_doubt() -> None:
    """All of n // 2 pairs that share no point agree: with a chance of 2.5 % even if tau is at the lower end."""
    for n in (4, 5, 20):
        found = rank_correlation(range(n), np.arange(n) ** 3)
        assert (found.value, found.high) == (pytest.approx(1.0), 1.0)
        assert ((1 + found.low) / 2) ** (n // 2) == pytest.approx(0.025)
        turned = rank_correlation(range(n), -np.arange(n))
        assert (turned.low, turned.high) == (-1.0, -found.low)
    assert rank_correlation(range(20), range(20), "spearman").low < found.low
    tied = rank_correlation([1, 2, 2, 3], [1, 2, 3, 3])  # no pair disagrees, so resamples would know no doubt
    assert tied.low == pytest.approx(2 * math.sqrt(0.025) - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_order_of_few_has_no_p_of_zero(kind: Correlation) -> None:
    assert rank_correlation([1, 2, 3, 4], [2, 3, 5, 7], kind).p == pytest.approx(2 / 24)
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 3], kind).p == pytest.approx(4 / 12)  # by hand


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_order_counts_and_turning_it_turns_the_interval(kind: Correlation) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal(25)
    y = x + rng.standard_normal(25)
    plain, bent, turned = (rank_correlation(x, other, kind) for other in (y, np.exp(3 * y), -y))
    assert bent == plain
    assert (turned.value, turned.low, turned.high) == pytest.approx((-plain.value, -plain.high, -plain.low), abs=0.02)
    assert rank_correlation(x, y, kind, seed=1).low != plain.low
    assert rank_correlation(x, y, kind, level=0.5).low > plain.low


def test_what_is_not_finite_is_left_out() -> None:
    x = np.array([1, 2, 3, np.nan, 5, 6, 7.0])
    y = np.array([1, 3, 2, 4, 5, np.inf, 7.0])
    found = rank_correlation(x, y)
    assert (found.n, found.left_out) == (5, 2)
    assert found.value == pytest.approx(kendalltau([1, 2, 3, 5, 7], [1, 3, 2, 5, 7]).statistic)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([], [], "0 points, of the 4"),
        ([1], [2], "1 point, of the 4"),
        ([1, 2, np.nan, 3], [1, 2, 3, 4], "3 points, of the 4"),
        ([2, 2, 2, 2, 2], [1, 2, 3, 4, 5], "x is constant"),
        ([1, 2, 3, 4], [0, 0, 0, 0], "y is constant"),
    ],
)
def test_no_correlation_says_why(x: list[float], y: list[float], reason: str) -> None:
    found = rank_correlation(x, y)
    assert np.isnan([found.value, found.low, found.high, found.p]).all()
    assert reason in found.reason


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1, 2], [1]), "give two columns of one length"),
        (([[1, 2]], [[1, 2]]), "give two columns of one length"),
        (([1, 2], [1, 2], "pearson"), "give 'kendall' or 'spearman'"),
        (([1, 2], [1, 2], "kendall", 99), "replicas=99: give at least 100"),
        (([1, 2], [1, 2], "kendall", 100, 1.0), "level=1.0"),
    ],
)
def test_refusals(arguments: tuple, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        rank_correlation(*arguments)


def test_differences_between_groups_do_not_enter() -> None:
    """Simpson's paradox: falling in each of three groups, rising over all."""
    x = np.array([1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24.0])
    y = np.array([14, 13, 12, 11, 24, 23, 22, 21, 34, 33, 32, 31.0])
    groups = ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    found = within_groups(x, y, groups)
    assert rank_correlation(x, y).value > 0.4
    assert list(found.groups) == ["a", "b", "c"]
    assert {one.value for one in found.groups.values()} == {-1.0}
    assert found.pooled.value == -1.0
    assert ((1 - found.pooled.high) / 2) ** 6 == pytest.approx(0.025)  # six pairs of one group that share no point


@pytest.mark.parametrize("kind", KINDS)
def test_pooled_over_one_group_is_the_plain_one(kind: Correlation) -> None:
    x, y = with_ties(40)
    pooled = within_groups(x, y, [0] * 40, kind).pooled
    assert pooled.value == pytest.approx(rank_correlation(x, y, kind).value)
    if kind == "kendall":
        assert pooled.p == pytest.approx(kendalltau(x, y, method="asymptotic").pvalue)


@pytest.mark.parametrize("kind", KINDS)
def test_shifting_a_group_changes_nothing(kind: Correlation) -> None:
    rng = np.random.default_rng(3)
    x, groups = rng.standard_normal(30), np.repeat([0, 1, 2], 10)
    y = x + rng.standard_normal(30)
    plain, shifted = (within_groups(x, y + shift * groups, list(groups), kind).pooled for shift in (0.0, 100.0))
    assert plain == shifted
    assert 0.2 < plain.value < 0.9
    assert plain.p < 0.01


def test_groups_of_one_or_of_one_value() -> None:
    found = within_groups([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], ["a", "b", "c", "d", "e"])
    assert "constant in every group" in found.pooled.reason
    assert "1 point" in found.groups["a"].reason
    with pytest.raises(OptionError, match="give one for each"):
        within_groups([1, 2], [1, 2], ["a"])
