"""The peer's calls that need no model: fits of eigenvalues, vectors, two matrices, folders of files."""

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from spinspectra.compat.weightwatcher import bins, flatfiles, folders, models
from spinspectra.compat.weightwatcher.constants import DEF_SAVE_DIR, DEFAULT_POWERLAW_PACKAGE, EVALS_THRESH, POWER_LAW
from spinspectra.compat.weightwatcher.options import figure_folder, is_valid

if TYPE_CHECKING:
    import pandas as pd


class Tools:
    """A part of WeightWatcher. seed: of `fit_powerlaw(sample=True)`."""

    seed: int = 0

    def matrix_distance(self, W1: ArrayLike, W2: ArrayLike, method: str = "euclidean") -> float:
        """Distance of two matrices ('raw', 'euclidean'), or their likeness ('cka'). Raises OptionError."""
        from spinspectra.compat.weightwatcher.comparing import matrix_distance

        return matrix_distance(W1, W2, method)

    def vector_metrics(self, vectors: Any = None, params: Any = None) -> "pd.DataFrame":
        """Localisation of vectors: one, a list, or the rows of a matrix; a row each."""
        from spinspectra.compat.weightwatcher.fitting import vector_table

        return vector_table(vectors)

    def fit_powerlaw(
        self,
        evals: ArrayLike,
        xmin: float | None = None,
        xmax: Any = None,
        plot: bool = True,
        layer_name: str = "",
        layer_id: int = 0,
        plot_id: Any = 0,
        sample: bool = False,
        sample_size: int | None = None,
        savedir: Any = DEF_SAVE_DIR,
        savefig: Any = True,
        thresh: float = EVALS_THRESH,
        fix_fingers: Any = False,
        finger_thresh: float = 1.0,
        xmin_max: float | None = None,
        max_fingers: int = 10,
        fit_type: str = POWER_LAW,
        pl_package: str = DEFAULT_POWERLAW_PACKAGE,
    ) -> tuple[Any, ...]:
        """(alpha, Lambda, xmin, xmax, D, sigma, num_pl_spikes, num_fingers, raw_alpha, status, warning) of eigenvalues.

        xmin: leave out those below it; the scan goes on above. thresh: the default stands for rounding, any other value
        for itself. plot saves the figures of the fit in savedir. NaN where there is no number.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        from spinspectra.compat.weightwatcher.fitting import fit_tail, tail_tuple

        results, measures = fit_tail(evals, given | {"seed": self.seed})
        assert results.fit is not None
        if plot:
            from spinspectra.compat.weightwatcher.figures import deliver, peer_figures
            from spinspectra.plots.save import with_scan

            folder = figure_folder(savedir) if savefig else None
            label = plot_id or layer_id
            deliver(peer_figures(layer_name or f"Layer {label}", with_scan(results, measures)), folder, str(label))
        return tail_tuple(results.fit)

    def mp_fit(
        self,
        evals: ArrayLike,
        N: int,
        M: int,
        rf: int = 1,
        layer_name: str = "",
        layer_id: int = 0,
        plot_id: Any = 0,
        plot: bool = False,
        savefig: Any = False,
        savedir: Any = DEF_SAVE_DIR,
        color: Any = None,
        hist_alpha: Any = None,
        rescale: bool = True,
        orig_evals: Any = None,
        randomize: bool = False,
    ) -> tuple[float, ...]:
        """(num_spikes, sigma_mp, mp_softrank, bulk_min, bulk_max, W_scale) of eigenvalues of rf slices N x M."""
        from spinspectra.compat.weightwatcher.fitting import bulk_tuple, fit_bulk

        spectrum, fit = fit_bulk(evals, N, M, rf)
        if plot:
            from spinspectra.compat.weightwatcher.figures import bulk_figures, deliver

            folder = figure_folder(savedir) if savefig else None
            label = plot_id or layer_id
            deliver(bulk_figures(layer_name or f"Layer {label}", spectrum, fit), folder, str(label))
        return bulk_tuple(fit)

    @staticmethod
    def describe_pytorch_bins(model_dir: Any = None, **kwargs: Any) -> "pd.DataFrame":
        """`describe` of each `pytorch_model*bin` of a folder, ids counted on; columns model_name, model_filename."""
        return bins.each_file("describe", model_dir, kwargs)

    @staticmethod
    def analyze_pytorch_bins(model_dir: Any = None, **kwargs: Any) -> "pd.DataFrame":
        """`analyze` of each `pytorch_model*bin` of a folder, as `describe_pytorch_bins`."""
        return bins.each_file("analyze", model_dir, kwargs)

    @staticmethod
    def extract_pytorch_bins(
        model_dir: Any = None, model_name: str | None = None, tmp_dir: Any = None, format: str | None = None
    ) -> dict[str, Any]:
        """Write weights and biases as .npy into a new folder below tmp_dir (default: the system's), and describe it."""
        return flatfiles.extract(model_dir, model_name, tmp_dir, format)

    @staticmethod
    def infer_framework(model: Any) -> str:
        """'pytorch', 'pystatedict', 'pystatedict_dir', 'ww_flatfiles', 'keras', 'onnx' or 'unknown'."""
        return models.framework_of(model)

    @staticmethod
    def infer_model_file_format(model_dir: Any) -> tuple[str, str]:
        """The format of a folder's weight files, and their pattern."""
        return folders.file_format(model_dir)

    @staticmethod
    def valid_params(params: dict[str, Any]) -> bool:
        """Whether parameters, under the keys of DEFAULT_PARAMS, go together."""
        return is_valid(params)
