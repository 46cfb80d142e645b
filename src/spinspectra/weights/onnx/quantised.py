"""Quantised weights of ONNX models: the scale and zero point that integers have, and the weights they stand for.

Read where the graph itself says so: `DequantizeLinear` on the integers (or on the rows that Gather takes of them), per
tensor, per axis or in blocks; the operations of ONNX and ONNX Runtime that take scale and zero point beside the
integers; `MatMulInteger` and `ConvInteger`, whose scale is multiplied to their result; and `MatMulNBits`, two, four or
eight bits in blocks. All of these mean (integer - zero point) x scale. Any other is refused by its name.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.weights.onnx.data import Stored, unpacked
from spinspectra.weights.onnx.graph import Node
from spinspectra.weights.onnx.uses import QUANTISED, Scope, Use

Find = Callable[[str], Stored | None]

# (operation, place of the integers): places of scale and zero point, and the axis along which there may be several:
# counted from the end, or "B" for the columns of a matrix that may be transposed.
_BESIDE: dict[tuple[str, int], tuple[int, int, int | str]] = {
    ("QLinearMatMul", 3): (4, 5, -1),
    ("QLinearConv", 3): (4, 5, 0),
    ("QGemm", 3): (4, 5, "B"),
    ("DynamicQuantizeMatMul", 1): (2, 3, -1),
    ("MatMulIntegerToFloat", 1): (3, 5, -1),
}
_SCALED_AFTER = {("MatMulInteger", 1): -1, ("ConvInteger", 1): 0}
PART_TAKERS = {"DequantizeLinear", "MatMulNBits", "Mul"} | {op for op, _ in (*_BESIDE, *_SCALED_AFTER)}


@dataclass(frozen=True, slots=True)
class Quantised:
    """How integers become weights: (integer - zero) x scale.

    scheme: for users. scale, zero: found; their names are in `parts`. axis: along which they change; None if they do
    not. block: how many values in a row along it share one. shape: of the weights. bits: of integers that share a
    byte in the manner of MatMulNBits; 0 for all others.
    """

    scheme: str
    scale: Stored
    zero: Stored | None
    parts: tuple[str, ...]
    shape: tuple[int, ...]
    axis: int | None = None
    block: int = 1
    bits: int = 0

    @property
    def n_bytes(self) -> int:
        """Bytes of scale and zero point."""
        return self.scale.n_bytes + (self.zero.n_bytes if self.zero is not None else 0)

    def values(self, stored: Stored, where: str) -> NDArray[np.float32]:
        """The weights, read now. Raises WeightsError, naming `where`, if their parts cannot be read."""
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what does not fit is infinite, and refused where it matters
            scale = _as_float(self.scale.codes(where))
            zero = None if self.zero is None else self.zero.codes(where)
            codes = stored.codes(where)
            if self.bits:
                return _from_blocks(self, codes, scale, zero)
            exact: type[np.floating] = np.float64 if codes.dtype.itemsize > 2 else np.float32
            made: NDArray[np.floating] = codes.astype(exact)
            if zero is not None:
                made -= self._spread(_as_float(zero))
            made *= self._spread(scale)
            return made.astype(np.float32, copy=False)

    def _spread(self, part: NDArray[np.floating]) -> NDArray[np.floating]:
        """A scale or zero point so shaped that it meets its own values."""
        if self.axis is None or part.size == 1:
            return part.reshape(())
        if part.ndim == 1:
            return part.reshape([-1 if i == self.axis else 1 for i in range(len(self.shape))])
        return np.repeat(part, self.block, self.axis)[tuple(slice(n) for n in self.shape)]


def quantisation(name: str, stored: Stored, scope: Scope, find: Find) -> Quantised | str:
    """How the graph makes weights of these integers. find: a tensor of the same scope by its name.

    A text if it does so in a way that is not read here: the operation's name. Empty if it does not.
    """
    if name in scope.repeated:
        return ""
    takers = scope.takers.get(name, [])
    made = [_by_taker(use, stored, scope, find) for use in takers]
    whole = [one for one in made if isinstance(one, Quantised)]
    if whole and len(whole) == len(made) and len({(one.parts, one.axis, one.block, one.shape) for one in whole}) == 1:
        return whole[0]
    others = [use.node.op for use in takers if QUANTISED.fullmatch(use.node.op)]
    few_bits = stored.bits <= 8 and not stored.unknown
    return others[0] if others and few_bits and stored.shape else ""


def _by_taker(use: Use, stored: Stored, scope: Scope, find: Find) -> Quantised | None:
    node = use.node
    key = (node.op, use.slot)
    if key == ("DequantizeLinear", 0):
        return _beside(node, node, 1, 2, node.number("axis", 1), stored, find)
    if key == ("Gather", 0):
        after = scope.only_taker(node.outputs[0] if node.outputs else "", "DequantizeLinear")
        one_scale = after is not None and (scale := find(after.input(1))) is not None and scale.size == 1
        return _beside(after, after, 1, 2, 0, stored, find) if after is not None and one_scale else None
    if key in _BESIDE:
        scale_slot, zero_slot, axis = _BESIDE[key]
        if isinstance(axis, str):
            axis = 0 if node.number("transB", 0) else 1
        return _beside(node, node, scale_slot, zero_slot, axis, stored, find)
    if key in _SCALED_AFTER and (product := _scale_after(node, scope)) is not None:
        known = [slot for slot in (0, 1) if find(product.input(slot)) is not None]
        return _beside(node, product, known[0], 3, _SCALED_AFTER[key], stored, find) if len(known) == 1 else None
    if key == ("MatMulNBits", 1):
        return _in_blocks(node, stored, find)
    return None


def _scale_after(node: Node, scope: Scope) -> Node | None:
    """The product of the two scales, x's and the weight's, that ONNX Runtime multiplies an integer result by."""
    cast = scope.only_taker(node.outputs[0] if node.outputs else "", "Cast")
    last = scope.only_taker(cast.outputs[0], "Mul") if cast is not None and cast.outputs else None
    for name in last.inputs if last is not None else ():
        maker = scope.makers.get(name)
        if maker is not None and maker.op == "Mul" and name not in scope.repeated:
            return maker
    return None


def _beside(
    node: Node, scaled: Node, scale_slot: int, zero_slot: int, axis: int, stored: Stored, find: Find
) -> Quantised | None:
    """scaled: the node that takes the scale. None unless scale and zero point are tensors of fitting shapes."""
    scale, zero_name = find(scaled.input(scale_slot)), node.input(zero_slot)
    zero = find(zero_name) if zero_name else None
    n_sides = len(stored.shape)
    if scale is None or (zero_name and zero is None) or not _floating(scale):
        return None
    if not _numbers(stored) or (zero is not None and not _numbers(zero)):
        return None
    axis = axis + n_sides if axis < 0 else axis
    block = node.number("block_size", 0) if node.op == "DequantizeLinear" else 0
    for part in (scale, zero):
        if part is None or (part.size == 1 and not block):
            continue
        if not 0 <= axis < n_sides:
            return None
        expected: tuple[int, ...] = (stored.shape[axis],)
        if block > 0:
            expected = tuple(-(-n // block) if i == axis else n for i, n in enumerate(stored.shape))
        if part.shape != expected:
            return None
    many = scale.size > 1 or block > 0 or (zero is not None and zero.size > 1)
    return Quantised(
        f"{stored.dtype} ({node.op})",
        scale,
        zero,
        tuple(filter(None, (scaled.input(scale_slot), zero_name))),
        stored.shape,
        axis if many else None,
        max(block, 1),
    )


def _in_blocks(node: Node, stored: Stored, find: Find) -> Quantised | None:
    """MatMulNBits: (N, blocks, bytes) of integers, a scale and a zero point for each block along K."""
    n, k, bits, block = (node.number(name, default) for name, default in _N_BITS)
    scale, zero_name = find(node.input(2)), node.input(3)
    zero = find(zero_name) if zero_name else None
    reordered = node.input(4) or node.number("weight_prepacked", 0)
    if bits not in (2, 4, 8) or n < 1 or k < 1 or block < 8 or reordered or stored.dtype != np.uint8:
        return None
    blocks = -(-k // block)
    if math.prod(stored.shape) * 8 != n * blocks * block * bits or stored.shape[:1] != (n,):
        return None
    if scale is None or not _floating(scale) or scale.size != n * blocks or (zero_name and zero is None):
        return None
    if zero is not None and not _floating(zero) and zero.dtype != np.uint8:
        return None
    if zero is not None and zero.size != (n * blocks if _floating(zero) else n * -(-blocks * bits // 8)):
        return None
    parts = tuple(filter(None, (node.input(2), zero_name)))
    return Quantised(f"{bits}-bit (MatMulNBits)", scale, zero, parts, (n, k), 1, block, bits)


_N_BITS = (("N", 0), ("K", 0), ("bits", 4), ("block_size", 0))


def _from_blocks(
    how: Quantised, octets: NDArray[np.uint8], scale: NDArray[np.floating], zero: NDArray[Any] | None
) -> NDArray[np.float32]:
    (n, k), blocks = how.shape, -(-how.shape[1] // how.block)
    made = unpacked(octets.reshape(n, -1), how.bits).astype(np.float32).reshape(n, blocks, how.block)
    if zero is None:
        made -= np.float32(1 << (how.bits - 1))
    elif zero.dtype == np.uint8:
        made -= unpacked(zero.reshape(n, -1), how.bits)[:, :blocks, None]
    else:
        made -= _as_float(zero).reshape(n, blocks, 1)
    made *= scale.reshape(n, blocks, 1)
    return np.ascontiguousarray(made.reshape(n, -1)[:, :k])


def _numbers(stored: Stored) -> bool:
    return not stored.unknown and not stored.sparse and stored.bits != 6 and stored.dtype.kind != "c"


def _floating(stored: Stored) -> bool:
    if not _numbers(stored) or stored.bits < 8:
        return False
    return stored.dtype.kind == "f" or stored.dtype.name.startswith(("bfloat", "float8"))


def _as_float(part: NDArray[Any]) -> NDArray[np.float32]:
    return part.astype(np.float32)


def parts_of(found: Iterable[Quantised]) -> set[str]:
    """The names of all scales and zero points among these."""
    return {name for one in found for name in one.parts}
