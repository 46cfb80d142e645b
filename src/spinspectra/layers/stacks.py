"""The stacks of blocks in a checkpoint: under which prefix which family's layout fits the names best."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from spinspectra.layers.families import Family, Layout
from spinspectra.layers.families.base import experts_of, with_kernels
from spinspectra.layers.kinds import SCALES, nature_of
from spinspectra.weights import TensorInfo

# The names below each block of a stack, by the block's number.
Blocks = dict[int, set[str]]
Cost = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stack:
    """Blocks under one prefix, and the layout they fit best.

    cost: how many tensors the layout misses, how many matrices it has no place for, how many sizes do not meet.
    """

    family: Family
    layout: Layout
    blocks: Blocks
    cost: Cost


def find_stacks(infos: Mapping[str, TensorInfo], families: Iterable[Family], needs_all: bool) -> dict[str, Stack]:
    """Under each prefix the layout that fits it best; of equals the first.

    needs_all: each tensor of a layout must be in some block, or a family that shares three names with another would
    pass for it with tensors missing. Otherwise its first is enough, so that what is missing can be named. Where
    tensors are named `kernel`, layouts are tried as TensorFlow and Flax store them too.
    """
    found: dict[str, Stack] = {}
    costs: dict[Layout, dict[str, Cost]] = {}
    under: dict[str, dict[str, Blocks]] = {}
    kernels = any(name.endswith(".kernel") for name in infos)
    for family in families:
        for layout in (*family.layouts, *(map(with_kernels, family.layouts) if kernels else ())):
            if layout.block not in under:
                under[layout.block] = _under(layout.block, infos)
            stacks = under[layout.block]
            if layout not in costs:
                costs[layout] = dict(_costs(layout, stacks, infos, needs_all))
            for prefix, cost in costs[layout].items():
                if prefix not in found or cost < found[prefix].cost:
                    found[prefix] = Stack(family, layout, stacks[prefix], cost)
    return found


def misfits(layout: Layout, prefix: str, blocks: Blocks, infos: Mapping[str, TensorInfo]) -> Iterator[str]:
    """Matrices of the blocks that the layout has no place for, by their whole names."""
    for block, parts in sorted(blocks.items()):
        stem = prefix + layout.block.format(i=block)
        for part in sorted(parts.difference(_placed(layout, parts))):
            left_out = part.endswith(SCALES) or any(fnmatchcase(part, pattern) for pattern in layout.left_out)
            if not left_out and nature_of(stem + part, infos).n_matrices:
                yield stem + part


def _under(block: str, names: Iterable[str]) -> dict[str, Blocks]:
    """By prefix and block number, all that stands under a layout's block names."""
    number = re.escape(block).replace(re.escape("{i}"), r"(?P<block>\d{1,9})")
    pattern = re.compile(rf"(?P<prefix>(?:.*\.)?){number}(?P<part>.+)", re.DOTALL)
    beginning = block.partition("{i}")[0]
    stacks: dict[str, Blocks] = {}
    for name in names:
        if beginning in name and (match := pattern.fullmatch(name)):
            stacks.setdefault(match["prefix"], {}).setdefault(int(match["block"]), set()).add(match["part"])
    return stacks


def _costs(
    layout: Layout, stacks: Mapping[str, Blocks], infos: Mapping[str, TensorInfo], needs_all: bool
) -> Iterator[tuple[str, Cost]]:
    for prefix, blocks in stacks.items():
        missing = len(layout.needs(set().union(*blocks.values())))
        if missing and (needs_all or not any(layout.qkv[0] in parts for parts in blocks.values())):
            continue
        apart = sum(1 for _fc1, _fc2 in _sizes_apart(layout, prefix, blocks, infos))
        yield prefix, (missing, sum(1 for _name in misfits(layout, prefix, blocks, infos)), apart)


def _sizes_apart(
    layout: Layout, prefix: str, blocks: Blocks, infos: Mapping[str, TensorInfo]
) -> Iterator[tuple[str, str]]:
    """Pairs of tensors between which the first block has no hidden units: outputs of one, inputs of the other.

    This tells gate and values in one tensor from a tensor of its size without a gate.
    """
    block = min(blocks)
    stem = prefix + layout.block.format(i=block)
    for mlp in layout.mlps:
        if {mlp.fc1[0], mlp.fc2} <= blocks[block]:
            fc1, fc2 = (infos[stem + name].shape for name in (mlp.fc1[0], mlp.fc2))
            if min(len(fc1), len(fc2)) < 2 or 0 in fc1 + fc2:
                continue
            hidden, back = (fc1[-2], fc2[-1]) if mlp.stored == "out_in" else (fc1[-1], fc2[-2])
            if hidden != (back if mlp.gate == "separate" else 2 * back):
                yield mlp.fc1[0], mlp.fc2


def _placed(layout: Layout, parts: set[str]) -> set[str]:
    """The parts of a block that the layout makes its matrices of."""
    placed = {*layout.qkv, layout.proj}
    for name in (name for mlp in layout.mlps for name in mlp.tensors):
        placed |= {name.format(e=number) for number in experts_of(name, parts)} if "{e}" in name else {name}
    return placed
