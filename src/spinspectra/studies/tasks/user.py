"""A task of the user's own: a function of a file or of a module, given the folder of the checkpoint."""

import hashlib
import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.text import shown

_IMPORTING = threading.RLock()  # points in threads import a file once


@dataclass(frozen=True, slots=True)
class UserTask:
    """`file.py:function` or `module:function`, called with the folder of the checkpoint (a Path).

    It returns a number, or a mapping from the names of metrics to numbers; a number alone is named as the function.
    Metrics named `accuracy` or `..._accuracy` are taken as shares from 0 to 1 (`is_accuracy`). A file is imported once
    a process. The identity has the digest of its file or of the module's, not of what these import.

    Raises OptionError if there is no such function; called, if it raises, saying where, or returns anything else, and
    if its file has changed before a process came to import it.
    """

    where: str
    _file: Path | None = field(init=False, repr=False)
    _digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        place, _, _ = self.where.rpartition(":")
        file = Path(place).absolute() if place.endswith(".py") else None
        object.__setattr__(self, "_file", file)
        object.__setattr__(self, "_digest", _module_digest(place) if file is None else _digest(self.where, file))

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"task": "user's function", "function": self.where, "file": self._digest}

    def function(self) -> Callable[[Path], Any]:
        """The function itself, imported. Raises OptionError if there is none."""
        place, _, name = self.where.rpartition(":")
        if not place or not name.isidentifier():
            raise OptionError(f"{shown(self.where)}: give a function as file.py:function or module:function")
        try:
            module = importlib.import_module(place) if self._file is None else self._imported(self._file)
            found: Any = getattr(module, name, None)
        except SpinSpectraError:
            raise
        except Exception as error:
            raise OptionError(f"{shown(self.where)}: cannot be imported ({_told(error)})") from error
        if not callable(found):
            raise OptionError(f"{shown(self.where)}: has no function {name}")
        function: Callable[[Path], Any] = found
        return function

    def __call__(self, folder: Path) -> Mapping[str, float]:
        function = self.function()
        try:
            found = function(folder)
        except SpinSpectraError:
            raise
        except Exception as error:
            raise OptionError(f"{shown(self.where)} failed: {_told(error)}") from error
        metrics = found if isinstance(found, Mapping) else {self.where.rpartition(":")[2]: found}
        try:
            return {str(name): float(value) for name, value in metrics.items()}
        except (TypeError, ValueError):
            raise OptionError(
                f"{shown(self.where)}: returned {shown(repr(found))}; return a number, or numbers by name"
            ) from None

    def _imported(self, file: Path) -> Any:
        """The file as a module of this process, by its path and digest."""
        place = hashlib.sha256(f"{file} {self._digest}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
        name = f"_task_{file.stem}_{place}"
        with _IMPORTING:
            if name not in sys.modules:
                if _digest(self.where, file) != self._digest:
                    raise OptionError(f"{shown(self.where)}: {file} has changed since the study began; start it anew")
                _import_file(name, file)
            return sys.modules[name]


def _import_file(name: str, file: Path) -> None:
    """Under this name, with the file's own folder importable, as if it were run."""
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None  # a name that ends in .py has one
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _module_digest(name: str) -> str:
    """Of a module's file; nothing for one without, or one that is not there, which importing it will tell."""
    try:
        spec = importlib.util.find_spec(name) if name else None
    except Exception:  # of a package on the way to it
        return ""
    file = None if spec is None or not spec.has_location or spec.origin is None else Path(spec.origin)
    return _digest(name, file) if file is not None and file.is_file() else ""


def _digest(where: str, file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise OptionError(f"{shown(where)}: {file} cannot be read ({error.strerror or error})") from None


def _told(error: Exception) -> str:
    """`ValueError: no such thing (evaluate.py, line 12)`."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {shown(str(error))} ({Path(last.filename).name}, line {last.lineno})"
