"""How a watcher looks at its model: plain, less its base, or through the adapters in it."""

from dataclasses import dataclass
from typing import Any

from spinspectra.compat.weightwatcher.adapters import open_adapters
from spinspectra.compat.weightwatcher.constants import PEFT_WITH_BASE
from spinspectra.compat.weightwatcher.models import Model, open_model
from spinspectra.errors import OptionError
from spinspectra.layers import Channels


@dataclass(frozen=True, slots=True)
class View:
    """What the last call asked for, so that ids mean the same to the next one."""

    start_ids: int = 0
    channels: Channels | None = None
    peft: bool | str = False
    base_model: Any = None


def open_view(model: Any, base_model: Any, view: View) -> Model:
    """The model's layers under a view; base_model: the watcher's, where the view names none."""
    base = base_model if view.base_model is None else view.base_model
    if not view.peft:
        return open_model(model, view.start_ids, view.channels, base)
    if base is not None:
        raise OptionError("peft and base_model: an adapter is a change already; give one of them")
    return open_adapters(model, view.peft == PEFT_WITH_BASE, view.start_ids, view.channels)
