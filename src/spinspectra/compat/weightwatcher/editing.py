"""A torch module or a state dict with singular values of its layers cut away, in place: SVDSmoothing, SVDSharpness."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.compat.weightwatcher.constants import AUTO, DETX, LAMBDA_MIN, RMT, SVD, UNDER_TRAINED_THRESH, WW_NAME
from spinspectra.compat.weightwatcher.models import Entry, Model
from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.layers import Layer
from spinspectra.spectra.esd import Spectrum
from spinspectra.spectra.measure import relative_floor
from spinspectra.spectra.powerlaw import fit_power_law
from spinspectra.spectra.truncation import (
    Cut,
    Matrix,
    Rule,
    detx_rule,
    mp_rule,
    percent_rule,
    power_law_rule,
    truncate_layer,
)

_LOGGER = logging.getLogger(WW_NAME)


def smoothing_rule(method: str, percent: float) -> Rule:
    """Which eigenvalues the peer's method keeps. Raises OptionError for an unknown one, or a percent beyond -1..1."""
    rules: dict[str, Rule] = {DETX: detx_rule, LAMBDA_MIN: power_law_rule, RMT: mp_rule, AUTO: _auto_rule}
    if method == SVD:
        if not -1.0 <= percent <= 1.0:
            raise OptionError(f"percent={percent!r}: give a fraction from -1 to 1, 0.8 to keep four fifths")
        return percent_rule(percent)
    if method not in rules:
        raise OptionError(f"method={method!r}: give one of {', '.join((*rules, SVD))}")
    return rules[method]


def edit(model: Model, entries: Sequence[Entry], rule: Rule) -> None:
    """Cut each layer in place, keeping dtype, device and requires_grad; layers that cannot be are logged and left.

    A module's tensors are written into, a dict gets new tensors in the place of the old. Raises OptionError for a model
    that lies in files.
    """
    if model.holder is None:
        raise OptionError(
            f"{model.weights.source} lies in files, which are not edited in place; spinspectra.smooth(path, out=...) "
            "and spinspectra.sharpen(path, out=...) write a new checkpoint"
        )
    tensors = _tensors_of(model.holder)
    for entry in entries:
        values = _cut(entry, rule)
        if values is None:
            continue
        name = entry.layer.name
        if name not in tensors:
            _LOGGER.warning("%s is computed by a parametrisation and was left alone", entry.longname)
        elif isinstance(model.holder, dict):
            model.holder[name] = new = _like(tensors[name], values)
            for other in model.entries:
                if other.layer.same_as == name:
                    model.holder[other.layer.name] = new
        else:
            _write_into(tensors[name], values)


def _tensors_of(holder: Any) -> dict[str, Any]:
    if not hasattr(holder, "named_parameters"):
        if not isinstance(holder, dict):
            raise OptionError(f"a {type(holder).__name__} cannot be edited in place; give a dict or a torch module")
        return holder
    every = {"remove_duplicate": False}
    return dict((*holder.named_parameters(**every), *holder.named_buffers(**every)))


def _cut(entry: Entry, rule: Rule) -> NDArray[np.floating] | None:
    """The layer's new values, in the shape of its tensor; None to leave it."""
    try:
        done = truncate_layer(entry.layer, rule)
    except SpinSpectraError as error:
        _LOGGER.warning("%s was left alone: %s", entry.longname, error)
        return None
    if done.matrices is None:
        _LOGGER.warning("%s was left alone: %s", entry.longname, done.cut.reason)
        return None
    return entry.layer.assemble(done.matrices)


def _auto_rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
    alpha = fit_power_law(spectrum.eigenvalues, floor=relative_floor(spectrum)).alpha
    return (mp_rule if alpha > UNDER_TRAINED_THRESH else detx_rule)(layer, matrices, spectrum)


def _like(old: Any, values: NDArray[np.floating]) -> Any:
    """A new tensor of the old one's dtype and device, or a new array of its dtype."""
    if not hasattr(old, "detach"):
        return values.astype(old.dtype)
    new = old.detach().clone()
    _write_into(new, values)
    return new.requires_grad_(old.requires_grad)


def _write_into(tensor: Any, values: NDArray[np.floating]) -> None:
    import torch

    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))
