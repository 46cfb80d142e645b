"""Facts about the figures of densities of states and specific heats."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from spinspectra.errors import OptionError
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.plots.density import density_of_states, specific_heat
from tests.paper import read
from tests.plots.conftest import legend

BAND = "band: one standard error either way"
WIDE = np.geomspace(0.5, 6.0, 12)  # temperatures over more than a decade
FIGURES = [density_of_states, specific_heat]


def lattice(stderr=0.5):
    """The 8 x 8 lattice: 2 states at E = -128, none at -124, 128 at -120, 256 at -116."""
    scaled, ln_g_per_spin = np.loadtxt(Path(__file__).parents[1] / "data" / "ising8x8.dat").T
    errors = np.broadcast_to(stderr, scaled.shape).astype(np.float64)
    counts = np.zeros(scaled.size, np.int64)
    return DensityOfStates(256.0 * scaled - 128.0, 64 * ln_g_per_spin, errors, counts, 64, 4.0, {})


def heat(temperatures=(4.0, 1.5, 2.5, 2.0, 3.0), stderr=0.5, **options):
    return thermodynamics(lattice(stderr), temperatures, **options)


def drawn(figure, **options):
    """One of the figures, of the lattice under each name, its options given by name."""
    return figure({name: (lattice if figure is density_of_states else heat)(**of) for name, of in options.items()})


def curve(ax, label):
    (found,) = [line for line in ax.lines if line.get_label().replace("\n", " ") == label]
    return found


def verticals(ax):
    """Where dotted lines cross the axes, and their colours, in order of the curves."""
    found = [line for line in ax.lines if line.get_xdata()[0] == line.get_xdata()[-1] and len(line.get_xdata()) == 2]
    return [line.get_xdata()[0] for line in found], [line.get_color() for line in found]


def band(ax):
    """Corners of the bands, (corners, 2)."""
    paths = [path for drawn in ax.collections if isinstance(drawn, PolyCollection) for path in drawn.get_paths()]
    return np.concatenate([np.empty((0, 2)), *(path.vertices for path in paths)])


def edges(ax, x):
    """Lower and upper edge of the band at x."""
    there = band(ax)[np.isclose(band(ax)[:, 0], x), 1]
    return there.min(), there.max()


def test_density_is_ln_g_per_spin_with_a_band_of_one_error():
    ax = density_of_states({"8 x 8": lattice(stderr=0.5)}, title="a lattice")
    x, y = curve(ax, "8 x 8").get_data()
    assert y[x == -120.0 / 64] == pytest.approx(np.log(128.0) / 64)
    assert y[x == 116.0 / 64] == pytest.approx(np.log(256.0) / 64)
    assert edges(ax, -116.0 / 64) == pytest.approx(((np.log(256.0) - 0.5) / 64, (np.log(256.0) + 0.5) / 64))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("E / N, unit of the weights", "ln g / N")
    assert ax.get_title(loc="left") == "a lattice"
    assert ax.get_ylim()[0] == 0.0
    assert legend(ax) == ["8 x 8", BAND]


def test_missing_bins_are_gaps_and_a_bin_alone_is_a_dot_with_its_error():
    ax = density_of_states({"8 x 8": lattice()})
    x, y = curve(ax, "8 x 8").get_data()
    places = np.flatnonzero(np.isnan(y))
    assert [(x[at - 1], x[at + 1]) for at in places] == [(-2.0, -1.875), (1.875, 2.0)]
    (dots,) = ax.containers
    assert dots.lines[0].get_xdata().tolist() == [-2.0, 2.0]
    assert dots.lines[0].get_ydata() == pytest.approx([np.log(2.0) / 64] * 2)
    (bars,) = dots.lines[2]
    assert bars.get_segments()[0][:, 1] == pytest.approx([(np.log(2.0) - 0.5) / 64, (np.log(2.0) + 0.5) / 64])


@pytest.mark.parametrize("figure", FIGURES)
def test_bands_only_where_errors_are_known(figure):
    unknown = np.full(63, np.nan)
    assert legend(drawn(figure, a={"stderr": unknown}))[-1] == "standard errors unknown"
    assert not band(drawn(figure, a={"stderr": unknown})).size
    assert legend(drawn(figure, a={}, b={"stderr": unknown}))[-1] == f"{BAND}, where known"
    assert legend(drawn(figure, a={}, b={}))[-1] == BAND
    partly = np.where(lattice().energies < -20.0, np.nan, 0.5)
    ax = density_of_states({"a": lattice(partly)})
    assert band(ax)[:, 0].min() == -20.0 / 64


def test_specific_heat_is_per_spin_in_order_of_temperature():
    table = heat()
    ax = specific_heat({"8 x 8": table}, title="a lattice")
    (line,) = [line for line in ax.lines if line.get_label().startswith("8 x 8, T_c = ")]
    t, c = line.get_data()
    assert t.tolist() == [1.5, 2.0, 2.5, 3.0, 4.0]
    assert c[2] == pytest.approx(table.C.sel(T=2.5).item() / 64)
    low, high = edges(ax, 2.5)
    assert (high - low) / 2 == pytest.approx(table.C_err.sel(T=2.5).item() / 64)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("T, unit of the weights", "C / N")
    assert ax.get_xscale() == "linear"


def test_peaks_are_dotted_lines_told_to_two_digits_of_their_error():
    tables = {"a": heat(), "b": heat(stderr=0.0), "c": heat([3.0, 4.0])}  # the last has no peak inside
    t_c, error = (tables["a"].attrs[name] for name in ("T_c", "T_c_err"))
    assert 0.01 < error < 0.1
    ax = specific_heat(tables)
    assert legend(ax)[:3] == [f"a, T_c = {t_c:.3f} ± {error:.3f}", f"b, T_c = {t_c:.4g}", "c"]
    positions, colors = verticals(ax)
    assert positions == [t_c, tables["b"].attrs["T_c"]]
    assert colors == [line.get_color() for line in ax.lines if line.get_label()[:2] in ("a,", "b,")]
    assert "dotted: T_c, where C is largest" in legend(ax)
    assert "dotted: T_c, where C is largest" not in legend(specific_heat({"c": tables["c"]}))


def test_where_bins_are_wider_than_the_spread_of_energies_is_told():
    """The lattice's bins are 4 apart; at T = 1.5 energies spread over 4.9, at T = 1 over 1.3."""
    assert not [text for text in legend(specific_heat({"a": heat([1.5, 3.0])})) if "not resolved" in text]
    note = "C is not resolved up to T = 1.4"
    assert note in legend(specific_heat({"a": heat(WIDE), "b": heat([1.5, 3.0])}))


