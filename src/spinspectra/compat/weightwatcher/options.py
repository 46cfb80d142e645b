"""WeightWatcher's arguments of `analyze` as spinspectra's options, or the reason why they do not go together."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spinspectra.compat.weightwatcher.constants import (
    CLIP_XMAX,
    DEF_SAVE_DIR,
    PEFT_WITH_BASE,
    VALID_SVD_METHODS,
    WEAK_RANK_LOSS_TOLERANCE,
    WW_NAME,
    XMIN_PEAK,
)
from spinspectra.compat.weightwatcher.selection import Limits
from spinspectra.errors import OptionError
from spinspectra.layers import Channels

_LOGGER = logging.getLogger(WW_NAME)

_FITS = {
    "PL": "PL",
    "power_law": "PL",
    "TPL": "TPL",
    "truncated_power_law": "TPL",
    "E_TPL": "E_TPL",
}

# What is not offered: why, and what instead.
_REFUSED = {
    "fft": "the spectrum of Fourier coefficients is not that of the layer; it never ran in weightwatcher either",
    "conv2d_fft": "a convolution's spectrum by Fourier transform is another one, and the peer's takes real parts over "
    "the wrong axes; leave it out for the slices at each kernel position",
    "intra": "a product of two layers masked at random is no layer; multiply the matrices of get_Weights and give the "
    "product to analyze(model={'product.weight': ...})",
    "stacked": "matrices of unlike shapes padded with zeros have the spectrum of the padding; stack those of one shape "
    "and give them to analyze(model={'stack.weight': ...})",
    "inverse": "1/lambda is led by the eigenvalues with the fewest digits; invert get_ESD() and use fit_powerlaw",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call of `analyze` does. measures: options of spinspectra.analyze. folder: for figures, None not to save.

    tolerance: for weak_rank_loss. peft: False, True or 'with_base'.
    """

    limits: Limits
    measures: dict[str, Any] = field(default_factory=dict)
    start_ids: int = 0
    channels: Channels | None = None
    peft: bool | str = False
    plot: bool = False
    folder: Path | None = None
    deltas: bool = False
    tolerance: float = WEAK_RANK_LOSS_TOLERANCE


def plan(given: Mapping[str, Any], seed: int = 0) -> Plan:
    """The plan of `analyze` with these arguments, by the peer's names; those left out have its defaults.

    Raises OptionError for a value out of range and for arguments that do not go together.
    """
    get = given.get
    for name, why in _REFUSED.items():
        if get(name):
            raise OptionError(f"{name}=True is not offered: {why}")
    for name in ("min_size", "max_size"):
        if get(name) is not None:
            _LOGGER.warning("%s has no effect; use min_evals, max_evals or max_N", name)
    if get("ww2x"):
        _LOGGER.warning("ww2x=True means pool=False")
    pool = bool(get("pool", True)) and not get("ww2x")
    if get("channels") not in (None, "first", "last"):
        raise OptionError(f"channels={get('channels')!r}: give 'first', 'last' or None")
    if get("svd_method", "fast") not in VALID_SVD_METHODS:
        raise OptionError(f"svd_method={get('svd_method')!r}: give one of {VALID_SVD_METHODS}; both are exact here")
    measures = {**tail_options(given), **_measures(given), "seed": seed}
    from spinspectra.spectra.measure import Measures

    Measures(**measures)  # refuses what the tail fit refuses, before a model is read
    return Plan(
        limits=_limits(given, pool),
        measures=measures,
        start_ids=start_id(get("start_ids", 0)),
        channels=get("channels"),
        peft=_peft(get("peft", False)),
        plot=bool(get("plot")),
        folder=figure_folder(get("savefig", DEF_SAVE_DIR)),
        deltas=bool(get("deltas")),
        tolerance=_tolerance(get("tolerance")),
    )


