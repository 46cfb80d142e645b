"""A torch module or a state dict with singular values of its layers cut away, in place: SVDSmoothing, SVDSharpness."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.compat.weightwatcher.constants import AUTO, DETX, LAMBDA_MIN, RMT, SVD, UNDER_TRAINED_THRESH, WW_NAME
from spinspectra.compat.weightwatcher.models import Entry, Model
from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.spectra.effective_space import effective_space
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.marchenko_pastur import fit_marchenko_pastur
from spinspectra.spectra.measure import precision_of, relative_floor
from spinspectra.spectra.powerlaw import fit_power_law
from spinspectra.spectra.randomize import randomize
from spinspectra.spectra.smoothing import truncated

_LOGGER = logging.getLogger(WW_NAME)

Matrices = Sequence[NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Share:
    """The n largest eigenvalues of a layer, its slices pooled, to keep or to remove; n 0: leave it, for the reason."""

    n: int = 0
    remove: bool = False
    reason: str = ""


Rule = Callable[[Entry, Matrices, Spectrum], Share]


def smoothing_rule(method: str, percent: float) -> Rule:
    """Which eigenvalues the peer's method keeps. Raises OptionError for an unknown one, or a percent beyond -1..1."""
    rules: dict[str, Rule] = {DETX: _detx, LAMBDA_MIN: _power_law, RMT: _bulk, AUTO: _auto}
    if method == SVD:
        if not -1.0 <= percent <= 1.0:
            raise OptionError(f"percent={percent!r}: give a fraction from -1 to 1, 0.8 to keep four fifths")
        return lambda entry, matrices, spectrum: _percent(percent, spectrum)
    if method not in rules:
        raise OptionError(f"method={method!r}: give one of {', '.join((*rules, SVD))}")
    return rules[method]


def trap_rule(seed: int) -> Rule:
    """The correlation traps, to be removed; counted with the draws of analyze(randomize=True)."""

    def rule(entry: Entry, matrices: Matrices, spectrum: Spectrum) -> Share:
        child = np.random.SeedSequence(seed, spawn_key=(entry.layer.index, 0))
        found = randomize(list(matrices), child, spectrum=spectrum)
        if np.isnan(found.num_traps):
            return Share(reason=f"its permuted weights: {found.fit.reason}")
        return Share(round(found.num_traps), remove=True)

    return rule


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
    layer = entry.layer
    try:
        matrices = layer.matrices()
        precision = precision_of(layer, matrices)
        spectra = [esd(matrix, precision=precision) for matrix in matrices]
        share = rule(entry, matrices, _pooled(spectra))
    except SpinSpectraError as error:
        share = Share(reason=str(error))
    if share.n <= 0:
        if share.reason:
            _LOGGER.warning("%s was left alone: %s", entry.longname, share.reason)
        return None
    tops = _tops(spectra, share.n)
    return layer.assemble([truncated(one, top, share.remove) for one, top in zip(matrices, tops, strict=True)])


def _pooled(spectra: Sequence[Spectrum]) -> Spectrum:
    one = spectra[0]
    values = np.sort(np.concatenate([each.eigenvalues for each in spectra]))
    return Spectrum(values, one.n_rows, one.n_cols, len(spectra), one.precision)


def _tops(spectra: Sequence[Spectrum], n: int) -> list[int]:
    """How many of the n largest eigenvalues of all are each slice's own."""
    values = np.concatenate([one.eigenvalues for one in spectra])
    slices = np.repeat(np.arange(len(spectra)), [one.eigenvalues.size for one in spectra])
    largest = slices[np.argsort(values, kind="stable")[max(0, values.size - n) :]]
    return [int(count) for count in np.bincount(largest, minlength=len(spectra))]


def _detx(entry: Entry, matrices: Matrices, spectrum: Spectrum) -> Share:
    found = effective_space(spectrum.eigenvalues, spectrum.floor)
    return Share(found.n_tail, reason="" if found.n_tail else "it has no tail with det X = 1")


def _power_law(entry: Entry, matrices: Matrices, spectrum: Spectrum) -> Share:
    fit = fit_power_law(spectrum.eigenvalues, floor=relative_floor(spectrum))
    return Share(fit.n_tail, reason=fit.reason)


def _bulk(entry: Entry, matrices: Matrices, spectrum: Spectrum) -> Share:
    fit = fit_marchenko_pastur(spectrum)
    return Share(reason=fit.reason) if fit.status == "failed" else Share(int(fit.n_spikes))


def _auto(entry: Entry, matrices: Matrices, spectrum: Spectrum) -> Share:
    alpha = fit_power_law(spectrum.eigenvalues, floor=relative_floor(spectrum)).alpha
    return (_bulk if alpha > UNDER_TRAINED_THRESH else _detx)(entry, matrices, spectrum)


def _percent(percent: float, spectrum: Spectrum) -> Share:
    return Share(int(abs(percent) * spectrum.eigenvalues.size + 1e-9), remove=percent < 0.0)  # 0.29 of 100 is 29


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