def test_temperature_is_logarithmic_over_more_than_a_decade_with_plain_numbers():
    ax = specific_heat({"8 x 8": heat(WIDE)})
    assert ax.get_xscale() == "log"
    ax.figure.draw_without_rendering()
    shown = [text.get_text() for text in ax.get_xticklabels() if 0.5 <= text.get_position()[0] <= 6.0]
    assert shown == ["0.5", "1", "2", "5"]
    boxes = sorted((text.get_window_extent() for text in ax.get_xticklabels(which="both")), key=lambda box: box.x0)
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


def test_the_papers_networks_and_their_shuffled_twins_fit_on_the_page():
    names = ["opt-125m", "opt-125m_shuffled", "gpt2", "gpt2_shuffled"]
    densities = {name: read(name) for name in names}
    t = np.geomspace(0.001, 1.0, 50)
    widths = {name: read(name.removesuffix("_shuffled")).width for name in names}
    heats = {name: thermodynamics(read(name), t, convention="paper", width=widths[name]) for name in names}
    curves = density_of_states(densities)
    for line in curves.lines:  # of the natural logarithm, though the files hold the other
        assert np.nanmax(line.get_ydata()) == pytest.approx(np.log(2.0), abs=0.005)
    for ax in (curves, specific_heat(heats), specific_heat({"a" * 50: heat(), "b" * 50: heat(WIDE)})):
        ax.figure.draw_without_rendering()
        page, box = ax.figure.bbox, ax.get_legend().get_window_extent()
        assert min(box.x0, box.y0, page.x1 - box.x1) >= -1.0
        assert box.y1 <= ax.xaxis.label.get_window_extent().y0 + 1
        styles = [(line.get_color(), line.get_linestyle()) for line in ax.lines if len(line.get_xdata()) > 4]
        assert len(set(styles)) == len(styles)
        assert min(text.get_fontsize() for text in ax.get_legend().get_texts()) >= 7.0


