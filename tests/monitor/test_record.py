"""The file: columns, whole, taken up again, and never another's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.monitor.messages import Clock, Numbers
from spinspectra.monitor.record import Record
from tests.monitor.helpers import rows

LAYER = Numbers("a", 3.0, 0.1, 5.0, 1.0, 0.5, "success", "")


def kept(path: Path, steps: list[int], clock: Clock = "cheap", first: int = 1) -> float:
    record = Record(path)
    before = record.begin(first)
    for step in steps:
        record.add(step, before + 0.5 * step, clock, [LAYER])
    record.write()
    return before


def test_columns_are_plain(tmp_path: Path) -> None:
    kept(tmp_path / "new" / "run.parquet", [1, 2], "spectra")
    found = rows(tmp_path / "new" / "run.parquet")
    assert list(found) == [
        "step", "seconds", "longname", "alpha", "D", "stable_rank", "log_norm", "log_spectral_norm", "status", "reason",
        "clock",
    ]  # fmt: skip
    assert found.step.dtype == np.int64
    assert found.alpha.dtype == np.float64
    assert found.iloc[1].tolist() == [2, 1.0, "a", 3.0, 0.1, 5.0, 1.0, 0.5, "success", "", "spectra"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run.parquet"]


def test_a_run_that_resumes_appends_and_leaves_out_what_it_makes_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.parquet"
    kept(path, [10, 20, 30])
    assert kept(path, [30, 40], first=21) == 10.0  # resumed from the checkpoint of step 20
    found = rows(path)
    assert found.step.tolist() == [10, 20, 30, 40]
    assert found.seconds.is_monotonic_increasing


def test_another_run_moves_the_file_aside(tmp_path: Path) -> None:
    path = tmp_path / "run.parquet"
    for steps in ([10, 20], [11], [12]):
        kept(path, steps)
    assert rows(path).step.tolist() == [12]
    assert rows(tmp_path / "run.1.parquet").step.tolist() == [10, 20]
    assert rows(tmp_path / "run.2.parquet").step.tolist() == [11]


def test_what_is_no_record_is_refused_and_stays(tmp_path: Path) -> None:
    text, table = tmp_path / "text.parquet", tmp_path / "table.parquet"
    text.write_text("no Parquet")
    pd.DataFrame({"step": [1]}).to_parquet(table)
    with pytest.raises(OptionError, match="no Parquet file"):
        Record(text).begin(1)
    with pytest.raises(OptionError, match="is no record of a training, it has no seconds"):
        Record(table).begin(1)
    assert text.read_text() == "no Parquet"
    with pytest.raises(OptionError, match="is a folder"):
        Record(tmp_path)
    with pytest.raises(OptionError, match="give another place"):
        Record(text / "run.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spinspectra.monitor.record.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"spinspectra\[monitor\]"):
        Record(tmp_path / "run.parquet")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.parquet"
    kept(path, [10])
    record = Record(path)
    record.begin(11)
    record.add(11, 1.0, "cheap", [LAYER])

    def cut_short(_table: object, part: Path) -> None:
        part.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", cut_short)
    with pytest.raises(OSError, match="No space"):
        record.write()
    assert rows(path).step.tolist() == [10]
    assert [one.name for one in tmp_path.iterdir()] == ["run.parquet"]
