"""Facts about the figures of a whole network."""

import numpy as np
import pytest

import spinspectra.plots as plots
from spinspectra.errors import OptionError
from tests.plots.conftest import legend


def points(ax):
    return {
        line.get_label(): [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
        for line in ax.lines
    }


def test_alpha_along_depth_groups_roles_and_marks_what_has_no_place(details):
    ax = plots.alpha_along_depth(details, title="a model")
    found = points(ax)
    assert found["attn"] == [(0, 2.0)]
    assert found["mlp"] == [(1, 4.5), (3, 3.0)]
    assert found["no power law"] == [(2, 0.03)]
    assert [x for x, _ in found["α > 15"]] == [4]  # noqa: RUF001
    assert found["head"] == []
    assert ax.get_title(loc="left") == "a model"
    assert ax.get_xlabel() == "layer, in order of depth"


def test_the_funnel_has_its_ideal_and_counts_what_is_missing(details):
    ax = plots.alpha_against_gap(details)
    found = points(ax)
    assert found["mlp"] == [(12.0, 4.5), (-3.0, 3.0)]
    assert found["ideal: α = 2, gap 0"] == [(0.0, 2.0)]  # noqa: RUF001
    assert "1 of 5 layers without a fit: not drawn" in legend(ax)
    with pytest.raises(OptionError, match="detx=True"):
        plots.alpha_against_gap(details.drop(columns="ERG_gap"))


def test_many_roles_share_grey(details):
    many = details.loc[[0] * 30].reset_index(drop=True)
    many["longname"] = [f"part{i}" for i in range(30)]
    assert "other layers" in legend(plots.alpha_along_depth(many))


def test_all_layers_failed(details):
    bad = details.loc[[2]].reset_index(drop=True)
    plots.alpha_along_depth(bad).figure.draw_without_rendering()
    plots.alpha_against_gap(bad).figure.draw_without_rendering()


def test_ridge_has_a_row_a_layer_the_first_on_top(real, spiked, zero):
    spectra = [real.spectrum, spiked.spectrum, zero.spectrum]
    ax = plots.esd_ridge(spectra, ["h.0.$x$", "h.1.y.weight", "zero"])
    ax.figure.draw_without_rendering()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0.$x$", "1.y", "zero"]
    assert not ax.get_yticklabels()[0].get_parse_math()
    assert list(ax.get_yticks()) == [0, 1, 2]
    low, high = ax.get_ylim()
    assert low > high
    assert ax.get_xscale() == "log"
    assert ax.get_xlim()[1] >= max(spectrum.eigenvalues[-1] for spectrum in spectra)
    assert "1 of 3 layers have no eigenvalue above rounding" in legend(ax)


def test_ridge_of_many_layers_names_some(spiked):
    ax = plots.esd_ridge([spiked.spectrum] * 150)
    assert np.array_equal(ax.get_yticks(), np.arange(0, 150, 3))
    with pytest.raises(OptionError, match="one for each"):
        plots.esd_ridge([spiked.spectrum], ["a", "b"])
    with pytest.raises(OptionError, match="at least one"):
        plots.esd_ridge([])
