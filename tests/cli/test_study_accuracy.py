"""`study accuracy` as a user meets it: tables, files, workers, interruptions and what it refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.numpy import save_file

from spinspectra.cli.study.accuracy import command
from spinspectra.errors import OptionError
from spinspectra.studies.accuracy import study_accuracy
from spinspectra.studies.tasks import CausalPerplexity, UserTask, text_file
from spinspectra.studies.widths import FromGround
from tests.cli.helpers import run, tiny_opt
from tests.studies.tasks import models

SAME: dict[str, Any] = {"fractions": "0.2,1", "shuffles": 2, "sweeps": 20, "restarts": 2}
FAST = ("--fractions", "0.2,1", "--shuffles", "2", "--sweeps", "20", "--restarts", "2")
SLOW_TASK = """
import os
import time
from pathlib import Path

def slow(folder):
    (Path(__file__).parent / f"began-{time.time_ns()}").touch()
    time.sleep(float(os.environ.get("TASK_SECONDS", "0")))
    return (folder / "model.safetensors").read_bytes()[-3] / 256
"""


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(models.text())
    return models.gpt2(tmp_path / "gpt2")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    save_file(tiny_opt(), tmp_path / "tiny" / "model.safetensors")
    (tmp_path / "tasks.py").write_text(SLOW_TASK)
    return tmp_path / "tiny"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(table.drop(columns="seconds", errors="ignore").to_json(orient="records", double_precision=15))


def near(row: dict[str, Any]) -> dict[str, Any]:
    return {key: pytest.approx(value, rel=1e-6) if isinstance(value, float) else value for key, value in row.items()}


@pytest.mark.slow
def test_two_workers_find_what_one_process_does(gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "out"
    command(str(gpt2), text=text, **SAME, workers=2, output=out, as_json=True)
    shown = capsys.readouterr()
    assert shown.err == ""
    expected = study_accuracy(gpt2, CausalPerplexity(text_file(text)), (0.2, 1.0), 2, how=FromGround(20, 2))
    found = json.loads(shown.out)
    told = {"study": "accuracy", "source": str(gpt2), "seed": 0, "shuffles": 2, "reading": "elements"}
    assert {name: found[name] for name in told} == told
    for name, table in (("points", expected.points), ("summary", expected.summary)):
        for one, other in zip(found[name], records(table), strict=True):
            assert {key: one[key] for key in other} == near(other)
    assert sorted(path.name for path in out.iterdir()) == ["accuracy.png", "points.csv", "study.json", "summary.csv"]
    written = pd.read_csv(out / "summary.csv")
    assert written["value"].to_numpy() == pytest.approx(expected.summary["value"].to_numpy(), rel=1e-6)
    command(str(gpt2), text=text, **SAME, output=out, resume=True)
    table = capsys.readouterr().out
    assert "perplexity" in table
    assert f"{expected.summary['value'].iloc[0]:.4g}" in table


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_in_any_way_it_goes_on(tiny: Path, tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C reaches the workers too, as from a terminal; a kill only the command, and its workers find out."""
    task, out, scratch = f"{tmp_path / 'tasks.py'}:slow", tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    arguments = ["study", "accuracy", str(tiny), "--evaluate", task, *FAST, "-o", str(out), "--workers", "1"]
    with (tmp_path / "stderr").open("w") as stderr:  # no pipe, which a worker holds for its last seconds
        process = subprocess.Popen(
            [sys.executable, "-m", "spinspectra", *arguments],
            stderr=stderr,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(scratch), "TASK_SECONDS": "0.6"},
        )
    while len(list(tmp_path.glob("began-*"))) < 3:  # two points are known, or nearly
        assert process.poll() is None, (tmp_path / "stderr").read_text()
        time.sleep(0.05)
    (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
    assert process.wait(timeout=60) == (130 if how == signal.SIGINT else -how)
    told = (tmp_path / "stderr").read_text()
    if how == signal.SIGINT:
        assert "go on with" in told
        assert "Traceback" not in told
    deadline = time.monotonic() + 60
    while any(scratch.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not list(scratch.iterdir())
    known = json.loads((out / "study.json").read_text())["points"]
    assert 1 <= len(known) < 5
    before = len(list(tmp_path.glob("began-*")))
    command(str(tiny), evaluate=task, **SAME, output=out, workers=1, resume=True)
    assert len(list(tmp_path.glob("began-*"))) - before == 5 - len(known)
    whole = study_accuracy(tiny, UserTask(task), (0.2, 1.0), 2, how=FromGround(20, 2))
    assert records(pd.read_csv(out / "summary.csv")) == [near(row) for row in records(whole.summary)]


def refused(*arguments: str | Path) -> str:
    shown = run("study", "accuracy", *arguments)
    assert shown.returncode == 2, shown.stdout
    assert shown.stdout == ""
    (line,) = shown.stderr.splitlines()
    assert line.startswith("spinspectra: ")
    return line


def test_what_cannot_be_studied_is_refused_before_the_work(gpt2: Path, tmp_path: Path) -> None:
    text, here = tmp_path / "text.txt", Path(__file__)
    for options, message in (
        ({"text": text, "evaluate": "a:b"}, "--text and --evaluate: give one of"),
        ({"text": tmp_path / "none.txt"}, "cannot be read"),
        ({"images": tmp_path, "stride": 3}, "--stride: is not for --images"),
        ({"images": tmp_path}, "a class folder without images"),
        ({"text": text, "mask_every": 3}, "is for masked language models"),
        ({"text": text, "fractions": "0;1"}, "--fractions 0;1: give numbers with commas between them"),
        ({"text": text, "fractions": "1.5"}, "fractions: 1.5: give numbers from 0 to 1"),
        ({"text": text, "fractions": "1,1"}, "fractions: 1.0 is there 2 times; give each once"),
        ({"text": text, "reading": "all"}, "give elements or couplings"),
        ({"text": text, "keep": tmp_path}, f"keep={tmp_path}: is not empty and no folder of kept checkpoints"),
        ({"text": text, "keep": text}, f"--keep {text}: {text} is no folder that can be written to"),
        ({"evaluate": f"{here}:none"}, "has no function none"),
        ({"evaluate": f"{here}:near", "device": "cuda"}, "--device: is not for --evaluate"),
        ({"text": text, "resume": True}, "say which study's folder"),
    ):
        with pytest.raises(OptionError, match=re.escape(message)):
            command(str(gpt2), **options)
    with pytest.raises(OptionError, match=r"no task: give one of --text, --dataset, --images, --evaluate"):
        command(str(gpt2))


def test_what_only_the_task_tells_is_refused_in_one_line_too(tiny: Path, tmp_path: Path) -> None:
    """From a worker, whose errors come with its traceback."""
    (tmp_path / "broken.py").write_text("def broken(folder):\n    raise ValueError('no\\nway')\n")
    out = tmp_path / "out"
    line = refused(tiny, "--evaluate", f"{tmp_path / 'broken.py'}:broken", "-o", out, "--workers", "1")
    assert "broken failed: ValueError: no" in line
    assert not list(out.glob("*.csv"))
