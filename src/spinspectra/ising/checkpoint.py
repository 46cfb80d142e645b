"""Checkpoints of long runs: named arrays and what they belong to, in one file that is always whole.

The file is a NumPy .npz, uncompressed, each member with its CRC; the identity, as JSON, is one more member. It is
written beside its place, brought to the disk and renamed, so a kill at any moment leaves the last one or this one.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.identity import differences_of, plain
from spinspectra.ising.chain import IsingChain
from spinspectra.text import shown

_IDENTITY, _ARRAY = "identity", "array."  # names in the file: of the identity, and what array names begin with
_CHUNK = 1 << 22  # couplings digested at a time
_KINDS = "biufcmMSU"  # of numbers, times and text; others come back from a .npy as something else, or not at all


class CheckpointError(SpinSpectraError):
    """A checkpoint of another run, or one that is damaged; the text names the file and what differs."""


def write_checkpoint(
    path: str | os.PathLike[str], identity: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], fsync: bool = True
) -> None:
    """Write arrays to a file, or leave the one that was there: never half of either, whenever the process ends.

    identity: what the run is (method, seed, parameters, digest of the couplings), values that JSON knows; numpy
    scalars and tuples count as numbers and lists. fsync: wait until the data are on the disk, so that a power cut does
    not lose them either. One process at a time may write to a path. What a killed write left beside it,
    `.NAME.part`, the next one overwrites.

    Raises OptionError for arrays of anything but numbers and text and for values that JSON does not know, OSError if
    it cannot be written.
    """
    path = Path(path)
    members = {_ARRAY + name: np.asarray(array) for name, array in arrays.items()}
    if others := [name for name, array in members.items() if array.dtype.kind not in _KINDS]:
        raise OptionError(
            f"checkpoint: {others[0].removeprefix(_ARRAY)} holds {members[others[0]].dtype}; "
            "give arrays of numbers or text"
        )
    members[_IDENTITY] = np.frombuffer(_to_json(identity).encode(), np.uint8)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **members)
            stream.flush()
            if fsync:
                os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if fsync:
        _sync_folder(path.parent)


def read_checkpoint(path: str | os.PathLike[str], identity: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
    """The arrays of a checkpoint, or None if there is no such file.

    Raises CheckpointError if it belongs to another run, naming every value of `identity` that differs, or if the file
    is damaged or no checkpoint at all; OptionError if there is not even its folder, so that a run does not get as far
    as its first checkpoint to find out.
    """
    path = Path(path)
    asked = json.loads(_to_json(identity))
    try:
        kept, arrays = _read(path)
        differing = differences_of(kept, asked)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise OptionError(f"{path}: there is no folder {path.parent}; make it first") from None
        return None
    except Exception as error:  # a damaged archive raises nearly anything: BadZipFile, SyntaxError, zlib.error, ...
        raise CheckpointError(
            f"{path}: no checkpoint, or a damaged one ({shown(str(error))}); remove it to begin anew"
        ) from None
    if differing:
        raise CheckpointError(
            f"{path}: a checkpoint of another run: {'; '.join(differing)}; "
            "ask for the same run again, or remove the file to begin anew"
        )
    return arrays


def chain_digest(chain: IsingChain) -> str:
    """Hex BLAKE2b, 128 bits, of the layers' sizes, the number format and every coupling: equal for equal chains."""
    digest = hashlib.blake2b(digest_size=16)
    little = chain.flat.dtype.newbyteorder("<")
    digest.update(json.dumps([list(map(int, chain.nodes)), little.str]).encode())
    for start in range(0, chain.flat.size, _CHUNK):
        digest.update(np.ascontiguousarray(chain.flat[start : start + _CHUNK], little).data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[Any, dict[str, NDArray[Any]]]:
    """The identity and the arrays.

    Every member is read to its end, where zipfile compares the CRC: a damaged header may claim fewer numbers than
    there are, and numpy.load stops at these.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")
    members: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as stream:
                members[name.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
                if stream.read(1):
                    raise ValueError(f"{name} holds more than its header says")
    kept = json.loads(members.pop(_IDENTITY).tobytes())
    return kept, {name.removeprefix(_ARRAY): array for name, array in members.items()}


def _to_json(identity: Mapping[str, Any]) -> str:
    try:
        return json.dumps(identity, default=plain)
    except (TypeError, ValueError) as error:
        raise OptionError(f"checkpoint: an identity that JSON does not know: {error}") from None


def _sync_folder(folder: Path) -> None:
    """Bring the renaming itself to the disk, where the system can: not on Windows nor on every network's disks.

    The file is whole without it, so a run does not end for that.
    """
    if os.name != "posix":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
