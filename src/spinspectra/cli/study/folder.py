"""The folder that a study writes to: its record, to go on from, its tables and figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinspectra.cli.output import require_writable
from spinspectra.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Folder for the points, tables and figures.", show_default=False),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the study in the folder if it is there.")]
Workers = Annotated[
    int | None,
    typer.Option(help="Points at a time; the answer is the same.", min=1, max=4096, show_default="all cores"),
]


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Where a study is kept; None: nowhere, its results are only shown."""

    path: Path | None

    @property
    def record(self) -> Path | None:
        """The file of `run_points`."""
        return None if self.path is None else self.path / "study.json"

    def save_tables(self, tables: "Mapping[str, pd.DataFrame]") -> None:
        """Each as NAME.csv, whole or not at all, at full precision."""
        from spinspectra.files import whole_file

        if self.path is None:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            with whole_file(self.path / f"{name}.csv") as part:
                table.to_csv(part, index=False)


def study_folder(output: Path | None, resume: bool) -> StudyFolder:
    """Checked before the work: it can be written to, and a study in it is gone on with only if that was asked for."""
    if output is None:
        if resume:
            raise OptionError("--resume: say which study's folder with -o FOLDER")
        return StudyFolder(None)
    require_writable(output)
    folder = StudyFolder(output)
    if folder.record is not None and folder.record.exists() and not resume:
        raise OptionError(f"-o {output}: holds a study already; go on with it with --resume, or name another folder")
    return folder
