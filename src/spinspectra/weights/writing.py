"""A checkpoint copied with some of its tensors changed: same format, names, shapes and dtypes, byte for byte elsewhere.

One tensor at a time is in memory. The copy grows under a temporary name beside its place and is renamed when whole, so
that what stands at `out` is never half a checkpoint; nothing that exists is overwritten.
"""

import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError, WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import Weights
from spinspectra.weights.folder import Shards
from spinspectra.weights.opening import READERS, open_weights
from spinspectra.weights.quantised import DequantisedWeights
from spinspectra.weights.safetensors_file import SafetensorsFile

# Called once a tensor, with its name: the new values, of the stored shape, or None to keep the stored bytes.
Edit = Callable[[str], NDArray[np.floating] | None]

# Files that hold a model and so are not copied along: they would be the unchanged one.
_TENSORS = {".safetensors", ".bin", ".pt", ".pth", ".npz", ".npy", ".ckpt", ".pkl", ".pickle", ".h5", ".keras"}
_MODELS = _TENSORS | {".msgpack", ".ot", ".onnx", ".gguf", ".tflite", ".tar", ".zip"}
_CHUNK = 16 << 20  # bytes copied at a time


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk. root: its folder, or the file itself where a file was named. names_in: by weight file."""

    root: Path
    is_folder: bool
    weights: Weights
    names_in: dict[Path, list[str]]


def open_checkpoint(source: Any) -> Checkpoint:
    """The files behind a source that is a path or a hub id: a weight file, an index of shards, a folder with either.

    Raises OptionError for a source in memory, which has no format to write, for formats that are read only, for
    quantised checkpoints, whose codes have no room for other values; and what `open_weights` raises.
    """
    if not isinstance(source, str | PathLike):
        raise OptionError(f"a {type(source).__name__} has no file format to write; save it, then give its path")
    if Path(source).suffix in READERS:
        _require_writer(Path(source))
    weights = open_weights(source)
    if isinstance(weights, DequantisedWeights):
        stored = ", ".join(weights.schemes) or weights.unread or "quantised"
        raise OptionError(
            f"{weights.source}: its weights are stored as {stored}, which is read and not written; dequantise it"
        )
    names_in: dict[Path, list[str]] = {}
    for name in weights.names():
        names_in.setdefault(Path(weights.info(name).file), []).append(name)
    for file in names_in:
        _require_writer(file)
    given, opened = Path(source), Path(weights.source)
    if given.is_file() and not isinstance(weights, Shards):
        return Checkpoint(given, False, weights, names_in)
    # a hub id is the folder of its snapshot in the cache
    return Checkpoint(opened if isinstance(weights, Shards) else opened.parent, True, weights, names_in)


def rewrite(checkpoint: Checkpoint, out: str | PathLike[str], edit: Edit) -> None:
    """Write the checkpoint to `out` with the values that `edit` returns, rounded to each tensor's stored dtype.

    A file becomes a file, a folder (or an index, or a hub id) a folder with the same file names: the weights, the
    index of shards, and all other top-level files but models in other formats and hidden files. `edit` is called in
    the order of the files. safetensors and npz keep every other byte of data and header; in PyTorch files all
    other objects and shared storage are kept, and tensors edited there stay in memory until the file is written.

    Raises OptionError if `out` exists, is the source, or ends unlike it; WeightsError if values do not fit their
    tensor or the disk refuses.
    """
    path = Path(out)
    _check_out(checkpoint, path)
    try:
        if not checkpoint.is_folder:
            ((file, names),) = checkpoint.names_in.items()
            with _appearing(path) as temporary:
                _copy_file(file, temporary, set(names), edit)
            return
        with _appearing(path) as temporary:
            temporary.mkdir()
            for file, names in checkpoint.names_in.items():
                target = temporary / file.relative_to(checkpoint.root)
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy_file(file, target, set(names), edit)
            for other in other_files(checkpoint):
                shutil.copyfile(other, temporary / other.name)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be written ({error.strerror or error})") from None


def to_stored(values: NDArray[np.floating], dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """The values rounded to a stored dtype. Raises WeightsError for another shape or values beyond its range."""
    if values.shape != shape:
        raise WeightsError(f"{where} has shape {shape}, the new values {values.shape}; nothing was written")
    if values.dtype == dtype:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        stored = values.astype(dtype, order="C")
        lost = int(np.count_nonzero(np.isfinite(values) & ~np.isfinite(stored.astype(np.float64))))
    if lost:
        raise WeightsError(f"{where}: {lost} new values are beyond the range of {dtype}; nothing was written")
    return stored


def _check_out(checkpoint: Checkpoint, out: Path) -> None:
    if out.exists() and any(out.samefile(one) for one in (checkpoint.root, *checkpoint.names_in)):
        raise OptionError(f"out={out}: is the source itself; name another place")
    if out.exists() or out.is_symlink():
        raise OptionError(f"out={out}: exists already; remove it or name another place")
    if not out.parent.is_dir():
        raise OptionError(f"out={out}: there is no folder {out.parent}; make it first")
    if not checkpoint.is_folder and out.suffix != checkpoint.root.suffix:
        raise OptionError(f"out={out}: the source is a {checkpoint.root.suffix} file; end it in the same way")


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A temporary name beside `out` that becomes `out` if all goes well, and nothing otherwise, Ctrl-C included."""
    temporary = out.with_name(f".{out.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        yield temporary
        if out.exists() or out.is_symlink():
            raise OptionError(f"out={out}: appeared while it was being written; name another place")
        temporary.rename(out)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


def other_files(checkpoint: Checkpoint) -> Iterator[Path]:
    """config.json, tokenizers and the like; of indices only the one of the shards that are written."""
    suffix = next(iter(checkpoint.names_in)).suffix
    for path in sorted(checkpoint.root.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.suffix in _MODELS:
            continue
        if path.name.endswith(".index.json"):
            used = isinstance(checkpoint.weights, Shards) and path.name.endswith(f"{suffix}.index.json")
            if not used:
                continue
        yield path


def _copy_file(source: Path, target: Path, names: Collection[str], edit: Edit) -> None:
    """names: the tensors of this file that belong to the checkpoint; others in it are copied as they are."""
    _WRITERS[source.suffix](source, target, names, edit)


def _copy_safetensors(source: Path, target: Path, names: Collection[str], edit: Edit) -> None:
    """The header is copied as it is, since offsets follow from shapes and dtypes; then the data, without gaps."""
    tensors = SafetensorsFile(source)
    with source.open("rb") as read, target.open("xb") as write:
        start = int.from_bytes(read.read(8), "little") + 8
        read.seek(0)
        _copy_bytes(read, write, start, source)
        for name in tensors.names():
            info = tensors.info(name)
            values = edit(name) if name in names else None
            if values is None:
                _copy_bytes(read, write, info.n_bytes, source)
            else:
                to_stored(values, info.dtype, info.shape, f"{source}: {shown(name)}").tofile(write)
                read.seek(info.n_bytes, os.SEEK_CUR)
        _to_disk(write)


def _copy_npz(source: Path, target: Path, names: Collection[str], edit: Edit) -> None:
    with zipfile.ZipFile(source) as read, zipfile.ZipFile(target, "x") as write:
        for member in read.infolist():
            name = member.filename.removesuffix(".npy")
            values = edit(name) if name in names and member.filename.endswith(".npy") else None
            with read.open(member) as old, write.open(_like(member), "w", force_zip64=True) as new:
                if values is None:
                    shutil.copyfileobj(old, new, _CHUNK)
                    continue
                stored = np.lib.format.read_array(old, allow_pickle=False)
                rounded = to_stored(values, stored.dtype, stored.shape, f"{source}: {shown(name)}")
                np.lib.format.write_array(new, rounded, allow_pickle=False)


def _like(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(member.filename, member.date_time)
    made.compress_type, made.external_attr = member.compress_type, member.external_attr
    return made


def _copy_torch(source: Path, target: Path, names: Collection[str], edit: Edit) -> None:
    """Tensors are changed in place in what the file holds; it is mapped privately, so the source stays as it is."""
    from spinspectra.weights.torch_file import import_torch, load_torch_file, named_tensors

    torch = import_torch(source)
    loaded = load_torch_file(source, torch)
    for name, tensor in named_tensors(loaded, torch).items():
        values = edit(name) if name in names else None
        if values is None:
            continue
        where = f"{source}: {shown(name)}"
        dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
        rounded = to_stored(values, dtype, tuple(tensor.shape), where)
        exact = rounded.astype(np.float64 if dtype.itemsize == 8 else np.float32)
        try:
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(exact))
        except RuntimeError as error:  # values that share memory among themselves
            reason = next(iter(str(error).splitlines()), "no reason given")
            raise WeightsError(f"{where} cannot be changed ({shown(reason)}); save it contiguous") from None
    with target.open("xb") as write:
        torch.save(loaded, write)
        _to_disk(write)


_WRITERS: dict[str, Callable[[Path, Path, Collection[str], Edit], None]] = {
    ".safetensors": _copy_safetensors,
    ".npz": _copy_npz,
    **dict.fromkeys((".bin", ".pt", ".pth"), _copy_torch),
}


def _require_writer(file: Path) -> None:
    if file.suffix not in _WRITERS:
        kinds = ", ".join(_WRITERS)
        raise OptionError(f"{file}: {file.suffix} files are read and not written; convert it to one of {kinds}")


def _copy_bytes(read: BinaryIO, write: BinaryIO, n_bytes: int, source: Path) -> None:
    left = n_bytes
    while left:
        chunk = read.read(min(left, _CHUNK))
        if not chunk:
            raise WeightsError(f"{source}: ended {left} bytes early; the file changed while it was read")
        write.write(chunk)
        left -= len(chunk)


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
