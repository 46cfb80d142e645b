"""`study published` as a user meets it, on a part of the published data: tables, figures, our own beside, refusals."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinspectra.cli.study.published import command
from spinspectra.errors import SpinSpectraError
from spinspectra.studies.published import mirrored
from tests import paper
from tests.cli.helpers import run

FILES = (
    *("dos/opt-1.3b", "dos/opt-1.3b_shuffled", "dos/ising8x8", "accuracy/gpt2-lambada"),
    *("fraction/gpt2/fraction0", "fraction/gpt2/fraction0.1", "fraction/gpt2/fraction0.2", "fraction/gpt2/fraction1"),
    *("blocks/gpt2/blocks1", "blocks/gpt2/blocks1_shuffled", "blocks/gpt2/blocks12", "blocks/gpt2/blocks12_shuffled"),
)
FIGURES = {
    *("dos_opt-1.3b", "heat_opt-1.3b", "widths", "critical-temperatures", "blocks", "blocks-delta", "fraction"),
    *("accuracy", "accuracy-width"),
}
TABLES = {"curves", "networks", "blocks", "fractions", "heats", "tasks", "ranks"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("paper")
    for name in FILES:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paper.published() / f"{name}.dat", made / f"{name}.dat")
    return made


@pytest.fixture(scope="module")
def written(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that a run with everything wrote, and what it printed."""
    target = tmp_path_factory.mktemp("out")
    mirrored(paper.read("opt-1.3b")).save(target / "ours.nc")
    pd.DataFrame({"fraction": [0.0, 1.0], "width_per_spin": [9.0, 3.0]}).to_csv(target / "summary.csv")
    ours = ("--ours", f"opt-1.3b={target / 'ours.nc'}", "--ours", f"gpt2={target / 'summary.csv'}")
    done = run("study", "published", folder, "-o", target / "results", *ours)
    assert done.returncode == 0, done.stderr
    return target / "results", done.stdout


def test_all_tables_and_figures_are_written(written: tuple[Path, str]) -> None:
    names = {path.name for path in written[0].iterdir()}
    assert names == {f"{name}.png" for name in FIGURES} | {f"{name}.csv" for name in TABLES}
    assert all((written[0] / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in FIGURES)


def test_tables_hold_the_published_numbers(written: tuple[Path, str]) -> None:
    with (written[0] / "networks.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    known = paper.summary()
    assert float(row["width_trained"]) == pytest.approx(known.loc["opt-1.3b"].width_per_spin, rel=1e-5)
    assert float(row["T_c_shuffled"]) == pytest.approx(known.loc["opt-1.3b_shuffled"].heat_peak_T, abs=2e-4)


def test_what_is_shown(written: tuple[Path, str]) -> None:
    """The widths over N of dos/opt-1.3b and its ratio by the symmetry, 2 x 78977.98 over 2 x 17361.54."""
    shown = written[1]
    assert "0.2734     0.0925    2.96" in shown
    assert f"{78977.98 / 17361.54:.2f}" in shown
    assert "Wider than its shuffled twin: 1 of 1 as published, 1 by the symmetry." in shown
    assert "The lattice, ising8x8.dat, was read as natural." in shown


def test_json_is_the_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(folder, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert set(found) == TABLES
    assert [row["blocks"] for row in found["blocks"]] == [1, 12]
    widths = [row["width"] for row in found["tasks"]]
    assert [width is None for width in widths] == [False, True, True, False, False, True, False]
    assert found["heats"][0]["difference"] is None
    low, high = np.loadtxt(folder / "dos" / "opt-1.3b.dat")[[0, -1], 0]
    assert found["networks"][0]["width_trained"] == pytest.approx((high - low) / 346_112)


def test_a_folder_with_one_part_is_enough(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "accuracy", tmp_path / "paper" / "accuracy")
    command(tmp_path / "paper", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "accuracy.png",
        "tasks.csv",
        "ranks.csv",
    }


def test_a_task_with_a_width_unshuffled_alone_has_no_figure_of_widths(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "accuracy", tmp_path / "paper" / "accuracy")
    (tmp_path / "paper" / "fraction" / "gpt2").mkdir(parents=True)
    shutil.copy(folder / "fraction" / "gpt2" / "fraction0.dat", tmp_path / "paper" / "fraction" / "gpt2")
    command(tmp_path / "paper", tmp_path / "out")
    shown = capsys.readouterr().out
    assert "Fraction shuffled: widths per spin" in shown
    assert f"Written: {tmp_path / 'out'}" in shown.replace("\n", "")
    assert "accuracy-width.png" not in {path.name for path in (tmp_path / "out").iterdir()}


def test_tables_are_shown_though_a_figure_fails(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    shutil.copytree(folder / "accuracy", tmp_path / "paper" / "accuracy")
    monkeypatch.setattr("spinspectra.plots.save.save_png", full)
    with pytest.raises(OSError, match="no space left"):
        command(tmp_path / "paper", tmp_path / "out")
    shown = capsys.readouterr().out
    assert "Width against task error" in shown
    assert "Written" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", "mine"), "--size mine: write NAME=VALUE"),
        (("--size", "mine=768"), "--size mine=768: write width x blocks"),
        (("--ours", "minilm=dos.nc"), "minilm: the published data have no such curve"),
        (("--ours", "opt-1.3b=none.nc"), "none.nc: no such file"),
    ],
    ids=["no value", "no blocks", "another network", "no file"],
)
def test_refusals(folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    option, value = arguments
    given = {"size": [value]} if option == "--size" else {"ours": [value]}
    with pytest.raises(SpinSpectraError, match=re.escape(message)):
        command(folder, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "paper")
    (tmp_path / "paper" / "blocks" / "gpt2" / "blocks1.dat").write_text("1 2 3\n")
    done = run("study", "published", tmp_path / "paper", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "blocks1.dat: not two columns of numbers" in done.stderr
    assert done.stderr.count("\n") == 1
