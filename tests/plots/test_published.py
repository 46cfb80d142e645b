"""What the figures of the published data show, read from their lines."""

import math

import numpy as np
import pandas as pd
import pytest

from spinspectra.errors import OptionError
from spinspectra.plots.published import (
    block_deltas,
    block_widths,
    critical_temperatures,
    energy_ranges,
    errors_against_widths,
    fraction_widths,
    published_density,
    task_errors,
    with_widths,
)
from spinspectra.studies.published import (
    Published,
    block_table,
    fraction_table,
    mirrored,
    read_published,
    task_table,
)
from tests import paper
from tests.plots.conftest import legend


@pytest.fixture(scope="module")
def published() -> Published:
    return read_published(paper.published())


@pytest.fixture
def networks() -> pd.DataFrame:
    columns = {"network": ["a", "b"], "ratio": [1.2, 0.8], "symmetric_ratio": [2.0, 0.9], "side": ["low", "high"]}
    peaks = {"T_c_trained": [0.1, 0.2], "T_c_shuffled": [0.3, 0.4]}
    return pd.DataFrame(columns | peaks | {"T_c_mirrored_trained": [0.5, 0.6], "T_c_mirrored_shuffled": [0.7, 0.8]})


def points(ax, label):
    """x and y of the line with that label."""
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def dashed(ax):
    """x and y of the lines without a label that are dashed."""
    lines = [line for line in ax.lines if line.get_linestyle() == "--" and line.get_label().startswith("_")]
    return [(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)) for line in lines]


def test_densities_are_drawn_as_in_the_files_and_mirrored(published):
    """Both columns of the file, energies over N; the mirrored curve at -E."""
    twins = published.densities["opt-1.3b"]
    ax = published_density({"trained": twins.trained, "shuffled": twins.shuffled}, title="opt-1.3b")
    for name, twin in (("trained", ""), ("shuffled", "_shuffled")):
        energies, column = np.loadtxt(paper.path(f"opt-1.3b{twin}")).T
        x, y = points(ax, name)
        assert x == pytest.approx(energies / 346_112)
        assert y == pytest.approx(column)
        assert np.array_equal(points(ax, f"{name}, mirrored")[0], -x)
        assert np.array_equal(points(ax, f"{name}, mirrored")[1], y)
    assert ax.get_title(loc="left") == "opt-1.3b"


def test_our_density_is_drawn_over_the_published_one(published):
    trained = published.densities["opt-1.3b"].trained
    ours = mirrored(trained)
    ax = published_density({"trained": trained}, {"trained": ours})
    x, y = points(ax, "trained, ours")
    assert x == pytest.approx(ours.energies / 346_112)
    assert y == pytest.approx(ours.ln_g / (346_112 * math.log(10.0)))


def test_width_ratios_stand_in_a_row_a_network(networks):
    ax = energy_ranges(networks)
    (published, by_symmetry) = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert published.get_xdata().tolist() == [1.2, 0.8]
    assert by_symmetry.get_xdata().tolist() == [2.0, 0.9]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top


def test_critical_temperatures_stand_in_a_row_a_network(networks):
    ax = critical_temperatures(networks)
    assert points(ax, "trained, as published")[0].tolist() == [0.1, 0.2]
    assert points(ax, "shuffled, as published")[0].tolist() == [0.3, 0.4]
    assert points(ax, "trained, longer half mirrored")[0].tolist() == [0.5, 0.6]
    assert points(ax, "shuffled, longer half mirrored")[0].tolist() == [0.7, 0.8]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a (L)", "b (H)"]


def test_blocks_show_what_the_published_figure_shows(published):
    """gpt2, read off that figure; and thin, in the same unit, 2 x 337039.55 of dos/ at the end."""
    ax = block_widths(block_table(published))
    x, y = points(ax, "gpt2")
    assert x == pytest.approx(np.array([1, 2, 4, 6, 12]) / 12)
    assert y == pytest.approx([0.29, 0.48, 0.76, 1.0, 0.97], abs=0.02)
    thin = dashed(ax)
    assert len(thin) == 4
    assert thin[1][1][-1] == pytest.approx(2 * 337039.55 / (277038.10 + 191857.62), rel=1e-6)


def test_deltas_leave_out_what_is_of_other_bins(published):
    table = block_table(published)
    ax = block_deltas(table)
    x, y = points(ax, "gpt2")
    assert x == pytest.approx(np.array([1, 2, 4, 12]) / 12)
    delta = table.loc[table["model"] == "gpt2", "delta"].to_numpy()
    assert y == pytest.approx(delta[[0, 1, 2, 4]] / delta[4])
    assert "gpt2, 6 blocks: bins differ, not drawn" in legend(ax)


