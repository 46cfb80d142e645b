"""One layer measured: its spectrum and all that is asked for beside it, as the table and the figures both show it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.layers import Layer
from spinspectra.layers.selection import MIN_EVALS
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.spectra.effective_space import EffectiveSpace, SetolVerdict, effective_space, setol_verdict
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.goodness import goodness_of_fit
from spinspectra.spectra.intervals import bootstrap_interval, tail_interval
from spinspectra.spectra.layer_quality import LayerQuality, layer_quality
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from spinspectra.spectra.powerlaw import Kind, PowerLawFit, Sides, Xmax, XminScan, fit_power_law
from spinspectra.spectra.randomize import Randomized, randomize
from spinspectra.spectra.subsampling import farms_alpha, pooled_alpha
from spinspectra.spectra.vectors import localisation, localisation_columns
from spinspectra.spectra.verdict import verdict

Matrices = Sequence[NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured of each layer beside its spectrum; see `analyze` for the options.

    Raises OptionError for options of the tail fit that `fit_power_law` refuses, or a negative number where none can be.
    """

    fit: Kind = "PL"
    randomize: bool = False
    mp_fit: bool = False
    detx: bool = False
    seed: int = 0
    ks: Sides = "one-sided"
    xmax: Xmax = None
    clip_top: int = 0
    fix_fingers: Literal["clip_xmax", "xmin_peak"] | None = None
    finger_thresh: float = 1.0
    max_fingers: int = 10
    xmin_max: float | None = None
    vectors: bool = False
    farms: bool = False
    bootstrap: int = 0

    def __post_init__(self) -> None:
        for name in ("clip_top", "bootstrap"):
            if getattr(self, name) < 0:
                raise OptionError(f"{name}={getattr(self, name)!r}: give 0 or more")
        if self.clip_top and self.xmax is not None:
            raise OptionError("clip_top and xmax both say where the tail ends; give one of them")
        self.fit_tail(np.arange(1.0, 41.0), floor=0.0)

    def fit_tail(self, eigenvalues: NDArray[np.float64], floor: float) -> PowerLawFit:
        """The tail fit that these options ask for; eigenvalues ascending, shape (n,), floor as for fit_power_law."""
        return fit_power_law(
            eigenvalues,
            self.fit,
            ks=self.ks,
            xmax=self.end_of(eigenvalues),
            floor=floor,
            fix_fingers=self.fix_fingers,
            finger_thresh=self.finger_thresh,
            max_fingers=self.max_fingers,
            xmin_max=self.xmin_max,
        )

    def end_of(self, eigenvalues: NDArray[np.float64]) -> Xmax:
        """The xmax of the fit of these eigenvalues, ascending: as given, or the first below the clipped ones."""
        if 0 < self.clip_top < eigenvalues.size:
            return float(eigenvalues[-1 - self.clip_top]) or None
        return self.xmax


@dataclass(frozen=True, slots=True)
class LayerResults:
    """What was found of one layer, or of one slice of it; None for what was not asked for.

    more: single numbers by the name of their column.
    """

    spectrum: Spectrum
    fit: PowerLawFit | None = None
    scan: XminScan | None = None
    space: EffectiveSpace | None = None
    setol: SetolVerdict | None = None
    quality: LayerQuality | None = None
    bulk: MarchenkoPasturFit | None = None
    randomized: Randomized | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """A layer, or slice `slice_id` of it, and what was found; results None where it could not be, for `reason`."""

    layer: Layer
    slice_id: int
    results: LayerResults | None
    reason: str = ""


def measure_layer(measures: Measures, pool: bool, layer: Layer) -> list[Measured]:
    """Read a layer and measure it: one result with all its matrices pooled, or one a matrix.

    Never raises for what is wrong with the layer: the result then has the reason.
    """
    try:
        matrices = layer.matrices()
    except SpinSpectraError as error:
        return [Measured(layer, 0, None, str(error))]
    groups = [matrices] if pool else [[matrix] for matrix in matrices]
    return [_measured(measures, layer, group, slice_id) for slice_id, group in enumerate(groups)]


