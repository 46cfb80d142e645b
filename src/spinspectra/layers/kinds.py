"""What a tensor is: from its dtype, its name, its shape, its neighbours, and its module where one was opened."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spinspectra.layers.recurrent import n_gates, n_gates_side_by_side
from spinspectra.text import shown
from spinspectra.weights import TensorInfo
from spinspectra.weights.dtypes import PACKED, is_real, stored_bits

Kind = Literal["dense", "embedding", "stack", "recurrent", "conv1d", "conv2d", "conv3d", "norm", "bias", "other"]
Channels = Literal["first", "last"]

# What float8 and integer checkpoints append to a weight's name for the scale that belongs to it.
SCALES = ("_scale", "_scale_inv", ".absmax")

_EMBEDDING = re.compile(r"(^|[._])(?!embed_out)(\w*embed\w*|wte|wpe|emb)([._]|$)")
_NOT_WEIGHT = re.compile(
    r"(^|[._])(bias|bias_[kv]|masked_bias|running_mean|running_var|moving_mean|moving_variance|"
    r"relative_position_bias_table|\w*_token|position_ids)$"
)
_BIAS = re.compile(r"bias$|(^|[._])bias_(ih|hh)(_l\d+(_reverse)?)?$")

# Classes of torch and Keras that settle what shapes and names leave open, by the number of sides of their weight.
_NORMALISATION = re.compile(r"Norm([123]d)?$|Normalization$")
_EMBEDDINGS = ("Embedding", "EmbeddingBag", "ReversibleEmbedding")
_DENSE = ("Linear", "Dense", "EinsumDense")
_STACKS = ("Bilinear", "LocallyConnected1D", "LocallyConnected2D")
_CONVOLUTIONS: dict[str, int] = {f"Conv{transposed}{n}d": n + 2 for transposed in ("", "Transpose") for n in (1, 2, 3)}
_OF_KERAS = re.compile(r"(Depthwise|Separable)?Conv([123])D(Transpose)?|ConvLSTM([123]D|Cell)")
_BY_SIDES: dict[int, Kind] = {3: "conv1d", 4: "conv2d", 5: "conv3d"}

# Tensors of Keras's layers that have sides and are no linear map.
_NO_MAP = {
    "EinsumDense": "an einsum kernel whose equation makes no matrix of it, or is not known",
    "PReLU": "slopes of an activation",
}


@dataclass(frozen=True, slots=True)
class Nature:
    """What a tensor is. n_matrices: 0 for no matrix, and then `reason` says why where its shape does not.

    channels: where the channels of a convolution stand; None for all that is none. side_by_side: whether the gates of a
    recurrent layer stand side by side, (n, g h).
    """

    kind: Kind
    n_matrices: int = 0
    channels: Channels | None = None
    reason: str = ""
    side_by_side: bool = False


def nature_of(name: str, infos: Mapping[str, TensorInfo], channels: Channels | None = None) -> Nature:
    """The kind of a tensor and how many matrices it holds, from the headers of its checkpoint.

    `other`, without a matrix: integers and all else that is no real number, codes whose scale is in another tensor,
    empty tensors, scalars, tables, tokens and buffers. `bias`: vectors with a bias's name. `norm`: other vectors, and
    what a normalisation of a torch or Keras module holds.

    Two sides: `recurrent`, the gates of an LSTM, GRU or RNN by their names in torch (`n_gates`) or in Keras
    (`n_gates_side_by_side`); else `embedding` where the module or the name says so; else `dense`. One row or one column
    is a matrix of one eigenvalue.

    Three sides and more: the class of a torch or Keras module settles what it is. Without one, three sides of which the
    first is no longer than the others are a `stack`, and so are six sides and more: each matrix is made of the last two
    sides (experts, bilinear layers). All others are convolutions, `conv1d` to `conv3d`, with a matrix a kernel
    position. Their channels stand where `channels` says; None: last, (k..., in, out), if the first two sides sum to
    less than the last two, else first, (out, in, k...). torch's modules have them first whatever `channels` says,
    Keras's last; of a transposed one of Keras's, (k..., out, in), the matrices are (out, in). A kernel (k, in, out) not
    longer than its channels is the same matrices as a stack and is called so where no class says what it is.
    """
    info = infos[name]
    is_vector = len(info.shape) == 1
    if _NOT_WEIGHT.search(name) and not (is_vector and _BIAS.search(name)):
        return Nature("other")
    if reason := why_no_weights(name, infos):
        return Nature("other", reason=reason)
    if is_vector:
        return Nature("bias" if _BIAS.search(name) else "norm")
    if not info.shape:
        return Nature("other", reason="a single number")
    if info.module == "Constant":
        return Nature("other", reason="a constant that the graph adds or compares, no linear map")
    if _NORMALISATION.search(info.module):
        return Nature("norm")
    if len(info.shape) == 2:
        return _of_two_sides(name, infos)
    return _of_more_sides(name, info, channels)


def why_no_weights(name: str, infos: Mapping[str, TensorInfo]) -> str:
    """Why the numbers of a tensor are not weights that a network computes with; empty if they may be."""
    info = infos[name]
    if info.size == 0:
        return f"no values in a tensor of shape {info.shape}"
    if info.format:
        return f"stored as {shown(info.format)}, a quantised or packed format; dequantise the checkpoint first"
    if info.dtype.kind == "b":
        return "truth values, not weights"
    if re.match(r"u?int", info.dtype.name):
        wide = info.dtype.itemsize == 8 or len(info.shape) < 2
        return "integers, not weights" if wide else "integer codes, not weights; dequantise the checkpoint first"
    if info.dtype in PACKED.values():
        return f"packed {info.dtype} codes, not weights; dequantise the checkpoint first"
    if not is_real(info.dtype):
        return f"{shown(str(info.dtype))} values, which are not real numbers"
    if info.dtype == "float8_e8m0fnu":
        return "powers of two that scale another tensor, not weights"
    return _why_no_weights_without_scale(name, infos)


def _why_no_weights_without_scale(name: str, infos: Mapping[str, TensorInfo]) -> str:
    if stored_bits(infos[name].dtype) == 8:
        scale = next((name + suffix for suffix in SCALES if name + suffix in infos), None)
        return f"codes whose scale is {shown(scale)}; dequantise the checkpoint first" if scale else ""
    for suffix in SCALES:
        owner = name.removesuffix(suffix)
        if owner != name and owner in infos and stored_bits(infos[owner].dtype) <= 8:
            return f"the scale of {shown(owner)}, not weights"
    owner = re.sub(r"(?<![a-zA-Z0-9])scales$", "qweight", name)
    return f"the scales of {shown(owner)}, not weights" if owner != name and owner in infos else ""


def _of_two_sides(name: str, infos: Mapping[str, TensorInfo]) -> Nature:
    module = infos[name].module
    if gates := n_gates(name, infos):
        return Nature("recurrent", gates)
    if gates := n_gates_side_by_side(name, infos):
        return Nature("recurrent", gates, side_by_side=True)
    named = bool(_EMBEDDING.search(name)) and module not in _DENSE
    return Nature("embedding" if module in _EMBEDDINGS or named else "dense", 1)


def _of_more_sides(name: str, info: TensorInfo, channels: Channels | None) -> Nature:
    shape, n_sides = info.shape, len(info.shape)
    leading, kernel = math.prod(shape[:-2]), math.prod(shape[2:])
    if _CONVOLUTIONS.get(info.module) == n_sides:
        return Nature(_BY_SIDES[n_sides], kernel, "first")
    if info.module in _NO_MAP:
        return Nature("other", reason=_NO_MAP[info.module])
    if _has_sides_of_keras(info.module, n_sides):
        return Nature(_BY_SIDES[n_sides], leading, "last")
    if n_sides == 3 and shape[0] == 1 and _EMBEDDING.search(name):  # a (1, n, d) table of positions
        return Nature("other")
    if info.module in _STACKS or n_sides > 5 or (n_sides == 3 and shape[0] <= min(shape[1:])):
        return Nature("stack", leading)
    guess: Channels = "last" if sum(shape[:2]) < sum(shape[-2:]) else "first"
    where = channels or guess
    return Nature(_BY_SIDES[n_sides], leading if where == "last" else kernel, where)


def _has_sides_of_keras(module: str, n_sides: int) -> bool:
    """Whether this is a convolution of Keras and a tensor of so many sides is its kernel."""
    match = _OF_KERAS.fullmatch(module)
    return match is not None and n_sides in ((3, 4, 5) if match[2] is None else (int(match[2]) + 2,))
