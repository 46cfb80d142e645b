"""What is said when Ctrl-C ends a run that can be gone on with."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spinspectra.text import printable


@contextmanager
def how_to_go_on(kept: Path | None) -> Iterator[None]:
    """On Ctrl-C, which is raised again: say where the run is kept and how to go on, if that file is there."""
    try:
        yield
    except KeyboardInterrupt:
        if kept is not None and kept.exists():
            again = [*sys.argv[1:], *(() if "--resume" in sys.argv else ("--resume",))]
            print(f"spinspectra: kept in {printable(str(kept))}; go on with", file=sys.stderr)
            print(f"  spinspectra {printable(shlex.join(again))}", file=sys.stderr)
        raise
