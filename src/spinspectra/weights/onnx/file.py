"""Reader of ONNX models: graph and headers at once, each tensor straight from its file when asked. No package needed.

Tensors are the initialisers, in their order, those of graphs within nodes included, then what Constant nodes hold of
weights (floats with at least one side and more than one value), then parameters that the exporter merged with an equal
one. Numbers may be in the model itself (which the format keeps below 2 GB) or in files beside it.

**Names and orientation.** Where the graph still tells the torch module and parameter that an initialiser was
(`names`), it goes by that name, and the weight of a Linear is given as torch has it, (out, in), though its file
may have (in, out). Stacked LSTM, GRU and RNN weights come apart likewise (`recurrent`). All other tensors keep
their stored name and orientation. Integers that the graph itself makes weights of are given as these weights, without
the `_quantized` or `_Q4` in their names, and their scales and zero points as no tensors of their own.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, missing
from spinspectra.weights.dtypes import to_float
from spinspectra.weights.onnx.bytes import Bytes, FileBytes, MemoryBytes
from spinspectra.weights.onnx.data import Stored, find_stored, real
from spinspectra.weights.onnx.external import Neighbours
from spinspectra.weights.onnx.messages import Reader
from spinspectra.weights.onnx.names import Names, Origin, aliases, is_anonymous
from spinspectra.weights.onnx.quantised import PART_TAKERS, Quantised, parts_of, quantisation
from spinspectra.weights.onnx.recurrent import Piece, recurrent_pieces
from spinspectra.weights.onnx.uses import Scope, Use, constants, scopes, torch_class

_SUFFIX = re.compile(r"(_quantized|_Q\d\w*)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor as it is offered.

    transposed: against its file. quantised: how, or the operation that takes integers in a way not read here.
    """

    name: str
    stored: Stored
    module: str = ""
    transposed: bool = False
    quantised: Quantised | str = ""
    piece: Piece | None = None
    same_as: str = ""

    @property
    def info(self) -> TensorInfo:
        """What the reader says of it."""
        stored, file = self.stored, self.stored.data.source
        if isinstance(self.quantised, Quantised):
            how, n_bytes = self.quantised, stored.n_bytes + self.quantised.n_bytes
            shape = how.shape[::-1] if self.transposed else how.shape
            return TensorInfo(shape, np.dtype(np.float32), file, "", self.module, self.same_as, how.scheme, n_bytes)
        shape, dtype = stored.shape[::-1] if self.transposed else stored.shape, stored.dtype
        if self.piece is not None:
            return TensorInfo(self.piece.shape, dtype, file, module=self.module)
        format, n_bytes = stored.unknown, sum(end - begin for begin, end in stored.places)
        if self.quantised:
            format = f"{dtype} for {self.quantised}"
        elif stored.sparse:
            format = f"sparse {dtype}"
        if format:
            return TensorInfo(shape, np.dtype((np.void, 1)), file, format, self.module, self.same_as, "", n_bytes)
        in_memory = 8 * dtype.itemsize == stored.bits
        return TensorInfo(shape, dtype, file, "", self.module, self.same_as, "", None if in_memory else stored.n_bytes)

    def read(self, where: str) -> NDArray[np.floating]:
        """The values, read now. Raises WeightsError, naming `where`, if they cannot be."""
        if isinstance(self.quantised, Quantised):
            values: NDArray[np.floating] = self.quantised.values(self.stored, where)
        elif self.quantised:
            raise WeightsError(
                f"{where} is quantised for {self.quantised} in a way that this version does not read; dequantise the "
                "model first"
            )
        else:
            values = to_float(self.stored.read(where), where)
        if self.piece is not None:
            values = self.piece.cut(values)
        return np.ascontiguousarray(values.T) if self.transposed else values


