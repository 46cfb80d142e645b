"""The ways in which Keras has laid out weights in HDF5 files, each as a list of named arrays.

Keras 3 stores `layers/dense_1/vars/0`: places in the model, classes and counts, the layer's own name beside them. What
came before stores lists of names, layer by layer.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spinspectra.text import shown
from spinspectra.weights.dtypes import SAFETENSORS
from spinspectra.weights.hdf5.bytes import RefusedError
from spinspectra.weights.hdf5.strings import Strings
from spinspectra.weights.hdf5.tree import Dataset, Group
from spinspectra.weights.keras.classes import (
    ATTENTION,
    NOTHING,
    Known,
    has_sides,
    kind_of,
    known_by_variable,
    knows,
    variable_names,
)
from spinspectra.weights.keras.config import MOST_CONFIG, Children, parse_config
from spinspectra.weights.keras.int8 import scale_shape

_BFLOAT16 = SAFETENSORS["BF16"]
_MOST_NAMES = 16 << 20  # bytes of all names of layers or of one layer's weights
_MOST_LISTED = 200_000
_MOST_NAME = 1 << 16
_LISTS = ("layers", "_layer_checkpoint_dependencies", "cells")  # the second is what Keras 2.12 calls the first
_CELLS = {4: "LSTMCell", 3: "GRUCell", 1: "SimpleRNNCell"}  # by the number of gates
_NO_WEIGHTS = ("optimizer", "metrics", "seed_generator")  # state of training and of dropout


@dataclass(frozen=True, slots=True)
class Entry:
    """A named array.

    dtype: as stored, bfloat16 told from raw bytes. known: of the layer that holds it. leaf: what the variable is called
    in it. scale: what its int8 codes are divided by, where that is known.
    """

    name: str
    dataset: Dataset
    dtype: np.dtype[Any]
    known: Known = NOTHING
    leaf: str = ""
    scale: "Entry | None" = None

    def divided_by(self, scale: "Entry") -> tuple[int, ...]:
        """The sides in which that entry scales this one; () if it does not."""
        return scale_shape(self.known, self.leaf, self.dataset.shape, self.dtype, scale.dataset.shape)


def read_entries(root: Group, config: Known, strings: Strings) -> list[Entry]:
    """The arrays of a file in whichever layout it has. config: the model's, where it lies outside the file."""
    if "model_weights" in root.groups:
        own = parse_config(strings.one(root.attributes.get("model_config"), MOST_CONFIG))
        return _with_scales(_legacy(root.groups["model_weights"], own if own.kind else config, strings))
    if {"layer_names", "layer_names0"} & root.attributes.keys():
        return _with_scales(_legacy(root, config, strings))
    if any(len(data.path) > 1 and data.path[-2] == "vars" and data.path[-1].isdecimal() for data in root.every()):
        return _with_scales(_keras3(root, config, strings))
    entries = [Entry(".".join(data.path), data, _dtype(data, strings)) for data in root.every()]
    return _apart([entry for entry in entries if entry.dtype.kind == "f" or entry.dtype == _BFLOAT16])


def _dtype(data: Dataset, strings: Strings) -> np.dtype[Any]:
    dtype = data.datatype.dtype
    if dtype == np.dtype((np.void, 2)) and strings.one(data.attributes.get("dtype"), 100) == "bfloat16":
        return _BFLOAT16
    return dtype


def _apart(entries: list[Entry], *longer: Callable[[Entry], str]) -> list[Entry]:
    """The same entries under names of their own: those that share one get a longer one, at last their path."""
    by_path: list[Callable[[Entry], str]] = [
        lambda one: ".".join(one.dataset.path),
        lambda one: "/".join(one.dataset.path),
    ]
    for rename in (*longer, *by_path):
        count = Counter(entry.name for entry in entries)
        if len(count) == len(entries):
            break
        entries = [replace(one, name=rename(one)) if count[one.name] > 1 else one for one in entries]
    return entries


def _with_scales(entries: list[Entry]) -> list[Entry]:
    """The same entries; those of int8 codes own their scales, which are then none of their own."""
    at = {entry.name: entry for entry in entries}
    scale_of = {}
    for entry in entries:
        scale = at.get(f"{entry.name}_scale")
        if scale is not None and entry.divided_by(scale):
            scale_of[entry.name] = scale
    owned = {scale.name for scale in scale_of.values()}
    return [replace(entry, scale=scale_of.get(entry.name)) for entry in entries if entry.name not in owned]


