"""Two models layer by layer, and two matrices: the peer's distances."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from spinspectra.compat.weightwatcher.constants import CKA, EUCLIDEAN, RAW, UNKNOWN
from spinspectra.compat.weightwatcher.models import open_model
from spinspectra.compat.weightwatcher.selection import Limits, select
from spinspectra.errors import NonFiniteError, OptionError
from spinspectra.layers import Channels

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["method", "name", "delta_W", "delta_b", "M", "N", "b_shape", "longname", "status", "reason"]


def model_distances(
    model_1: Any, model_2: Any, method: str, layers: Any, start_ids: int, channels: Channels | None
) -> tuple[float, float, "pd.DataFrame"]:
    """Means of delta_W and delta_b over the layers that have them, and the table, indexed by ids of model_1."""
    from spinspectra.spectra.distances import distances

    if method not in (RAW, EUCLIDEAN, CKA):
        raise OptionError(f"method={method!r}: give '{RAW}', '{EUCLIDEAN}' or '{CKA}'")
    one, two = open_model(model_1, start_ids, channels), open_model(model_2, start_ids, channels)
    taken = select(one.entries, Limits(layers, min_evals=1)).taken
    whole = layers is None or not np.size(layers)
    wanted = None if whole else [entry.layer.index for entry in taken]
    if wanted == []:
        import pandas as pd

        return float("nan"), float("nan"), pd.DataFrame(columns=_COLUMNS, index=pd.Index([], name="layer_id"))
    found = distances(one.weights, two.weights, method, layers=wanted, channels=channels)  # type: ignore[arg-type]
    by_longname = {entry.layer.name.removesuffix(".weight"): entry for entry in (*two.entries, *one.entries)}
    entries = [by_longname[name] for name in found["longname"]]
    own = {entry.layer.name for entry in one.entries}
    after = 1 + max(entry.layer_id for entry in one.entries)
    numbers = iter(range(after, after + len(entries)))
    found["layer_id"] = [entry.layer_id if entry.layer.name in own else next(numbers) for entry in entries]
    found["name"], found["longname"] = [entry.name for entry in entries], [entry.longname for entry in entries]
    found["b_shape"] = [UNKNOWN if shape is None else shape for shape in found["b_shape"]]
    found = found.sort_values("layer_id", kind="stable").set_index("layer_id")[_COLUMNS]
    return _mean(found["delta_W"]), _mean(found["delta_b"]), found


def matrix_distance(one: ArrayLike, two: ArrayLike, method: str) -> float:
    """Frobenius norm of the difference ('raw', 'euclidean'), or linear centred kernel alignment ('cka')."""
    from spinspectra.spectra.distances import linear_cka

    a, b = np.asarray(one), np.asarray(two)
    if a.ndim != 2 or b.ndim != 2:
        raise OptionError(f"matrix_distance: give two matrices, not arrays of shape {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise NonFiniteError("matrix_distance: a matrix holds NaN or infinite values")
    if method == CKA:
        if a.shape[0] != b.shape[0]:
            raise OptionError(f"cka compares matrices with the same number of rows, not {a.shape} and {b.shape}")
        return linear_cka(a, b)
    if method not in (RAW, EUCLIDEAN):
        raise OptionError(f"method={method!r}: give '{RAW}', '{EUCLIDEAN}' or '{CKA}'")
    if a.shape != b.shape:
        raise OptionError(f"matrices of shapes {a.shape} and {b.shape} have no distance")
    return float(np.linalg.norm(np.subtract(a, b, dtype=np.float64)))


def _mean(values: "pd.Series[Any]") -> float:
    good = values.to_numpy(np.float64)
    good = good[np.isfinite(good)]
    return float(good.mean()) if good.size else float("nan")
