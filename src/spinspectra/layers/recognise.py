"""Recognising the architecture family of a checkpoint from its config.json or from its tensor names alone."""

from collections.abc import Iterable, Mapping

from spinspectra.errors import ChainError, OptionError, UnknownFamilyError
from spinspectra.layers.dense_stack import DenseStack, dense_stack
from spinspectra.layers.families import FAMILIES, Family, Layout
from spinspectra.layers.families.base import experts_of
from spinspectra.layers.families.refused import why_refused
from spinspectra.layers.network import Network
from spinspectra.layers.settings import (
    heads_of,
    model_types,
    n_blocks_of,
    n_experts_of,
    n_predicting_of,
    settings_of,
)
from spinspectra.layers.stacks import Blocks, Stack, find_stacks, misfits
from spinspectra.layers.transformer import Transformer
from spinspectra.text import shown
from spinspectra.weights import TensorInfo, Weights


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
    found = find_stacks(infos, known or _by_signs(list(infos)), needs_all=not known)
    if not found and not named and prefix is None and not why_refused(infos):
        stack = dense_stack(weights, infos)
        if isinstance(stack, DenseStack):
            return stack
        raise _unknown(weights, named, found, infos, f"; nor is it a plain network of dense layers: {stack}")
    if not found or (named and not known and prefix is None):
        raise _unknown(weights, named, found, infos)
    chosen = _choose(found, prefix, weights.source)
    return _transformer(weights, infos, chosen, found[chosen], bool(known))


def _transformer(
    weights: Weights, infos: Mapping[str, TensorInfo], prefix: str, stack: Stack, known: bool
) -> Transformer:
    """The stack under a prefix once it is found whole. known: whether config.json names its family."""
    source, family, layout = weights.source, stack.family, stack.layout
    settings = settings_of(weights.config, prefix, family.model_types)
    n_blocks = n_blocks_of(settings, prefix) if known or layout.shared else None
    blocks = _without_predicting(stack.blocks, n_blocks, n_predicting_of(settings))
    _require_whole_blocks(source, family, layout, prefix, blocks, infos)
    if layout.shared:
        depth = _require_depth(n_blocks, len(blocks), source)
    else:
        depth = _require_all_blocks(n_blocks, len(blocks), source)
    if known:
        _require_all_experts(source, layout, prefix, blocks, n_experts_of(settings))
    parts = {number: frozenset(names) for number, names in blocks.items()}
    return Transformer(depth, weights, frozenset(infos), family, layout, prefix, heads_of(settings), parts)


def _unknown(
    weights: Weights,
    named: list[str],
    found: Mapping[str, Stack],
    infos: Mapping[str, TensorInfo],
    not_plain: str = "",
) -> UnknownFamilyError:
    source = weights.source
    if unread := getattr(weights, "unread", ""):
        return UnknownFamilyError(f"{source}: holds {shown(unread)}, which are not read here; dequantise it first")
    known = ", ".join(family.name for family in FAMILIES)
    said = f" (config.json says {shown(named[0])!r})" if named else ""
    if reason := why_refused(infos):
        return UnknownFamilyError(
            f"{source}: no known architecture family{said}: it has {reason}; build a chain of its other matrices with "
            "IsingChain.from_matrices([J0, J1, ...])"
        )
    alike = _listed([f"{shown(stack)!r} ({one.family.name})" for stack, one in found.items()])
    hint = f"Tensors named alike are under {alike}: prefix= takes one of these stacks as such. " if found else ""
    return UnknownFamilyError(
        f"{source}: no known architecture family{said}; known: {known}{not_plain}. {hint}For any other network build "
        "the chain from its matrices, input x output: IsingChain.from_matrices([J0, J1, ...])"
    )


def _by_signs(names: list[str]) -> list[Family]:
    """All families, those with signs among the names first, those that lack theirs last."""

    def rank(family: Family) -> int:
        if any(sign in name for sign in family.signs for name in names):
            return 0
        return 2 if family.signs else 1

    return sorted(FAMILIES, key=rank)


