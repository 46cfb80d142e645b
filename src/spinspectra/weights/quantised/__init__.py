"""Quantised checkpoints: codes, scales and zero points of many tensors read as the weights they stand for.

Each scheme is one file with its `SCHEMES`, registered here. Tensor names betray a scheme, shapes and dtypes must bear
it out, and config.json settles what they leave open.
"""

from spinspectra.weights.base import Weights
from spinspectra.weights.quantised import awq, bitsandbytes, fp4, gptq, packed, scaled
from spinspectra.weights.quantised.base import Found, Misfit, Scheme, Stored, Unread
from spinspectra.weights.quantised.settings import settings_of
from spinspectra.weights.quantised.unread import left_over, misfit
from spinspectra.weights.quantised.weights import DequantisedWeights

__all__ = ["DequantisedWeights", "dequantised"]

# In the order in which they are tried.
_SCHEMES: tuple[Scheme, ...] = (
    *bitsandbytes.SCHEMES,
    *awq.SCHEMES,
    *gptq.SCHEMES,
    *fp4.SCHEMES,
    *packed.SCHEMES,
    *scaled.SCHEMES,
)


def dequantised(weights: Weights) -> Weights:
    """The checkpoint with its quantised weights as the float32 values that the network computes with.

    Values are exact products of codes and scales, rounded once to float32 where even that is too short; the network
    itself may round them to the half precision it runs in. Codes of other schemes, and tensors that do not fit one
    another, stay as they are stored: `TensorInfo.format` names them, `read` refuses them (WeightsError). Returns the
    very same weights where nothing is quantised. Reads headers, and of bitsandbytes and compressed-tensors the small
    tensors that say the shape.
    """
    stored = Stored(weights, frozenset(weights.names()), settings_of(weights.config))
    found: list[Found] = []
    unread: list[Unread] = []
    claimed: set[str] = set()
    if stored.settings.is_read:
        for name in weights.names():
            one = None if name in claimed else _at(stored, name)
            if one is None or not claimed.isdisjoint(one.parts):
                continue
            claimed.update(one.parts)
            if isinstance(one, Found):
                found.append(one)
            else:
                unread.append(one)
    unread += left_over(stored, claimed)
    return DequantisedWeights(weights, found, unread) if found or unread else weights


def _at(stored: Stored, name: str) -> Found | Unread | None:
    """What the tensor of that name betrays, if anything."""
    for scheme in _SCHEMES:
        if not name.endswith(scheme.marker):
            continue
        stem = name.removesuffix(scheme.marker)
        named = (stem + scheme.codes, *(stem + part for part in scheme.beside))
        parts = tuple(part for part in named if part in stored.names)
        try:
            weight = scheme.build(stored, stem)
            if weight is None:
                continue
            if stem + scheme.name in stored.names and stem + scheme.name not in parts:
                raise Misfit("the weight itself beside it")
        except Misfit as why:
            return misfit(parts, scheme.label, str(why))
        return Found(stem + scheme.name, parts, weight)
    return None
