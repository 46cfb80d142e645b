"""What the nodes of an ONNX graph do with its tensors: which operation takes each, and which way round."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from spinspectra.weights.onnx.graph import Graph, Node, Tensor

# What an operation does with the tensor in one of its places, whatever quantised or fused form it has.
_ROLES: dict[tuple[str, int], str] = {
    ("MatMul", 1): "MatMul",
    ("FusedMatMul", 1): "MatMul",
    ("MatMulInteger", 1): "MatMul",
    ("MatMulIntegerToFloat", 1): "MatMul",
    ("DynamicQuantizeMatMul", 1): "MatMul",
    ("QLinearMatMul", 3): "MatMul",
    ("MatMulNBits", 1): "MatMulNBits",
    ("Gemm", 1): "Gemm",
    ("FusedGemm", 1): "Gemm",
    ("QGemm", 3): "Gemm",
    ("Conv", 1): "Conv",
    ("FusedConv", 1): "Conv",
    ("ConvInteger", 1): "Conv",
    ("QLinearConv", 3): "Conv",
    ("ConvTranspose", 1): "ConvTranspose",
    ("Gather", 0): "Gather",
    ("LSTM", 1): "LSTM",
    ("LSTM", 2): "LSTM",
    ("GRU", 1): "GRU",
    ("GRU", 2): "GRU",
    ("RNN", 1): "RNN",
    ("RNN", 2): "RNN",
}
_NORMALISATIONS = {
    "LayerNormalization": "LayerNorm",
    "SkipLayerNormalization": "LayerNorm",
    "RMSNormalization": "RMSNorm",
    "SimplifiedLayerNormalization": "RMSNorm",
    "SkipSimplifiedLayerNormalization": "RMSNorm",
    "GroupNormalization": "GroupNorm",
    "InstanceNormalization": "InstanceNorm",
    "BatchNormalization": "BatchNorm",
}
_ELEMENTWISE = frozenset(
    (
        *("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "Where", "Concat", "Expand"),
        *("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"),
        *("Abs", "Neg", "Exp", "Log", "Sqrt", "Reciprocal", "Cos", "Sin"),
    )
)
_INITIAL_STATES = (("LSTM", 5), ("LSTM", 6), ("GRU", 5), ("RNN", 5))
_INPUTS = (("MatMul", 0), ("Gemm", 0))

# Operations that hand a tensor on; Transpose turns it round.
_PASSED_ON = frozenset(("Identity", "Cast", "QuantizeLinear", "DequantizeLinear"))

# Operations on integers that stand for weights, among them those that are not read here.
QUANTISED = re.compile(
    r"Q[A-Z]\w*|MatMul(NBits|Bnb4|FpQ4|Integer\w*)|ConvInteger|GatherBlockQuantized|Dynamic\w+|DequantizeLinear"
)

_MOST_USES = 10_000


@dataclass(frozen=True, slots=True)
class Use:
    """One taker of a tensor: the node, the place among its inputs, and whether the tensor was transposed before."""

    node: Node
    slot: int
    transposed: bool = False

    @property
    def role(self) -> str:
        """`MatMul`, `Gemm`, `Conv`, ... where the node takes it as a weight; else empty."""
        return _ROLES.get((self.node.op, self.slot), "")

    @property
    def rows_are_outputs(self) -> bool | None:
        """Whether the matrix is (out, in) for this node, as torch's Linear has it; None where it is no such matrix."""
        match self.role:
            case "MatMul" | "Gemm":
                return self.transposed != bool(self.node.number("transB", 0))
            case "MatMulNBits":
                return True
        return None


@dataclass(slots=True)
class Scope:
    """A graph with the graphs within it, or a function: what shares its names. graphs: all of them, outermost first."""

    graphs: list[Graph]
    takers: dict[str, list[Use]] = field(default_factory=dict)
    makers: dict[str, Node] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)

    def uses(self, name: str) -> list[Use]:
        """All takers of a value, those behind a Cast, a Transpose and such in the place of these.

        None if the name is not the only one of its kind, or if there are thousands.
        """
        found: list[Use] = []
        waiting, seen = [(name, False)], {name}
        while waiting and len(found) < _MOST_USES:
            value, transposed = waiting.pop()
            if value in self.repeated:
                return []
            for use in self.takers.get(value, ()):
                turned = transposed != _turns(use.node)
                if use.slot or not (use.node.op in _PASSED_ON or _turns(use.node)):
                    found.append(Use(use.node, use.slot, transposed))
                elif use.node.outputs and use.node.outputs[0] not in seen:
                    seen.add(use.node.outputs[0])
                    waiting.append((use.node.outputs[0], turned))
        return found if len(found) < _MOST_USES else []

    def only_taker(self, name: str, *ops: str) -> Node | None:
        """The node that alone takes this value, if it is one of these operations."""
        takers = () if name in self.repeated else self.takers.get(name, ())
        return takers[0].node if len(takers) == 1 and takers[0].node.op in ops else None


