"""Tables written to a file: .csv, .json or .parquet, whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from spinspectra.cli.output import require_writable
from spinspectra.errors import OptionError
from spinspectra.files import whole_file

_WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": lambda details, path: details.to_csv(path, index=False),
    ".json": lambda details, path: details.to_json(path, orient="records", indent=2),
    ".parquet": lambda details, path: details.to_parquet(path, index=False),
}


def check_output(output: Path) -> None:
    """Refuse before the work a file that could not be written after it."""
    if output.suffix not in _WRITERS:
        raise OptionError(f"-o {output}: the name must end in {', '.join(_WRITERS)}")
    if output.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise OptionError(f"-o {output}: Parquet needs pyarrow; pip install pyarrow, or write .csv") from None
    require_writable(output.absolute().parent)


def write_frame(details: pd.DataFrame, output: Path) -> None:
    """Whole, so the old file stays until the new one is."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output) as part:
        _WRITERS[output.suffix](details, part)
