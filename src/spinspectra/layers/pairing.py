"""Which tensor of one checkpoint is which of another, in any two formats: by name, by part in the chain, by shape."""

from collections.abc import Mapping, Sequence

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.layers.layer import Layer, read_layers
from spinspectra.layers.recognise import recognise
from spinspectra.text import shown
from spinspectra.weights import Weights
from spinspectra.weights.matched import MatchedWeights
from spinspectra.weights.matching import match_names


def matched(weights: Weights, model: Weights) -> MatchedWeights:
    """`weights` under the names of `model`, each matrix in its orientation; tensors without a counterpart left out.

    Names that are equal, but for one prefix, settle it (`match_names`). Where no name is shared, as between a GGUF file
    and the folder it was made of, the matrices of the blocks belong together by their part in the chain, and the rest
    if one tensor on each side has that shape and kind. Raises OptionError if nothing belongs together.
    """
    pairs = _by_name(weights, model) or _by_part(weights, model)
    if not pairs:
        ours, theirs = (shown(one.names()[0]) for one in (model, weights))
        raise OptionError(
            f"{model.source} and {weights.source}: no tensor of one belongs to one of the other; names begin with "
            f"{ours} and {theirs}, and they are no transformers of one shape"
        )
    turned = {name for name, own in pairs.items() if _is_turned(model.info(name).shape, weights.info(own).shape)}
    order = {name: pairs[name] for name in model.names() if name in pairs}
    return MatchedWeights(weights, order, frozenset(turned))


def _by_name(weights: Weights, model: Weights) -> dict[str, str]:
    match = match_names(model.names(), weights.names(), f"{model.source} and {weights.source}")
    if match is None:
        return {}
    held = set(weights.names())
    pairs = {name: match.base_name(name) for name in model.names()}
    return {name: own for name, own in pairs.items() if own is not None and own in held}


def _by_part(weights: Weights, model: Weights) -> dict[str, str]:
    """By block and part, then by shape and kind for what stands outside the blocks."""
    ours, theirs = (_parts(one) for one in (model, weights))
    pairs: dict[str, str] = {}
    for label, names in ours.items():
        others = theirs.get(label, ())
        if len(others) == len(names):
            pairs.update(zip(names, others, strict=True))
    return pairs | _by_shape(weights, model, pairs) if pairs else {}


def _parts(weights: Weights) -> dict[str, tuple[str, ...]]:
    """The tensors of each matrix of the chain, by its label; none where there is no chain."""
    try:
        return {matrix.label: matrix.tensors for matrix in recognise(weights).block_matrices()}
    except SpinSpectraError:
        return {}


def _by_shape(weights: Weights, model: Weights, pairs: Mapping[str, str]) -> dict[str, str]:
    ours = _groups([layer for layer in read_layers(model) if layer.name not in pairs])
    theirs = _groups([layer for layer in read_layers(weights) if layer.name not in set(pairs.values())])
    return {
        names[0]: theirs[key][0] for key, names in ours.items() if len(names) == 1 and len(theirs.get(key, ())) == 1
    }


def _groups(layers: Sequence[Layer]) -> dict[tuple[object, ...], list[str]]:
    found: dict[tuple[object, ...], list[str]] = {}
    for layer in layers:
        if layer.n_matrices and not layer.same_as:
            found.setdefault((layer.kind, *sorted(layer.shape)), []).append(layer.name)
    return found


def _is_turned(shape: tuple[int, ...], own: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape != own and shape == own[::-1]
