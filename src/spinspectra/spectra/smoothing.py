"""A checkpoint with each layer's noise, or its traps, taken out: truncated singular value decompositions.

What is kept of a layer, and of each matrix of a convolution or a stack, is in `truncation`; `kept` is the number that
`analyze` reports. Numbers are rounded once, to the stored dtype.
"""

from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.layers import Layer, read_layers
from spinspectra.layers.kinds import Channels
from spinspectra.layers.selection import Choice, choose, why_skipped
from spinspectra.seeds import Seed
from spinspectra.spectra.truncation import (
    Rule,
    detx_rule,
    mp_rule,
    percent_rule,
    power_law_rule,
    traps_rule,
    truncate_layer,
)
from spinspectra.weights.writing import open_checkpoint, rewrite, to_stored

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["detx", "power_law", "mp", "percent"]

_RULES: dict[str, Rule] = {"detx": detx_rule, "power_law": power_law_rule, "mp": mp_rule}


def smooth(
    source: Any,
    method: Method = "detx",
    *,
    out: str | PathLike[str],
    percent: float | None = None,
    layers: Choice = None,
    channels: Channels | None = None,
) -> "pd.DataFrame":
    """Write the checkpoint with every chosen matrix cut to its largest singular values; the table says what was kept.

    source: path or hub id, as for `open_weights`. method, which n eigenvalues of W^T W a layer keeps:
    "detx", the effective correlation space (`effective_space`); "power_law", the tail from xmin on (`fit_power_law`);
    "mp", the spikes above the Marchenko-Pastur bulk (`fit_marchenko_pastur`), a layer without any is left alone;
    "percent", the fraction `percent` of all of them, 0.2 for a fifth, rounded down; -0.2 removes the top fifth.
    out: a new file for a file, a new folder for a folder (`rewrite`). layers, channels: as for `analyze`; other layers
    are copied.

    One row a chosen tensor: layer_id, name, kind, dtype, shape, rank (eigenvalues above rounding), kept (how many
    of them are left), norm_kept (the squared Frobenius norm left, as a fraction), status, reason. status: "smoothed";
    "left alone", nothing to cut; "skipped", no matrix; "failed", no verdict. Only smoothed tensors differ from the
    source's bytes.

    Raises OptionError for an unknown method, a percent that is 0 or beyond -1..1, an `out` that exists, or if
    no chosen tensor has a matrix; and what `open_weights` raises.
    """
    if method not in get_args(Method):
        raise OptionError(f"method={method!r}: give one of {', '.join(get_args(Method))}")
    if (method == "percent") != (percent is not None):
        raise OptionError(f"percent={percent!r} with method={method!r}: percent goes with method='percent' only")
    if percent is not None and not 0.0 < abs(percent) <= 1.0:
        raise OptionError(f"percent={percent!r}: give a fraction from -1 to 1 that is not 0, as 0.2 for a fifth")
    if percent is not None:
        return _cut_all(source, out, layers, channels, percent_rule(percent), "smoothed")
    return _cut_all(source, out, layers, channels, _RULES[method], "smoothed")


def sharpen(
    source: Any,
    *,
    out: str | PathLike[str],
    seed: Seed = 0,
    layers: Choice = None,
    channels: Channels | None = None,
) -> "pd.DataFrame":
    """Write the checkpoint with its correlation traps taken out; the table is that of `smooth`, status "sharpened".

    A layer's traps are counted in its weights permuted, above that matrix's own Marchenko-Pastur edge (`randomize`,
    mean over its permutations, rounded), and as many of the layer's own largest singular values are removed: the idea
    of the peer's SVDSharpness. It supposes that a trap shows at the top of the layer's spectrum too. seed: the same
    draws as `analyze(randomize=True)` with that seed, whichever layers are chosen. Raises as `smooth` does.
    """
    return _cut_all(source, out, layers, channels, traps_rule(seed), "sharpened")


def _cut_all(
    source: Any, out: str | PathLike[str], layers: Choice, channels: Channels | None, rule: Rule, verb: str
) -> "pd.DataFrame":
    import pandas as pd

    checkpoint = open_checkpoint(source)
    chosen = {layer.name: layer for layer in choose(list(read_layers(checkpoint.weights, channels)), layers)}
    if not any(layer.n_matrices for layer in chosen.values()):
        raise OptionError(f"{checkpoint.weights.source}: none of the {len(chosen)} tensors chosen has a matrix to cut")
    rows: dict[str, dict[str, Any]] = {}

    def edit(name: str) -> NDArray[np.floating] | None:
        if name not in chosen:
            return None
        layer = chosen[name]
        about = {"layer_id": layer.index, "name": name, "kind": layer.kind, "dtype": str(layer.dtype)}
        blank = {"shape": layer.shape, "rank": pd.NA, "kept": pd.NA, "norm_kept": np.nan}
        found, values = _cut_layer(layer, rule, verb)
        rows[name] = about | blank | found
        return values

    rewrite(checkpoint, out, edit)
    made = pd.DataFrame([rows[name] for name in chosen])
    return made.astype({"rank": "Int64", "kept": "Int64"})


def _cut_layer(layer: Layer, rule: Rule, verb: str) -> tuple[dict[str, Any], NDArray[Any] | None]:
    """Its part of the row, and its new values as they are stored, or None to leave it."""
    if layer.n_matrices == 0:
        return {"status": "skipped", "reason": why_skipped(layer, 1, None)}, None
    found: dict[str, Any] = {}
    try:
        done = truncate_layer(layer, rule)
        found = {"rank": done.rank, "kept": done.rank, "norm_kept": 1.0}
        if done.matrices is None:
            return found | {"status": "failed" if done.cut.failed else "left alone", "reason": done.cut.reason}, None
        values = to_stored(layer.assemble(done.matrices), layer.dtype, layer.shape, layer.name)
    except SpinSpectraError as error:
        return found | {"status": "failed", "reason": str(error)}, None
    return {"rank": done.rank, "kept": done.kept, "norm_kept": done.norm_kept, "status": verb, "reason": ""}, values
