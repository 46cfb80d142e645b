"""Recognising the architecture family of a checkpoint from its config.json or from its tensor names alone."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from spinspectra.errors import ChainError, OptionError, UnknownFamilyError
from spinspectra.layers.dense_stack import dense_stack
from spinspectra.layers.families import FAMILIES, Family, Layout
from spinspectra.layers.families.base import experts_of
from spinspectra.layers.kinds import SCALES, nature_of
from spinspectra.layers.network import Network
from spinspectra.layers.settings import heads_of, model_types, n_blocks_of, settings_of
from spinspectra.layers.transformer import Transformer
from spinspectra.weights import TensorInfo, Weights

# The names below each block of a stack, by the block's number.
Blocks = dict[int, set[str]]


def recognise(weights: Weights, prefix: str | None = None) -> Network:
    """Find the stack of transformer blocks in a checkpoint, or its dense layers, reading headers only.

    The family is the one that config.json names; without a word from it, the one whose tensors are there, those
    first whose signs are among the names. Any prefix before the block names is accepted. prefix: which stack to take
    where a file holds several, such as an encoder and a decoder, or where config.json names no known family. A
    checkpoint that no family fits, of dense matrices alone whose sizes meet, is a plain MLP (`dense_stack`).

    Raises UnknownFamilyError, with the list of the known ones, if no family fits or config.json names another;
    OptionError if there is no stack under `prefix`; ChainError if a block is incomplete or missing, or holds matrices
    that its family has no place for, since a chain without them would be another network's.
    """
    infos = {name: weights.info(name) for name in weights.names()}
    named = model_types(weights.config)
    known = [family for family in FAMILIES if set(named) & set(family.model_types)]
    found = _find_all(infos, known or _by_signs(list(infos)), needs_all=not known)
    if not found and not named and prefix is None and (stack := dense_stack(weights, infos)):
        return stack
    if not found or (named and not known and prefix is None):
        raise _unknown(weights.source, named, found)
    chosen = _choose(found, prefix, weights.source)
    family, layout, blocks, _cost = found[chosen]
    _require_whole_blocks(weights.source, family, layout, chosen, blocks, infos)
    settings = settings_of(weights.config, chosen)
    n_blocks = n_blocks_of(settings, chosen) if known or layout.shared else None
    if layout.shared:
        n_blocks = _require_depth(n_blocks, len(blocks), weights.source)
    elif n_blocks is not None and n_blocks > len(blocks):
        raise ChainError(
            f"{weights.source}: holds {len(blocks)} blocks and config.json says {n_blocks}; is a shard left out?"
        )
    parts = {number: frozenset(names) for number, names in blocks.items()}
    depth = n_blocks if layout.shared and n_blocks else len(blocks)
    return Transformer(depth, weights, frozenset(infos), family, layout, chosen, heads_of(settings), parts)


class _Found(NamedTuple):
    """A stack of blocks. cost: how many tensors its layout misses, and how many it has no place for."""

    family: Family
    layout: Layout
    blocks: Blocks
    cost: tuple[int, int]


def _unknown(source: str, named: list[str], found: Mapping[str, _Found]) -> UnknownFamilyError:
    known = ", ".join(family.name for family in FAMILIES)
    said = f" (config.json says {named[0]!r})" if named else ""
    alike = ", ".join(f"{stack!r} ({one.family.name})" for stack, one in found.items())
    hint = f"Tensors named alike are under {alike}: prefix= takes one of these stacks as such. " if found else ""
    return UnknownFamilyError(
        f"{source}: no known architecture family{said}; known: {known}. {hint}For any other network build the chain "
        "from its matrices, input x output: IsingChain.from_matrices([J0, J1, ...])"
    )


def _by_signs(names: list[str]) -> list[Family]:
    """All families, those with signs among the names first, those that lack theirs last."""

    def rank(family: Family) -> int:
        if any(sign in name for sign in family.signs for name in names):
            return 0
        return 2 if family.signs else 1

    return sorted(FAMILIES, key=rank)


def _find_all(infos: Mapping[str, TensorInfo], families: list[Family], needs_all: bool) -> dict[str, _Found]:
    """Under each prefix the layout that fits it best; of equals the first.

    Without a word from config.json a layout needs all its matrices in some block, or a family that shares three names
    with another would pass for it with tensors missing.
    """
    found: dict[str, _Found] = {}
    seen: dict[str, dict[str, Blocks]] = {}
    for family in families:
        for layout in family.layouts:
            if layout.block not in seen:
                seen[layout.block] = _under(layout.block, list(infos))
            for stack, blocks in seen[layout.block].items():
                missing = len(layout.needs(set().union(*blocks.values())))
                if missing and (needs_all or not any(layout.qkv[0] in parts for parts in blocks.values())):
                    continue
                cost = missing, sum(1 for _name in _misfits(layout, stack, blocks, infos))
                if stack not in found or cost < found[stack].cost:
                    found[stack] = _Found(family, layout, blocks, cost)
    return found


def _under(block: str, names: list[str]) -> dict[str, Blocks]:
    """By prefix and block number, all that stands under a layout's block names."""
    number = re.escape(block).replace(re.escape("{i}"), r"(?P<block>\d{1,9})")
    pattern = re.compile(rf"(?P<prefix>(?:.*\.)?){number}(?P<part>.+)", re.DOTALL)
    stacks: dict[str, Blocks] = {}
    for name in names:
        if match := pattern.fullmatch(name):
            stacks.setdefault(match["prefix"], {}).setdefault(int(match["block"]), set()).add(match["part"])
    return stacks


