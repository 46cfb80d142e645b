"""The figure of a study of accuracy."""

import numpy as np
import pandas as pd
import pytest

from spinspectra.errors import OptionError
from spinspectra.plots.accuracy import accuracy
from spinspectra.plots.save import save_png


def summary(metrics=("perplexity",), errors=(0.0, 3.0, 4000.0), width_err=(np.nan, 0.1, 0.2)):
    """Fractions 0, 0.01 and 1 of each metric."""
    rows = []
    for metric in metrics:
        for at, fraction in enumerate((0.0, 0.01, 1.0)):
            row = {"fraction": fraction, "metric": metric, "task_error": errors[at], "task_error_err": 0.1 * errors[at]}
            rows.append(row | {"width_per_spin": 3.0 - at, "width_per_spin_err": width_err[at]})
    return pd.DataFrame(rows)


def drawn(ax):
    return {container.get_label(): container.lines[0].get_xydata().tolist() for container in ax.containers}


def test_errors_above_and_widths_below_on_one_axis_of_fractions():
    above, below = accuracy(summary(("top1", "loss")), title="a model")
    assert drawn(above) == {name: [[0.0, 0.0], [0.01, 3.0], [1.0, 4000.0]] for name in ("top1", "loss")}
    assert list(drawn(below).values()) == [[[0.0, 3.0], [0.01, 2.0], [1.0, 1.0]]]
    assert above.get_shared_x_axes().joined(above, below)
    assert above.get_title(loc="left") == "a model"
    assert (above.get_ylabel(), below.get_ylabel()) == ("task error, %", "W / N, unit of the weights")
    assert below.get_xlabel() == "fraction shuffled"


def test_fraction_zero_has_a_place_of_its_own():
    above, _ = accuracy(summary())
    places = above.transData.transform([(fraction, 1.0) for fraction in (0.0, 0.01, 1.0)])[:, 0]
    left, right = (above.transAxes.transform((side, 0.0))[0] for side in (0.0, 1.0))
    assert left < places[0] < places[1] < places[2] < right
    assert places[1] - places[0] > 0.05 * (right - left)


def test_bars_are_one_standard_error():
    _, below = accuracy(summary())
    (bars,) = (container for container in below.containers)
    segments = bars.lines[2][0].get_segments()
    assert np.ptp(segments[1][:, 1]) == pytest.approx(0.2)
    assert np.ptp(segments[0][:, 1]) == 0.0


@pytest.mark.parametrize(("errors", "scale"), [((0.0, 3.0, 4000.0), "symlog"), ((0.0, 30.0, 90.0), "linear")])
def test_errors_over_decades_are_logarithmic(errors, scale):
    above, _ = accuracy(summary(errors=errors))
    assert above.get_yscale() == scale


def test_infinite_and_unknown_errors_leave_gaps(tmp_path):
    path = save_png(accuracy(summary(errors=(0.0, np.inf, np.nan), width_err=(np.nan,) * 3))[0], tmp_path / "a.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_study_of_fraction_zero_alone(tmp_path):
    path = save_png(accuracy(summary().iloc[:1])[0], tmp_path / "a.png")
    assert path.stat().st_size > 1000


def test_one_shuffle_has_no_bars_and_says_so():
    _, below = accuracy(summary(width_err=(np.nan,) * 3))
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["one shuffle a fraction: errors unknown"]


def test_nothing_to_draw():
    with pytest.raises(OptionError, match="nothing to draw"):
        accuracy(summary().iloc[:0])