class OnnxWeights:
    """Weights of one ONNX model; see this module's text for what is listed and how it is called."""

    def __init__(self, source: str, entries: list[Entry], config: Mapping[str, Any] | None = None) -> None:
        if not entries:
            raise WeightsError(f"{source}: holds no tensors")
        self.source = source
        self.config = config
        self._entries = {entry.name: entry for entry in entries}

    def names(self) -> list[str]:
        return list(self._entries)

    def info(self, name: str) -> TensorInfo:
        return self._entry(name).info

    def read(self, name: str) -> NDArray[np.floating]:
        return self._entry(name).read(f"{self.source}: {shown(name)}")

    def _entry(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None


def open_onnx_file(path: Path, config: Mapping[str, Any] | None = None) -> OnnxWeights:
    """The tensors of an ONNX file, none of them read yet.

    Raises WeightsError for a file that is empty, cut short or malformed, and for tensors whose shape, format and bytes
    do not agree or whose data are outside the model's folder.
    """
    data = FileBytes(path)
    if data.size == 0:
        raise WeightsError(f"{path}: the file is empty; fetch it again")
    with data:
        return OnnxWeights(str(path), _entries(data, Neighbours(path, str(path))), config)


def open_onnx_model(model: Any, config: Mapping[str, Any] | None = None) -> OnnxWeights:
    """The tensors of an `onnx.ModelProto` in memory, as it is now.

    Raises WeightsError as above, and if its data are in files (`onnx.load` loads these too unless told not to) or it
    is too large for one message of 2 GB.
    """
    source = type(model).__name__
    try:
        content = model.SerializeToString()
    except Exception as error:  # protobuf's own kinds, which vary between its versions
        raise WeightsError(
            f"{source}: cannot be written as one message ({shown(str(error))}); open its file instead"
        ) from None
    return OnnxWeights(source, _entries(MemoryBytes(content, source), Neighbours(None, source)), config)


def _entries(data: Bytes, neighbours: Neighbours) -> list[Entry]:
    reader = Reader(data, data.source)
    found: dict[str, Entry] = {}
    first: dict[object, str] = {}
    for scope in scopes(reader.model()):
        for entry in _of_scope(scope, data, neighbours, reader):
            name = _free(entry.name, found)
            same_as = first.setdefault(_region(entry), name)
            found[name] = replace(entry, name=name, same_as="" if same_as == name else same_as)
    return list(found.values())


def _of_scope(scope: Scope, data: Bytes, neighbours: Neighbours, reader: Reader) -> Iterator[Entry]:
    found, weights = _stored_tensors(scope, data, neighbours, reader)
    sole = {name: stored for name, stored in found.items() if name not in scope.repeated}
    quantised = {name: quantisation(name, stored, scope, sole.get) for name, stored in found.items()}
    hidden = _parts(scope, quantised.values())
    uses = {name: scope.uses(name) for name, one in found.items() if len(one.shape) > 1 or is_anonymous(name)}
    names = Names(scope, reader, [name for name in found if not is_anonymous(name)])
    origins = names.origins(uses)
    pieces = recurrent_pieces(scope, names, sole.get)
    made: dict[str, Entry] = {}
    for name, stored in found.items():
        how = quantised[name]
        if name in hidden or not (how or name in weights or _may_be_weights(stored)):
            continue
        if name in pieces:
            yield from (Entry(piece.name, stored, piece.module, piece=piece) for piece in pieces[name])
        else:
            short = _SUFFIX.sub("", name) if isinstance(how, Quantised) else name
            made[name] = _entry(
                short if short not in found else name, stored, how, uses.get(name, []), origins.get(name)
            )
            yield made[name]
    yield from (
        replace(made[owner], name=name) for name, owner in aliases(scope) if owner in made and name not in found
    )


def _entry(name: str, stored: Stored, how: Quantised | str, uses: Sequence[Use], origin: Origin | None) -> Entry:
    ways = {use.rows_are_outputs for use in uses} - {None}
    n_sides = len(how.shape if isinstance(how, Quantised) else stored.shape)
    if len(ways) > 1 or (n_sides != 2 and ways):  # taken both ways round, or a matrix for each of a batch
        origin = None
    transposed = origin is not None and ways == {False}
    module = torch_class(n_sides, uses, transposed or ways == {True}, is_anonymous(name))
    if origin is not None:
        name, module = origin.name, origin.module or module
    return Entry(name, stored, module, transposed, how)


def _stored_tensors(
    scope: Scope, data: Bytes, neighbours: Neighbours, reader: Reader
) -> tuple[dict[str, Stored], set[str]]:
    """Every initialiser and constant by its name, and which are initialisers.

    Names that graphs within nodes share get the graph's name before them.
    """
    found: dict[str, Stored] = {}
    initialisers = set()
    for graph in scope.graphs:
        given = [(tensor.name, tensor, True) for tensor in graph.tensors]
        given += [(name, tensor, False) for name, tensor in constants(graph)]
        if len({name for name, _, _ in given}) != len(given):
            raise reader.malformed("two tensors of one name")
        for name, tensor, is_initialiser in given:
            label = _free(f"{graph.name}/{name}" if name in found else name, found)
            found[label] = find_stored(replace(tensor, name=name), data, neighbours)
            if is_initialiser:
                initialisers.add(label)
    return found, initialisers


def _free(name: str, taken: Container[str]) -> str:
    """The name, with a number after it if there is one of that name."""
    return name if name not in taken else next(one for i in count(2) if (one := f"{name}#{i}") not in taken)


def _parts(scope: Scope, quantised: Iterable[Quantised | str]) -> set[str]:
    """Scales and zero points that nothing takes but the operations that make weights of integers with them."""
    parts = parts_of(one for one in quantised if isinstance(one, Quantised))
    return {name for name in parts if all(use.node.op in PART_TAKERS for use in scope.takers.get(name, ()))}


def _may_be_weights(stored: Stored) -> bool:
    """Whether a Constant node holds weights and not a shape, an index or a factor."""
    floating = real(stored) and stored.dtype.kind not in "iub"
    return stored.sparse or (floating and len(stored.shape) > 0 and stored.size > 1)


def _region(entry: Entry) -> object:
    """What two entries have in common that are the same memory: their bytes, read the same way."""
    if entry.piece is not None or not entry.stored.places or not entry.stored.size:
        return entry.name
    parts = entry.quantised.parts if isinstance(entry.quantised, Quantised) else entry.quantised
    return *entry.stored.region, entry.transposed, parts
