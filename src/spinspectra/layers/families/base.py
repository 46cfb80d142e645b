"""What a family description says: where in a checkpoint the matrices of a transformer block are."""

from collections.abc import Set
from dataclasses import dataclass, replace

from spinspectra.layers.composition import Fusion, Gate, Stored


@dataclass(frozen=True, slots=True)
class Mlp:
    """One set of hidden units of a block: the two tensors, or sets of tensors, between which they stand.

    fc1: one tensor, or two that are added, a gate and the values it gates. fc2: the way back. `{e}` in a name stands
    for the number of an expert. stacked: each tensor holds all experts, (experts, out, in). gate: how gate and values
    are stored, "separate" for tensors of their own; "halves", one tensor [gate; values] by its outputs; or
    "alternating", its outputs in turn. stored: as in `Layout`. beside: never alone in a block, as an expert that all
    share is not: where it is, others are missing if there are none.
    """

    fc1: tuple[str, ...]
    fc2: str
    gate: Gate = "separate"
    stored: Stored = "out_in"
    stacked: bool = False
    beside: bool = False

    @property
    def tensors(self) -> tuple[str, ...]:
        return (*self.fc1, self.fc2)


@dataclass(frozen=True, slots=True)
class Layout:
    """One set of tensor names a family goes by; names are whole, but for the prefix before the block's.

    block: how a block's names begin, `{i}` being its number. qkv: the tensors that hold query, key and value, three or
    one, as `fusion` says (see `composition`). proj: the attention's output. mlps: what hidden units a block may have;
    it has those whose tensors are there, side by side (dense, experts, experts that all share). stored: the
    orientation on disk, `out_in` as torch.nn.Linear has it, `in_out` as GPT-2's Conv1D. left_out: matrices of a block
    that are known and no part of the chain, by patterns with `*`: cross-attention, routers, tables of positions.
    shared: blocks of one number are used again and again, as often as config.json says (ALBERT).
    """

    block: str
    qkv: tuple[str, ...]
    proj: str
    mlps: tuple[Mlp, ...]
    fusion: Fusion = "separate"
    stored: Stored = "out_in"
    left_out: tuple[str, ...] = ()
    shared: bool = False

    def needs(self, parts: Set[str]) -> list[str]:
        """The names a block with these parts lacks; of several kinds of hidden units the one it has most of counts."""
        missing = [name for name in (*self.qkv, self.proj) if name not in parts]
        lacks = [(mlp, [name for name in mlp.tensors if not _is_there(name, parts)]) for mlp in self.mlps]
        begun = [(mlp, one) for mlp, one in lacks if len(one) < len(mlp.tensors)]
        broken = [one for mlp, one in begun if one and mlp.beside]
        alone = [one for mlp, one in begun if not mlp.beside]
        whole = [one for one in alone if not one]
        return missing + (broken or whole or sorted(alone, key=len) or [list(self.mlps[0].tensors)])[0]


def experts_of(name: str, parts: Set[str]) -> list[int]:
    """The numbers of the experts that have a tensor `a.{e}.b` among the parts of a block, ascending."""
    before, _, after = name.partition("{e}")
    found = (part[len(before) : len(part) - len(after)] for part in parts if _fits(part, before, after))
    return sorted(int(number) for number in found if number.isascii() and number.isdecimal() and len(number) < 10)


def _fits(part: str, before: str, after: str) -> bool:
    return len(part) > len(before) + len(after) and part.startswith(before) and part.endswith(after)


def _is_there(name: str, parts: Set[str]) -> bool:
    return bool(experts_of(name, parts)) if "{e}" in name else name in parts


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture family.

    name: as in messages. model_types: what config.json calls it. layouts: the names it goes by, on disk and
    in memory. signs: parts of tensor names that only this family has, to tell it from others of the same
    layout where there is no config.json.
    """

    name: str
    model_types: tuple[str, ...]
    layouts: tuple[Layout, ...]
    signs: tuple[str, ...] = ()


def with_block(layout: Layout, block: str) -> Layout:
    """The same layout under another name for its blocks."""
    return replace(layout, block=block)


def with_kernels(layout: Layout) -> Layout:
    """The same layout as TensorFlow, Keras and Flax name and store it: `kernel` for `weight`, input x output."""
    mlps = tuple(
        replace(mlp, fc1=tuple(map(_kernel, mlp.fc1)), fc2=_kernel(mlp.fc2), stored="in_out") for mlp in layout.mlps
    )
    qkv, left_out = tuple(map(_kernel, layout.qkv)), (*layout.left_out, *map(_kernel, layout.left_out))
    return replace(layout, qkv=qkv, proj=_kernel(layout.proj), mlps=mlps, stored="in_out", left_out=left_out)


def _kernel(name: str) -> str:
    return f"{name.removesuffix('weight')}kernel" if name.endswith(".weight") else name
