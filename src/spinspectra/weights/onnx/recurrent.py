"""Recurrent layers of ONNX as torch has them: one tensor a direction, the gates in torch's order.

ONNX stacks both directions in one tensor and both biases in another, W (d, g h, n), R (d, g h, h), B (d, 2 g h), its
gates being input, output, forget, cell in an LSTM and update, reset, new in a GRU.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights.onnx.graph import Node
from spinspectra.weights.onnx.names import Names, is_anonymous
from spinspectra.weights.onnx.quantised import Find
from spinspectra.weights.onnx.uses import Scope

# Where each of torch's gates is among those of ONNX.
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}

_NODE_NAME = re.compile(r"(LSTM|GRU|RNN)(?:_(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a stacked tensor: rows begin to end of one direction, their gates put into the order `gates`."""

    name: str
    module: str
    shape: tuple[int, ...]
    direction: int
    begin: int
    end: int
    gates: tuple[int, ...]

    def cut(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """The piece, of `shape`, out of the stacked tensor."""
        rows = values[self.direction, self.begin : self.end]
        by_gate = rows.reshape(len(self.gates), -1, *rows.shape[1:])
        return np.ascontiguousarray(by_gate[list(self.gates)]).reshape(self.shape)


def recurrent_pieces(scope: Scope, names: Names, find: Find) -> dict[str, list[Piece]]:
    """The pieces of every stacked tensor, by its stored name, where the name of torch's module can be told."""
    found: dict[str, list[Piece]] = {}
    layers: Counter[str] = Counter()
    for graph in scope.graphs:
        for node in graph.nodes:
            if node.op in _GATES and (place := _place(node, names, layers)) is not None:
                made = _pieces(node, *place, scope, find)
                if not any(piece.name in names.known for pieces in made.values() for piece in pieces):
                    found |= made
    return found


def _place(node: Node, names: Names, layers: Counter[str]) -> tuple[str, int] | None:
    """The path of the module and the number of its layer, counted from 0."""
    trace = names.trace(node)
    if trace is not None and trace.module == f"torch.nn.modules.rnn.{node.op}":
        layers[trace.path] += 1
        return trace.path, layers[trace.path] - 1
    path, named = names.path(node), _NODE_NAME.fullmatch(node.name.rpartition("/")[2])
    if path is None or named is None or named[1] != node.op or not is_anonymous(node.input(1)):
        return None
    return path, int(named[2] or 0)


def _pieces(node: Node, path: str, layer: int, scope: Scope, find: Find) -> dict[str, list[Piece]]:
    parts = [(name, find(name)) for slot in (1, 2, 3) if (name := node.input(slot))]
    if any(stored is None or len(scope.takers[name]) != 1 for name, stored in parts):
        return {}
    shapes = [stored.shape for _, stored in parts if stored is not None]
    gates = _GATES[node.op]
    if [len(shape) for shape in shapes] not in ([3, 3], [3, 3, 2]):
        return {}
    (directions, rows, _), recurrent = shapes[0], shapes[1]
    expected = [(directions, rows, recurrent[2]), (directions, 2 * rows)]
    if rows != len(gates) * recurrent[2] or directions not in (1, 2) or shapes[1:] != expected[: len(shapes) - 1]:
        return {}
    start, made = f"{path}." if path else "", {}
    every = (("weight_ih",), ("weight_hh",), ("bias_ih", "bias_hh"))
    for (name, _), shape, kinds in zip(parts, shapes, every[: len(parts)], strict=True):
        made[name] = [
            Piece(
                f"{start}{kind}_l{layer}{'_reverse' if direction else ''}",
                node.op,
                (rows, *shape[2:]),
                direction,
                rows * i,
                rows * (i + 1),
                gates,
            )
            for direction in range(directions)
            for i, kind in enumerate(kinds)
        ]
    return made
