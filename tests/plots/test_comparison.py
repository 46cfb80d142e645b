"""Facts about the figures of a comparison."""

import numpy as np
import pandas as pd
import pytest

from spinspectra.errors import OptionError
from spinspectra.plots.comparison import against_quality, along_series, shown_against, shown_along

NAMES = ["small", "a model $x$ whose name is far too long for a figure", "_large"]


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "model": NAMES,
            "status": ["success", "partial", "success"],
            "alpha": [5.0, 3.0, 2.5],
            "alpha_weighted": [1.0, 2.0, 3.0],
            "energy_per_spin": [-1.0, np.nan, -3.0],
            "null_energy": [-1.1, np.nan, -1.2],
            "null_sd": [0.01, np.nan, 0.02],
            "ratio": [0.9, np.nan, 2.5],
            "n_weights": [10.0, 10.0, 10.0],
            "accuracy": [0.2, 0.4, np.nan],
        }
    )


@pytest.fixture
def correlations():
    row = {"quality": "accuracy", "measure": "alpha", "kind": "kendall", "n": 20, "value": -0.5, "low": -0.75}
    return pd.DataFrame([{**row, "high": -0.25}, {**row, "measure": "alpha_weighted", "value": np.nan, "n": 2}])


def drawn(ax):
    """What lies on the axes, by label: values of each line of marks."""
    return {container.get_label(): container[0].get_ydata() for container in ax.containers}


def test_a_panel_a_measure_with_the_null_beside_it(table):
    axes = along_series(table, title="a series")
    axes[0].figure.draw_without_rendering()
    assert [ax.get_ylabel() for ax in axes] == ["α", "α-hat", "E_min / N", "W / W shuffled"]  # noqa: RUF001
    energies = drawn(axes[2])
    assert np.array_equal(energies["trained"], table["energy_per_spin"], equal_nan=True)
    assert np.array_equal(energies["shuffled"], table["null_energy"], equal_nan=True)
    bars = axes[2].containers[0].lines[2][0].get_segments()
    assert bars[0][:, 1] == pytest.approx([-1.12, -1.08])  # two standard deviations either way
    ticks = [text.get_text() for text in axes[-1].get_xticklabels()]
    assert ticks[0] == "small"
    assert len(ticks[1]) == 24
    assert not axes[-1].get_xticklabels()[1].get_parse_math()
    assert axes[0].get_title(loc="left") == "a series"


def test_critical_temperatures_have_their_errors(table):
    heat = pd.DataFrame({"T_c": [1, 2, 3.0], "T_c_err": 0.1, "T_c_shuffled": 1.0, "T_c_shuffled_err": np.nan})
    ax = along_series(pd.concat([table, heat], axis=1))[-1]
    ax.figure.draw_without_rendering()
    assert np.array_equal(drawn(ax)["trained"], [1, 2, 3])
    assert ax.containers[1].lines[2][0].get_segments()[0][:, 1] == pytest.approx([0.9, 1.1])


def test_many_models_share_their_ticks(table):
    many = table.loc[[0] * 100].reset_index(drop=True)
    assert len(along_series(many)[-1].get_xticks()) == 20


def test_a_scatter_a_measure_with_its_correlation(table, correlations):
    axes = against_quality(table, correlations, "accuracy", ["alpha", "alpha_weighted", "T_c", "n_weights", "ratio"])
    axes[0].figure.draw_without_rendering()
    assert [ax.get_xlabel() for ax in axes] == ["α", "α-hat"]  # noqa: RUF001  the others differ nowhere or are missing
    assert axes[0].get_title(loc="left") == "τ = −0.50 [−0.75, −0.25], n = 20"  # noqa: RUF001
    assert axes[1].get_title(loc="left") == "no correlation, n = 2"
    assert [axes[0].get_ylabel(), axes[1].get_ylabel()] == ["accuracy", ""]
    x, y = axes[0].lines[0].get_data()
    assert np.array_equal(x, table["alpha"])
    assert np.array_equal(y, table["accuracy"], equal_nan=True)
    assert [text.get_text() for text in axes[0].texts] == ["small", "a mode… figure"[:6] + "…" + "igure"]


def test_nothing_to_draw(table, correlations):
    assert shown_along(table[["model", "status"]]) == []
    assert shown_against(table, "accuracy", ["n_weights"]) == shown_against(table[:1], "accuracy", ["alpha"]) == []
    with pytest.raises(OptionError, match="no model has any"):
        along_series(table[["model", "status"]])
    with pytest.raises(OptionError, match="no column 'loss'"):
        against_quality(table, correlations, "loss", ["alpha"])
    with pytest.raises(OptionError, match="no two models"):
        against_quality(table, correlations, "accuracy", ["n_weights"])