def _choose(found: Mapping[str, object], prefix: str | None, source: str) -> str:
    stacks = _listed([repr(shown(stack)) for stack in found])
    if prefix is not None and prefix not in found:
        raise OptionError(f"prefix={prefix!r}: {source} has blocks under {stacks}")
    if prefix is None and len(found) > 1:
        raise ChainError(f"{source}: holds {len(found)} stacks of blocks, under {stacks}; choose one with prefix=")
    return next(iter(found)) if prefix is None else prefix


def _listed(stacks: list[str], most: int = 12) -> str:
    more = f" and {len(stacks) - most} more" if len(stacks) > most else ""
    return ", ".join(stacks[:most]) + more


def _without_predicting(blocks: Blocks, n_blocks: int | None, n_predicting: int) -> Blocks:
    """The blocks without those behind the last, which predict further tokens and are no part of the model's pass."""
    if n_blocks is None or not n_blocks < len(blocks) <= n_blocks + n_predicting:
        return blocks
    return {number: parts for number, parts in blocks.items() if number < n_blocks}


def _require_whole_blocks(
    source: str, family: Family, layout: Layout, prefix: str, blocks: Blocks, infos: Mapping[str, TensorInfo]
) -> None:
    """Blocks 0 .. L-1 are all there, each with the layout's matrices and no other matrix."""
    for expected, block in enumerate(sorted(blocks)):
        if block != expected:
            raise ChainError(f"{source}: block {expected} is missing under {shown(prefix)!r}; is a shard left out?")
        stem = prefix + layout.block.format(i=block)
        for part in layout.needs(blocks[block]):
            because = _because(stem + part for part in blocks[block])
            raise ChainError(f"{source}: {shown(stem + part)} is missing; {family.name} needs it{because}")
        _require_whole_experts(source, layout, stem, blocks[block])
    for name in misfits(layout, prefix, blocks, infos):
        raise ChainError(
            f"{source}: {shown(name)} has no place in a {family.name} block{_because([name])}; this is another "
            "architecture, build its chain with IsingChain.from_matrices"
        )


def _because(names: Iterable[str]) -> str:
    """What is known of an architecture with such tensors, in brackets."""
    reason = why_refused(names)
    return f" (it has {reason})" if reason else ""


def _require_whole_experts(source: str, layout: Layout, stem: str, parts: set[str]) -> None:
    """Experts are numbered without a gap, and each has all its tensors."""
    for mlp in (mlp for mlp in layout.mlps if "{e}" in mlp.fc2):
        numbers = {name: experts_of(name, parts) for name in mlp.tensors}
        n_experts = 1 + max((max(found) for found in numbers.values() if found), default=-1)
        for name, found in numbers.items():
            if len(found) < n_experts:
                gap = next(number for number, one in enumerate([*found, n_experts]) if number != one)
                missing = shown(stem + name.format(e=gap))
                raise ChainError(f"{source}: {missing} is missing; is a shard left out?")


def _require_all_experts(source: str, layout: Layout, prefix: str, blocks: Blocks, n_experts: int | None) -> None:
    """As many as config.json says, where each has tensors of its own."""
    for block, parts in blocks.items():
        for mlp in (mlp for mlp in layout.mlps if "{e}" in mlp.fc2):
            n_found = len(experts_of(mlp.fc2, parts))
            if n_experts is not None and 0 < n_found < n_experts:
                stem = shown(prefix + layout.block.format(i=block))
                raise ChainError(
                    f"{source}: {stem} holds {n_found} experts and config.json says {n_experts}; is a shard left out?"
                )


def _require_all_blocks(n_blocks: int | None, stored: int, source: str) -> int:
    if n_blocks is not None and n_blocks > stored:
        raise ChainError(f"{source}: holds {stored} blocks and config.json says {n_blocks}; is a shard left out?")
    return stored


def _require_depth(n_blocks: int | None, stored: int, source: str) -> int:
    if n_blocks is None or n_blocks < stored or n_blocks % stored:
        said = "is in no tensor" if n_blocks is None else f"cannot be {n_blocks}"
        raise ChainError(
            f"{source}: one block is used again and again, {stored} on disk, and how often {said}; put the model's "
            "config.json beside the file, or pass open_weights(..., config={'num_hidden_layers': ...})"
        )
    return n_blocks
