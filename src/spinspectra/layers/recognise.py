"""Recognising the architecture family of a checkpoint from its config.json or from its tensor names alone."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from spinspectra.errors import ChainError, OptionError, UnknownFamilyError
from spinspectra.layers.families import FAMILIES, Family, Layout
from spinspectra.layers.transformer import Transformer
from spinspectra.weights import Weights

# What each prefix holds: block number -> the parts of that block, `attn.c_attn` and so on.
Stacks = dict[str, dict[int, set[str]]]


def recognise(weights: Weights, prefix: str | None = None) -> Transformer:
    """Find the stack of transformer blocks in a checkpoint, reading headers only.

    The family named in config.json is tried first, then those whose signs are among the tensor names, then
    the rest: what decides is whether the tensors are there. Any prefix before the block names is accepted.
    prefix: which stack to take where a file holds several, such as an encoder and a decoder.

    Raises UnknownFamilyError, with the list of the known ones, if no family fits; OptionError if there is no
    stack under `prefix`; ChainError if a block is incomplete, or holds matrices that its family has no place
    for, since a chain without them would be another network's.
    """
    names = weights.names()
    for family in _likeliest_first(weights.config, names):
        for layout in family.layouts:
            named = _model_type(weights.config) in family.model_types
            stacks = _find_stacks(names, layout, layout.qkv[:1] if named else layout.matrices)
            if stacks:
                chosen = _choose(stacks, prefix, weights.source)
                _require_whole_blocks(weights, family, layout, chosen, stacks[chosen])
                n_blocks = len(stacks[chosen])
                if named:
                    _require_all_blocks(weights, n_blocks)
                return Transformer(family, layout, chosen, n_blocks, _n_heads(weights.config), weights)
    model_type = _model_type(weights.config)
    said = f" (config.json says {model_type!r})" if model_type else ""
    raise UnknownFamilyError(
        f"{weights.source}: no known architecture family{said}; known: "
        f"{', '.join(family.name for family in FAMILIES)}. For any other network build the chain from its "
        "matrices, input x output: IsingChain.from_matrices([J0, J1, ...])"
    )


def _likeliest_first(config: Mapping[str, Any] | None, names: list[str]) -> list[Family]:
    model_type = _model_type(config)

    def rank(family: Family) -> int:
        if model_type in family.model_types:
            return 0
        if any(sign in name for sign in family.signs for name in names):
            return 1
        return 3 if family.signs else 2  # without its signs a family is the last guess

    return sorted(FAMILIES, key=rank)


def _model_type(config: Mapping[str, Any] | None) -> Any:
    return (config or {}).get("model_type")


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


def _choose(stacks: Stacks, prefix: str | None, source: str) -> str:
    found = ", ".join(repr(stack) for stack in stacks)
    if prefix is not None and prefix not in stacks:
        raise OptionError(f"prefix={prefix!r}: {source} has blocks under {found}")
    if prefix is None and len(stacks) > 1:
        raise ChainError(f"{source}: holds {len(stacks)} stacks of blocks, under {found}; choose one with prefix=")
    return next(iter(stacks)) if prefix is None else prefix


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
