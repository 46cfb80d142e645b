"""How a page was made: versions, seeds, digests, the command; enough to make it again."""

import hashlib
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from spinspectra import __version__
from spinspectra.errors import SpinSpectraError
from spinspectra.text import printable
from spinspectra.weights import Weights

_PACKAGES = ("numpy", "scipy", "numba", "plotly")

Fact = tuple[str, str]


def facts_of(weights: Sequence[Weights], options: dict[str, Any], command: str | None) -> list[Fact]:
    """Name and value of each fact. options: as given to `write_report`."""
    made: list[Fact] = [("made on", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))]
    versions = [f"spinspectra {__version__}", f"Python {platform.python_version()}"]
    made.append(("versions", ", ".join([*versions, *filter(None, map(_version, _PACKAGES))])))
    if command is not None:
        made.append(("command", printable(command)))
    if options:
        made.append(("options", printable(", ".join(f"{name}={value!r}" for name, value in options.items()))))
    for one in weights:
        made += [("SHA-256", f"{digest}  {printable(name)}") for name, digest in digests(one)]
    return made


def digests(weights: Weights) -> list[tuple[str, str]]:
    """Hex SHA-256 of every file that holds tensors, by its path; of weights in memory, of all names and values."""
    files = list(dict.fromkeys(weights.info(name).file for name in weights.names()))
    if files and all(_is_file(file) for file in files):
        return [(file, _file_digest(file)) for file in files]
    return [(weights.source, _content_digest(weights))]


def _file_digest(file: str) -> str:
    try:
        with Path(file).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"not read ({error.strerror or error})"


def _content_digest(weights: Weights) -> str:
    digest = hashlib.sha256()
    for name in weights.names():
        info = weights.info(name)
        digest.update(f"{name}\0{info.shape}\0{info.stored_as}\0".encode("utf-8", "surrogatepass"))
        try:
            values = weights.read(name)
        except SpinSpectraError as error:
            digest.update(str(error).encode())
        else:
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _is_file(file: str) -> bool:
    try:
        return Path(file).is_file()
    except (OSError, ValueError):
        return False


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
