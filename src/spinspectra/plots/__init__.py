"""Figures by matplotlib, one function a figure: each takes results and an optional Axes and returns the Axes."""

from spinspectra.plots.bulk import marchenko_pastur_bulk
from spinspectra.plots.density import density_of_states, specific_heat
from spinspectra.plots.esd import esd_linear, esd_log_lin, esd_log_log, esd_randomized
from spinspectra.plots.overview import alpha_against_gap, alpha_along_depth, esd_ridge
from spinspectra.plots.save import layer_figures, save_figures, save_layer_figures, save_png
from spinspectra.plots.scan import alpha_against_xmin, det_x, ks_against_xmin
from spinspectra.spectra.measure import LayerResults

__all__ = [
    "LayerResults",
    "alpha_against_gap",
    "alpha_against_xmin",
    "alpha_along_depth",
    "density_of_states",
    "det_x",
    "esd_linear",
    "esd_log_lin",
    "esd_log_log",
    "esd_randomized",
    "esd_ridge",
    "ks_against_xmin",
    "layer_figures",
    "marchenko_pastur_bulk",
    "save_figures",
    "save_layer_figures",
    "save_png",
    "specific_heat",
]
