"""What a tensor is: kinds, matrices, and the architecture families that make a chain of them."""

from spinspectra.layers.describe import describe
from spinspectra.layers.kinds import Channels, Kind
from spinspectra.layers.layer import Layer, read_layers
from spinspectra.layers.network import BlockMatrix, Network
from spinspectra.layers.recognise import recognise

__all__ = ["BlockMatrix", "Channels", "Kind", "Layer", "Network", "describe", "read_layers", "recognise"]
