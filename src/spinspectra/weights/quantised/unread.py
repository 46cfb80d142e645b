"""Codes that are not read: of schemes without a reader, and of tensors that do not fit one another."""

import re
from collections.abc import Collection

from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo
from spinspectra.weights.quantised.base import Stored, Unread

# Whole numbers that are no codes, and what a quantised layer keeps as it was.
_NO_CODES = re.compile(r"(bias|mask|position_ids|token_type_ids|index|num_batches_tracked)$")
_KEPT = re.compile(r"(^|\.)bias$")


def misfit(parts: tuple[str, ...], label: str, why: str) -> Unread:
    """Tensors that have the names of a scheme but not its shapes. label: of the scheme, empty for float8 codes, whose
    header says enough.
    """
    said = shown(why)
    called = f"{label} codes" if label else "codes"
    return Unread(
        parts,
        f"{label} codes with {said}" if label else "",
        f"is stored as {called} with {said}, so it cannot be read; fetch it again or dequantise the checkpoint first",
    )


def left_over(stored: Stored, claimed: Collection[str]) -> list[Unread]:
    """The codes that no scheme has claimed, of a checkpoint whose configuration names a quantisation.

    Beside codes stand scales, tables and the like, which are no weights either: all tensors of a module with codes,
    and of a method without a reader those of the modules below it, but for biases.
    """
    method = stored.settings.called
    if not method:
        return []
    left = stored.names.difference(claimed)
    codes = {name for name in left if _is_codes(name, stored.weights.info(name), stored.settings.is_read)}
    modules = {name.rpartition(".")[0] for name in codes} - {""}
    parts = tuple(
        name
        for name in stored.weights.names()
        if name in codes or (name in left and not _KEPT.search(name) and _in_module(name, modules, stored))
    )
    reason = (
        f"is stored as {method} codes or their scales, which are not read; dequantise the checkpoint first, "
        "with the library that made it"
    )
    return [Unread(parts, f"{method} codes", reason)] if parts else []


def _is_codes(name: str, info: TensorInfo, read: bool) -> bool:
    if _NO_CODES.search(name):
        return False
    if info.dtype.kind in "iu":
        return info.dtype.itemsize < 8 and (len(info.shape) > 1 or not read)
    return not read and info.dtype.kind == "V" and info.dtype.itemsize == 1


def _in_module(name: str, modules: Collection[str], stored: Stored) -> bool:
    above = name.rpartition(".")[0]
    if stored.settings.is_read:
        return above in modules
    while above:
        if above in modules:
            return True
        above = above.rpartition(".")[0]
    return False
