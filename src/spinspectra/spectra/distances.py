"""How far the layers of two checkpoints are from each other, matched by their full names.

With A and B the two tensors of one name, and A_k, B_k their K matrices (1 of a dense layer, one a kernel position of a
convolution, one a member of a stack), |.| the Frobenius norm:

    raw         |A - B|, of the whole tensor: sqrt(sum_k |A_k - B_k|^2)
    euclidean   (1 / K) sum_k |A_k - B_k|; equal to raw where K = 1
    cka         (1 / K) sum_k of |X^T Y|^2 / (|X^T X| |Y^T Y|), X and Y being A_k and B_k with each column's mean
                subtracted: linear centred kernel alignment (Kornblith et al. 2019, eq. 1 and section 3), rows as
                stored taken as examples, columns as features. A similarity from 0 to 1, not a distance

WeightWatcher pairs the layers by their order, calls an uncentred alignment without the squares "cka", and averages its
error code -1 in.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import NonFiniteError, OptionError, SpinSpectraError
from spinspectra.layers import Layer, read_layers
from spinspectra.layers.kinds import Channels
from spinspectra.layers.selection import Choice, choose, long_name
from spinspectra.weights import Weights, open_weights

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["raw", "euclidean", "cka"]
Matrices = Sequence[NDArray[np.floating]]
Row = dict[str, Any]


def distances(
    a: Any, b: Any, method: Method = "raw", layers: Choice = None, channels: Channels | None = None
) -> "pd.DataFrame":
    """One row a tensor with matrices, in the order of `a`, then those of `b` alone; never averaged over failures.

    a, b: as for `open_weights`, in any two formats. method: see above. layers, channels: as for `analyze`; ids are
    those of `a`, those only `b` has are counted on.

    Columns: method, layer_id, name, longname (without `.weight`), delta_W (the method's number), delta_b (|a - b| of
    the layer's bias vectors, whatever the method; 0 if neither has one), N, M (larger and smaller side of a matrix),
    n_matrices, b_shape, status, reason. status: "success"; "unmatched", one of the two lacks it; "failed": shapes
    differ, NaN, or no alignment is defined, since all rows of a matrix are equal. Where it is not "success" delta_W is
    NaN; so is delta_b if the biases cannot be compared, and `reason` says so.

    Raises OptionError for an unknown method, or if no name is in both; and what `open_weights` raises.
    """
    import pandas as pd

    if method not in get_args(Method):
        raise OptionError(f"method={method!r}: give one of {', '.join(get_args(Method))}")
    weights = open_weights(a), open_weights(b)
    of_a, of_b = ({layer.name: layer for layer in read_layers(one, channels) if layer.n_matrices} for one in weights)
    if not of_a.keys() & of_b.keys():
        raise OptionError(
            f"no layer has the same name in {weights[0].source} and {weights[1].source}; "
            f"theirs begin {', '.join(list(of_a)[:1] + list(of_b)[:1]) or 'nowhere, they have no matrices'}"
        )
    after = 1 + max(layer.index for layer in read_layers(weights[0]))
    only_b = [layer for name, layer in of_b.items() if name not in of_a]
    every = [*of_a.values(), *(replace(layer, index=after + i) for i, layer in enumerate(only_b))]
    rows = []
    for layer in choose(every, layers):
        about: Row = {"method": method, "layer_id": layer.index, "name": long_name(layer).rpartition(".")[2]}
        about |= {"longname": long_name(layer), "delta_W": np.nan, "delta_b": np.nan}
        about |= {"N": max(layer.matrix_shape), "M": min(layer.matrix_shape), "n_matrices": layer.n_matrices}
        rows.append(about | _compare(method, layer.name, of_a, of_b, weights))
    return pd.DataFrame(rows)


def linear_cka(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Linear centred kernel alignment of x (n, p) and y (n, q), n examples; NaN if either has equal rows only.

    Through whichever is smaller, the features' products or the examples'. Invariant to rotations and to scale:

    >>> x = np.random.default_rng(0).standard_normal((9, 4))
    >>> round(linear_cka(x, -3.0 * x[:, ::-1]), 12)
    1.0
    """
    a, b = _centred(x), _centred(y)
    if a is None or b is None:
        return float("nan")
    if a.shape[0] <= max(a.shape[1], b.shape[1]):
        of_a, of_b = a @ a.T, b @ b.T
        cross = float(np.vdot(of_a, of_b))
    else:
        of_a, of_b = a.T @ a, b.T @ b
        cross = float(np.linalg.norm(a.T @ b) ** 2)
    return min(1.0, cross / float(np.linalg.norm(of_a) * np.linalg.norm(of_b)))


def _centred(values: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """Columns with mean 0, scaled to largest entry 1 so that no square is lost; None if only rounding is left."""
    x = values.astype(np.float64)
    size = float(np.abs(x).max())
    x -= x.mean(axis=0)
    largest = float(np.abs(x).max())
    return x / largest if largest > 1e-13 * size else None


def _compare(
    method: Method, name: str, of_a: dict[str, Layer], of_b: dict[str, Layer], weights: Sequence[Weights]
) -> Row:
    """What is found of one name: status, reason and, where there are any, the numbers."""
    if name not in of_a or name not in of_b:
        lacks = weights[0 if name not in of_a else 1]
        return {"b_shape": None, "status": "unmatched", "reason": _absence(name, lacks)}
    a, b = of_a[name], of_b[name]
    try:
        delta_b, b_shape, about_bias = _bias_distance(name, weights)
    except SpinSpectraError as error:
        delta_b, b_shape, about_bias = np.nan, None, str(error)
    found: Row = {"delta_b": delta_b, "b_shape": b_shape, "status": "success", "reason": about_bias}
    if a.shape != b.shape:
        return found | {"status": "failed", "reason": f"shapes differ: {a.shape} and {b.shape}"}
    try:
        pair = [_finite(layer.matrices(), one) for layer, one in zip((a, b), weights, strict=True)]
    except SpinSpectraError as error:
        return found | {"status": "failed", "reason": str(error)}
    value = _MEASURES[method](pair[0], pair[1])
    if np.isnan(value):
        reason = "cka is not defined: all rows of a matrix are equal"
        return found | {"status": "failed", "reason": reason}
    return found | {"delta_W": value}


def _absence(name: str, weights: Weights) -> str:
    if name in weights.names():
        return f"a tensor of shape {weights.info(name).shape} without matrices in {weights.source}"
    return f"not in {weights.source}"


def _bias_distance(name: str, weights: Sequence[Weights]) -> tuple[float, tuple[int, ...] | None, str]:
    """|a - b| of the bias beside a weight, its shape, and why there is no number if there is none."""
    bias = name.removesuffix("weight") + "bias"
    held = [name.endswith("weight") and bias in one.names() for one in weights]
    if not any(held):
        return 0.0, None, ""
    if not all(held):
        return np.nan, None, f"the bias is not in {weights[held.index(False)].source}"
    a, b = (one.read(bias) for one in weights)
    if a.shape != b.shape:
        return np.nan, a.shape, f"shapes of the bias differ: {a.shape} and {b.shape}"
    _finite([a], weights[0])
    _finite([b], weights[1])
    return _norm_of_difference(a, b), a.shape, ""


def _finite(matrices: Matrices, weights: Weights) -> Matrices:
    bad = sum(one.size - int(np.count_nonzero(np.isfinite(one))) for one in matrices)
    if bad:
        raise NonFiniteError(f"{bad} of {sum(one.size for one in matrices)} values in {weights.source} are not finite")
    return matrices


def _norm_of_difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(np.subtract(a, b, dtype=np.float64)))


def _raw(a: Matrices, b: Matrices) -> float:
    return float(np.linalg.norm([_norm_of_difference(x, y) for x, y in zip(a, b, strict=True)]))


def _euclidean(a: Matrices, b: Matrices) -> float:
    return float(np.mean([_norm_of_difference(x, y) for x, y in zip(a, b, strict=True)]))


def _cka(a: Matrices, b: Matrices) -> float:
    return float(np.mean([linear_cka(x, y) for x, y in zip(a, b, strict=True)]))


_MEASURES: dict[Method, Callable[[Matrices, Matrices], float]] = {"raw": _raw, "euclidean": _euclidean, "cka": _cka}