def test_widths_against_fractions(published):
    """Models with no fraction but 0 and 1 are left out."""
    ax = fraction_widths(fraction_table(published))
    x, y = points(ax, "gpt2")
    assert x.tolist() == [0.0, 0.05, 0.1, 0.2, 0.5, 1.0]
    energies = np.loadtxt(paper.published() / "fraction" / "gpt2" / "fraction0.1.dat")[:, 0]
    assert y[2] == pytest.approx(np.ptp(energies) / 65_280)
    assert dashed(ax)[1][1][2] == pytest.approx(2 * np.abs(energies).max() / 65_280)
    assert "vit-base" not in legend(ax)


def test_task_errors_have_no_zeros_on_logarithmic_axes(published):
    ax = task_errors(task_table(published, fraction_table(published)))
    x, y = points(ax, "vit-base, imagenet")
    assert x.tolist() == [0.01, 0.05, 0.1, 0.2, 0.5, 1.0]
    assert y[-1] == pytest.approx(100 * (79.44 - 0.08) / 79.44)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_errors_against_widths_of_the_same_fraction(published):
    tasks = task_table(published, fraction_table(published))
    x, y = points(errors_against_widths(tasks), "gpt2, lambada")
    rows = tasks[(tasks["model"] == "gpt2") & (tasks["task"] == "lambada")].dropna(subset=["width"])
    assert x == pytest.approx((rows["width"] / rows["width"].iloc[0]).to_numpy()[1:])
    assert y == pytest.approx(rows["error"].to_numpy()[1:])


def test_errors_against_widths_need_a_curve():
    """Width known at 0 alone, at one other fraction alone, at two but not at 0, at two; the last is drawn."""
    nan = np.nan
    widths = {"a": [3, nan, nan], "b": [3, 2, nan], "c": [nan, 2, 1], "d": [3, 2, 1]}
    rows = [
        {"model": model, "task": "t", "fraction": f, "error": 10 * f, "width": width, "symmetric_width": width}
        for model, column in widths.items()
        for f, width in zip((0.0, 0.5, 1.0), column, strict=True)
    ]
    tasks = pd.DataFrame(rows)
    assert with_widths(tasks)[["model", "fraction"]].to_numpy().tolist() == [["d", 0.5], ["d", 1.0]]
    ax = errors_against_widths(tasks)
    assert points(ax, "d, t")[1].tolist() == [5.0, 10.0]
    assert legend(ax)[0] == "d, t"
    with pytest.raises(OptionError, match="nothing to draw"):
        errors_against_widths(tasks[tasks["model"] != "d"])


def test_ours_stand_beside_in_the_same_units(published):
    """A study that found exactly the published widths lies on the published curves."""
    blocks, fractions = block_table(published), fraction_table(published)
    tasks = task_table(published, fractions)
    rows = blocks[(blocks["model"] == "opt-125m")]
    same = pd.DataFrame({"n_blocks": rows["blocks"], "width": rows["width_trained"], "delta": rows["delta"]})
    part = fractions[fractions["model"] == "gpt2"].rename(columns={"width": "width_per_spin"})
    task = tasks[tasks["task"] == "imagenet"].rename(columns={"error": "task_error"}).assign(metric="top1")
    for ax, theirs, mine in (
        (block_widths(blocks, {"opt-125m": same}), "opt-125m", "opt-125m, ours"),
        (block_deltas(blocks, {"opt-125m": same}), "opt-125m", "opt-125m, ours"),
        (fraction_widths(fractions, {"gpt2": part}), "gpt2", "gpt2, ours"),
        (task_errors(tasks, {"vit-base": task}), "vit-base, imagenet", "vit-base, top1, ours"),
    ):
        assert np.stack(points(ax, mine)) == pytest.approx(np.stack(points(ax, theirs)))


def test_figures_of_nothing_are_refused():
    nothing = pd.DataFrame({"network": [], "model": [], "same_bins": []})
    tables = (energy_ranges, critical_temperatures, block_widths, block_deltas, fraction_widths, task_errors)
    for figure in (*tables, errors_against_widths):
        with pytest.raises(OptionError, match="nothing to draw"):
            figure(nothing)
    with pytest.raises(OptionError, match="nothing to draw: give at least one density"):
        published_density({})