def _measured(measures: Measures, layer: Layer, matrices: Matrices, slice_id: int) -> Measured:
    try:
        return Measured(layer, slice_id, _measure(measures, layer, matrices, slice_id))
    except SpinSpectraError as error:
        return Measured(layer, slice_id, None, str(error))


def _measure(measures: Measures, layer: Layer, matrices: Matrices, slice_id: int) -> LayerResults:
    """The seed is a child for this layer and slice, so a layer's numbers do not depend on which others there are."""
    given = list(matrices)
    spectrum = esd(given, precision=precision_of(layer, given))
    tail = measures.fit_tail(spectrum.eigenvalues, relative_floor(spectrum))
    seed = np.random.SeedSequence(measures.seed, spawn_key=(layer.index, slice_id))
    space = effective_space(spectrum.eigenvalues, spectrum.floor) if measures.detx else None
    return LayerResults(
        spectrum,
        fit=tail,
        space=space,
        setol=setol_verdict(tail.alpha, tail.xmin, tail.n_tail, space) if space else None,
        quality=layer_quality(spectrum.eigenvalues, space.lambda_min, tail.alpha) if space else None,
        bulk=fit_marchenko_pastur(spectrum) if measures.mp_fit else None,
        randomized=randomize(given, seed, spectrum=spectrum) if measures.randomize else None,
        more=_more(measures, spectrum, tail, given, seed),
    )


def precision_of(layer: Layer, matrices: Matrices) -> float:
    """Rounding of an entry over the size of an entry: the dtype's, or what a difference of two tensors has left."""
    rounding = layer.rounding()
    if rounding is None:
        return float(ml_dtypes.finfo(layer.dtype).eps)
    total = sum(float(np.sum(np.square(one, dtype=np.float64))) for one in matrices)
    size = np.sqrt(total / sum(one.size for one in matrices))
    return float(rounding / size) if size > 0.0 else 0.0


def _more(measures: Measures, spectrum: Spectrum, tail: PowerLawFit, matrices: Matrices, seed: Seed) -> dict[str, Any]:
    """Single numbers beside the table's own: how good the fit is, other alphas, localisation."""
    found = _confidence(measures, spectrum, tail, seed) | {"hill_alpha": pooled_alpha(spectrum)}
    if measures.farms:
        wide = spectrum.n_cols >= MIN_EVALS  # windows of fewer columns have no spectrum to speak of
        found["farms_alpha"] = farms_alpha(matrices, precision=spectrum.precision) if wide else np.nan
    if measures.vectors:
        found |= localisation_columns(localisation(matrices), tail.xmin)
    return found


def _confidence(measures: Measures, spectrum: Spectrum, tail: PowerLawFit, seed: Seed) -> dict[str, Any]:
    values, floor = spectrum.eigenvalues, relative_floor(spectrum)
    judged = verdict(values, tail)
    found: dict[str, Any] = {
        "power_law": {True: "yes", False: "no", None: "unclear"}[judged.power_law],
        "power_law_reason": judged.reason,
        "ks_two_sided": judged.ks_two_sided,
    }
    if measures.bootstrap:
        options: dict[str, Any] = {"replicas": measures.bootstrap, "floor": floor, "xmax": measures.end_of(values)}
        test, resampled = seed_sequence(seed).spawn(2)
        boot = bootstrap_interval(values, tail, resampled, **options)
        interval = tail_interval(values, tail)
        found |= {
            "alpha_low": interval.low,
            "alpha_high": interval.high,
            "alpha_p": goodness_of_fit(values, tail, test, **options).p,
            "alpha_boot_low": boot.low,
            "alpha_boot_high": boot.high,
        }
    return found


def relative_floor(spectrum: Spectrum) -> float:
    """The spectrum's floor as a fraction of its largest eigenvalue, as the tail fits take it; 0 for a zero matrix."""
    largest = float(spectrum.eigenvalues[-1])
    return spectrum.floor / largest if largest > 0.0 else 0.0
