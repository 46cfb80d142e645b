"""Which layers to train at all: those with most signal over Marchenko-Pastur noise.

Source: Hartford, Atkins, Fernandes Neto, Golchinfar, "Spectrum", 2024 (arXiv 2406.06623).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinspectra.advice.table import Values, require_columns
from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.layers import Layer
from spinspectra.layers.selection import MIN_EVALS, Choice, long_name
from spinspectra.spectra.analyze import blas_threads, to_analyze
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.measure import precision_of

if TYPE_CHECKING:
    import pandas as pd

_NORMAL_IQR = 1.349  # distance of a normal distribution's quartiles, in standard deviations


def layers_to_train(
    source: Any,
    fraction: float = 0.25,
    within: Literal["type", "network"] = "type",
    layers: Choice = None,
    min_evals: int = MIN_EVALS,
    progress: Callable[[str], None] | None = None,
) -> "pd.DataFrame":
    """Spectrum: of the layers of each type, the fraction with the largest signal-to-noise ratio; train these alone.

    source: as for `open_weights`; then the ratio is the paper's, `spectrum_snr`, in the column `snr`. Or a table of
    `analyze` with mp_fit=True; then it is the column `signal_to_noise`, the same idea with eigenvalues and a fitted
    bulk. The two rank layers differently (docs/advice.md). fraction: above 0, at most 1; Spectrum-25 and Spectrum-50
    are 0.25 and 0.5. within: "type" ranks layers whose names differ in numbers only, and takes floor(n fraction) of n;
    a type with too few for one gets none, such as an embedding or a head, which the authors' tool always trains.
    "network" ranks all together. layers, min_evals: as for `analyze`, of a source. progress: called with each name.

    Columns: layer_id, longname, the ratio, train (bool), remark. A layer without a ratio is not chosen.
    Raises OptionError for a fraction out of range, a table without the column, or if nothing would be trained.
    """
    import pandas as pd

    if not 0.0 < fraction <= 1.0:
        raise OptionError(f"fraction={fraction!r}: give more than 0 and at most 1")
    if within not in ("type", "network"):
        raise OptionError(f"within={within!r}: give 'type' or 'network'")
    if isinstance(source, pd.DataFrame):
        if layers is not None:
            raise OptionError("layers= chooses from a source; of a table give the rows wanted")
        require_columns(source, ("longname", "signal_to_noise"), "analyze with mp_fit=True")
        made = source[[name for name in ("layer_id", "longname", "signal_to_noise") if name in source]].copy()
        failed = "no signal_to_noise: its Marchenko-Pastur fit failed"
        made["remark"] = np.where(np.isfinite(made["signal_to_noise"].to_numpy(np.float64)), "", failed)
        ratio = "signal_to_noise"
    else:
        made, ratio = _measured(to_analyze(source, layers, min_evals, None, None), progress), "snr"
    names = made["longname"].tolist()
    groups = [type_of(name) if within == "type" else "" for name in names]
    chosen, remarks = _best(made[ratio].to_numpy(np.float64), groups, fraction)
    if not chosen.any():
        raise OptionError(
            f"fraction={fraction!r}: no type of layer has {int(np.ceil(1.0 / fraction))}; give a larger fraction or "
            "within='network'"
        )
    made.insert(list(made.columns).index("remark"), "train", chosen)
    made["remark"] = [one or other for one, other in zip(made["remark"], remarks, strict=True)]
    return made


def spectrum_snr(spectrum: Spectrum) -> float:
    """Spectrum's ratio: (sum of singular values s > edge) / (sum of the others), over the largest s.

    edge = sigma (1 + sqrt(M / N)), sigma = (distance of the quartiles of s) / 1.349, as the authors' code has it. That
    sigma is no fit of the law: of Gaussian noise a quarter of all s lie above the edge if W is square, two thirds if it
    is twice as long as wide, all from four times on. Over the largest s the ratio is in one over the unit of W. 0 where
    no s is above, NaN where none is at or below, where the authors take 1 for the noise.
    """
    singular = np.sqrt(spectrum.eigenvalues)
    if singular[-1] == 0.0:
        return float("nan")
    low, high = np.quantile(singular, [0.25, 0.75])
    edge = (high - low) / _NORMAL_IQR * (1.0 + spectrum.aspect_ratio**-0.5)
    noise = float(singular[singular <= edge].sum())
    signal = float(singular[singular > edge].sum())
    return signal / noise / float(singular[-1]) if noise > 0.0 else float("nan")


def type_of(name: str) -> str:
    """A layer's name without its numbers.

    >>> type_of("model.layers.31.mlp.down_proj")
    'model.layers.mlp.down_proj'
    """
    return ".".join(part for part in name.split(".") if not part.isdigit())


def _measured(taken: Sequence[Layer], progress: Callable[[str], None] | None) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for layer in taken:
        ratio, remark = _ratio_of(layer)
        rows.append({"layer_id": layer.index, "longname": long_name(layer), "snr": ratio, "remark": remark})
        if progress is not None:
            progress(layer.name)
    return pd.DataFrame(rows)


def _ratio_of(layer: Layer) -> tuple[float, str]:
    """The ratio and an empty remark, or NaN and why."""
    try:
        matrices = layer.matrices()
        with blas_threads(layer):
            ratio = spectrum_snr(esd(matrices, precision=precision_of(layer, matrices)))
    except SpinSpectraError as error:
        return float("nan"), f"failed: {error}"
    return ratio, "" if np.isfinite(ratio) else "no singular value at or below the edge"


def _best(ratios: Values, groups: Sequence[str], fraction: float) -> tuple[NDArray[np.bool_], list[str]]:
    """Which are chosen, (n,), and a remark for those whose group is too small for one."""
    chosen = np.zeros(ratios.size, np.bool_)
    remarks = [""] * ratios.size
    for group in dict.fromkeys(groups):
        members = np.array([place for place, one in enumerate(groups) if one == group])
        usable = members[np.isfinite(ratios[members])]
        n = int(usable.size * fraction + 1e-9)
        chosen[usable[np.argsort(-ratios[usable], kind="stable")[:n]]] = True
        if n == 0:
            for place in usable:
                remarks[place] = f"{usable.size} of its type, of which {fraction:g} is none"
    return chosen, remarks
