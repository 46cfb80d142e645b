"""What a kept run belongs to, as JSON: values it knows, and what differs between the run kept and the run asked for."""

import json
import os
from typing import Any

import numpy as np

from spinspectra.text import shown

_MISSING = object()  # in place of a value that one side lacks


def differences_of(kept: Any, asked: Any, name: str = "") -> list[str]:
    """What differs between two JSON values, each as `name: a in the file, b asked for`."""
    if isinstance(kept, dict) and isinstance(asked, dict):
        names = [*asked, *(key for key in kept if key not in asked)]
        return [
            line
            for key in names
            for line in differences_of(
                kept.get(key, _MISSING), asked.get(key, _MISSING), f"{name}.{key}" if name else str(key)
            )
        ]
    both = kept is not _MISSING and asked is not _MISSING
    if both and (kept == asked or json.dumps(kept) == json.dumps(asked)):  # NaN is no different from NaN
        return []
    return [f"{shown(name) or 'identity'}: {shown(_brief(kept))} in the file, {shown(_brief(asked))} asked for"]


def _brief(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value)


def plain(value: Any) -> Any:
    """A numpy scalar or array, or a path, as JSON knows it; for `json.dumps(default=plain)`."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not for JSON")
