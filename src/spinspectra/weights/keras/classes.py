"""Keras's layers: what their variables are called and in which order, and which axes of a kernel make its matrix."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

Shape = tuple[int, ...]

_KERNEL = ("kernel", "bias")
_CELL = ("kernel", "recurrent_kernel", "bias")
_SEPARABLE = ("depthwise_kernel", "pointwise_kernel", "bias")
_SCALED = ("gamma", "beta")

# The variables of each class in the order in which they are stored; a bias may be absent, and so may what is scaled.
_VARIABLES: dict[str, tuple[str, ...]] = {
    "Dense": _KERNEL,
    "EinsumDense": _KERNEL,
    **{f"Conv{n}D{transposed}": _KERNEL for n in (1, 2, 3) for transposed in ("", "Transpose")},
    **{f"DepthwiseConv{n}D": _KERNEL for n in (1, 2)},
    **{f"SeparableConv{n}D": _SEPARABLE for n in (1, 2)},
    **{f"{kind}Cell": _CELL for kind in ("LSTM", "GRU", "SimpleRNN", "ConvLSTM")},
    "Embedding": ("embeddings",),
    "ReversibleEmbedding": ("embeddings", "reverse_embeddings"),
    "BatchNormalization": (*_SCALED, "moving_mean", "moving_variance"),
    "LayerNormalization": _SCALED,
    "GroupNormalization": _SCALED,
    "RMSNormalization": ("scale",),
    "SpectralNormalization": ("kernel", "vector_u"),
    "Normalization": ("mean", "variance", "count"),
    "PReLU": ("alpha",),
    "Attention": ("scale", "concat_score_weight"),
    "AdditiveAttention": ("scale",),
}

# How many sides the first variable of a class has; other classes are told by their number of variables alone.
_SIDES = {
    "Dense": (2,),
    **{
        f"{before}Conv{n}D{after}": (n + 2,)
        for n in (1, 2, 3)
        for before in ("", "Depthwise", "Separable")
        for after in ("", "Transpose")
    },
    "LSTMCell": (2,),
    "GRUCell": (2,),
    "SimpleRNNCell": (2,),
    "ConvLSTMCell": (3, 4, 5),
    "Embedding": (2,),
    "ReversibleEmbedding": (2,),
    "BatchNormalization": (1,),
}

_QUANTISED = {"kernel": ("Dense", "EinsumDense"), "embeddings": ("Embedding",)}

# What is inside a layer, by the attribute that holds it: its name, its class, and how many axes of an einsum kernel
# are summed over.
ATTENTION = {
    "query_dense": ("query", "EinsumDense", 1),
    "key_dense": ("key", "EinsumDense", 1),
    "value_dense": ("value", "EinsumDense", 1),
    "output_dense": ("attention_output", "EinsumDense", 2),
}
_PARTS: dict[str, dict[str, tuple[str, str, int]]] = {
    "MultiHeadAttention": ATTENTION,
    "GroupedQueryAttention": ATTENTION,
    "LSTM": {"cell": ("lstm_cell", "LSTMCell", 0)},
    "GRU": {"cell": ("gru_cell", "GRUCell", 0)},
    "SimpleRNN": {"cell": ("simple_rnn_cell", "SimpleRNNCell", 0)},
    **{f"ConvLSTM{n}D": {"cell": ("conv_lstm_cell", "ConvLSTMCell", 0)} for n in (1, 2, 3)},
}
PUBLISHED_AS = {"GroupQueryAttention": "GroupedQueryAttention"}  # where Keras's own code has another name
_ALIKE = {
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "SyncBatchNormalization": "BatchNormalization",
    **PUBLISHED_AS,
}

_WRAPPERS = ("Bidirectional", "TimeDistributed", "RNN", "StackedRNNCells", "Sequential", "Functional")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a layer; all empty where nothing is.

    name: its own. kind: its class. options: its config. summed: how many of the first axes of its einsum kernel are
    summed over, 0 if nobody said.
    """

    name: str = ""
    kind: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    summed: int = 0


NOTHING = Known()


def parts_of(known: Known) -> dict[str, Known]:
    """The layers that every layer of its class has, by the attribute that holds them, which may be a private one."""
    found: dict[str, Known] = {}
    for attribute, (name, kind, summed) in _PARTS.get(known.kind, {}).items():
        part = Known(name, kind, {**known.options, "equation": None}, summed)
        found |= {attribute: part, f"_{attribute}": part}
    return found