def _misfits(layout: Layout, prefix: str, blocks: Blocks, infos: Mapping[str, TensorInfo]) -> Iterator[str]:
    """Matrices of the blocks that the layout has no place for, by their whole names."""
    for block, parts in sorted(blocks.items()):
        stem = prefix + layout.block.format(i=block)
        for part in sorted(parts.difference(_placed(layout, parts))):
            name = stem + part
            is_scale = part.endswith(SCALES)
            if nature_of(name, infos).n_matrices and not is_scale and not _is_left_out(layout, part):
                yield name


def _placed(layout: Layout, parts: set[str]) -> set[str]:
    """The parts of a block that the layout makes its matrices of."""
    placed = {*layout.qkv, layout.proj}
    for name in (name for mlp in layout.mlps for name in mlp.tensors):
        placed |= {name.format(e=number) for number in experts_of(name, parts)} if "{e}" in name else {name}
    return placed


def _is_left_out(layout: Layout, part: str) -> bool:
    return any(fnmatchcase(part, pattern) for pattern in layout.left_out)


def _choose(found: Mapping[str, object], prefix: str | None, source: str) -> str:
    stacks = ", ".join(repr(stack) for stack in found)
    if prefix is not None and prefix not in found:
        raise OptionError(f"prefix={prefix!r}: {source} has blocks under {stacks}")
    if prefix is None and len(found) > 1:
        raise ChainError(f"{source}: holds {len(found)} stacks of blocks, under {stacks}; choose one with prefix=")
    return next(iter(found)) if prefix is None else prefix


def _require_whole_blocks(
    source: str, family: Family, layout: Layout, prefix: str, blocks: Blocks, infos: Mapping[str, TensorInfo]
) -> None:
    """Blocks 0 .. L-1 are all there, each with the layout's matrices and no other matrix."""
    for expected, block in enumerate(sorted(blocks)):
        if block != expected:
            raise ChainError(f"{source}: block {expected} is missing under {prefix!r}; is a shard left out?")
        stem = prefix + layout.block.format(i=block)
        for part in layout.needs(blocks[block]):
            raise ChainError(f"{source}: {stem}{part} is missing; {family.name} needs it")
        _require_whole_experts(source, layout, stem, blocks[block])
    for name in _misfits(layout, prefix, blocks, infos):
        raise ChainError(
            f"{source}: {name} has no place in a {family.name} block; this is another architecture, build its chain "
            "with IsingChain.from_matrices"
        )


def _require_whole_experts(source: str, layout: Layout, stem: str, parts: set[str]) -> None:
    """Experts are numbered without a gap, and each has all its tensors."""
    for mlp in (mlp for mlp in layout.mlps if "{e}" in mlp.fc2):
        numbers = {name: experts_of(name, parts) for name in mlp.tensors}
        n_experts = 1 + max((max(found) for found in numbers.values() if found), default=-1)
        for name, found in numbers.items():
            if gap := sorted(set(range(n_experts)).difference(found))[:1]:
                raise ChainError(f"{source}: {stem}{name.format(e=gap[0])} is missing; is a shard left out?")


def _require_depth(n_blocks: int | None, stored: int, source: str) -> int:
    if n_blocks is None or n_blocks < stored or n_blocks % stored:
        said = "is in no tensor" if n_blocks is None else f"cannot be {n_blocks}"
        raise ChainError(
            f"{source}: one block is used again and again, {stored} on disk, and how often {said}; put the model's "
            "config.json beside the file, or pass open_weights(..., config={'num_hidden_layers': ...})"
        )
    return n_blocks
