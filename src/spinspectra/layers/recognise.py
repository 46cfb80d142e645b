"""Recognising the architecture family of a checkpoint from its config.json or from its tensor names alone."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from spinspectra.errors import ChainError, OptionError, UnknownFamilyError
from spinspectra.layers.families import FAMILIES, Family, Layout
from spinspectra.layers.transformer import Transformer
from spinspectra.weights import Weights

# What each prefix holds: block number -> the parts of that block, `attn.c_attn` and so on.
Stacks = dict[str, dict[int, set[str]]]


def recognise(weights: Weights, prefix: str | None = None) -> Transformer:
    """Find the stack of transformer blocks in a checkpoint, reading headers only.

    The family is the one that config.json names; without a word from it, the one whose tensors are there, those
    first whose signs are among the names. Any prefix before the block names is accepted. prefix: which stack to take
    where a file holds several, such as an encoder and a decoder, or where config.json names no known family.

    Raises UnknownFamilyError, with the list of the known ones, if no family fits or config.json names another;
    OptionError if there is no stack under `prefix`; ChainError if a block is incomplete or missing, or holds matrices
    that its family has no place for, since a chain without them would be another network's.
    """
    names, named = weights.names(), _model_type(weights.config)
    known = [family for family in FAMILIES if named in family.model_types]
    families = known or _by_signs(names)
    found: dict[str, _Found] = {}
    for family in families:
        for layout in family.layouts:
            needed = layout.qkv[:1] if known else layout.matrices
            for stack, blocks in _find_stacks(names, layout, needed).items():
                found.setdefault(stack, _Found(family, layout, blocks))
    if not found or (named and not known and prefix is None):
        raise _unknown(weights.source, named, found)
    chosen = _choose(found, prefix, weights.source)
    family, layout, blocks = found[chosen]
    _require_whole_blocks(weights, family, layout, chosen, blocks)
    if known:
        _require_all_blocks(weights, len(blocks))
    return Transformer(family, layout, chosen, len(blocks), _n_heads(weights.config), weights)


class _Found(NamedTuple):
    family: Family
    layout: Layout
    blocks: dict[int, set[str]]


def _unknown(source: str, named: str | None, found: Mapping[str, _Found]) -> UnknownFamilyError:
    known = ", ".join(family.name for family in FAMILIES)
    said = f" (config.json says {named!r})" if named else ""
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


def _model_type(config: Mapping[str, Any] | None) -> str | None:
    value = (config or {}).get("model_type")
    return value if isinstance(value, str) and value else None


def _find_stacks(names: list[str], layout: Layout, needed: Sequence[str]) -> Stacks:
    """Everything under the layout's block names, for those prefixes where some block has each of `needed`.

    Without a word from config.json the layout needs all its matrices, or Llama, which shares three names with
    OPT, would pass for an OPT with tensors missing.
    """
    number = re.escape(layout.block).replace(re.escape("{i}"), r"(?P<block>\d{1,9})")
    pattern = re.compile(rf"(?P<prefix>(?:.*\.)?){number}(?P<part>.+)\.weight")
    stacks: Stacks = {}
    for name in names:
        if match := pattern.fullmatch(name):
            stacks.setdefault(match["prefix"], {}).setdefault(int(match["block"]), set()).add(match["part"])
    return {prefix: blocks for prefix, blocks in stacks.items() if set(needed) <= set().union(*blocks.values())}


def _choose(found: Mapping[str, object], prefix: str | None, source: str) -> str:
    stacks = ", ".join(repr(stack) for stack in found)
    if prefix is not None and prefix not in found:
        raise OptionError(f"prefix={prefix!r}: {source} has blocks under {stacks}")
    if prefix is None and len(found) > 1:
        raise ChainError(f"{source}: holds {len(found)} stacks of blocks, under {stacks}; choose one with prefix=")
    return next(iter(found)) if prefix is None else prefix


def _require_whole_blocks(
    weights: Weights, family: Family, layout: Layout, prefix: str, blocks: dict[int, set[str]]
) -> None:
    """Blocks 0 .. L-1 are all there, each with the layout's matrices and no other matrix."""
    for expected, block in enumerate(sorted(blocks)):
        if block != expected:
            raise ChainError(f"{weights.source}: block {expected} is missing under {prefix!r}; is a shard left out?")
        stem = prefix + layout.block.format(i=block)
        for part in layout.matrices:
            if part not in blocks[block]:
                raise ChainError(f"{weights.source}: {stem}{part}.weight is missing; {family.name} needs it")
        for part in sorted(blocks[block].difference(layout.matrices)):
            if len(weights.info(f"{stem}{part}.weight").shape) >= 2:
                raise ChainError(
                    f"{weights.source}: {stem}{part}.weight has no place in a {family.name} block; this is another "
                    "architecture, build its chain with IsingChain.from_matrices"
                )


def _require_all_blocks(weights: Weights, n_blocks: int) -> None:
    """As many blocks as config.json says, or a missing last shard would pass for a shorter network."""
    said = _count(weights.config, "num_hidden_layers", "n_layer")
    if said is not None and said > n_blocks:
        raise ChainError(f"{weights.source}: holds {n_blocks} blocks and config.json says {said}; is a shard left out?")


def _n_heads(config: Mapping[str, Any] | None) -> int | None:
    return _count(config, "n_head", "num_attention_heads")


def _count(config: Mapping[str, Any] | None, *keys: str) -> int | None:
    for key in keys:
        value = (config or {}).get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
