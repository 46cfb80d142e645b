"""Every layer's spectrum in one table: `analyze` streams a checkpoint layer by layer, `summarize` averages it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from threadpoolctl import threadpool_limits

from spinspectra.cores import n_cores
from spinspectra.errors import OptionError
from spinspectra.layers import Layer, read_layers
from spinspectra.layers.kinds import Channels
from spinspectra.layers.selection import MIN_EVALS, Choice, choose, why_skipped
from spinspectra.spectra.columns import Row, row_of
from spinspectra.spectra.measure import Measures, measure_layer
from spinspectra.spectra.powerlaw import Kind, Sides, Xmax

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = (
    "log_norm",
    "alpha",
    "alpha_weighted",
    "log_alpha_norm",
    "log_spectral_norm",
    "stable_rank",
    "mp_softrank",
)

# A matrix with fewer columns and entries than this is done on one core, several at once; LAPACK gains little from
# more cores below it, and on a busy machine loses much (docs/decisions.md).
_SMALL_COLUMNS = 1024
_SMALL_SIZE = 1 << 23


def analyze(
    source: Any,
    fit: Kind = "PL",
    randomize: bool = False,
    mp_fit: bool = False,
    detx: bool = False,
    layers: Choice = None,
    min_evals: int = MIN_EVALS,
    max_evals: int | None = None,
    pool: bool = True,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Callable[[str], None] | None = None,
    *,
    ks: Sides = "one-sided",
    xmax: Xmax = None,
    clip_top: int = 0,
    fix_fingers: Literal["clip_xmax", "xmin_peak"] | None = None,
    finger_thresh: float = 1.0,
    max_fingers: int = 10,
    xmin_max: float | None = None,
    vectors: bool = False,
    farms: bool = False,
    bootstrap: int = 0,
    channels: Channels | None = None,
) -> "pd.DataFrame":
    """One row a layer with at least `min_evals` eigenvalues; columns have WeightWatcher's names where it has them.

    source: as for `open_weights`. fit: kind of tail, "PL" for a power law (`fit_power_law`). randomize: compare with
    the weights permuted (`randomize`). mp_fit: Marchenko-Pastur bulk and spikes. detx: SETOL's effective correlation
    space, verdict and tail qualities (docs/setol.md). layers: ids, names or kinds to keep, or to leave out (`choose`).
    pool: eigenvalues of a convolution's slices together, else a row a slice. seed: behind all randomised columns, a
    child of it for each layer, so that a layer's numbers do not depend on which others are analysed. executor: one task
    a layer; by default small layers run in threads, one BLAS thread each, then large ones one by one on all cores.
    progress: called with each layer's name when its rows are there.

    ks, xmax, fix_fingers, finger_thresh, max_fingers, xmin_max: as for `fit_power_law`. clip_top: leave the so many
    largest eigenvalues out of the tail fit. vectors: localisation of eigenvectors, bulk against tail (`localisation`).
    farms: alpha at one aspect ratio for all layers (`farms_alpha`). bootstrap: so many replicas for `alpha_p`, the
    p-value of the tail fit, and for `alpha_boot_low` and `alpha_boot_high`, the 95 % interval of alpha with the doubt
    about xmin in it, beside `alpha_low` and `alpha_high`, which take xmin for granted. channels: where a
    convolution's channels stand (`read_layers`).

    A layer that cannot be analysed has its row, status "failed" and the reason; its numbers are NaN and stay out of
    averages. Raises OptionError if no layer is left to analyse or an option is out of range, and what `open_weights`
    raises.
    """
    measures = Measures(
        fit, randomize, mp_fit, detx, seed, ks, xmax, clip_top, fix_fingers, finger_thresh, max_fingers, xmin_max,
        vectors, farms, bootstrap,
    )  # fmt: skip
    taken = to_analyze(source, layers, min_evals, max_evals, channels)
    work = partial(_rows_of, measures, pool)
    done = _here(work, taken) if executor is None else zip(taken, executor.map(work, taken), strict=True)
    rows: dict[int, list[Row]] = {}
    for layer, found in done:
        rows[layer.index] = found
        if progress is not None:
            progress(layer.name)
    import pandas as pd

    return pd.DataFrame([row for layer in taken for row in rows[layer.index]])


def to_analyze(
    source: Any, layers: Choice, min_evals: int, max_evals: int | None, channels: Channels | None
) -> list[Layer]:
    """The layers that `analyze` takes with these options. Raises OptionError if there are none."""
    chosen = choose(list(read_layers(source, channels)), layers)
    taken = [layer for layer in chosen if not why_skipped(layer, min_evals, max_evals)]
    if not taken:
        reason = why_skipped(chosen[0], min_evals, max_evals)
        raise OptionError(f"no layer to analyse among {len(chosen)} tensors; the first, {chosen[0].name}, is {reason}")
    return taken


def summarize(details: "pd.DataFrame") -> dict[str, float]:
    """Averages over layers of the columns that judge a whole model, those that are there.

    Failed rows and infinite values stay out. NaN for a column without a single good value.
    """
    good = details[details["status"] == "success"]
    made = {}
    for column in SUMMARY:
        if column in details:
            values = good[column].to_numpy(np.float64)
            values = values[np.isfinite(values)]
            made[column] = float(values.mean()) if values.size else float("nan")
    return made


def _rows_of(measures: Measures, pool: bool, layer: Layer) -> list[Row]:
    return [row_of(one, pool) for one in measure_layer(measures, pool, layer)]


def _here(work: Callable[[Layer], list[Row]], layers: Sequence[Layer]) -> Iterator[tuple[Layer, list[Row]]]:
    """Small layers in threads, then each large one alone, since it needs the memory and can use all cores."""
    small = [layer for layer in layers if _is_small(layer)]
    large = [layer for layer in layers if not _is_small(layer)]
    with ThreadPoolExecutor(max(1, min(len(small), n_cores()))) as pool, threadpool_limits(1, user_api="blas"):
        done = pool.map(work, small)
        import pandas  # noqa: F401  takes a third of a second, in which the threads are at work already

        try:
            yield from zip(small, done, strict=True)
        finally:
            pool.shutdown(cancel_futures=True)
    yield from ((layer, work(layer)) for layer in large)


def blas_threads(layer: Layer) -> AbstractContextManager[object]:
    """One BLAS thread while a small layer is measured, the usual number for a large one; for the whole process."""
    limits = threadpool_limits(1 if _is_small(layer) else None, user_api="blas")
    return cast("AbstractContextManager[object]", limits)


def _is_small(layer: Layer) -> bool:
    n_rows, n_cols = layer.matrix_shape
    return min(n_rows, n_cols) <= _SMALL_COLUMNS and n_rows * n_cols * layer.n_matrices <= _SMALL_SIZE
