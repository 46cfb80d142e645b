"""What an ONNX file says of its graph, read from its bytes without the numbers of its tensors.

ONNX is one protocol-buffer message, at most 2 GB of it by that format's own rule. Its libraries take such a message
as a whole, weights and all. Here the message is walked field by field, and of the data of a tensor only the place is
noted, so that opening costs what the graph costs, and each tensor can be read from the file later. The few fields
that matter are named below; all others are stepped over.
"""

from collections.abc import Mapping

from spinspectra.errors import WeightsError
from spinspectra.weights.onnx.bytes import Bytes
from spinspectra.weights.onnx.graph import (
    DOUBLES,
    FLOATS,
    INT32S,
    INT64S,
    RAW,
    STRINGS,
    UINT64S,
    Attribute,
    Graph,
    Node,
    Tensor,
)
from spinspectra.weights.onnx.wire import BYTES, EIGHT, FOUR, INT, Wire, key_of

_NODE, _ATTRIBUTE, _TENSOR, _PLACE = 300, 200, 400, 150  # bytes of memory that each takes
_DEEPEST = 32  # graphs within graphs

# ModelProto
_GRAPH, _FUNCTION = key_of(7, BYTES), key_of(25, BYTES)
# GraphProto and FunctionProto
_NODE_OF_GRAPH, _NAME_OF_GRAPH, _INITIALISER, _SPARSE = (key_of(n, BYTES) for n in (1, 2, 5, 15))
_NAME_OF_FUNCTION, _NODE_OF_FUNCTION = key_of(1, BYTES), key_of(7, BYTES)
# NodeProto
_INPUT, _OUTPUT, _NODE_NAME, _OPERATION, _ATTRIBUTE_OF_NODE, _METADATA = (key_of(n, BYTES) for n in (1, 2, 3, 4, 5, 9))
# AttributeProto
_ATTRIBUTE_NAME, _ONE_INT, _ONE_OF_INTS, _INTS = key_of(1, BYTES), key_of(3, INT), key_of(8, INT), key_of(8, BYTES)
_ONE_TENSOR, _ONE_GRAPH, _GRAPHS, _ONE_SPARSE = (key_of(n, BYTES) for n in (5, 6, 11, 22))
# TensorProto
_SIDE, _SIDES, _DATA_TYPE, _SEGMENT = key_of(1, INT), key_of(1, BYTES), key_of(2, INT), key_of(3, BYTES)
_TENSOR_NAME, _RAW, _EXTERNAL, _WHERE = key_of(8, BYTES), key_of(RAW, BYTES), key_of(13, BYTES), key_of(14, INT)
# SparseTensorProto
_VALUES, _INDICES, _SPARSE_SIDE, _SPARSE_SIDES = key_of(1, BYTES), key_of(2, BYTES), key_of(3, INT), key_of(3, BYTES)
# StringStringEntryProto
_KEY, _VALUE = key_of(1, BYTES), key_of(2, BYTES)

# Numbers of a tensor may be packed in one field or have one each.
_NUMBERS = {
    key_of(number, wire): number
    for number, single in (
        *((FLOATS, FOUR), (INT32S, INT), (INT64S, INT), (DOUBLES, EIGHT), (UINT64S, INT), (STRINGS, BYTES)),
    )
    for wire in (BYTES, single)
}
_OF_TENSOR = frozenset((_SIDE, _SIDES, _DATA_TYPE, _SEGMENT, _TENSOR_NAME, _RAW, _EXTERNAL, _WHERE, *_NUMBERS))
_OF_NODE = frozenset((_INPUT, _OUTPUT, _NODE_NAME, _OPERATION, _ATTRIBUTE_OF_NODE))
_OF_ATTRIBUTE = frozenset(
    (_ATTRIBUTE_NAME, _ONE_INT, _ONE_OF_INTS, _INTS, _ONE_TENSOR, _ONE_GRAPH, _GRAPHS, _ONE_SPARSE)
)
_OF_GRAPH = frozenset((_NODE_OF_GRAPH, _NAME_OF_GRAPH, _INITIALISER, _SPARSE))
_OF_FUNCTION = frozenset((_NODE_OF_FUNCTION, _NAME_OF_FUNCTION))
_OF_SPARSE = frozenset((_VALUES, _INDICES, _SPARSE_SIDE, _SPARSE_SIDES))
_OF_ENTRY = frozenset((_KEY, _VALUE))