# Keras 3


def _keras3(root: Group, config: Known, strings: Strings) -> list[Entry]:
    labelled = any(group.path[-1] == "vars" and "name" in group.attributes for group in root.every_group())
    return _apart(list(_Walk(strings, labelled).layer(root, config, Children(config), ())))


class _Walk:
    """Goes down the groups of a file and down the layers of its config at once."""

    def __init__(self, strings: Strings, labelled: bool) -> None:
        self._strings = strings
        self._labelled = labelled

    def layer(self, group: Group, known: Known, children: Children, names: tuple[str, ...]) -> Iterator[Entry]:
        """The variables of a layer, then those of the layers in it."""
        if "vars" in group.groups:
            yield from self._variables(group.groups["vars"], known, names)
        for part, child in group.groups.items():
            if part != "vars" and (names or part not in _NO_WEIGHTS):
                yield from self._child(child, part, children, names)

    def _child(self, group: Group, key: str, children: Children, names: tuple[str, ...]) -> Iterator[Entry]:
        """What is at `key` in a layer: another layer, or a list of some."""
        own = group.groups.get("vars")
        label = "" if own is None else self._strings.one(own.attributes.get("name"), _MOST_NAME)
        is_listed, part = "/" in key, group.path[-1]
        found = children.named.get(label) or children.at.get(key) or NOTHING
        if part in _NO_WEIGHTS[1:] or label.startswith("seed_generator"):
            return
        if own is None and not found.kind and self._is_list(key, children):
            for member in group.groups.values():
                place = "layers" if key in _LISTS[:2] else key
                yield from self._child(member, f"{place}/{member.path[-1]}", children, names)
            return
        name = label or found.name or key.replace("/", ".")
        if found.kind:
            yield from self.layer(group, found, children.below(found), (*names, name))
        else:
            guess = Known(name, kind_of(part if is_listed else label or part) or _kind_by_parts(group))
            yield from self.layer(group, guess, Children(guess), (*names, name))

    def _is_list(self, key: str, children: Children) -> bool:
        """Whether a group without variables of its own is a list of layers, which adds nothing to their names.

        Since Keras 3.6 every layer has such a group, empty or not. Before, where the config does not say, a list and
        a layer are taken alike: both keep their place in the names.
        """
        part = key.rpartition("/")[2]
        return self._labelled or part in _LISTS or part.startswith("container") or key in children.lists

    def _variables(self, group: Group, known: Known, names: tuple[str, ...]) -> Iterator[Entry]:
        keys = sorted(group.datasets, key=lambda key: (len(key), key))  # 2 before 10
        arrays = [(group.datasets[key].shape, _dtype(group.datasets[key], self._strings)) for key in keys]
        leaves = variable_names(known, arrays) if all(key.isdecimal() for key in keys) else keys
        if leaves is None:
            known = _without_guess(known, [len(shape) for shape, _ in arrays])
            leaves = [f"vars.{key}" for key in keys]
        for key, leaf, (_shape, dtype) in zip(keys, leaves, arrays, strict=True):
            if known.kind == "SpectralNormalization" and leaf == "kernel":  # that of the layer in it, once more
                continue
            yield Entry(".".join((*names, leaf)), group.datasets[key], dtype, known, leaf)


def _kind_by_parts(group: Group) -> str:
    """The class of a layer of unknown name that what is in it tells: attention, or a cell by the shapes in it."""
    if {part.lstrip("_") for part in group.groups} >= set(ATTENTION):
        return "MultiHeadAttention"
    own = group.groups["vars"].datasets if "vars" in group.groups else {}
    shapes = [own[key].shape for key in "01" if key in own]
    if group.path[-1] != "cell" or [len(shape) for shape in shapes] != [2, 2] or shapes[0][1] != shapes[1][1]:
        return ""
    return next((kind for gates, kind in _CELLS.items() if gates * shapes[1][0] == shapes[1][1]), "")


