"""Sparsity for each layer: AlphaPruning's formula by hand, and the share of weights that is asked for, always."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinspectra import analyze
from spinspectra.advice import suggest_sparsity
from spinspectra.errors import OptionError
from tests import minilm
from tests.advice.tables import table


def test_alphapruning_by_hand() -> None:
    """Factors 0.7, 1, 1.3 on 100, 200 and 100 weights: their weighted mean is 1, so eta is the sparsity."""
    details = table([2.0, 3.0, 4.0], N=[100, 200, 50], M=1, rf=[1, 1, 2])
    found = suggest_sparsity(details, 0.7, per="layer")
    assert found.columns.tolist() == ["layer_id", "longname", "hill_alpha", "sparsity", "remark"]
    assert found.sparsity.tolist() == pytest.approx([0.49, 0.7, 0.91], rel=1e-14)


def test_eta_by_hand_where_sizes_differ() -> None:
    """Factors 0.8 and 1.2 on 300 and 100 weights: eta = 0.5 * 400 / (240 + 120) = 5/9."""
    found = suggest_sparsity(table([2.0, 5.0], N=[300, 100], M=1), 0.5, spread=0.2)
    assert found.sparsity.tolist() == pytest.approx([4.0 / 9.0, 2.0 / 3.0], rel=1e-14)


def test_a_block_goes_by_its_mean_alpha() -> None:
    """Means 2.5, 3 and 3.5; what is in no block stands for itself, an embedding for none."""
    names = ["h.0.attn", "h.0.mlp", "h.1.attn", "h.1.mlp", "pooler", "wte"]
    kinds = ["dense"] * 5 + ["embedding"]
    found = suggest_sparsity(table([2.0, 3.0, 2.0, 4.0, 3.5, 9.0], names, layer_type=kinds), 0.5)
    assert found.block_alpha[:5].tolist() == [2.5, 2.5, 3.0, 3.0, 3.5]
    assert np.isnan(found.block_alpha[5])
    factors = np.array([0.7, 0.7, 1.0, 1.0, 1.3])
    np.testing.assert_allclose(found.sparsity[:5], 0.5 * factors / factors.mean())
    assert found.sparsity[5] == 0.5
    assert found.remark.tolist() == [""] * 5 + ["embedding: plain value"]


@pytest.mark.parametrize("per", ["block", "layer"])
@settings(deadline=None, max_examples=40)
@given(
    layers=st.lists(st.tuples(st.floats(1.01, 12.0), st.integers(1, 400)), min_size=1, max_size=20),
    sparsity=st.floats(0.0, 0.98),
    spread=st.floats(0.0, 0.99),
    most=st.floats(0.0, 1.0),
)
def test_the_whole_has_the_sparsity_asked_for_and_no_layer_too_much(
    per: str, layers: list[tuple[float, int]], sparsity: float, spread: float, most: float
) -> None:
    most = sparsity + most * (0.99 - sparsity)
    sizes = np.array([size for _, size in layers])
    names = [f"h.{k // 2}.{'ab'[k % 2]}" for k in range(len(layers))]
    details = table([alpha for alpha, _ in layers], names, N=sizes)
    found = suggest_sparsity(details, sparsity, spread, per=per, most=most)  # type: ignore[arg-type]
    assert np.average(found.sparsity, weights=sizes) == pytest.approx(sparsity, abs=1e-12)
    assert found.sparsity.min() >= 0.0
    assert found.sparsity.max() <= most + 1e-12


def test_too_wide_a_spread_is_narrowed_and_said() -> None:
    """0.9 (1 + e) / 1 = 0.99 at e = 0.1, by symmetry of the alphas."""
    found = suggest_sparsity(table([2.0, 3.0, 4.0]), 0.9)
    assert found.sparsity.tolist() == pytest.approx([0.81, 0.9, 0.99])
    assert set(found.remark) == {"spread narrowed to 0.1, to prune at most 0.99"}


def test_failed_layers_and_equal_alphas_get_the_plain_value() -> None:
    details = table([2.0, np.nan, 4.0], status=["success", "failed", "success"], reason=["", "all zero", ""])
    found = suggest_sparsity(details, 0.5)
    assert found.sparsity.tolist() == pytest.approx([0.35, 0.5, 0.65])
    assert found.remark[1] == "failed, plain value: all zero"
    equal = suggest_sparsity(table([3.0, 3.0]), 0.4)
    assert (equal.sparsity == 0.4).all()
    assert (equal.remark == "all alphas are equal: plain value").all()
    one_block = suggest_sparsity(table([2.0, 4.0], ["h.0.a", "h.0.b"]), 0.4)
    assert (one_block.sparsity == 0.4).all()
    assert (one_block.remark == "all blocks have one mean alpha: plain value").all()


def test_minilm_keeps_its_share() -> None:
    details = analyze(minilm.FOLDER, layers=["-embedding"])
    weights = details.N * details.M
    for per in ("block", "layer"):
        found = suggest_sparsity(details, 0.6, per=per)  # type: ignore[arg-type]
        assert (weights * found.sparsity).sum() == pytest.approx(0.6 * weights.sum(), rel=1e-12)
        order = "block_alpha" if per == "block" else "hill_alpha"
        assert (found.sort_values(order).sparsity.diff().dropna() >= -1e-12).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sparsity": 1.0}, "give 0 <= sparsity <= most < 1"),
        ({"sparsity": -0.1}, "sparsity=-0.1"),
        ({"sparsity": 0.8, "most": 0.7}, "most=0.7"),
        ({"sparsity": np.nan}, "sparsity=nan"),
        ({"sparsity": 0.5, "spread": 1.0}, "spread=1.0: give 0 or more, below 1"),
        ({"sparsity": 0.5, "per": "head"}, "per='head': give 'block' or 'layer'"),
        ({"sparsity": 0.5, "by": "D"}, "by='D'"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        suggest_sparsity(table([2.0, 3.0]), **options)  # type: ignore[arg-type]


def test_a_table_without_sizes_is_refused() -> None:
    with pytest.raises(OptionError, match="no column 'N'"):
        suggest_sparsity(table([2.0, 3.0]).drop(columns="N"), 0.5)
