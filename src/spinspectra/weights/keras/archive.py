"""Keras's `.keras` archives: where the weights lie in them, and the model's config. Nothing is unpacked."""

import struct
import zipfile
from pathlib import Path

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.hdf5.bytes import Place
from spinspectra.weights.keras.config import MOST_CONFIG

_WEIGHTS = "model.weights.h5"
_CONFIG = "config.json"
_ENCRYPTED = 1
_LOCAL_HEADER = struct.Struct("<4s22xHH")


def open_archive(path: Path) -> tuple[Place, bytes | None]:
    """Where an archive's weights lie, and the text of its config; None if it has none, or one of many megabytes.

    Raises WeightsError if the archive is malformed, holds no weights, or holds them compressed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            if _WEIGHTS not in members:
                some = ", ".join(shown(name) for name in list(members)[:4])
                raise WeightsError(f"{path}: an archive without {_WEIGHTS} (it holds {some}); save the model again")
            place = _place(path, members[_WEIGHTS])
            config = members.get(_CONFIG)
            return place, None if config is None else _read(archive, config)
    except WeightsError:
        raise
    except Exception as error:  # zip parsers meet malformed bytes with errors of many kinds
        reason = shown(str(error) or type(error).__name__)
        raise WeightsError(f"{path}: not a whole .keras archive ({reason}); save the model again") from None


def _place(path: Path, member: zipfile.ZipInfo) -> Place:
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
        raise WeightsError(f"{path}: compressed inside, as Keras never writes it; save the model again with Keras")
    with path.open("rb") as file:
        file.seek(member.header_offset)
        signature, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        start = member.header_offset + _LOCAL_HEADER.size + name + extra
        if signature != b"PK\3\4" or start + member.file_size > path.stat().st_size:
            raise WeightsError(f"{path}: {_WEIGHTS} claims {member.file_size} bytes, more than are there")
    return Place(path, start, member.file_size)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | None:
    """A member's text, decompressed no further than a config may be long."""
    with archive.open(member) as file:
        text = file.read(MOST_CONFIG + 1)
    return text if len(text) <= MOST_CONFIG else None
