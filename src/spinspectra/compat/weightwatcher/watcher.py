"""The class WeightWatcher: the peer's calls, spinspectra's numbers."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.compat.weightwatcher import models
from spinspectra.compat.weightwatcher.constants import (
    DEF_SAVE_DIR,
    DEFAULT_POWERLAW_PACKAGE,
    DETX,
    FAST_SVD,
    PL,
    POWER_LAW,
    RAW,
    WEAK_RANK_LOSS_TOLERANCE,
    WW_NAME,
)
from spinspectra.compat.weightwatcher.models import Entry, Model
from spinspectra.compat.weightwatcher.options import Plan, plan, start_id
from spinspectra.compat.weightwatcher.selection import NOT_ASKED, Limits, Selected, find, select
from spinspectra.compat.weightwatcher.tools import Tools
from spinspectra.compat.weightwatcher.view import View, open_view
from spinspectra.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

_LOGGER = logging.getLogger(WW_NAME)
_ALL: list[Any] = []  # the peer's default of layers; never changed


class WeightWatcher(Tools):
    """A model, and what was last found of it.

    model, base_model: a torch module, a state dict, a file, a folder, a hub id or a matrix; base_model is subtracted in
    every call. framework: no effect, it is inferred. log_level: of the logger "weightwatcher". seed: behind all that is
    random (`randomize`, `SVDSharpness`, `get_ESD(random=True)`), also as an attribute; same seed, same numbers.
    """

    def __init__(
        self,
        model: Any = None,
        framework: str | None = None,
        base_model: Any = None,
        log_level: int | str | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.base_model = base_model
        self.framework = models.framework_of(model) if model is not None else framework
        self.seed = seed
        self.details: pd.DataFrame | None = None
        self._view = View()
        self._told: set[str] = set()
        if log_level is not None:
            _LOGGER.setLevel(log_level)

    def analyze(
        self,
        model: Any = None,
        layers: Any = _ALL,
        min_evals: int = 8,
        max_evals: int | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        max_N: int | None = None,
        glorot_fix: bool = False,
        plot: bool = False,
        randomize: bool = False,
        savefig: Any = DEF_SAVE_DIR,
        mp_fit: bool = False,
        conv2d_norm: bool = True,
        ww2x: bool = False,
        pool: bool = True,
        conv2d_fft: bool = False,
        fft: bool = False,
        deltas: bool = False,
        intra: bool = False,
        vectors: bool = False,
        channels: Any = None,
        stacked: bool = False,
        fix_fingers: Any = False,
        xmin_max: float | None = None,
        max_fingers: int = 10,
        finger_thresh: float = 1.0,
        fit: str = PL,
        sparsify: bool = True,
        detX: bool = False,
        ERG: bool = False,
        svd_method: str = FAST_SVD,
        tolerance: float | None = WEAK_RANK_LOSS_TOLERANCE,
        start_ids: int = 0,
        pl_package: str = DEFAULT_POWERLAW_PACKAGE,
        xmax: Any = None,
        base_model: Any = None,
        peft: Any = False,
        inverse: bool = False,
    ) -> "pd.DataFrame":
        """One row a layer, the peer's columns and `reason`; kept as `details`.

        What each argument does, and which have no effect, is in docs/coming-from-weightwatcher.md. max_evals, max_N:
        default None, no limit. A layer that cannot be analysed has NaN, status "failed" and a reason; layers left out
        by a limit are logged once. Raises OptionError for bad arguments, WeightsError for a model that cannot be read.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "model")}
        from spinspectra.compat.weightwatcher.table import analyze_entries

        wanted = plan(given, self.seed)
        opened, selected = self._select(model, wanted, base_model)
        self._tell(selected)
        self.details = analyze_entries(opened, selected.taken, wanted)
        return self.details

    def describe(
        self,
        model: Any = None,
        layers: Any = _ALL,
        min_evals: int = 8,
        max_evals: int | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        max_N: int | None = None,
        glorot_fix: bool = False,
        savefig: Any = DEF_SAVE_DIR,
        ww2x: bool = False,
        pool: bool = True,
        conv2d_fft: bool = False,
        fft: bool = False,
        conv2d_norm: bool = True,
        intra: bool = False,
        channels: Any = None,
        stacked: bool = False,
        start_ids: int = 0,
        base_model: Any = None,
        peft: Any = False,
        *,
        plot: bool = False,
        randomize: bool = False,
        mp_fit: bool = False,
        skipped: bool = False,
    ) -> "pd.DataFrame":
        """The layers that `analyze` takes with these arguments, from headers alone.

        skipped: also all other tensors, with a column `skipped` that says why. plot, randomize, mp_fit: no effect.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "model")}
        from spinspectra.compat.weightwatcher.table import describe_entries

        wanted = plan(given, self.seed)
        _opened, selected = self._select(model, wanted, base_model)
        if not skipped:
            self._tell(selected)
        return describe_entries(selected.taken, wanted, selected.left_out if skipped else None)

    def get_details(self) -> "pd.DataFrame | None":
        """The last table of `analyze`."""
        return self.details

    def get_summary(self, details: Any = None) -> dict[str, float]:
        """Means over layers of the columns that judge a whole model; failed rows and infinite values stay out.

        details: a table of `analyze`; None, or the watcher's model, for the last one. {} if there is none.
        """
        import pandas as pd

        from spinspectra.spectra.analyze import summarize

        if details is None or details is self.model:
            details = self.details
        elif not isinstance(details, pd.DataFrame):
            raise OptionError(f"get_summary: give the table of analyze, not a {type(details).__name__}")
        if details is None or not details.size:
            return {}
        return summarize(details if "status" in details else details.assign(status="success"))

    def get_ESD(  # noqa: N802
        self, model: Any = None, layer: int | str | None = None, random: bool = False, params: Any = None
    ) -> NDArray[np.float64]:
        """Eigenvalues of one layer, ascending: by id, longname or name (the first so called); None: the first layer.

        Ids are those of the last analyze or describe. random: of the weights permuted, the draws of `randomize`.
        Raises OptionError if there is no such layer.
        """
        from spinspectra.spectra.analyze import blas_threads
        from spinspectra.spectra.esd import esd
        from spinspectra.spectra.measure import precision_of
        from spinspectra.spectra.randomize import randomize

        found = self._find(model, layer, params).layer
        matrices = found.matrices()
        with blas_threads(found):  # as analyze has it: sums differ in their last digits with the number of threads
            spectrum = esd(matrices, precision=precision_of(found, matrices))
            if random:
                child = np.random.SeedSequence(self.seed, spawn_key=(found.index, 0))
                spectrum = randomize(matrices, child, spectrum=spectrum).spectrum
        return spectrum.eigenvalues

    def get_Weights(  # noqa: N802
        self, model: Any = None, layer: int | str | None = None, params: Any = None
    ) -> list[NDArray[np.floating]]:
        """The matrices of one layer, chosen as for `get_ESD`: a dense one as stored, slices of a convolution tall."""
        found = self._find(model, layer, params).layer
        matrices = found.matrices()
        return [one if len(matrices) == 1 or one.shape[0] >= one.shape[1] else one.T for one in matrices]

    def get_framework_layer(self, model: Any = None, layer: int | str | None = None, params: Any = None) -> Any:
        """The torch module that holds a layer, or the key of its tensor."""
        entry = self._find(model, layer, params)
        holder = self.model
        if not hasattr(holder, "get_submodule"):
            return entry.layer.name
        return holder.get_submodule(entry.layer.name.rpartition(".")[0])

    def distances(
        self,
        model_1: Any,
        model_2: Any,
        method: str = RAW,
        layers: Any = _ALL,
        start_ids: int = 0,
        pool: bool = True,
        channels: Any = None,
    ) -> "tuple[float, float, pd.DataFrame]":
        """Mean delta_W, mean delta_b, and the table, a row a layer, paired by full names and indexed by layer_id."""
        from spinspectra.compat.weightwatcher.comparing import model_distances

        if not pool:
            raise OptionError("pool=False: distances are of whole layers")
        return model_distances(model_1, model_2, method, layers, start_id(start_ids), channels)

    def SVDSmoothing(  # noqa: N802
        self,
        model: Any = None,
        percent: float = 0.8,
        pool: bool = True,
        layers: Any = _ALL,
        method: str = DETX,
        fit: str = PL,
        plot: bool = False,
        start_ids: int = 0,
        svd_method: str = FAST_SVD,
    ) -> Any:
        """Cut each layer to its largest singular values, in place, and return the model: a torch module or a dict.

        method: 'detX', 'alpha_min' (power-law tail), 'rmt' (spikes), 'auto', or 'svd' (the fraction `percent`;
        negative: remove that top). Raises OptionError for files, pool=False, and a fit other than 'PL'.
        """
        from spinspectra.compat.weightwatcher.editing import smoothing_rule

        if fit not in (PL, POWER_LAW):
            raise OptionError(f"fit={fit!r}: smoothing takes the tail of 'PL'")
        plan({"svd_method": svd_method})
        return self._edit(model, smoothing_rule(method, percent), pool, layers, start_ids)

    def SVDSharpness(  # noqa: N802
        self, model: Any = None, pool: bool = True, layers: Any = _ALL, plot: bool = False, start_ids: int = 0
    ) -> Any:
        """Remove each layer's correlation traps, in place, and return the model: a torch module or a dict."""
        from spinspectra.spectra.truncation import traps_rule

        return self._edit(model, traps_rule(self.seed), pool, layers, start_ids)

    def analyze_vectors(
        self,
        model: Any = None,
        layers: Any = _ALL,
        min_evals: int = 8,
        max_evals: int | None = None,
        plot: bool = True,
        savefig: Any = DEF_SAVE_DIR,
        channels: Any = None,
    ) -> "pd.DataFrame":
        """`analyze(vectors=True)`, with its figures."""
        return self.analyze(
            model, layers, min_evals, max_evals, plot=plot, savefig=savefig, channels=channels, vectors=True
        )

    def _select(self, model: Any, wanted: Plan, base_model: Any) -> tuple[Model, Selected]:
        self._take(model)
        self._view = View(wanted.start_ids, wanted.channels, wanted.peft, base_model)
        opened = self._open()
        return opened, select(opened.entries, wanted.limits)

    def _take(self, model: Any) -> None:
        """Another model, if one is given; it has nothing of what was asked of the one before."""
        if model is not None:
            self.model, self._view = model, View()
            self.framework = models.framework_of(model)

    def _open(self) -> Model:
        return open_view(self.model, self.base_model, self._view)

    def _find(self, model: Any, layer: int | str | None, params: Any) -> Entry:
        self._take(model)
        if params is not None and "layer_ids_start" in params:
            self._view = replace(self._view, start_ids=start_id(params["layer_ids_start"]))
        return find(self._open().entries, layer)

    def _edit(self, model: Any, rule: Any, pool: bool, layers: Any, start_ids: int) -> Any:
        from spinspectra.compat.weightwatcher.editing import edit

        if not pool:
            raise OptionError("pool=False: the eigenvalues of a convolution's slices are pooled to choose which to cut")
        self._take(model)
        opened = models.open_model(self.model, start_id(start_ids))
        edit(opened, select(opened.entries, Limits(layers)).taken, rule)
        return self.model

    def _tell(self, selected: Selected) -> None:
        """Log, once each, the matrices that a limit leaves out; vectors and the caller's own choice need no word."""
        for entry, reason in selected.left_out:
            text = f"{entry.longname} (layer {entry.layer_id}) is not analysed: {reason}"
            if reason != NOT_ASKED and (entry.layer.n_matrices or entry.layer.reason) and text not in self._told:
                self._told.add(text)
                _LOGGER.warning(text)
