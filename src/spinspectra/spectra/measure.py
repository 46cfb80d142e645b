"""One layer measured: its spectrum and all that is asked for beside it, as the table and the figures both show it."""

from collections.abc import Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from spinspectra.layers import Layer
from spinspectra.spectra.effective_space import EffectiveSpace, effective_space
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from spinspectra.spectra.powerlaw import Kind, PowerLawFit, XminScan, fit_power_law
from spinspectra.spectra.randomize import Randomized, randomize


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured of each layer beside its spectrum and its tail; see `analyze` for the options."""

    fit: Kind
    randomize: bool
    mp_fit: bool
    detx: bool
    seed: int


@dataclass(frozen=True, slots=True)
class LayerResults:
    """What was found of one layer, or of one slice of it; None for what was not asked for."""

    spectrum: Spectrum
    fit: PowerLawFit | None = None
    scan: XminScan | None = None
    space: EffectiveSpace | None = None
    bulk: MarchenkoPasturFit | None = None
    randomized: Randomized | None = None


def measure(
    measures: Measures, layer: Layer, matrices: Sequence[NDArray[np.floating]], slice_id: int = 0
) -> LayerResults:
    """Measure the matrices of a layer, or one slice; the seed is a child for this layer and slice.

    Raises what `esd` raises: NonFiniteError, SpectrumError.
    """
    precision = float(ml_dtypes.finfo(layer.dtype).eps)
    spectrum = esd(list(matrices), precision=precision)
    seed = np.random.SeedSequence(measures.seed, spawn_key=(layer.index, slice_id))
    return LayerResults(
        spectrum,
        fit=fit_power_law(spectrum.eigenvalues, measures.fit, floor=relative_floor(spectrum)),
        space=effective_space(spectrum.eigenvalues, spectrum.floor) if measures.detx else None,
        bulk=fit_marchenko_pastur(spectrum) if measures.mp_fit else None,
        randomized=randomize(list(matrices), seed, spectrum=spectrum) if measures.randomize else None,
    )


def relative_floor(spectrum: Spectrum) -> float:
    """The spectrum's floor as a fraction of its largest eigenvalue, as the tail fits take it; 0 for a zero matrix."""
    largest = float(spectrum.eigenvalues[-1])
    return spectrum.floor / largest if largest > 0.0 else 0.0
