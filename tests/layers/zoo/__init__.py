"""A tiny random model of every architecture that a family names, and where its modules are: one short entry each."""

from functools import cache
from typing import Any

import transformers

from tests.layers.models import randomised
from tests.layers.zoo import decoders, encoders, mixtures, pairs, vision
from tests.layers.zoo.entry import Entry, Modules

ENTRIES: tuple[Entry, ...] = (
    *decoders.ENTRIES,
    *mixtures.ENTRIES,
    *encoders.ENTRIES,
    *pairs.ENTRIES,
    *vision.ENTRIES,
)


@cache
def model_of(entry: Entry) -> Any:
    """Its model, every parameter random; it is shared between tests, which leave it as it is."""
    model = entry.make() if entry.make else by_type(entry)
    if model._can_set_experts_implementation():
        model.set_experts_implementation("eager")
    return randomised(model)


def by_type(entry: Entry) -> Any:
    config = transformers.AutoConfig.for_model(entry.model_type, **entry.options)
    return transformers.AutoModel.from_config(config, attn_implementation="eager")


__all__ = ["ENTRIES", "Entry", "Modules", "model_of"]
