"""Facts about the figures of one layer: what lies where, on which scale, under which name."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

import spinspectra.plots as plots
from spinspectra.plots import style
from spinspectra.spectra import fit_power_law
from tests.plots.conftest import legend, lines, results_of

FIGURES = ["esd", "esd-linear", "esd-log-linear", "ks-xmin", "alpha-xmin", "detx", "randomized", "marchenko-pastur"]


def line_at(ax, start):
    (found,) = [x for label, x in lines(ax).items() if label.startswith(start)]
    return found


def test_every_figure_has_its_name_labels_and_readable_fonts(real):
    figures = dict(plots.layer_figures("encoder.layer.0.dense", real))
    assert list(figures) == FIGURES
    for ax in figures.values():
        assert ax.get_title(loc="left") == "encoder.layer.0.dense"
        assert "eigenvalue of $W^T W$" in ax.get_xlabel()
        assert ax.get_ylabel()
        ax.figure.draw_without_rendering()
        offsets = [ax.xaxis.get_offset_text(), ax.yaxis.get_offset_text()]
        texts = [*offsets, ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels(), *ax.get_legend().get_texts()]
        assert min(text.get_fontsize() for text in texts) >= 7.0
        assert ax.figure.get_figwidth() == 3.4


def test_nothing_is_drawn_outside_the_page_or_over_the_axis_label(real, spiked):
    for results in (real, spiked):
        for figure, ax in plots.layer_figures("encoder.layer.0.attention.output.dense", results):
            ax.figure.draw_without_rendering()
            page = ax.figure.bbox
            for artist in (ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, ax.get_legend()):
                box = artist.get_window_extent()
                assert min(box.x0, box.y0, page.x1 - box.x1, page.y1 - box.y1) >= -1.0, figure
            assert ax.get_legend().get_window_extent().y1 <= ax.xaxis.label.get_window_extent().y0 + 1, figure


def test_log_log_has_the_fitted_density_on_the_histogram(real):
    ax = plots.esd_log_log(real.spectrum, real.fit)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert line_at(ax, "xmin") == real.fit.xmin
    (law,) = [line for line in ax.lines if line.get_label().startswith("PL")]
    x, y = law.get_xdata(), law.get_ydata()
    assert (x[0], x[-1]) == pytest.approx((real.fit.xmin, real.fit.xmax))
    assert np.diff(np.log(y)) / np.diff(np.log(x)) == pytest.approx(-real.fit.alpha)
    whole = y[0] * real.fit.xmin / (real.fit.alpha - 1.0)  # integral of the power law to infinity
    assert whole == pytest.approx(real.fit.n_tail / real.spectrum.eigenvalues.size)


def test_log_log_histogram_integrates_to_one_and_holds_the_extremes(real):
    (stairs,) = plots.esd_log_log(real.spectrum).patches
    heights, edges, floor = stairs.get_data()
    values = real.spectrum.eigenvalues
    assert np.sum((heights * np.diff(edges))[heights > floor]) == pytest.approx(1.0)
    assert edges[0] <= values[0] <= values[-1] <= edges[-1]


def test_a_cutoff_bends_the_line(real):
    fit = fit_power_law(real.spectrum.eigenvalues, "TPL")
    (law,) = [line for line in plots.esd_log_log(real.spectrum, fit).lines if line.get_label().startswith("TPL")]
    x, y = law.get_xdata(), law.get_ydata()
    change = np.log(y[-1] / y[0])
    assert change == pytest.approx(-fit.alpha * np.log(x[-1] / x[0]) - fit.cutoff * (x[-1] - x[0]))


def test_linear_and_log_linear(real):
    ax = plots.esd_linear(real.spectrum, real.fit)
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")
    assert line_at(ax, "xmin") == real.fit.xmin
    ax = plots.esd_log_lin(real.spectrum, real.fit)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert (line_at(ax, "xmin"), line_at(ax, "xmax")) == (real.fit.xmin, real.fit.xmax)
    assert ax.patches[0].get_data().values.sum() == real.spectrum.eigenvalues.size


def test_scans_show_all_candidates_and_the_choice(real):
    ax = plots.ks_against_xmin(real.scan, real.fit)
    candidates = ax.lines[0]
    assert np.array_equal(candidates.get_ydata(), real.scan.ks_distance)
    best = candidates.get_xdata()[np.argmin(candidates.get_ydata())]
    assert line_at(ax, "xmin") == pytest.approx(best)
    ax = plots.alpha_against_xmin(real.scan, real.fit)
    assert np.array_equal(ax.lines[0].get_ydata(), real.scan.alpha)
    assert ax.get_ylim() == (1.0, 8.0)
    beyond = np.count_nonzero(real.scan.alpha > 8.0)
    assert f"{beyond} of {real.scan.xmin.size} candidates above α = 8: not drawn" in legend(ax)  # noqa: RUF001


def test_det_x_lines_are_red_and_purple_over_the_mean(real):
    ax = plots.det_x(real.spectrum, real.space, real.fit)
    assert line_at(ax, "power law") == pytest.approx(real.fit.xmin / real.spectrum.eigenvalues.mean())
    assert line_at(ax, "det X = 1") == real.space.lambda_min_rescaled
    colors = {line.get_label().split(":")[0]: line.get_color() for line in ax.lines}
    assert colors == {"power law": style.RED, "det X = 1": style.PURPLE}


def test_randomized_marks_the_largest_random_eigenvalue(real):
    ax = plots.esd_randomized(real.spectrum, real.randomized)
    assert line_at(ax, "max_rand_eval") == real.randomized.max_rand_eval
    assert [patch.get_data().values.sum() for patch in ax.patches] == pytest.approx([1.0, 1.0])
    trapped = replace(real.randomized, num_traps=2.0)
    assert "2 correlation traps" in legend(plots.esd_randomized(real.spectrum, trapped))


def test_marchenko_pastur_has_edges_curve_and_spikes(spiked):
    ax = plots.marchenko_pastur_bulk(spiked.spectrum, spiked.bulk)
    assert line_at(ax, "lower edge") == spiked.bulk.bulk_min
    assert line_at(ax, "upper edge") == spiked.bulk.bulk_max
    by_label = {line.get_label().split(",")[0]: line for line in ax.lines}
    assert by_label["1 spike"].get_xdata() == pytest.approx(spiked.spectrum.eigenvalues[-1:])
    law = by_label["Marchenko-Pastur"]
    assert np.trapezoid(law.get_ydata(), np.log(law.get_xdata())) == pytest.approx(0.99, abs=1e-3)


def test_marchenko_pastur_of_a_square_matrix():
    results = results_of(np.random.default_rng(2).standard_normal((120, 120)))
    ax = plots.marchenko_pastur_bulk(results.spectrum, results.bulk)
    (law,) = [line for line in ax.lines if line.get_label().startswith("Marchenko")]
    assert np.trapezoid(law.get_ydata(), np.log(law.get_xdata())) == pytest.approx(1.0, abs=3e-3)
    assert not [line for line in ax.lines if line.get_label().startswith("lower edge")]


def test_failed_fits_have_no_lines_and_say_so(zero):
    for figure, ax in plots.layer_figures("zero", zero):
        assert not lines(ax), figure
        ax.figure.draw_without_rendering()
        said = " ".join(legend(ax))
        assert any(word in said for word in ("no power law:", "no bulk fitted:", "traps not counted:")), figure


def test_a_failed_fit_over_a_good_spectrum(real):
    fit = fit_power_law(real.spectrum.eigenvalues[:5])
    ax = plots.esd_log_log(real.spectrum, fit)
    assert not ax.lines
    assert f"no power law: {fit.reason}" in legend(ax)


def test_zero_eigenvalues_are_counted_not_drawn():
    rng = np.random.default_rng(3)
    low_rank = results_of(rng.standard_normal((60, 30)) @ rng.standard_normal((30, 40)))
    assert "10 of 40 eigenvalues are zero to rounding: not drawn" in legend(plots.esd_log_log(low_rank.spectrum))


def test_the_axes_given_are_used_and_returned(real):
    ax = Figure().add_subplot()
    assert plots.esd_log_log(real.spectrum, real.fit, ax=ax) is ax


@pytest.mark.parametrize("name", ["$\\frac{$", "a\nb\x1b[31m", "\u5c64.\udc80", "_hidden", "$x$ $y", "a" * 5000, ""])
def test_hostile_names_are_plain_text(real, name):
    ax = plots.esd_linear(real.spectrum, real.fit, name=name)
    ax.figure.draw_without_rendering()
    title = ax._left_title
    assert not title.get_parse_math()
    assert not title.get_usetex()
    assert title.get_text().replace("\n", "").isprintable()
    assert title.get_text().count("\n") <= 2
    if name.startswith("$"):
        assert title.get_text() == name


def test_neither_pyplot_nor_windows_and_matplotlib_only_for_figures():
    code = """
import sys, spinspectra, spinspectra.spectra, spinspectra.plots
assert not [m for m in sys.modules if m.split(".")[0] == "matplotlib"], "imported before a figure"
import numpy as np
spectrum = spinspectra.esd(np.random.default_rng(0).standard_normal((30, 20)))
ax = spinspectra.plots.esd_log_log(spectrum)
import matplotlib
before = matplotlib.rcParams.copy()  # reading its backend would import pyplot
ax.figure.savefig("/dev/null", format="png")
assert before == matplotlib.rcParams.copy()
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