def scopes(graphs: Sequence[Graph]) -> list[Scope]:
    """The main graph and each function, with the graphs in their nodes, and who takes and who makes each value."""
    return [_scope(graph) for graph in graphs]


def _scope(graph: Graph) -> Scope:
    scope = Scope(list(_nested(graph)))
    for one in scope.graphs:
        for tensor in one.tensors:
            _note(scope, tensor.name, None)
        for node in one.nodes:
            for slot, name in enumerate(node.inputs):
                if name:
                    scope.takers.setdefault(name, []).append(Use(node, slot))
            for name in node.outputs:
                if name:
                    _note(scope, name, node)
    return scope


def _note(scope: Scope, name: str, maker: Node | None) -> None:
    if name in scope.makers:
        scope.repeated.add(name)
    scope.makers[name] = maker if maker is not None else _NOBODY


_NOBODY = Node((0, 0))  # made an initialiser


def _nested(graph: Graph) -> Iterator[Graph]:
    yield graph
    for node in graph.nodes:
        for name, attribute in node.attributes.items():
            for inner in attribute.graphs:
                inner.name = f"{node.name or node.op}/{name}"
                yield from _nested(inner)


def _turns(node: Node) -> bool:
    if node.op != "Transpose":
        return False
    return "perm" not in node.attributes or node.attributes["perm"].ints == [1, 0]


def constants(graph: Graph) -> Iterator[tuple[str, Tensor]]:
    """Tensors that Constant nodes hold, by the name of their output."""
    for node in graph.nodes:
        if node.op == "Constant" and len(node.outputs) == 1:
            for kind in ("value", "sparse_value"):
                if kind in node.attributes and (held := node.attributes[kind].tensor) is not None:
                    yield node.outputs[0], held


def torch_class(n_sides: int, uses: Sequence[Use], rows_are_outputs: bool, anonymous: bool) -> str:
    """The class of the torch module that would hold such a tensor, or empty if the graph leaves it open.

    `Linear` for a matrix (out, in); `Embedding` for a table that Gather takes rows of, whatever else takes it;
    `Conv2d`, `ConvTranspose1d`, ... by the sides of the kernel; `LSTM`, `GRU`, `RNN`; the normalisations. `Constant`
    for what is only added, multiplied or compared entry by entry, if it has three sides or a name of the exporter's
    making (which may also be the input of a product): masks, tables of sines and initial states that were folded; and
    for scales of integers.
    """
    roles = {use.role for use in uses}
    if n_sides == 2 and any(use.role == "Gather" and not use.node.number("axis", 0) for use in uses):
        return "Embedding"
    if n_sides == 2 and rows_are_outputs:
        return "Linear"
    if len(roles) == 1 and (role := roles.pop()):
        if role in ("Conv", "ConvTranspose"):
            return f"{role}{n_sides - 2}d" if 3 <= n_sides <= 5 else ""
        return role if role in ("LSTM", "GRU", "RNN") else ""
    if uses and all(use.node.op in _NORMALISATIONS and use.slot for use in uses):
        return _NORMALISATIONS[uses[0].node.op]
    elementwise = n_sides > 2 and all(_is_elementwise(use) for use in uses)
    computed = anonymous and all(_is_elementwise(use) or (use.node.op, use.slot) in _INPUTS for use in uses)
    return "Constant" if uses and (elementwise or computed or all(_is_scale(use) for use in uses)) else ""


def _is_scale(use: Use) -> bool:
    return QUANTISED.fullmatch(use.node.op) is not None and use.slot > 0 and not use.role


def _is_elementwise(use: Use) -> bool:
    return use.node.op in _ELEMENTWISE or (use.node.op, use.slot) in _INITIAL_STATES
