"""Which layers a spectral analysis takes: by kind, by number of eigenvalues, and by the caller's choice."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from spinspectra.errors import OptionError
from spinspectra.layers.kinds import Kind
from spinspectra.layers.layer import Layer
from spinspectra.text import shown

MIN_EVALS = 8  # fewer eigenvalues make no distribution

Choice = int | str | Sequence[int | str] | None

_KINDS: tuple[Kind, ...] = get_args(Kind)


def why_skipped(layer: Layer, min_evals: int, max_evals: int | None) -> str:
    """Why a layer has no spectrum to analyse; empty if it has one.

    One tied to another tensor is counted there. Eigenvalues are counted over all slices: min(n, m) a slice.
    max_evals: None for no limit.
    """
    if layer.same_as:
        return f"tied to {shown(layer.same_as)}"
    if layer.n_matrices == 0:
        return layer.reason or f"{layer.kind}: no matrix in a tensor of shape {layer.shape} of {layer.dtype}"
    n_eigenvalues = n_evals(layer)
    if n_eigenvalues < min_evals:
        return f"{n_eigenvalues} eigenvalue{'' if n_eigenvalues == 1 else 's'}, fewer than min_evals={min_evals}"
    if max_evals is not None and n_eigenvalues > max_evals:
        return f"{n_eigenvalues} eigenvalues, more than max_evals={max_evals}"
    return ""


def n_evals(layer: Layer) -> int:
    """Eigenvalues of a layer, all its slices together."""
    return layer.n_matrices * min(layer.matrix_shape)


def choose(layers: Sequence[Layer], choice: Choice) -> list[Layer]:
    """The layers a caller asks for: all (None), or those that match any of the ids, names or kinds given.

    An id is a layer's index, a negative one leaves that layer out (-3 is layer 3; layer 0 is left out by name). A
    name is the tensor's, with or without `.weight`, or its last part. A kind is dense, embedding, conv2d and so on.
    A name or kind after `-` leaves it out, unless a tensor is really called so. Leaving out goes with leaving out only.
    A tensor tied to one that is not asked for stands for it.

    Raises OptionError for an id, name or kind that is not there, or keeping and leaving out in one call.
    """
    if choice is None:
        return list(layers)
    asked = [choice] if isinstance(choice, int | str) else list(choice)
    if not asked:
        return list(layers)
    found = [_match(layers, one) for one in asked]
    kept = {layer.index for leaves_out, matches in found for layer in matches if not leaves_out}
    left_out = {layer.index for leaves_out, matches in found for layer in matches if leaves_out}
    if kept and left_out:
        raise OptionError(f"layers={choice!r}: give layers to keep or layers to leave out, not both")
    if kept:
        return _own_ties([layer for layer in layers if layer.index in kept])
    return _own_ties([layer for layer in layers if layer.index not in left_out])


def long_name(layer: Layer) -> str:
    """The tensor's name without `.weight`; what no text may hold (halves of surrogate pairs) is spelled out."""
    return layer.name.removesuffix(".weight").encode("utf-8", "backslashreplace").decode()


def _own_ties(chosen: Sequence[Layer]) -> list[Layer]:
    """The same layers; of those tied to one that is not among them, the first is the owner."""
    names = {layer.name for layer in chosen}
    first: dict[str, str] = {}
    made = []
    for layer in chosen:
        if layer.same_as and layer.same_as not in names:
            owner = first.setdefault(layer.same_as, layer.name)
            layer = replace(layer, same_as="" if owner == layer.name else owner)
        made.append(layer)
    return made


def _match(layers: Sequence[Layer], asked: int | str) -> tuple[bool, list[Layer]]:
    """Whether what is asked for is to be left out, and the layers it names."""
    if isinstance(asked, str):
        matches = [layer for layer in layers if _answers_to(layer, asked)]
        if matches or not asked.startswith("-"):
            return False, _some(matches, asked)
        return True, _some([layer for layer in layers if _answers_to(layer, asked[1:])], asked)
    return asked < 0, _some([layer for layer in layers if layer.index == abs(asked)], asked)


def _answers_to(layer: Layer, text: str) -> bool:
    if text in _KINDS:
        return layer.kind == text
    return text in (layer.name, long_name(layer), long_name(layer).rpartition(".")[2])


def _some(matches: list[Layer], asked: int | str) -> list[Layer]:
    if not matches:
        raise OptionError(f"layers: nothing is called {asked!r}; describe lists ids, names and kinds")
    return matches
