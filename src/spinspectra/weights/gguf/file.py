"""Reader of GGUF files, whole or in parts: headers at once, each tensor dequantised when asked, piece by piece."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import MissingExtraError, WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import TensorInfo, missing
from spinspectra.weights.dtypes import to_float
from spinspectra.weights.folder import GGUF_PART
from spinspectra.weights.gguf.header import GgufHeader, GgufTensor, GgufType, read_header
from spinspectra.weights.gguf.model import config_of, module_of, norm_shift, row_order

# Types that are numbers as they stand; all others are blocks of codes and scales.
_PLAIN: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
}

# Types whose blocks leave out a scale that is a tensor of its own, `x.scale` beside `x.weight`.
_SCALED = frozenset(("NVFP4",))

_PIECE = 1 << 17  # values dequantised at once; a multiple of every block


class GgufFile:
    """Weights of one GGUF file, or of all parts of a model split in several, opened by the first.

    Rows are put back in the order of the model that was converted, and norms are as they were there (`gguf.model`).
    metadata: what the (first) file says, by key, without long texts and arrays. Raises MissingExtraError without the
    `gguf` package, WeightsError if a file is cut short, malformed or of an unknown version, or if a part is missing.
    """

    def __init__(self, path: Path, config: Mapping[str, Any] | None = None) -> None:
        self._types = _known_types(path)
        first = read_header(path, self._types)
        self.source = str(path)
        self.metadata = first.metadata
        self.config = config if config is not None else config_of(first.metadata)
        self._places: dict[str, tuple[Path, GgufHeader]] = {}
        for part, header in _parts(path, first, self._types):
            for name in header.tensors:
                if name in self._places:
                    raise WeightsError(f"{part}: {shown(name)} is in another part too; fetch the parts again")
                self._places[name] = part, header
        if not self._places:
            raise WeightsError(f"{path}: holds no tensors")

    def names(self) -> list[str]:
        return list(self._places)

    def info(self, name: str) -> TensorInfo:
        part, _header, tensor = self._find(name)
        stored = self._types[tensor.type]
        module = module_of(name)
        if stored.name in _PLAIN:
            return TensorInfo(tensor.shape, _PLAIN[stored.name], str(part), module=module)
        dtype = np.dtype(np.float32)
        return TensorInfo(
            tensor.shape, dtype, str(part), module=module, scheme=stored.name, stored_bytes=tensor.n_bytes
        )

    def read(self, name: str) -> NDArray[np.floating]:
        part, header, tensor = self._find(name)
        where = f"{part}: {shown(name)}"
        order = row_order(self.metadata, name, tensor.shape[0], where) if tensor.shape and tensor.size else None
        scale = self._scale_of(name, tensor)
        with np.errstate(all="ignore"):  # scales may be infinite or no numbers; that is for others to find
            try:
                values = to_float(self._values(part, header, tensor, order, where), where)
            except OSError as error:
                raise WeightsError(f"{where} cannot be read ({error.strerror or error})") from None
            if scale is not None:
                values *= scale
            if shift := norm_shift(self.metadata, name):
                values -= shift
        return values

    def _find(self, name: str) -> tuple[Path, GgufHeader, GgufTensor]:
        try:
            part, header = self._places[name]
        except KeyError:
            raise missing(name, self.source, self.names()) from None
        return part, header, header.tensors[name]

    def _values(
        self, part: Path, header: GgufHeader, tensor: GgufTensor, order: NDArray[np.intp] | None, where: str
    ) -> NDArray[Any]:
        """The tensor, its rows at their places, without more than a piece of it in any other form."""
        stored = self._types[tensor.type]
        plain = _PLAIN.get(stored.name)
        if plain is None and header.order == "big":
            raise WeightsError(
                f"{where} is stored as {stored.name} in big-endian order, which is not read; convert the file to "
                "little-endian"
            )
        exact = plain is not None and (plain.kind == "i" or plain.itemsize == 8)  # to_float chooses for integers
        values = np.empty(tensor.shape, plain if exact else np.float32)
        # Without an order any cut between blocks will do; else whole rows, which are whole blocks.
        width = stored.block if order is None else tensor.size // tensor.shape[0]
        rows = values.reshape(-1, width)
        step = max(1, _PIECE // width)
        with part.open("rb") as file:
            file.seek(tensor.start)
            for begin in range(0, len(rows), step):
                place = slice(begin, begin + step) if order is None else order[begin : begin + step]
                n_values = min(step, len(rows) - begin) * width
                raw = np.fromfile(file, np.uint8, n_values // stored.block * stored.n_bytes)
                if raw.size != n_values // stored.block * stored.n_bytes:
                    raise WeightsError(f"{where} ends early; the file changed while it was read, fetch it again")
                rows[place] = _decoded(raw, stored, tensor.type, header, where).reshape(-1, width)
        return values

    def _scale_of(self, name: str, tensor: GgufTensor) -> NDArray[np.floating] | None:
        """The scale that the blocks of a tensor leave out, one or one an expert, if it is there."""
        beside = name.removesuffix("weight") + "scale"
        if self._types[tensor.type].name not in _SCALED or not name.endswith(".weight") or beside not in self._places:
            return None
        size = self._find(beside)[2].size
        if size != 1 and (len(tensor.shape) < 3 or size != tensor.shape[0]):
            raise WeightsError(
                f"{self.source}: {shown(beside)} has {size} values for a tensor of shape {tensor.shape}; fetch the "
                "file again"
            )
        return self.read(beside).reshape(-1, *[1] * (len(tensor.shape) - 1))


def _known_types(path: Path) -> dict[int, GgufType]:
    """The number formats that the installed package knows, by their numbers."""
    try:
        import gguf
    except ImportError:
        raise MissingExtraError(f"{path}: GGUF files need the gguf package; pip install 'spinspectra[gguf]'") from None
    return {int(one): GgufType(one.name, block, n_bytes) for one, (block, n_bytes) in gguf.GGML_QUANT_SIZES.items()}


def _parts(path: Path, first: GgufHeader, types: Mapping[int, GgufType]) -> list[tuple[Path, GgufHeader]]:
    """The file itself, or with it the other parts that its metadata say there are, in their order."""
    count, number = first.metadata.get("split.count"), first.metadata.get("split.no")
    if not isinstance(count, int) or count < 2:
        return [(path, first)]
    match = GGUF_PART.fullmatch(path.name)
    if match is None or int(match["count"]) != count:
        raise WeightsError(
            f"{path}: is one of {count} parts, and its name does not end in -00001-of-{count:05}.gguf; "
            "give the parts the names they came with"
        )
    stem = match["stem"]
    begin = _part_name(stem, 1, count)
    if number != 0 or path.name != begin:
        raise WeightsError(f"{path}: is not the first of {count} parts; open {shown(begin)}, and all are read")
    found = [(path, first)]
    for expected in range(1, count):
        other = path.with_name(_part_name(stem, expected + 1, count))
        if not other.is_file():
            raise WeightsError(f"{path}: part {expected + 1} of {count}, {shown(other.name)}, is missing; fetch it")
        header = read_header(other, types)
        if (header.metadata.get("split.no"), header.metadata.get("split.count")) != (expected, count):
            raise WeightsError(f"{other}: says it is no part {expected + 1} of {count}; fetch the parts again")
        found.append((other, header))
    claimed = first.metadata.get("split.tensors.count")
    if claimed is not None and claimed != (held := sum(len(header.tensors) for _part, header in found)):
        raise WeightsError(
            f"{path}: claims {shown(str(claimed))} tensors in its parts, which hold {held}; fetch them again"
        )
    return found


def _part_name(stem: str, number: int, count: int) -> str:
    return f"{stem}-{number:05}-of-{count:05}.gguf"


def _decoded(raw: NDArray[np.uint8], stored: GgufType, number: int, header: GgufHeader, where: str) -> NDArray[Any]:
    """Stored bytes as numbers, flat."""
    plain = _PLAIN.get(stored.name)
    if plain is not None:
        return (_swapped(raw, plain.itemsize) if header.order == "big" else raw).view(plain)
    import gguf
    from gguf.quants import dequantize

    try:
        values: NDArray[np.float32] = dequantize(raw, gguf.GGMLQuantizationType(number))
    except NotImplementedError:
        raise WeightsError(
            f"{where} is stored as {stored.name}, which the gguf package cannot dequantise; update it (pip install -U "
            "gguf), or convert the model again"
        ) from None
    return values


def _swapped(raw: NDArray[np.uint8], n_bytes: int) -> NDArray[np.uint8]:
    """Numbers of so many bytes in the other order of bytes."""
    return np.ascontiguousarray(raw.reshape(-1, n_bytes)[:, ::-1]).ravel()
