"""What is kept of an ONNX graph: its nodes, and the headers of its tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

Place = tuple[int, int]  # where a run of bytes begins and ends

# Fields of TensorProto that hold numbers, by field number.
RAW, FLOATS, INT32S, STRINGS, INT64S, DOUBLES, UINT64S = 9, 4, 5, 6, 7, 10, 11


@dataclass(slots=True)
class Tensor:
    """A tensor's header.

    data: the places of its numbers, by the field that holds them. external: what it says of another file that holds
    them; None if they are here.
    """

    name: str = ""
    dims: list[int] = field(default_factory=list)
    data_type: int = 0
    data: dict[int, list[Place]] = field(default_factory=dict)
    external: dict[str, str] | None = None
    sparse: bool = False


@dataclass(slots=True)
class Node:
    """One operation. place: where the node itself is, for what is rarely asked (`Reader.metadata`)."""

    place: Place
    op: str = ""
    name: str = ""
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    attributes: Mapping[str, "Attribute"] = field(default_factory=lambda: _NONE)

    def number(self, name: str, default: int) -> int:
        """An attribute that is one integer."""
        ints = self.attributes[name].ints if name in self.attributes else ()
        return ints[-1] if ints else default

    def input(self, slot: int) -> str:
        """An input by its position; empty where it is left out."""
        return self.inputs[slot] if slot < len(self.inputs) else ""


@dataclass(slots=True)
class Attribute:
    """What an attribute of a node holds, of the kinds that matter."""

    ints: Sequence[int] = ()
    tensor: Tensor | None = None
    graphs: Sequence["Graph"] = ()


@dataclass(slots=True)
class Graph:
    """Nodes and initialisers of a graph, or the nodes of a function."""

    name: str = ""
    nodes: list[Node] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)


_NONE: Mapping[str, Attribute] = MappingProxyType({})
