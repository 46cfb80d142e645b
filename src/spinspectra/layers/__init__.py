"""What a tensor is: kinds, matrices, and the architecture families that make a chain of them."""

from spinspectra.layers.describe import describe
from spinspectra.layers.kinds import Channels, Kind
from spinspectra.layers.layer import Layer, read_layers
from spinspectra.layers.recognise import recognise
from spinspectra.layers.transformer import BlockMatrix, Transformer

__all__ = ["BlockMatrix", "Channels", "Kind", "Layer", "Transformer", "describe", "read_layers", "recognise"]
