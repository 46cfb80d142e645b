"""A Keras model's config as it is written beside the weights: which layers are in which, and what they are called.

It is data and nothing more: whatever it says of functions, Lambda layers or classes to import is never looked at.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from spinspectra.weights.keras.classes import NOTHING, PUBLISHED_AS, Known, parts_of, plain_kind, snake

MOST_CONFIG = 2 << 20  # bytes; the largest of the models that come with Keras, of 1041 layers, takes half of it
_MOST_PARTS = 200_000  # objects and lists in it; each takes far more memory than its two characters

_CONTAINERS = ("layers", "cells")


def parse_config(text: str | bytes | None) -> Known:
    """The model that a config's text describes; nothing known if there is none, a huge one, or one of no model."""
    if not text or len(text) > MOST_CONFIG or _n_parts(text) > _MOST_PARTS:
        return NOTHING
    try:
        return described(json.loads(text))
    except (ValueError, RecursionError):
        return NOTHING


def _n_parts(text: str | bytes) -> int:
    return text.count("{") + text.count("[") if isinstance(text, str) else text.count(b"{") + text.count(b"[")


def described(value: Any) -> Known:
    """A layer or a model from `{"class_name": ..., "config": {...}}`."""
    if not isinstance(value, Mapping) or not isinstance(value.get("class_name"), str):
        return NOTHING
    options = value.get("config")
    if isinstance(options, list):  # a Sequential model before Keras 2.2
        options = {"layers": options}
    if not isinstance(options, Mapping):
        return NOTHING
    return Known(_text(options.get("name", value.get("name"))), plain_kind(_text(value["class_name"])), options)


def _text(value: Any) -> str:
    """A string of the config, fit to be written anywhere: JSON can spell halves of characters."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else ""


class Children:
    """The layers inside a layer: by the path that Keras 3 stores them at, and by name."""

    def __init__(self, known: Known) -> None:
        found = list(_inside(known))
        self.at = dict(found)
        self.named = {child.name: child for _path, child in reversed(found) if child.name}
        self.lists = {path.partition("/")[0] for path in self.at if "/" in path}
        self._below: dict[int, Children] = {}

    def below(self, child: Known) -> "Children":
        """The layers inside one of these, looked up once however often it is asked for."""
        if id(child) not in self._below:
            self._below[id(child)] = Children(child)
        return self._below[id(child)]


def _inside(known: Known) -> Iterator[tuple[str, Known]]:
    yield from parts_of(known).items()
    for container in _CONTAINERS:
        members = known.options.get(container)
        counts: dict[str, int] = {}
        for member in members if isinstance(members, list) else []:
            child = described(member)
            key = snake(PUBLISHED_AS.get(member["class_name"], member["class_name"])) if child.kind else ""
            counts[key] = counts.get(key, -1) + 1
            yield f"{container}/{key}_{counts[key]}" if counts[key] else f"{container}/{key}", child
    layer = described(known.options.get("layer"))
    if known.kind == "Bidirectional" and layer.kind:
        stem = layer.name.removeprefix("forward_")
        backward = described(known.options.get("backward_layer"))
        yield "forward_layer", Known(f"forward_{stem}", layer.kind, layer.options)
        yield "backward_layer", backward if backward.kind else Known(f"backward_{stem}", layer.kind, layer.options)
    elif layer.kind:
        yield "layer", layer
    if (cell := described(known.options.get("cell"))).kind:
        yield "cell", cell
