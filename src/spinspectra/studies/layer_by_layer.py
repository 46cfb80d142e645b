"""Two checkpoints layer by layer: what a fine-tune, a quantisation or more training did to each spectrum."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.layers import read_layers
from spinspectra.layers.pairing import matched
from spinspectra.spectra.analyze import analyze
from spinspectra.weights import Weights, difference, open_weights

if TYPE_CHECKING:
    import pandas as pd

# Columns of `analyze` that stand side by side, with `_a` and `_b` after their names.
BOTH = ("alpha", "D", "alpha_weighted", "log_norm", "log_spectral_norm", "stable_rank", "power_law", "warning")

Progress = Callable[[str], None]
Row = dict[Any, Any]


def compare(models: Sequence[Any], progress: Progress | None = None, **options: Any) -> "pd.DataFrame":
    """One row a layer that two checkpoints share, in the order of the first; of more, each beside the first.

    models: two or more, each as for `open_weights`, in any formats. Layers belong together by name, or, between formats
    that name them otherwise (GGUF), by their part in the transformer (`layers.pairing`). progress: called with a few
    words before each part of the work. options: those of `analyze` (fit, detx, layers, min_evals, ...).

    Columns: model (the source of the second), longname and longname_b, layer_type, N, M, stored_a and stored_b, what
    `BOTH` names of either, alpha_change = alpha_b - alpha_a, change = |B - A| / |A| in Frobenius norms, change_top =
    the same in spectral norms, change_stable_rank = |B - A|^2 over the square of its largest singular value (near the
    number of columns over 4 for noise, near 1 for a rank-one change), status and reason: a layer that fails in either
    has a row, with NaN for what is not known. Layers that only one has are not in the table: `attrs["only_a"]` and
    `attrs["only_b"]` list them, of the last pair.

    Raises OptionError for fewer than two models or none alike, and what `analyze` and `open_weights` raise.
    """
    import pandas as pd

    if len(models) < 2:
        raise OptionError(f"{len(models)} model{'' if len(models) == 1 else 's'}: give two or more to compare")
    tell = progress or (lambda _text: None)
    first, *others = [open_weights(model) for model in models]
    tell(f"analyzing {first.source}")
    of_a = analyze(first, **options)
    frames = [_beside(first, of_a, other, tell, options) for other in others]
    made = pd.concat(frames, ignore_index=True)
    made.attrs = frames[-1].attrs
    return made


def _beside(
    first: Weights, of_a: "pd.DataFrame", other: Weights, tell: Progress, options: dict[str, Any]
) -> "pd.DataFrame":
    import pandas as pd

    renamed = matched(other, first)
    tell(f"analyzing {other.source}")
    of_b = analyze(renamed, **options)
    tell("what changed")
    changes = analyze(_Change(difference(renamed, first)), **options)
    by_name = [frame.drop_duplicates("longname").set_index("longname") for frame in (of_a, of_b, changes)]
    shared = [name for name in by_name[0].index if name in by_name[1].index]
    if not shared:
        raise OptionError(f"{first.source} and {other.source}: no layer to analyse is in both")
    found = [dict(zip(frame.index, frame.to_dict("records"), strict=True)) for frame in by_name]
    rows = [_row(name, found[0][name], found[1][name], found[2].get(name)) for name in shared]
    made = pd.DataFrame(rows)
    stored = {_long(name): name for name in renamed.names()}
    own = renamed.own_names()
    taken = set(own.values())
    made.insert(0, "model", other.source)
    made.insert(2, "longname_b", [_long(own[stored[name]]) for name in shared])
    made.insert(6, "stored_a", [first.info(stored[name]).stored_as for name in shared])
    made.insert(7, "stored_b", [renamed.info(stored[name]).stored_as for name in shared])
    made.attrs = {
        "only_a": [name for name in by_name[0].index if name not in by_name[1].index],
        "only_b": [_long(layer.name) for layer in read_layers(other) if layer.n_matrices and layer.name not in taken],
    }
    return made


class _Change:
    """The difference of two checkpoints without its rounding, which is what is looked for where one is quantised."""

    def __init__(self, weights: Weights) -> None:
        self.source, self.config = weights.source, weights.config
        self.names, self.info, self.read = weights.names, weights.info, weights.read


def _row(name: str, a: Row, b: Row, change: Row | None) -> Row:
    sides = (("first", a), ("second", b))
    reasons = [f"{which}: {one['reason']}" for which, one in sides if one["status"] != "success"]
    made: Row = {"longname": name, "layer_type": a["layer_type"], "N": a["N"], "M": a["M"]}
    for column in BOTH:
        made |= {f"{column}_a": a.get(column), f"{column}_b": b.get(column)}
    made["alpha_change"] = b["alpha"] - a["alpha"]
    made |= _sizes(a, change)
    if change is not None and np.isnan(made["change"]) and change["reason"]:
        reasons.append(str(change["reason"]))
    return made | {"status": "failed" if reasons else "success", "reason": "; ".join(reasons)}


def _sizes(a: Row, change: Row | None) -> dict[str, float]:
    """How large the change is beside the layer, and how many directions it has; 0, 0 and NaN for equal layers."""
    names = ("change", "change_top", "change_stable_rank")
    if change is None or not np.isfinite(change.get("norm", np.nan)):
        return dict.fromkeys(names, float("nan"))
    if change["norm"] == 0.0:
        return dict(zip(names, (0.0, 0.0, float("nan")), strict=True))
    ratios = np.sqrt(change["norm"] / a["norm"]), np.sqrt(change["spectral_norm"] / a["spectral_norm"])
    return dict(zip(names, (float(ratios[0]), float(ratios[1]), float(change["stable_rank"])), strict=True))


def _long(name: str) -> str:
    return name.removesuffix(".weight")
