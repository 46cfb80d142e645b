"""The network as a set of spectra: eigenvalues of each layer, their tail, their bulk, what they say together."""

from spinspectra.spectra.analyze import analyze, summarize
from spinspectra.spectra.distances import distances
from spinspectra.spectra.effective_space import EffectiveSpace, SetolVerdict, effective_space, setol_verdict
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.layer_quality import LayerQuality, layer_quality
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law
from spinspectra.spectra.randomize import Randomized, randomize
from spinspectra.spectra.smoothing import sharpen, smooth

__all__ = [
    "EffectiveSpace",
    "LayerQuality",
    "MarchenkoPasturFit",
    "PowerLawFit",
    "Randomized",
    "SetolVerdict",
    "Spectrum",
    "analyze",
    "distances",
    "effective_space",
    "esd",
    "fit_marchenko_pastur",
    "fit_power_law",
    "layer_quality",
    "randomize",
    "setol_verdict",
    "sharpen",
    "smooth",
    "summarize",
]
