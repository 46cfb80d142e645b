"""What a page shows of a layer is what `analyze` finds, in at most a few hundred numbers."""

import numpy as np
import pytest

import spinspectra as ss
from spinspectra.report.collect import MOST_POINTS, collect
from spinspectra.report.layer_figures import density_of, figures_of, tail_line
from spinspectra.spectra.measure import Measures
from tests.report.pages import heavy, kernels, layers_of, opt

MEASURES = Measures(detx=True, randomize=True, mp_fit=True)
SOURCE = {"big.weight": kernels(4, 60, 50), "low.weight": np.pad(heavy(2, 40, 20), ((0, 0), (0, 10)))}


@pytest.fixture(scope="module")
def parts():
    return collect(ss.open_weights(SOURCE), MEASURES).layers


def test_rows_are_those_of_analyze():
    details = ss.analyze(opt(), detx=True, randomize=True, mp_fit=True)
    found = collect(ss.open_weights(opt()), MEASURES).layers
    for part, row in zip(found, details.to_dict("records"), strict=True):
        assert part.row.keys() == row.keys()
        for name, value in part.row.items():
            assert value == row[name] or (np.isnan(value) and np.isnan(row[name]))


def test_every_eigenvalue_is_in_a_bin_or_said_to_be_left_out(parts):
    for part, n, zeros in zip(parts, (800, 30), (0, 10), strict=True):
        assert part.histogram.counts.sum() + part.histogram.left_out == n
        assert part.histogram.left_out == zeros
        assert part.histogram.counts.size <= 100
        assert (density_of(part.histogram) * np.diff(part.histogram.edges)).sum() == pytest.approx(1.0)


def test_a_histogram_counts_what_numpy_counts(parts):
    values = ss.esd(list(SOURCE["big.weight"].reshape(60, 50, 16).transpose(2, 0, 1))).eigenvalues
    histogram = parts[0].histogram
    edges = histogram.edges
    assert histogram.counts[5] == np.count_nonzero((values >= edges[5]) & (values < edges[6]))
    assert (edges[0], edges[-1]) == pytest.approx((values[0], values[-1]))


def test_the_tail_is_thinned_evenly_and_ends_at_xmin(parts):
    part = parts[0]
    values = ss.esd(list(SOURCE["big.weight"].reshape(60, 50, 16).transpose(2, 0, 1))).eigenvalues
    assert 0 < part.tail.values.size <= MOST_POINTS < part.fit.n_tail
    assert part.tail.values[0] == pytest.approx(values[-1])
    assert part.tail.values[-1] == part.fit.xmin
    assert part.tail.share[-1] == 1.0
    for value, share in zip(part.tail.values[::20], part.tail.share[::20], strict=True):
        assert share * part.fit.n_tail == pytest.approx(np.count_nonzero(values >= value * (1.0 - 1e-9)))


def test_the_fitted_line_holds_the_tails_share_of_eigenvalues(parts):
    """Its integral from xmin to infinity is n_tail / n, and it starts at xmin."""
    part = parts[0]
    x, y = tail_line(part.fit, part.histogram.n)
    assert (x[0], x[1]) == (part.fit.xmin, part.fit.xmax)
    assert y[0] * part.fit.xmin / (part.fit.alpha - 1.0) == pytest.approx(part.fit.n_tail / part.histogram.n)
    assert np.log(y[0] / y[1]) / np.log(x[1] / x[0]) == pytest.approx(part.fit.alpha)


def test_the_noise_law_holds_all_that_is_no_spike(parts):
    part = parts[0]
    (bulk,) = [figure for figure in figures_of(part) if figure.title == "Noise bulk"]
    law = next(trace for trace in bulk.plain()["data"] if trace["name"].startswith("Marchenko-Pastur"))
    integral = np.trapezoid(law["y"], np.log(law["x"]))
    assert integral == pytest.approx(1.0 - part.bulk.n_spikes / 800, rel=0.02)


def test_both_spectra_are_counted_whole_in_the_same_bins(parts):
    for part, n, zeros in zip(parts, (800, 30), (0, 10), strict=True):
        assert part.twins.trained.counts.sum() == n - zeros
        assert np.array_equal(part.twins.trained.edges, part.twins.permuted.edges)
    assert parts[0].twins.permuted.counts.sum() == 800


def test_a_page_has_the_numbers_of_analyze(one):
    details = ss.analyze(opt(), detx=True, randomize=True, mp_fit=True)
    layers = layers_of(one)
    assert [layer["name"] for layer in layers] == details["longname"].tolist()
    for layer, row in zip(layers, details.to_dict("records"), strict=True):
        for name in ("alpha", "xmin", "D", "num_pl_spikes", "log_norm", "rand_distance", "num_spikes", "ERG_gap"):
            assert layer["row"][name] == row[name]


def test_figures_of_a_layer_are_small(one):
    for layer in layers_of(one):
        for figure in layer["figures"]:
            for trace in figure["data"]:
                assert len(trace["x"]) == len(trace["y"]) <= MOST_POINTS