@lru_cache(1024)
def snake(name: str) -> str:
    """A class's name as Keras makes paths and names of it: `Conv2DTranspose` gives `conv2d_transpose`."""
    name = re.sub(r"\W", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


_OF_SNAKE = {snake(kind): kind for kind in (*_VARIABLES, *_PARTS, *_ALIKE, *_WRAPPERS)}


def kind_of(name: str) -> str:
    """The class whose layers Keras calls so by itself, `Dense` for `dense_3`; empty for a name of the user's own."""
    return plain_kind(_OF_SNAKE.get(re.sub(r"_\d+$", "", name), ""))


def plain_kind(kind: str) -> str:
    """The class with the same variables under its more usual name."""
    return _ALIKE.get(kind, kind)


def knows(kind: str) -> bool:
    """Whether this is a class whose variables or parts are known."""
    return kind in _VARIABLES or kind in _PARTS


def has_sides(kind: str, first: Sequence[int]) -> bool:
    """Whether the first variable of a class may have so many sides. first: that number, or nothing."""
    return all(n in _SIDES.get(kind, (n,)) for n in first)


def variable_names(known: Known, arrays: Sequence[tuple[Shape, "np.dtype[Any]"]]) -> list[str] | None:
    """What the stored arrays of a layer are called, in their order; None if its class does not say, or not for these.

    A class that is guessed from a name must fit the arrays, or a `dense` of someone's own would pass for Keras's.
    """
    names = _VARIABLES.get(known.kind)
    if names is None or not arrays:
        return None
    if arrays[0][1] == np.int8:
        return _quantised_names(known.kind, len(arrays))
    if not has_sides(known.kind, [len(arrays[0][0])]):
        return None
    kept = [name for name in names if _is_there(name, known)]
    if len(arrays) != len(kept):
        kept = [name for name in kept if name != "bias"] if len(arrays) == len(names) - 1 else []
    if len(arrays) != len(kept) or not _fits(kept, [shape for shape, _ in arrays]):
        return None
    return kept


def _is_there(name: str, known: Known) -> bool:
    """Whether the config leaves a variable in; only what one layer has and another has not is asked."""
    option = {"bias": "use_bias", "gamma": "scale", "beta": "center", "scale": "use_scale"}.get(name, "")
    if known.kind == "ReversibleEmbedding" and name == "reverse_embeddings":
        return known.options.get("tie_weights") is False
    if known.kind == "Attention" and name == "concat_score_weight":
        return known.options.get("score_mode") == "concat"
    if known.kind == "EinsumDense" and name == "bias" and "bias_axes" in known.options:
        return known.options["bias_axes"] is not None
    return known.options.get(option) is not False


def _fits(names: Sequence[str], shapes: Sequence[Shape]) -> bool:
    """Whether a bias is one of the kernel's: as long as its output, of as many values."""
    of = dict(zip(names, shapes, strict=True))
    if "bias" not in of or "kernel" not in of or "recurrent_kernel" in of:
        return "recurrent_kernel" not in of or of["kernel"][-1] == of["recurrent_kernel"][-1]
    return prod(of["kernel"]) % max(prod(of["bias"]), 1) == 0


def _quantised_names(kind: str, n: int) -> list[str] | None:
    for stem, kinds in _QUANTISED.items():
        if kind in kinds:
            bias = ["bias"] if stem == "kernel" and n % 2 else []
            names = [stem, *bias, f"{stem}_scale", f"{stem}_zero", "g_idx"][:n]
            return names if n in (2, 3, 4, 5) else None
    return None


def known_by_variable(path: Sequence[str], shape: Shape, bias: Shape | None) -> Known:
    """What the last two parts of a variable's name and its shape say of its layer, where neither config nor class do.

    Kernels in Keras's files have their channels last whatever their class, so that it matters little which it is.
    """
    layer, leaf, n = path[-2] if len(path) > 1 else "", path[-1], len(shape)
    if leaf == "embeddings" and n == 2:
        return Known(layer, "Embedding")
    if leaf in ("depthwise_kernel", "pointwise_kernel") and n in (3, 4):
        return Known(layer, f"SeparableConv{n - 2}D")
    if leaf != "kernel" or not 2 <= n <= 5:
        return NOTHING
    if n == 2:
        return Known(layer, "Dense")
    for name, kind, summed in ATTENTION.values():
        if layer == name and n == 3:
            return Known(layer, kind, summed=summed)
    if bias is not None and len(bias) > 1:
        return Known(layer, "EinsumDense", summed=n - len(bias) if bias == shape[n - len(bias) :] else 0)
    transposed = bias is not None and bias != shape[-1:] and bias == shape[-2:-1]
    return Known(layer, f"Conv{n - 2}D{'Transpose' if transposed else ''}")


def matrix_shape(known: Known, leaf: str, shape: Shape) -> Shape:
    """The kernel of an einsum as the one matrix it is, (summed over, not summed over); any other shape as it is.

    The order of its values does not change. A kernel with axes that are neither keeps its shape.
    """
    if known.kind != "EinsumDense" or leaf != "kernel" or len(shape) < 3:
        return shape
    n = summed_axes(known.options.get("equation"), len(shape)) or known.summed
    return (prod(shape[:n]), prod(shape[n:])) if 0 < n < len(shape) else shape


def summed_axes(equation: Any, n_sides: int) -> int:
    """How many first axes of the kernel an equation `abc,cde->abde` has on one side of the matrix; 0 if it has none.

    Those it sums over are the first ones; where they are the last, the matrix is the transposed one.
    """
    terms = einsum_terms(equation)
    if terms is None or len(terms[1]) != n_sides:
        return 0
    sides = [(letter in terms[0], letter in terms[2]) for letter in terms[1]]
    changes = [i for i in range(1, n_sides) if sides[i] != sides[i - 1]]
    if len(changes) != 1 or {sides[0], sides[-1]} != {(True, False), (False, True)}:
        return 0
    return changes[0]


def einsum_terms(equation: Any) -> tuple[str, str, str] | None:
    """Input, kernel and output of an einsum's equation."""
    if not isinstance(equation, str):
        return None
    match = re.fullmatch(r"([a-zA-Z.]+),([a-zA-Z]+)->([a-zA-Z.]+)", equation.replace(" ", ""))
    return None if match is None else (match[1], match[2], match[3])