def tail_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """fit, xmax, clip_top and fix_fingers as `spinspectra.analyze` takes them."""
    get = given.get
    fit, fingers, xmax = get("fit", "PL"), get("fix_fingers") or None, get("xmax")
    if fit not in _FITS:
        raise OptionError(f"fit={fit!r}: give 'PL', 'TPL' or 'E_TPL'")
    if fingers not in (None, CLIP_XMAX, XMIN_PEAK):
        raise OptionError(f"fix_fingers={fingers!r}: give False, '{XMIN_PEAK}' or '{CLIP_XMAX}'")
    if fingers == CLIP_XMAX and fit == "E_TPL":
        raise OptionError(
            "fit='E_TPL' looks for xmin near the peak, fix_fingers='clip_xmax' does not; give one of them"
        )
    if get("pl_package", "ww") not in ("ww", "powerlaw"):
        raise OptionError(f"pl_package={get('pl_package')!r}: give 'ww' or 'powerlaw'; the fit is spinspectra's own")
    clip_top = _clip_top(xmax)
    if fingers and clip_top:
        raise OptionError(f"fix_fingers={fingers!r} and xmax={xmax!r} both say where the tail ends; give one of them")
    return {
        "fit": _FITS[fit],
        "xmax": "force" if isinstance(xmax, str) else None,
        "clip_top": clip_top,
        "fix_fingers": fingers,
        "finger_thresh": get("finger_thresh", 1.0),
        "max_fingers": get("max_fingers", 10),
        "xmin_max": get("xmin_max"),
    }


def figure_folder(savefig: Any) -> Path | None:
    """Where figures go: the folder named, `ww-img` for True, nowhere for False."""
    if savefig is False:
        return None
    if savefig is True:
        return Path(DEF_SAVE_DIR)
    if isinstance(savefig, str | os.PathLike) and str(savefig):
        return Path(savefig)
    raise OptionError(f"savefig={savefig!r}: give a folder, True for {DEF_SAVE_DIR!r}, or False not to save")


def start_id(value: Any) -> int:
    """Raises OptionError unless it is a whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise OptionError(f"start_ids={value!r}: give 0 or a positive whole number")
    return int(value)


def is_valid(params: Mapping[str, Any]) -> bool:
    """Whether a table of parameters, under the keys of DEFAULT_PARAMS, makes a plan."""
    renamed = {"layer_ids_start": "start_ids", "MAX_FINGERS": "max_fingers", "deltaEs": "deltas"}
    try:
        plan({renamed.get(key, key): value for key, value in params.items()})
    except OptionError:
        return False
    return True


def _measures(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "randomize": bool(given.get("randomize")),
        "mp_fit": bool(given.get("mp_fit")),
        "detx": bool(given.get("detX") or given.get("ERG")),
        "vectors": bool(given.get("vectors")),
    }


def _limits(given: Mapping[str, Any], pool: bool) -> Limits:
    numbers = {name: _limit(name, given.get(name)) for name in ("max_evals", "max_N")}
    least = _limit("min_evals", given.get("min_evals", 8)) or 1
    most = numbers["max_evals"]
    if most is not None and least >= most:
        raise OptionError(f"min_evals={least} is not below max_evals={most}: no layer is left")
    return Limits(given.get("layers"), least, most, numbers["max_N"], pool)


def _limit(name: str, value: Any) -> int | None:
    """None, 0 and -1 are no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < -1:
        raise OptionError(f"{name}={value!r}: give a whole number, or None for no limit")
    return int(value) if value > 0 else None


def _clip_top(xmax: Any) -> int:
    if xmax is None or xmax is False or xmax == "force":
        return 0
    if isinstance(xmax, bool) or not isinstance(xmax, int | np.integer):
        raise OptionError(f"xmax={xmax!r}: give None, 'force', or k or -k to leave out the k largest eigenvalues")
    return abs(int(xmax))


def _peft(value: Any) -> bool | str:
    if value in (PEFT_WITH_BASE, False, True):
        return value if isinstance(value, str) else bool(value)
    if value == "peft_only":
        return True
    raise OptionError(f"peft={value!r}: give False, True or '{PEFT_WITH_BASE}'")


def _tolerance(value: Any) -> float:
    if not value:
        return WEAK_RANK_LOSS_TOLERANCE
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 < value < np.inf:
        raise OptionError(f"tolerance={value!r}: give a positive number")
    return float(value)
