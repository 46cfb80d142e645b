"""Figures of widths: what is drawn is what the tables say, and fraction 0 can be seen."""

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from spinspectra.errors import OptionError
from spinspectra.plots.save import save_png
from spinspectra.plots.widths import fraction_figure, temperature_by_fraction, width_by_depth, width_by_fraction
from tests.plots.conftest import legend

FRACTIONS = [0.0, 0.01, 0.1, 0.5, 1.0]


@pytest.fixture
def depths():
    return pd.DataFrame(
        {
            "n_blocks": [1, 2, 6],
            "width_over_largest": [0.2, 0.4, 1.0],
            "width_shuffled_over_largest": [0.15, 0.3, 0.6],
            "width_shuffled_over_largest_err": [0.01, 0.02, np.nan],
            "delta_over_largest": [0.05, 0.1, 0.4],
            "delta_over_largest_err": [0.01, 0.02, np.nan],
        }
    )


@pytest.fixture
def fractions():
    return pd.DataFrame(
        {
            "fraction": FRACTIONS,
            "width_per_spin": [5.0, 4.9, 4.5, 3.0, 2.0],
            "width_per_spin_err": [np.nan, 0.05, 0.1, 0.2, 0.1],
            "width_over_trained": [1.0, 0.98, 0.9, 0.6, 0.4],
            "width_over_trained_err": [np.nan, 0.01, 0.02, 0.04, 0.02],
        }
    )


def drawn(container):
    """Positions, values and half heights of the bars of one line."""
    line, _, bars = container.lines
    heights = [(segment[1, 1] - segment[0, 1]) / 2.0 for bar in bars for segment in bar.get_segments() if len(segment)]
    return line.get_xdata(), line.get_ydata(), heights


def test_delta_and_both_widths_against_depth(depths):
    ax = width_by_depth(depths, title="net")
    for container, name in zip(ax.containers, ("delta", "width", "width_shuffled"), strict=True):
        x, y, bars = drawn(container)
        assert list(x) == [1, 2, 6]
        assert list(y) == depths[f"{name}_over_largest"].tolist()
        errors = depths.get(f"{name}_over_largest_err", pd.Series(dtype=float)).fillna(0.0)
        assert bars == pytest.approx(errors.tolist(), abs=1e-12)
    assert ax.get_ylim()[0] == 0.0
    assert any("W trained" in text for text in legend(ax))


def test_a_negative_delta_is_on_the_axes(depths):
    depths["delta_over_largest"] = [-0.1, 0.0, 0.1]
    assert width_by_depth(depths).get_ylim()[0] < -0.1


def test_the_width_against_the_fraction_with_0_on_the_axis(fractions):
    ax = width_by_fraction(fractions)
    x, y, bars = drawn(ax.containers[0])
    assert list(x) == FRACTIONS
    assert list(y) == fractions["width_over_trained"].tolist()
    assert bars == pytest.approx([0.0, 0.01, 0.02, 0.04, 0.02])
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert [list(line.get_ydata()) for line in dashed] == [[0.4, 0.4]]
    places = ax.transData.transform([(f, 0.5) for f in FRACTIONS])[:, 0]
    left, right = ax.transAxes.transform([(0.0, 0.0), (1.0, 0.0)])[:, 0]
    assert np.all(np.diff(places) > 0.05 * (right - left))  # each apart from the next, 0 from 0.01
    assert left < places[0]
    assert places[-1] < right
    ax.figure.draw_without_rendering()
    assert [text.get_text() for text in ax.get_xticklabels()][:2] == ["0", "0.01"]


def test_without_fraction_0_the_width_is_per_spin(fractions):
    fractions[["width_over_trained", "width_over_trained_err"]] = np.nan
    ax = width_by_fraction(fractions[1:])
    assert list(drawn(ax.containers[0])[1]) == [4.9, 4.5, 3.0, 2.0]
    assert "W / N" in ax.get_ylabel()


def test_only_fraction_0_can_be_drawn(fractions, tmp_path):
    save_png(width_by_fraction(fractions[:1]), tmp_path / "one.png")


def test_the_temperature_beside_the_width(fractions, tmp_path):
    assert len(fraction_figure(fractions).get_figure().axes) == 1
    fractions["T_c"], fractions["T_c_err"] = [3.7, 3.5, np.nan, 2.0, 1.0], [0.1, 0.1, np.nan, 0.2, 0.1]
    ax = fraction_figure(fractions, title="net")
    left, right = ax.get_figure().axes
    assert left is ax
    np.testing.assert_array_equal(drawn(right.containers[0])[1], fractions["T_c"])
    pixels = matplotlib.image.imread(save_png(ax, tmp_path / "both.png"))
    single = matplotlib.image.imread(save_png(width_by_fraction(fractions), tmp_path / "one.png"))
    assert pixels.shape[1] == pytest.approx(2 * single.shape[1], rel=0.01)


@pytest.mark.parametrize("draw", [width_by_depth, width_by_fraction, temperature_by_fraction])
def test_a_table_of_something_else_is_refused(draw, fractions):
    with pytest.raises(OptionError, match="the table has no column"):
        draw(pd.DataFrame({"x": [1]}))
    with pytest.raises(OptionError, match="the table has no"):
        draw(fractions[:0])