class Reader:
    """Reads the messages of one model. Raises WeightsError, naming `source`, for anything malformed."""

    def __init__(self, data: Bytes, source: str) -> None:
        self._wire = Wire(data, source)

    def model(self) -> list[Graph]:
        """The main graph and then the functions."""
        graphs: list[Graph] = []
        functions: list[Graph] = []
        for key, begin, end in self._wire.walk(0, self._wire.data.size, frozenset((_GRAPH, _FUNCTION))):
            if key == _GRAPH:
                graphs.append(self._graph(begin, end, 0))
            else:
                functions.append(self._function(begin, end))
        if len(graphs) != 1:
            raise self.malformed("no graph in it" if not graphs else "several graphs in it")
        return graphs + functions

    def metadata(self, node: Node, wanted: Mapping[str, str]) -> dict[str, str]:
        """What exporters note on a node, under the names that `wanted` has for their keys; long values are cut."""
        found = {}
        for _, begin, end in self._wire.walk(*node.place, frozenset((_METADATA,))):
            entry = {key: (b, e) for key, b, e in self._wire.walk(begin, end, _OF_ENTRY)}
            if len(entry) == 2 and (name := self._wire.text_of(*entry[_KEY])) in wanted:
                b, e = entry[_VALUE]
                found[wanted[name]] = self._wire.data.read(b, min(e - b, 4096)).decode("utf-8", "replace")
        return found

    def malformed(self, reason: str) -> WeightsError:
        """The error for a file that is no such message."""
        return self._wire.malformed(reason)

    def _graph(self, begin: int, end: int, depth: int) -> Graph:
        if depth > _DEEPEST:
            raise self.malformed(f"more than {_DEEPEST} graphs within graphs")
        self._wire.charge(_NODE)
        graph = Graph()
        for key, b, e in self._wire.walk(begin, end, _OF_GRAPH):
            if key == _NODE_OF_GRAPH:
                graph.nodes.append(self._node(b, e, depth))
            elif key == _INITIALISER:
                graph.tensors.append(self._tensor(b, e))
            elif key == _SPARSE:
                graph.tensors.append(self._sparse(b, e))
            else:
                graph.name = self._wire.text_of(b, e)
        return graph

    def _function(self, begin: int, end: int) -> Graph:
        self._wire.charge(_NODE)
        graph = Graph()
        for key, b, e in self._wire.walk(begin, end, _OF_FUNCTION):
            if key == _NODE_OF_FUNCTION:
                graph.nodes.append(self._node(b, e, 1))
            else:
                graph.name = self._wire.text_of(b, e)
        return graph

    def _node(self, begin: int, end: int, depth: int) -> Node:
        self._wire.charge(_NODE)
        node = Node((begin, end))
        inputs: list[str] = []
        outputs: list[str] = []
        attributes: dict[str, Attribute] = {}
        for key, b, e in self._wire.walk(begin, end, _OF_NODE):
            if key == _INPUT:
                inputs.append(self._wire.text_of(b, e))
            elif key == _OUTPUT:
                outputs.append(self._wire.text_of(b, e))
            elif key == _NODE_NAME:
                node.name = self._wire.text_of(b, e)
            elif key == _OPERATION:
                node.op = self._wire.text_of(b, e)
            else:
                name, attribute = self._attribute(b, e, depth)
                attributes[name] = attribute
        if not node.op:
            raise self.malformed("a node without an operation")
        node.inputs, node.outputs = inputs or (), outputs or ()
        if attributes:
            node.attributes = attributes
        return node

    def _attribute(self, begin: int, end: int, depth: int) -> tuple[str, Attribute]:
        self._wire.charge(_ATTRIBUTE)
        name, found = "", Attribute()
        ints: list[int] = []
        graphs: list[Graph] = []
        for key, b, e in self._wire.walk(begin, end, _OF_ATTRIBUTE):
            if key == _ATTRIBUTE_NAME:
                name = self._wire.text_of(b, e)
            elif key in (_ONE_INT, _ONE_OF_INTS):
                ints.append(self._wire.integer(b))
            elif key == _INTS:
                ints += self._wire.packed(b, e)
            elif key == _ONE_TENSOR:
                found.tensor = self._tensor(b, e)
            elif key == _ONE_SPARSE:
                found.tensor = self._sparse(b, e)
            else:
                graphs.append(self._graph(b, e, depth + 1))
        found.ints, found.graphs = ints or (), graphs or ()
        return name, found

    def _tensor(self, begin: int, end: int) -> Tensor:
        self._wire.charge(_TENSOR)
        tensor, entries, is_external = Tensor(), {}, False
        for key, b, e in self._wire.walk(begin, end, _OF_TENSOR):
            if key == _SIDE:
                tensor.dims.append(self._wire.integer(b))
            elif key == _SIDES:
                tensor.dims += self._wire.packed(b, e)
            elif key == _DATA_TYPE:
                tensor.data_type = b
            elif key == _SEGMENT:
                raise self.malformed("a tensor in segments, which no exporter writes")
            elif key == _TENSOR_NAME:
                tensor.name = self._wire.text_of(b, e)
            elif key == _RAW:
                tensor.data[RAW] = [(b, e)]
            elif key == _EXTERNAL:
                name, value = self._entry(b, e)
                entries[name] = value
            elif key == _WHERE:
                is_external = b == 1
            else:
                self._wire.charge(_PLACE)
                place = (self._wire.value_at, e) if key & 7 == INT else (b, e)
                tensor.data.setdefault(_NUMBERS[key], []).append(place)
        if is_external:
            tensor.external = entries
        return tensor

    def _sparse(self, begin: int, end: int) -> Tensor:
        """A sparse tensor under the name of its values, with its own sides; its numbers are not looked at."""
        self._wire.charge(_TENSOR)
        tensor = Tensor(sparse=True)
        for key, b, e in self._wire.walk(begin, end, _OF_SPARSE):
            if key in (_VALUES, _INDICES):
                part = self._tensor(b, e)
                if key == _VALUES:
                    tensor.name, tensor.data_type = part.name, part.data_type
                tensor.data.setdefault(RAW, []).extend(place for places in part.data.values() for place in places)
            elif key == _SPARSE_SIDE:
                tensor.dims.append(self._wire.integer(b))
            else:
                tensor.dims += self._wire.packed(b, e)
        return tensor

    def _entry(self, begin: int, end: int) -> tuple[str, str]:
        parts = {key: self._wire.text_of(b, e) for key, b, e in self._wire.walk(begin, end, _OF_ENTRY)}
        return parts.get(_KEY, ""), parts.get(_VALUE, "")
