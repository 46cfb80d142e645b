"""The names that weights had in the torch module an ONNX graph was exported from, where the graph still tells them.

Both exporters of PyTorch fold the transpose of a Linear into its weight, which is then an initialiser (in, out) with a
name of their making, and leave the module's name on the node that takes it. The older one (TorchScript) names the
node by its modules, `/encoder/layer.0/attention/self/query/MatMul`; the newer one (torch.export) notes modules,
classes and parameters in the node's metadata. A name is recovered only from such traces and only if all takers of the
weight agree on it:

- newer: the module is a torch.nn.Linear, or the parameter that the node's call names has one reading only;
- older: the bias that is added next is called after the module; or the module does nothing but multiply, or multiply
  and add a parameter of another module (a bias tied to it), and so passes for a Linear. Containers of the class
  ModuleDict leave no trace in the names of nodes.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spinspectra.weights.onnx.graph import Node
from spinspectra.weights.onnx.messages import Reader
from spinspectra.weights.onnx.uses import Scope, Use

_ANONYMOUS = re.compile(r"(onnx::[A-Z]\w*_\d+|_?val_\d+|/.*Constant(_\d+)?_output_0)(_quantized|_Q\d\w*)?")

METADATA = {
    "pkg.torch.onnx.name_scopes": "scopes",
    "pkg.torch.onnx.class_hierarchy": "classes",
    "pkg.torch.onnx.fx_node": "call",
}
_QUOTED = re.compile(r"'([^']*)'")
_LINEAR_CALL = re.compile(r"aten\.linear\.default\]\(args = \(%\w+, %p_(\w+)[,)]")
_TORCH = "torch.nn.modules."
# Parameters with an underscore in their name, which could otherwise be those of a module within.
_PARAMETERS = re.compile(r"[^\W_]+|(in|[qkv])_proj_weight|weight_(ih|hh)(_l\d+(_reverse)?)?")

_DEEPEST = 64  # modules within modules

_MATRIX_ROLES = ("MatMul", "Gemm", "MatMulNBits")
_BIAS_SLOT = {"Gemm": 2, "FusedGemm": 2, "QGemm": 6, "MatMulNBits": 5, "DynamicQuantizeMatMul": 4}


@dataclass(frozen=True, slots=True)
class Origin:
    """A parameter of a torch module. module: its class, where the graph says it."""

    name: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """What torch's newer exporter notes on a node: the module, its class, and the call that the node came from."""

    path: str
    module: str
    call: str


