"""The file of a watch: a row for each layer and measurement, in Parquet, always whole, taken up where a run resumes."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.files import whole_file
from spinspectra.monitor.messages import NUMBERS, Clock, Numbers

# step; seconds of the training when the weights were copied; the layer; its numbers, NaN where not measured or failed;
# "success" or "failed", and why; which measurement it was, "cheap" or "spectra".
COLUMNS = ("step", "seconds", "longname", *NUMBERS, "status", "reason", "clock")


class Record:
    """Rows kept in a Parquet file, which is written anew to a temporary file and renamed each time.

    Raises MissingExtraError without pyarrow, OptionError for a path that cannot be written to; both before anything is
    measured.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        require_pyarrow(self.path)
        if self.path.is_dir():
            raise OptionError(f"record {self.path}: is a folder; give the name of a file")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OptionError(f"record {self.path}: {error.strerror or error}; give another place") from None
        self._table: Any = None

    def begin(self, first_step: int) -> float:
        """Take up the rows of an earlier run up to the step before this one; seconds of training that they tell of.

        Rows from `first_step` on are of a run that was cut off there or later, and are left out. If that leaves none,
        the file is another run's: it is moved aside, to `name.1.parquet` or the next number that is free.

        Raises OptionError for a file that is no record.
        """
        self._table = None
        if not self.path.exists():
            return 0.0
        compute: Any = import_module("pyarrow.compute")
        kept = _read(self.path)
        earlier = kept.filter(compute.less(kept["step"], first_step))
        if earlier.num_rows == 0:
            self.path.rename(_aside(self.path))
            return 0.0
        self._table = earlier
        return float(compute.max(earlier["seconds"]).as_py())

    def add(self, step: int, seconds: float, clock: Clock, layers: Sequence[Numbers]) -> None:
        """Keep the rows of a measurement too; they are in the file with the next `write`."""
        arrow: Any = import_module("pyarrow")
        rows = [{"step": step, "seconds": seconds, "clock": clock, **asdict(layer)} for layer in layers]
        added = arrow.Table.from_pylist(rows, schema=_schema())
        self._table = added if self._table is None else arrow.concat_tables([self._table, added]).combine_chunks()

    def write(self) -> None:
        """The file with all rows so far; nothing if there are none."""
        parquet: Any = import_module("pyarrow.parquet")
        if self._table is not None:
            with whole_file(self.path) as part:
                parquet.write_table(self._table, part)


def require_pyarrow(path: Path) -> None:
    """Raises MissingExtraError without it, without importing it."""
    if find_spec("pyarrow") is None:
        raise MissingExtraError(f"{path}: Parquet needs pyarrow; pip install 'spinspectra[monitor]'")


def _schema() -> Any:
    arrow: Any = import_module("pyarrow")
    types = {"step": arrow.int64()} | dict.fromkeys(("seconds", *NUMBERS), arrow.float64())
    return arrow.schema([(name, types.get(name, arrow.string())) for name in COLUMNS])


def _read(path: Path) -> Any:
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    try:
        table = parquet.read_table(path)
    except (OSError, arrow.ArrowException) as error:
        raise OptionError(f"record {path}: no Parquet file, or a damaged one ({error}); give another name") from None
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise OptionError(f"record {path}: is no record of a training, it has no {missing[0]}; give another name")
    return table.select(list(COLUMNS)).cast(_schema())


def _aside(path: Path) -> Path:
    number = 1
    while (other := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return other
