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
    "alternating", its outputs in turn. stored: as in `Layout`.
    """

    fc1: tuple[str, ...]
    fc2: str
    gate: Gate = "separate"
    stored: Stored = "out_in"
    stacked: bool = False

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
        lacks = [[name for name in mlp.tensors if not _is_there(name, parts)] for mlp in self.mlps]
        begun = [one for one, mlp in zip(lacks, self.mlps, strict=True) if len(one) < len(mlp.tensors)]
        whole = [one for one in begun if not one]
        return missing + (whole or sorted(begun, key=len) or [list(self.mlps[0].tensors)])[0]


def experts_of(name: str, parts: Set[str]) -> list[int]:
    """The numbers of the experts that have a tensor `a.{e}.b` among the parts of a block, ascending."""
    before, _, after = name.partition("{e}")
    found = (part[len(before) : len(part) - len(after)] for part in parts if _fits(part, before, after))
    return sorted(int(number) for number in found if number.isascii() and number.isdecimal() and len(number) < 10)


def _fits(part: str, before: str, after: str) -> bool:
    return len(part) > len(before) + len(after) and part.startswith(before) and part.endswith(after)


def _is_there(name: str, parts: Set[str]) -> bool:
    return bool(experts_of(name, parts)) if "{e}" in name else name in parts


def with_block(layout: Layout, block: str) -> Layout:
    """The same layout under another name for its blocks."""
    return replace(layout, block=block)


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


