"""Gates of recurrent layers: an LSTM's or a GRU's are one tensor, row-wise in torch, side by side in Keras."""

import re
from collections.abc import Mapping

from spinspectra.weights import TensorInfo

# `weight_ih_l0`, `weight_hh_l1_reverse`, and a cell's `weight_ih`, after any prefix that ends in no letter or digit.
_GATED = re.compile(r"(?P<stem>(?:.*[^a-zA-Z0-9])?)weight_(?:ih|hh)(?P<tail>(?:_l\d+(?:_reverse)?)?)", re.DOTALL)
_OF_CLASS = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3, "RNN": 1, "RNNCell": 1}
# Keras's cells, whose classes LSTM and GRU are called as torch's are: the names of their weights tell them apart.
_SIDE_BY_SIDE = re.compile(r"(?P<stem>(?:.*[./])?)(?:recurrent_)?kernel", re.DOTALL)
_OF_KERAS = {**_OF_CLASS, "SimpleRNN": 1, "SimpleRNNCell": 1}


def n_gates(name: str, infos: Mapping[str, TensorInfo]) -> int:
    """How many gate matrices (h, n) a tensor (g h, n) holds: 4 for an LSTM, 3 for a GRU, 1 for a plain RNN.

    From the class of its torch module, or else from the hidden-to-hidden tensor beside it, (g h, h); with a
    projection, (p, h) in `weight_hr`, that one is (g h, p). 0 for all that has no such name, or if the number
    cannot be told.
    """
    match, shape = _GATED.fullmatch(name), infos[name].shape
    if match is None or len(shape) != 2:
        return 0
    known = _OF_CLASS.get(infos[name].module)
    if known is not None and shape[0] % known == 0:
        return known
    hidden = infos.get(f"{match['stem']}weight_hh{match['tail']}")
    projection = infos.get(f"{match['stem']}weight_hr{match['tail']}")
    if hidden is None or len(hidden.shape) != 2 or hidden.shape[0] != shape[0]:
        return 0
    h = hidden.shape[1]
    if projection is not None:
        if len(projection.shape) != 2 or projection.shape[0] != h:
            return 0
        h = projection.shape[1]
    return next((g for g in (1, 3, 4) if g * h == shape[0]), 0)


def n_gates_side_by_side(name: str, infos: Mapping[str, TensorInfo]) -> int:
    """The same of a tensor (n, g h) of Keras: `kernel` or `recurrent_kernel`.

    From the class of its layer, or else from `recurrent_kernel` (h, g h) at its side. 0 for all that has no such name,
    or if the number cannot be told.
    """
    match, shape = _SIDE_BY_SIDE.fullmatch(name), infos[name].shape
    if match is None or len(shape) != 2:
        return 0
    known = _OF_KERAS.get(infos[name].module)
    if known is not None and shape[1] % known == 0:
        return known
    hidden = infos.get(f"{match['stem']}recurrent_kernel")
    if hidden is None or len(hidden.shape) != 2 or hidden.shape[1] != shape[1]:
        return 0
    return next((g for g in (1, 3, 4) if g * hidden.shape[0] == shape[1]), 0)
