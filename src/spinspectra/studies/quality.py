"""What is known of the quality of models: a table from their names to numbers, such as accuracies."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.text import shown

_FEW = 3  # names in a message


@dataclass(frozen=True, slots=True)
class Quality:
    """values: by model, then by column, NaN where unknown. columns: their names. left_out: columns without a number."""

    values: dict[str, dict[str, float]]
    columns: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def of(self, names: Sequence[str], sources: Sequence[Any]) -> tuple[dict[str, list[float]], tuple[str, ...]]:
        """Every column's values in the order of the models, matched by name or by source as given; and notes.

        Notes say which rows match no model, which models have no row, and which columns hold no number. Raises
        OptionError if no model matches.
        """
        keys = [self._key(name, source) for name, source in zip(names, sources, strict=True)]
        unused = [name for name in self.values if name not in keys]
        without = [name for name, key in zip(names, keys, strict=True) if key is None]
        if len(without) == len(names):
            raise OptionError(
                f"quality: none of its {len(self.values)} rows ({_some(unused)}) is called like a model "
                f"({_some(without)}); name models as the first column does"
            )
        notes = []
        if unused:
            notes.append(f"{len(unused)} of {len(self.values)} rows of the quality match no model: {_some(unused)}")
        if without:
            notes.append(f"{len(without)} of {len(names)} models have no quality: {_some(without)}")
        if self.left_out:
            notes.append(f"Columns of the quality without numbers are left out: {_some(self.left_out)}")
        rows = [{} if key is None else self.values[key] for key in keys]
        return {column: [row.get(column, float("nan")) for row in rows] for column in self.columns}, tuple(notes)

    def _key(self, name: str, source: Any) -> str | None:
        return next((key for key in (name, str(source)) if key in self.values), None)


def read_quality(path: Path) -> Quality:
    """A CSV file with a header: the first column names models, the others hold a number each; empty cells are unknown.

    Columns of text alone are left out. Raises OptionError for a file that cannot be read, has no such column, names a
    model or a column twice, has rows of another length than its header, or mixes text and numbers in a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header, *rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise OptionError(f"{path}: no CSV file of qualities ({shown(str(error))})") from None
    if len(header) < 2 or not rows:
        raise OptionError(f"{path}: give a header, a first column that names models, and a column of numbers")
    models = [row[0] for row in rows]
    for model, row in zip(models, rows, strict=True):
        if len(row) != len(header):
            raise OptionError(f"{path}: {shown(model)} has {len(row)} values under {len(header)} names of columns")
    for names, what in ((models, "rows for"), (header, "columns called")):
        if twice := [name for name in names if names.count(name) > 1]:
            raise OptionError(f"{path}: has two {what} {shown(twice[0]) or 'nothing'}; give one")
    columns: dict[str, list[float]] = {}
    left_out = []
    for at, name in enumerate(header[1:], start=1):
        numbers = _numbers(path, name, models, [row[at] for row in rows])
        if numbers is None:
            left_out.append(name)
        else:
            columns[name] = numbers
    if not columns:
        raise OptionError(f"{path}: no column after the first holds numbers")
    values = {model: {name: column[i] for name, column in columns.items()} for i, model in enumerate(models)}
    return Quality(values, tuple(columns), tuple(left_out))


def _numbers(path: Path, column: str, models: Sequence[str], cells: Sequence[str]) -> list[float] | None:
    """The cells as numbers, None if not one of them is."""
    made, words = [], []
    for model, cell in zip(models, cells, strict=True):
        try:
            made.append(float(cell) if cell else float("nan"))
        except ValueError:
            words.append((model, cell))
    if not any(np.isfinite(made)):
        return None
    if words:
        model, cell = words[0]
        raise OptionError(f"{path}: {shown(column)} of {shown(model)} is {shown(cell)!r}; give a number or nothing")
    return made


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(shown(name) for name in names[:_FEW])
    return f"{listed}, ..." if len(names) > _FEW else listed