class Names:
    """Recovers names within one scope. known: the names of all its initialisers."""

    def __init__(self, scope: Scope, reader: Reader, known: Iterable[str]) -> None:
        self._scope, self._reader = scope, reader
        self.known = set(known) | {alias for alias, _ in aliases(scope)}
        self._sorted = sorted(self.known)
        self._node_names = sorted(node.name for graph in scope.graphs for node in graph.nodes)

    def origins(self, uses: Mapping[str, Sequence[Use]]) -> dict[str, Origin]:
        """The parameters that tensors were, by their stored names; uses: those of every tensor of the scope.

        Besides anonymous ones, an embedding that got the name of the head tied to it, if the head has its own tensor.
        """
        claimed = {name: self._origin(uses[name]) for name in uses if is_anonymous(name)}
        found = {name: origin for name, origin in claimed.items() if origin is not None}
        for origin in list(found.values()):
            if origin.name in self.known and (own := self._own_embedding(uses.get(origin.name, ()))):
                found[origin.name] = own
        counts = Counter(origin.name for origin in found.values())
        kept = {name: origin for name, origin in found.items() if counts[origin.name] == 1}
        return {name: origin for name, origin in kept.items() if origin.name not in self.known or origin.name in kept}

    def trace(self, node: Node) -> Trace | None:
        """What torch's newer exporter noted on a node, if it did."""
        noted = self._reader.metadata(node, METADATA)
        scopes = _QUOTED.findall(noted.get("scopes", ""))
        classes = _QUOTED.findall(noted.get("classes", ""))
        if len(scopes) < 2 or len(scopes) != len(classes):
            return None
        return Trace(scopes[-2], classes[-2], noted.get("call", ""))

    def path(self, node: Node) -> str | None:
        """The module in a node's name of torch's older exporter; empty for the outermost; None for another's name.

        Modules in a Sequential bear its name before their own (`/net/net.0/MatMul`), and so do those in a list that
        is called like the module that has it (`/a/a.0/MatMul`, which is `a.a.0`). Other names tell which it is; if
        none does, it is the first.
        """
        if not node.name.startswith("/") or node.name.count("/") > _DEEPEST:
            return None
        path = last = ""
        for part in node.name.split("/")[1:-1]:
            longer = f"{path}.{part}" if path else part
            if last and part.startswith(f"{last}.") and not _n_starting(self._sorted, f"{longer.rpartition('.')[0]}."):
                path = path.removesuffix(last) + part
            else:
                path = longer
            last = part
        return path

    def _origin(self, uses: Sequence[Use]) -> Origin | None:
        claims = {claim for use in uses if (claim := self._claim(use)) is not None}
        names = {claim.name for claim in claims}
        calls = {name for name in names if re.sub(r"_\d+(?=\.weight$)", "", name) in names - {name}}  # `two_1.weight`
        rest = [claim for claim in claims if claim.name not in calls]
        return rest[0] if len(rest) == 1 else None

    def _claim(self, use: Use) -> Origin | None:
        if use.role in _MATRIX_ROLES:
            return self._of_trace(use.node) or self._of_node_name(use.node)
        path = self.path(use.node)
        if not path or "Conv" not in (use.node.op, use.role):
            return None
        return Origin(f"{path}.bias" if use.slot == 2 else f"{path}.weight")

    def _of_trace(self, node: Node) -> Origin | None:
        trace = self.trace(node)
        if trace is None or "aten.linear.default" not in trace.call:
            return None
        start = f"{trace.path}." if trace.path else ""
        if trace.module == f"{_TORCH}linear.Linear":
            return Origin(f"{start}weight", "Linear")
        call, mangled = _LINEAR_CALL.search(trace.call), re.sub(r"\W", "_", start)
        if call is None or not call[1].startswith(mangled):
            return None
        parameter = call[1].removeprefix(mangled)
        if not _PARAMETERS.fullmatch(parameter):
            return None
        return Origin(start + parameter, trace.module.split(".")[-1] if trace.module.startswith(_TORCH) else "")

    def _of_node_name(self, node: Node) -> Origin | None:
        path, place = self.path(node), node.name.rpartition("/")[0]
        if path is None:
            return None
        added, n_nodes = self._added(node, place)
        part = place.rpartition("/")[2]
        ends = (part, re.sub(r"_\d+$", "", part))  # a module called again is `two_1`
        for name in added:
            start, _, kind = name.removesuffix("_quantized").rpartition(".")
            if any(start == end or start.endswith(f".{end}") for end in ends):
                if kind not in ("bias", "in_proj_bias"):
                    return None  # a module with parameters of its own naming
                weight, module = kind.replace("bias", "weight"), "" if kind == "bias" else "MultiheadAttention"
                return Origin(f"{start}.{weight}" if start else weight, module)
        n_alike = _n_starting(self._node_names, f"{place}/") if place else len(self._node_names)
        if n_alike != n_nodes or (added and self.known.isdisjoint(added)):
            return None
        return Origin(f"{path}.weight" if path else "weight")

    def _added(self, node: Node, place: str) -> tuple[list[str], int]:
        """What a module adds to its product, if anything, and in how many nodes it does both."""
        own = node.input(_BIAS_SLOT.get(node.op, len(node.inputs)))
        if own:
            return [own], 1
        for op in ("Cast", "Mul", "QuantizeLinear", "DequantizeLinear"):  # these come first in quantised models
            node = self._scope.only_taker(node.outputs[0] if node.outputs else "", op) or node
        following = self._scope.only_taker(node.outputs[0] if node.outputs else "", "Add", "QLinearAdd")
        if following is None or following.name.rpartition("/")[0] != place:
            return [], 1
        names = [following.input(slot) for slot in ((0, 1) if following.op == "Add" else (0, 3))]
        makers = {name: self._scope.makers.get(name) for name in names if name not in node.outputs}
        return [
            maker.input(0) if maker is not None and maker.op == "DequantizeLinear" else name
            for name, maker in makers.items()
        ], 2

    def _own_embedding(self, uses: Sequence[Use]) -> Origin | None:
        traces = [self.trace(use.node) if use.role == "Gather" else None for use in uses]
        paths = {one.path if one is not None and one.module == f"{_TORCH}sparse.Embedding" else "" for one in traces}
        path = paths.pop() if len(paths) == 1 else ""
        return Origin(f"{path}.weight", "Embedding") if path and f"{path}.weight" not in self.known else None


def aliases(scope: Scope) -> list[tuple[str, str]]:
    """Parameters that torch's older exporter merged with an equal one: (name, the initialiser it is the same as)."""
    stored = {tensor.name for tensor in scope.graphs[0].tensors}
    return [
        (node.outputs[0], node.inputs[0])
        for node in scope.graphs[0].nodes
        if node.op == "Identity"
        and re.fullmatch(r"Identity_\d+", node.name)
        and len(node.outputs) == 1
        and node.outputs[0] not in scope.repeated
        and re.fullmatch(r"\w+(\.\w+)+", node.outputs[0])
        and node.input(0) in stored
    ]


def is_anonymous(name: str) -> bool:
    """Whether a name is of an exporter's making."""
    return len(name) <= 200 and _ANONYMOUS.fullmatch(name) is not None


def _n_starting(names: Sequence[str], start: str) -> int:
    """How many of sorted names begin so; start: ends in `.` or `/`."""
    return bisect_left(names, start[:-1] + chr(ord(start[-1]) + 1)) - bisect_left(names, start)
