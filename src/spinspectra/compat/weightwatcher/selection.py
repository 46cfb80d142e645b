"""Which layers a call takes: the peer's arguments, with names in full and nothing left out in silence."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spinspectra.compat.weightwatcher.constants import LAYER_TYPES_SUPPORTED, WW_NAME
from spinspectra.compat.weightwatcher.models import Entry
from spinspectra.errors import OptionError
from spinspectra.layers import Layer
from spinspectra.layers.selection import MIN_EVALS, choose, why_skipped

_LOGGER = logging.getLogger(WW_NAME)
NOT_ASKED = "not among layers="
_TYPES = {*LAYER_TYPES_SUPPORTED, "conv3d", "stack", "recurrent"}


@dataclass(frozen=True, slots=True)
class Limits:
    """layers: as the caller gave it. None for no limit. pool: eigenvalues of a convolution are counted together."""

    layers: Any = ()
    min_evals: int = MIN_EVALS
    max_evals: int | None = None
    max_n: int | None = None
    pool: bool = True


@dataclass(frozen=True, slots=True)
class Selected:
    """The entries to analyse in the peer's order, and why each other one is not."""

    taken: tuple[Entry, ...]
    left_out: tuple[tuple[Entry, str], ...]


def select(entries: Sequence[Entry], limits: Limits) -> Selected:
    """Apply the caller's choice, then the limits. Raises OptionError for layers to keep beside layers to leave out."""
    asked = {entry.layer.index for entry in _asked(entries, limits.layers)}
    every = [entry.layer for entry in entries]
    # of tied tensors whose owner is not asked for, one stands for it
    chosen = every if len(asked) == len(every) else choose(every, sorted(asked)) if asked else []
    own = {layer.index: layer for layer in chosen}
    taken, left_out = [], []
    for entry in entries:
        layer = own.get(entry.layer.index)
        reason = NOT_ASKED if layer is None else _why_not(layer, limits)
        if layer is None or reason:
            left_out.append((entry, reason))
        else:
            taken.append(replace(entry, layer=layer))
    return Selected(tuple(taken), tuple(left_out))


def find(entries: Sequence[Entry], asked: int | str | None) -> Entry:
    """The one layer of an id, a longname or a short name, the first of that name; None: the first with a matrix.

    Raises OptionError if there is none.
    """
    if asked is None:
        found = [entry for entry in entries if entry.layer.n_matrices]
    elif isinstance(asked, str):
        found = [entry for entry in entries if asked in (entry.longname, entry.layer.name)]
        found = found or [entry for entry in entries if asked == entry.name and entry.layer.n_matrices]
    else:
        found = [entry for entry in entries if entry.layer_id == asked]
    if not found:
        raise OptionError(f"layer={asked!r}: the model has no such layer; describe lists ids and names")
    if not found[0].layer.n_matrices:
        raise OptionError(f"layer={asked!r}: {why_skipped(found[0].layer, 1, None)}")
    return found[0]


def _why_not(layer: Layer, limits: Limits) -> str:
    if not limits.pool and layer.n_matrices > 1 and not layer.same_as:  # each slice is a row of its own
        one_slice = replace(layer, shape=layer.matrix_shape, n_matrices=1, channels=None)
        reason = why_skipped(replace(one_slice, kind="dense"), limits.min_evals, limits.max_evals)
    else:
        reason = why_skipped(layer, limits.min_evals, limits.max_evals)
    larger = max(layer.matrix_shape)
    if not reason and limits.max_n is not None and larger > limits.max_n:
        return f"N = {larger}, more than max_N={limits.max_n}"
    return reason


def _asked(entries: Sequence[Entry], choice: Any) -> list[Entry]:
    asked = list(_flat(choice))
    if not asked:
        return list(entries)
    keep: set[int] = set()
    drop: set[int] = set()
    signs = set()
    for one in asked:
        leaves_out, found = _match(entries, one)
        signs.add(leaves_out)
        (drop if leaves_out else keep).update(entry.layer.index for entry in found)
        if not found:
            _LOGGER.warning("layers: the model has nothing called %r; describe lists ids, names and types", one)
    if len(signs) == 2:
        raise OptionError(f"layers={asked!r}: give layers to keep or layers to leave out, not both")
    if True in signs:
        return [entry for entry in entries if entry.layer.index not in drop]
    return [entry for entry in entries if entry.layer.index in keep]


def _flat(choice: Any) -> Iterable[int | str]:
    """Ids and names one by one, out of one of them, a sequence or array of them, or types joined by |."""
    if choice is None:
        return
    if isinstance(choice, bool | np.bool_):
        raise OptionError(f"layers={choice!r}: give ids, names or types")
    if isinstance(choice, str):
        yield str(choice)
    elif isinstance(choice, int | np.integer):
        yield int(choice)
    elif isinstance(choice, Iterable):
        for one in choice:
            yield from _flat(one)
    else:
        raise OptionError(f"layers={choice!r}: give ids, names or types")


def _match(entries: Sequence[Entry], asked: int | str) -> tuple[bool, list[Entry]]:
    """Whether what is asked for is to be left out, and the entries it names. A type goes before a layer called so."""
    if isinstance(asked, int):
        return asked < 0, [entry for entry in entries if entry.layer_id == abs(asked)]
    matches = [entry for entry in entries if _answers_to(entry, asked)]
    if matches or asked in _TYPES or not asked.startswith("-"):
        return False, matches
    return True, [entry for entry in entries if _answers_to(entry, asked[1:])]


def _answers_to(entry: Entry, text: str) -> bool:
    if text in _TYPES:
        return entry.layer_type == text
    return text in (entry.name, entry.longname, entry.layer.name)
