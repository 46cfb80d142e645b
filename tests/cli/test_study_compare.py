"""`study compare` as a user meets it: table, files, figures, refusals, and going on."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from spinspectra.cli.study.compare import command
from spinspectra.errors import OptionError
from spinspectra.studies.measures import measure_model
from tests.cli.helpers import run, tiny_opt

FAST = ("--shuffles", "2", "--sweeps", "10")


@pytest.fixture
def series(tmp_path: Path) -> list[str]:
    names = [f"net{i}.safetensors" for i in range(4)]
    for i, name in enumerate(names):
        tensors = tiny_opt(seed=i, n_blocks=1, d=16)
        save_file({key: 2.0**i * tensor for key, tensor in tensors.items()}, tmp_path / name)
    (tmp_path / "quality.csv").write_text("model,test accuracy\nnet0,0.1\nnet1,0.2\nnet2,0.3\nnet3.safetensors,0.4\n")
    return names


def test_table_files_figures_and_going_on(series: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"none")
    options = ("--quality", "quality.csv", *FAST, "-o", "out")
    shown = run("study", "compare", *series, "broken.npz", *options, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    for said in ("Rank correlation with test accuracy", "broken: failed: ", "1 of 5 models have no quality: broken"):
        assert said in shown.stdout
    assert "With 4 models even a perfect order has p = 0.083" in shown.stdout
    out = tmp_path / "out"
    files = {path.name for path in out.iterdir()}
    assert files == {"study.json", "points.csv", "correlations.csv", "compare.png", "quality-test-accuracy.png"}
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in files if name.endswith(".png"))
    rows = list(csv.DictReader((out / "points.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["success"] * 4 + ["failed"]
    known = measure_model(tmp_path / series[2], shuffles=2, sweeps=10)
    assert float(rows[2]["null_z"]) == known["null_z"]
    assert float(rows[3]["test accuracy"]) == 0.4  # by its path as given
    correlations = {row["measure"]: row for row in csv.DictReader((out / "correlations.csv").read_text().splitlines())}
    assert float(correlations["log_norm"]["value"]) == pytest.approx(1.0)  # weights double from net to net
    assert float(correlations["log_norm"]["p"]) == pytest.approx(2 / 24)

    before = (out / "points.csv").read_text().splitlines()
    more = run("study", "compare", *series[:3], *options, "--resume", "--correlation", "spearman", cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    assert "3 points, of the 4 that a correlation needs" in more.stdout
    assert (out / "points.csv").read_text().splitlines() == before[:4]


@pytest.fixture
def here(series: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The series by names in the working directory."""
    monkeypatch.chdir(tmp_path)
    return series


def test_json(here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command(here, Path("quality.csv"), shuffles=2, sweeps=10, seed=5, workers=1, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["study"], found["seed"], found["within"]) == ("compare", 5, "network")
    assert found["correlation"] == "kendall"
    assert [row["model"] for row in found["models"]] == ["net0", "net1", "net2", "net3"]
    known = measure_model(here[1], shuffles=2, sweeps=10, seed=5)
    good = {name: value for name, value in known.items() if np.isfinite(value)}
    assert {name: found["models"][1][name] for name in good} == good
    assert all(found["models"][1][name] is None for name in known.keys() - good.keys())
    (row,) = (row for row in found["correlations"] if row["measure"] == "n_spins")
    assert (row["value"], row["reason"]) == (None, "x is constant")


def test_one_model_has_its_row_and_no_figure_of_its_quality(
    here: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(here[:1], Path("quality.csv"), shuffles=2, sweeps=10, output=tmp_path / "out")
    assert "1 point, of the 4 that a correlation needs" in capsys.readouterr().out
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"study.json", "points.csv", "correlations.csv", "compare.png"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quality": Path("text.csv")}, "text.csv: no column after the first holds numbers"),
        ({"correlation": "pearson"}, "--correlation pearson: give kendall or spearman"),
        ({"within": "layer"}, "--within layer: give network or matrix"),
        ({"resume": True}, "--resume: say which study's folder with -o FOLDER"),
        ({"output": Path("out")}, "holds a study already; go on with it with --resume"),
        ({"models": ["net0.safetensors"] * 2}, "net0.safetensors: is given twice"),
    ],
)
def test_refusals(here: list[str], options: dict[str, Any], said: str) -> None:
    Path("text.csv").write_text("model,kind\nnet0,mlp\n")
    Path("out").mkdir()
    Path("out/study.json").touch()
    with pytest.raises(OptionError, match=said):
        command(**({"models": here[:1]} | options))


def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    shown = run("study", "compare", "net0", "--quality", "none.csv", cwd=tmp_path)
    assert shown.returncode == 2
    assert "none.csv: no CSV file of qualities" in shown.stderr
    assert shown.stderr.count("\n") == 1
