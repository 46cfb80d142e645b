"""Layer-wise learning rates and weight decays: the papers' formula by hand, rows that keep the plain value."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinspectra import analyze
from spinspectra.advice import suggest_learning_rates, suggest_weight_decay
from spinspectra.errors import OptionError
from tests.advice.tables import table

Suggest = Callable[..., pd.DataFrame]
BOTH = pytest.mark.parametrize(
    ("suggest", "column"), [(suggest_learning_rates, "learning_rate"), (suggest_weight_decay, "weight_decay")]
)


def test_tempbalance_by_hand() -> None:
    """0.1 [(alpha - 2) / 2 (1.5 - 0.5) + 0.5], the paper's factors."""
    found = suggest_learning_rates(table([2.0, 2.5, 3.0, 4.0]), 0.1)
    assert found.columns.tolist() == ["layer_id", "longname", "hill_alpha", "learning_rate", "remark"]
    assert found.learning_rate.tolist() == pytest.approx([0.05, 0.075, 0.1, 0.15], rel=1e-14)
    assert found.layer_id.tolist() == [3, 4, 5, 6]
    assert (found.remark == "").all()


def test_alphadecay_by_hand() -> None:
    """1e-5 [(alpha - 2) / 2 (3 - 2/3) + 2/3], the factors of the authors' example."""
    found = suggest_weight_decay(table([2.0, 3.0, 4.0]), 1e-5, high=3.0)
    assert found.weight_decay.tolist() == pytest.approx([2e-5 / 3, 1e-5 * 11 / 6, 3e-5], rel=1e-14)


@BOTH
@settings(deadline=None, max_examples=25)
@given(
    alphas=st.lists(st.floats(1.01, 20.0), min_size=2, max_size=30),
    factors=st.tuples(st.floats(0.0, 2.0), st.floats(0.1, 3.0)),
)
def test_the_map_is_linear_from_edge_to_edge(
    suggest: Suggest, column: str, alphas: list[float], factors: tuple[float, float]
) -> None:
    low, high = factors[0], factors[0] + factors[1]
    found = suggest(table(alphas), 0.2, low, high)[column].to_numpy()
    given_alphas = np.array(alphas)
    if np.ptp(given_alphas) <= 1e-12 * given_alphas.max():
        assert (found == 0.2).all()
        return
    assert found.min() == pytest.approx(0.2 * low, abs=1e-12)
    assert found.max() == pytest.approx(0.2 * high)
    assert (np.diff(found[np.argsort(given_alphas, kind="stable")]) >= 0.0).all()
    np.testing.assert_allclose(suggest(table(alphas), 0.4, low, high)[column], 2.0 * found)
    np.testing.assert_allclose(suggest(table(list(3.0 * given_alphas)), 0.2, low, high)[column], found, atol=1e-9)


@BOTH
def test_layers_without_an_alpha_keep_the_plain_value_and_move_no_other(suggest: Suggest, column: str) -> None:
    given_table = table(
        [9.0, 2.0, 9.0, np.nan, 3.0, np.inf, -1.0],
        layer_type=["embedding", "dense", "dense", "dense", "dense", "dense", "dense"],
        num_evals=[400, 60, 49, 60, 60, 60, 60],
        status=["success"] * 3 + ["failed"] + ["success"] * 3,
        reason=[""] * 3 + ["1 of 4 values are NaN"] + [""] * 3,
    )
    found = suggest(given_table, 0.1, 0.5, 1.5)
    assert found[column].tolist() == pytest.approx([0.1, 0.05, 0.1, 0.1, 0.15, 0.1, 0.1])
    assert found.remark.tolist() == [
        "embedding: plain value",
        "",
        "49 eigenvalues, fewer than 50: plain value",
        "failed, plain value: 1 of 4 values are NaN",
        "",
        "no alpha: plain value",
        "no alpha: plain value",
    ]


@BOTH
@pytest.mark.parametrize("alphas", [[2.5], [2.5, 2.5, 2.5], [2.5, np.nan]])
def test_equal_alphas_tell_no_layer_from_another(suggest: Suggest, column: str, alphas: list[float]) -> None:
    found = suggest(table(alphas), 0.3)
    assert (found[column] == 0.3).all()
    assert found.remark[0] == "all alphas are equal: plain value"


def test_rows_keep_their_index_and_any_alpha_may_be_asked_for() -> None:
    details = table([2.0, 3.0, 4.0], column="farms_alpha", alpha=[6.0, 5.0, 2.0]).set_index("layer_id", drop=False)[1:]
    by_farms = suggest_learning_rates(details, 1.0, by="farms_alpha")
    by_alpha = suggest_learning_rates(details, 1.0, by="alpha")
    assert by_farms.index.equals(details.index)
    assert by_farms.learning_rate.tolist() == [0.5, 1.5]
    assert by_alpha.learning_rate.tolist() == [1.5, 0.5]


def test_a_bad_layer_of_a_real_table_has_its_remark() -> None:
    rng = np.random.default_rng(0)
    tensors = {f"{name}.weight": rng.standard_normal((80, side)) for name, side in (("a", 80), ("b", 60), ("c", 70))}
    tensors["c.weight"][0, 0] = np.nan
    found = suggest_learning_rates(analyze(tensors), 0.1).set_index("longname")
    assert sorted(found.learning_rate[["a", "b"]]) == pytest.approx([0.05, 0.15])
    assert found.learning_rate["c"] == 0.1
    assert "1 of 5600 values are NaN or infinite" in found.remark["c"]


@BOTH
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"low": -0.1}, r"low=-0.1, high=.*: give factors with 0 <= low <= high"),
        ({"low": 2.0, "high": 1.0}, "low=2.0, high=1.0"),
        ({"high": np.inf}, "high=inf"),
        ({"by": "stable_rank"}, "by='stable_rank': give one of hill_alpha, alpha, farms_alpha"),
        ({"by": "farms_alpha"}, "no column 'farms_alpha'; analyze with farms=True"),
    ],
)
def test_what_cannot_be_is_refused(suggest: Suggest, column: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        suggest(table([2.0, 3.0]), 0.1, **options)


def test_bad_global_values_and_empty_tables_are_refused() -> None:
    for rate in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(OptionError, match="give a learning rate above 0"):
            suggest_learning_rates(table([2.0, 3.0]), rate)
    for decay in (-0.1, np.nan):
        with pytest.raises(OptionError, match="give a weight decay of 0 or more"):
            suggest_weight_decay(table([2.0, 3.0]), decay)
    assert (suggest_weight_decay(table([2.0, 3.0]), 0.0).weight_decay == 0.0).all()
    with pytest.raises(OptionError, match="has no rows"):
        suggest_learning_rates(table([2.0])[:0], 0.1)
