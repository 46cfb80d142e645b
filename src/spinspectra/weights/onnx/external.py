"""Where an ONNX tensor's numbers are if another file holds them: inside the model's folder, and nowhere else."""

import re
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.onnx.bytes import FileBytes


class Neighbours:
    """The files beside a model that its tensors may name. path: the model; None if it is not a file.

    A location is relative to the model's folder and stays in it. Links are followed as far as that folder, or the
    folder in which the model itself really is, as in the cache of the Hugging Face hub, where both are links into one
    folder of blobs.
    """

    def __init__(self, path: Path | None, source: str) -> None:
        self._path, self._source = path, source
        self._files: dict[str, FileBytes] = {}

    def find(self, entries: Mapping[str, str], n_bytes: int, name: str) -> tuple[FileBytes, int]:
        """The file and the offset of a tensor of so many bytes. entries: `location`, `offset`, `length`.

        Raises WeightsError if the location leaves the folder or is no regular file, or if the bytes are not in it.
        """
        where = f"{self._source}: {shown(name)}"
        location = entries.get("location", "")
        if location not in self._files:
            self._files[location] = FileBytes(self._inside(location, where))
        file = self._files[location]
        offset, length = (_count(entries, key, where) for key in ("offset", "length"))
        if length is not None and length != n_bytes:
            raise WeightsError(
                f"{where} needs {n_bytes} bytes and claims {length} in {shown(location)}; export it again"
            )
        if (offset or 0) + n_bytes > file.size:
            raise WeightsError(
                f"{where} is to end at byte {(offset or 0) + n_bytes} of {shown(location)}, which has {file.size}; "
                "fetch that file again"
            )
        return file, offset or 0

    def _inside(self, location: str, where: str) -> Path:
        refused = f"{where} is in '{shown(location)}'"
        if self._path is None:
            raise WeightsError(f"{refused}, and a model in memory has no folder; open its file, or load that data too")
        if not location or "\0" in location:
            raise WeightsError(f"{refused}, which is no name of a file; export it again")
        parts = PurePosixPath(location.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or PureWindowsPath(location).drive or "\\" in location:
            raise WeightsError(f"{refused}, which is outside its folder; refused")
        path = self._path.parent / location
        try:
            model, real = self._path.resolve(strict=True), path.resolve(strict=True)
            mode = real.stat().st_mode
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
            if isinstance(error, FileNotFoundError):
                raise WeightsError(f"{refused}, which is not in the folder; fetch it too") from None
            reason = getattr(error, "strerror", None) or "links in a circle"
            raise WeightsError(f"{refused}, which cannot be read ({reason})") from None
        homes = (self._path.parent.resolve(), model.parent)
        if not any(real.is_relative_to(home) for home in homes):
            raise WeightsError(f"{refused}, a link to outside its folder; refused")
        if real == model:
            raise WeightsError(f"{refused}, which is the model itself; export it again")
        if not stat.S_ISREG(mode):
            raise WeightsError(f"{refused}, which is not a regular file; refused")
        return path


def _count(entries: Mapping[str, str], key: str, where: str) -> int | None:
    text = entries.get(key)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise WeightsError(f"{where} has the {key} '{shown(text)}', which is no number of bytes; export it again")
    return int(text)