def test_the_papers_specific_heat_has_its_own_axes():
    ax = specific_heat({"8 x 8": heat([0.05, 0.1, 0.5], convention="paper")})
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("T of E / width", "C")
    (line,) = [line for line in ax.lines if line.get_label().startswith("8 x 8")]
    assert line.get_ydata()[0] == pytest.approx(heat([0.05], convention="paper").C.item(), rel=1e-12)


def test_two_conventions_in_one_figure_are_refused():
    tables = {"a": heat(), "b": heat([0.1, 0.5], convention="paper")}
    with pytest.raises(OptionError, match="two conventions do not fit one figure"):
        specific_heat(tables)


def test_nothing_to_draw_is_an_error():
    with pytest.raises(OptionError, match="nothing to draw: give at least one density of states"):
        density_of_states({})
    with pytest.raises(OptionError, match="nothing to draw: give at least one table of thermodynamics"):
        specific_heat({})


def test_one_temperature_and_one_bin_are_dots():
    ax = specific_heat({"8 x 8": heat([2.0])})
    assert ax.containers[0].lines[0].get_data() == ([2.0], pytest.approx([heat([2.0]).C.item() / 64]))
    single = DensityOfStates(np.zeros(1), np.full(1, np.log(2.0)), np.zeros(1), np.zeros(1, np.int64), 1, 1.0, {})
    ax = density_of_states({"a spin": single})
    assert ax.containers[0].lines[0].get_data() == ([0.0], pytest.approx([np.log(2.0)]))
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("figure", FIGURES)
def test_the_axes_given_are_used_and_returned(figure):
    ax = Figure().add_subplot()
    assert figure({"a": lattice() if figure is density_of_states else heat()}, ax=ax) is ax


@pytest.mark.parametrize("name", ["$\\frac{$", "a\nb\x1b[31m", "\u5c64.\udc80", "_hidden", "$x$ $y", "a" * 5000, ""])
@pytest.mark.parametrize("figure", FIGURES)
def test_hostile_names_are_plain_text(figure, name):
    ax = figure({name: lattice() if figure is density_of_states else heat()}, title=name)
    ax.figure.draw_without_rendering()
    text = ax.get_legend().get_texts()[0]
    assert not text.get_parse_math()
    assert not text.get_usetex()
    shown = legend(ax)[0]
    assert shown.isprintable()
    assert len(shown) < 70
    if name.startswith(("$", "_")):
        assert shown.strip().startswith(name)


def test_neither_pyplot_nor_windows_and_matplotlib_only_for_figures():
    code = """
import sys, numpy as np
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.thermodynamics import thermodynamics
from spinspectra.plots.density import density_of_states, specific_heat
two = DensityOfStates(np.array([-1.0, 1.0]), np.zeros(2), np.full(2, 0.1), np.zeros(2, np.int64), 1, 2.0, {})
heat = thermodynamics(two, np.geomspace(0.1, 10.0, 20))
assert not [m for m in sys.modules if m.split(".")[0] == "matplotlib"], "imported before a figure"
axes = [density_of_states({"spin": two}), specific_heat({"spin": heat})]
import matplotlib
before = matplotlib.rcParams.copy()  # reading its backend would import pyplot
for ax in axes:
    ax.figure.savefig("/dev/null", format="png")
assert before == matplotlib.rcParams.copy()
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