def _without_guess(known: Known, n_sides: list[int]) -> Known:
    """What is known of a layer whose variables could not be named: not the class that they contradict.

    What has the sides of a kernel has its channels last all the same, as a convolution does.
    """
    kind = known.kind if known.options or has_sides(known.kind, n_sides[:1]) else ""
    if not knows(kind) and n_sides and n_sides[0] in (4, 5):
        kind = f"Conv{n_sides[0] - 2}D"
    return replace(known, kind=kind)


# Before Keras 3


def _legacy(root: Group, config: Known, strings: Strings) -> list[Entry]:
    layers = _names(root, "layer_names", strings)
    if "top_level_model_weights" in root.groups and "top_level_model_weights" not in layers:
        layers.append("top_level_model_weights")
    found: list[tuple[str, Dataset, list[str]]] = []
    scoped: set[str] = set()
    listed: set[tuple[str, ...]] = set()
    for layer in layers:
        group = _descend(root, layer)
        if not isinstance(group, Group):
            raise RefusedError(f"lists the layer '{shown(layer)}', which is not in it; save it again")
        for weight in _names(group, "weight_names", strings):
            data = _descend(group, weight)
            if not isinstance(data, Dataset):
                raise RefusedError(f"lists the weights '{shown(weight)}', which are not in it; save it again")
            if data.path in listed:
                raise RefusedError(f"lists the weights '{shown(weight)}' twice; save it again")
            listed.add(data.path)
            parts = re.sub(r":\d+$", "", weight).replace("_._", ".").split("/")
            scoped |= {parts[0]}
            if layer in parts[1:-1] and parts[0] != layer:  # the name of the whole model stands before it
                parts = parts[parts.index(layer) :]
            found.append((layer, data, parts if len(parts) > 1 else [layer, *parts]))
    shapes = {tuple(parts): data.shape for _layer, data, parts in found}
    n_scopes = _n_scopes(scoped, [parts for _layer, _data, parts in found])
    children = Children(config)
    entries, layer_of = [], {}
    for layer, data, parts in found:
        known = _known(children, layer, parts[:-1])
        if not known.kind or (
            not known.options and not has_sides(known.kind, [len(data.shape)] * (parts[-1] == "kernel"))
        ):
            known = known_by_variable(parts[-2:], data.shape, shapes.get((*parts[:-1], "bias")))
        entries.append(Entry(".".join(parts[n_scopes:]), data, _dtype(data, strings), known, parts[-1]))
        layer_of[data.path] = layer
    return _apart(entries, lambda entry: f"{layer_of[entry.dataset.path]}.{entry.name}")


def _names(group: Group, attribute: str, strings: Strings) -> list[str]:
    """The names in an attribute, or in several numbered ones if they were too long for one."""
    there = group.attributes
    keys = [attribute] if attribute in there else []
    while not keys or keys[-1] != attribute:
        if (key := f"{attribute}{len(keys)}") not in there:
            break
        keys.append(key)
    names: list[str] = []
    for key in keys:
        found = strings.read(there[key], _MOST_NAMES)
        if found is None:
            raise RefusedError(f"has {key} of more than {_MOST_NAMES} bytes; save it again")
        names += found
        if len(names) > _MOST_LISTED:
            raise RefusedError(f"lists more than {_MOST_LISTED} names in {attribute}; save it again")
    return names


def _descend(group: Group, path: str) -> Group | Dataset | None:
    """What is at a path of names with slashes between them."""
    *parts, last = [part for part in path.split("/") if part] or [""]
    for part in parts:
        if part not in group.groups:
            return None
        group = group.groups[part]
    return group.datasets.get(last) or group.groups.get(last)


def _known(children: Children, layer: str, parts: Sequence[str]) -> Known:
    """The layer that a weight's name leads to, from the layer it is stored under.

    By the config, else by the names that Keras gives by itself.
    """
    known = NOTHING
    for part in [layer, *parts]:
        if part == known.name:
            continue
        found = children.named.get(part)
        known = Known(part, kind_of(part)) if found is None else found
        children = Children(known) if found is None else children.below(found)
    return known


def _n_scopes(scopes: set[str], names: list[list[str]]) -> int:
    """How many first parts to leave out: that of `tf_bert_model/bert/...`, by the transformers library, is in all."""
    is_one_model = len(scopes) == 1 and next(iter(scopes)).startswith("tf")
    is_shared = len({parts[0] for parts in names}) == 1 and all(len(parts) > 2 for parts in names)
    return 1 if is_one_model and is_shared else 0
