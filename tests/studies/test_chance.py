"""p of a rank correlation against all permutations, with scipy's coefficients; false discoveries by hand."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from spinspectra.studies import chance
from spinspectra.studies.chance import Correlation, false_discovery_rates, p_by_chance, p_within, under_chance

KINDS: tuple[Correlation, ...] = ("kendall", "spearman")
PEERS = {"kendall": kendalltau, "spearman": spearmanr}

Floats = NDArray[np.float64]


def signs(*columns: object) -> list[Floats]:
    return [np.sign(np.subtract.outer(column, column)).astype(np.float64) for column in map(np.asarray, columns)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((1, 2, 3, 4), (1, 2, 3, 4)),
        ((1, 2, 2, 3), (1, 2, 3, 3)),
        ((3, 1, 4, 1, 5), (2, 7, 1, 8, 2)),
        ((1, 2, 3, 4, 5, 6), (0, 0, 0, 0, 0, 1)),
        ((1, 2, 3, 4, 5, 6), (2, 1, 3, 5, 6, 4)),
    ],
)
def test_p_of_few_points_is_the_share_of_all_permutations(kind: Correlation, x: tuple, y: tuple) -> None:
    values = np.array([PEERS[kind](x, order).statistic for order in itertools.permutations(y)])
    expected = np.mean(np.abs(values) >= abs(values[0]) - 1e-12)
    assert p_by_chance(*signs(x, y), kind, 0) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [4, 6, 8])
def test_a_perfect_order_has_the_chance_of_two_orders_of_all(kind: Correlation, n: int) -> None:
    assert p_by_chance(*signs(range(n), -np.arange(n)), kind, 0) == pytest.approx(2 / math.factorial(n))


def test_kendalls_p_without_ties_is_scipys_exact_one() -> None:
    rng = np.random.default_rng(0)
    for n in (5, 8, 9, 33):
        x, y = rng.standard_normal((2, n))
        exact = kendalltau(x, y, method="exact").pvalue
        assert p_by_chance(*signs(x, y), "kendall", 0) == pytest.approx(exact)


def test_drawn_orders_find_the_exact_p(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        x, y = rng.integers(0, 5, (2, 8))
        monkeypatch.setattr(chance, "MOST_ENUMERATED", 8)
        exact = p_by_chance(*signs(x, y), "spearman", 0)
        monkeypatch.setattr(chance, "MOST_ENUMERATED", 3)
        drawn = p_by_chance(*signs(x, y), "spearman", 0)
        assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 9_999) + 1e-4)
        assert drawn == p_by_chance(*signs(x, y), "spearman", 0)


def test_no_order_of_many_points_is_impossible() -> None:
    assert p_by_chance(*signs(range(20), range(20)), "spearman", 0) == 1 / 10_000
    assert p_by_chance(*signs(range(50), range(50)), "spearman", 0) == pytest.approx(2 / math.factorial(50))
    rng = np.random.default_rng(2)
    x = rng.integers(0, 9, 60)
    y = x + rng.integers(0, 30, 60)
    assert p_by_chance(*signs(x, y), "spearman", 0) == pytest.approx(spearmanr(x, y).pvalue)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_has_none(kind: Correlation) -> None:
    assert math.isnan(p_by_chance(*signs([1, 1, 1, 1], [1, 2, 3, 4]), kind, 0))
    assert math.isnan(p_within(*signs([1, 1, 1, 1], [1, 2, 3, 4]), np.zeros(4, np.intp), kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("y", [(1, 2, 3, 4, 5), (1, 1, 2, 2, 2), (3, 1)])
def test_variance_under_chance_is_that_of_all_permutations(kind: Correlation, y: tuple[int, ...]) -> None:
    x = (2, 1, 2, 4, 3)[: len(y)]
    all_of_them = [signs(x, one) for one in itertools.permutations(y)]
    totals = [under_chance(*one, kind)[0] for one in all_of_them]
    assert np.mean(totals) == pytest.approx(0.0, abs=1e-12)
    assert under_chance(*all_of_them[0], kind)[1] == pytest.approx(np.var(totals))


def test_p_within_groups_is_right_by_chance() -> None:
    """Of columns that share nothing but their groups' levels, p is below 0.1 in a tenth."""
    rng = np.random.default_rng(5)
    groups = np.repeat([0, 1, 2, 3], 10)
    same = groups[:, None] == groups
    draws = rng.standard_normal((1000, 2, 40)) + 5 * groups
    p = np.array([p_within(*(part * same for part in signs(x, y)), groups, "kendall") for x, y in draws])
    assert 0.07 < np.mean(p < 0.1) < 0.13
    assert 0.47 < np.mean(p < 0.5) < 0.55  # a little more than half: p comes in steps


def test_false_discovery_rates_by_hand() -> None:
    """p m / k of the k-th smallest of m = 3, never above that of a larger p; what is not known is no test."""
    assert false_discovery_rates([0.04, math.nan, 0.01, 0.03]) == pytest.approx(
        [0.04, math.nan, 0.03, 0.04], nan_ok=True
    )
    assert np.isnan(false_discovery_rates([math.nan])).all()
    assert false_discovery_rates([]).size == 0
