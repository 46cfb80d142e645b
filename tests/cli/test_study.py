"""`study blocks` and `study fraction` as a user meets them: files, figures, refusals, interruptions of any kind."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from spinspectra import DensityOfStates
from spinspectra.cli.app import app
from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.ising.checkpoint import CheckpointError
from tests.cli.helpers import interrupted, run, tiny_opt

FAST = ("--sweeps", "100", "--shuffles", "2")
SHORT = ("--dos", "--dos-sweeps", "40", "--runs", "2", "--bins", "30", "--shuffles", "1")

posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_file(tiny_opt(n_blocks=3), path)
    return path


def here(*arguments: str | Path) -> None:
    """The command in this process, which spares it its start; errors come out as they are."""
    app(["study", *map(str, arguments)], standalone_mode=False)


def points(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "points.csv", keep_default_na=False).drop(columns="seconds")


def test_blocks_with_tables_and_figure(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    shown = run("study", "blocks", model, *FAST, "-o", folder)
    assert shown.returncode == 0, shown.stderr
    assert "Delta over largest W" in shown.stdout
    assert {path.name for path in folder.iterdir()} == {"study.json", "points.csv", "summary.csv", "blocks.png"}
    assert (folder / "blocks.png").read_bytes().startswith(b"\x89PNG")
    assert len(points(folder)) == 9
    summary = pd.read_csv(folder / "summary.csv")
    assert summary["n_blocks"].tolist() == [1, 2, 3]
    assert summary["n_spins"].tolist() == [6 + 42 * n for n in (1, 2, 3)]
    with pytest.raises(OptionError, match="holds a study already; go on with it with --resume"):
        here("blocks", model, *FAST, "-o", folder)
    here("blocks", model, *FAST, "--depths", "2", "--workers", "1", "-o", folder, "--resume", "--json")
    (row,) = json.loads(capsys.readouterr().out)["summary"]
    assert row["delta"] == pytest.approx(summary["delta"][1], rel=1e-15)
    assert row["width_per_spin"] * 90 == pytest.approx(row["width"])


def test_fraction_from_densities_in_the_papers_layout(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    options = ("--fractions", "0,0.025,1", "--blocks", "1", *SHORT)
    here("fraction", model, *options, "-o", folder, "--json")
    shown = capsys.readouterr()
    assert shown.err == ""
    found = json.loads(shown.out)
    names = {"study.json", "points.csv", "summary.csv", "fraction.png"}
    assert {path.name for path in folder.iterdir()} == names | {f"fraction{f}.dat" for f in ("0", "0.025", "1")}
    for row in found["points"]:
        density = DensityOfStates.load(folder / f"fraction{row['fraction']:g}.dat")
        assert (density.n_spins, density.width) == (48, row["width"])
        assert isinstance(row["doubts"], str)
    assert [row["fraction"] for row in found["summary"]] == [0.0, 0.025, 1.0]
    assert found["summary"][0]["width_err"] is None  # one network, so no error
    assert found["summary"][0]["T_c"] == found["points"][0]["T_c"]
    here("fraction", model, *options, "-o", folder, "--resume")
    table = capsys.readouterr().out
    assert "T_c" in table
    assert "Doubt (" in table  # of forty sweeps


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("blocks", "--depths", "1,x"), "--depths 1,x: give whole numbers with commas between them"),
        (("blocks", "--depths", "1,4"), "depths: 4: "),
        (("blocks", "--depths", "2,2"), "depths: 2 is there 2 times; give each once"),
        (("blocks", "--dos", "--sweeps", "9"), "--sweeps: is for widths from the ground state, not for --dos"),
        (("blocks", "--resume"), "--resume: say which study's folder with -o FOLDER"),
        (("fraction", "--bins", "9"), "--bins: is for --dos only"),
        (("fraction", "--fractions", "0,,1"), "--fractions 0,,1: give numbers with commas between them"),
        (("fraction", "--fractions", "0,1.5"), "fractions: 1.5: give numbers from 0 to 1"),
        (("fraction", "--fractions", "0,nan"), "fractions: nan: give numbers from 0 to 1"),
        (("fraction", "--fractions", "0.1,0.10"), "fractions: 0.1 is there 2 times; give each once"),
        (("fraction", "--within", "layer"), "within='layer': give network or matrix"),
        (("fraction", "--blocks", "9"), "has 3 blocks; give 1 to 3"),
        (("fraction", "--output", "tiny.safetensors"), "is no folder that can be written to"),
    ],
)
def test_refused_before_the_work(
    model: Path, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, *options = arguments
    monkeypatch.chdir(model.parent)
    with pytest.raises(SpinSpectraError) as told:
        here(study, model.name, *options)
    assert said in str(told.value)
    assert "\n" not in str(told.value)
    assert [path.name for path in model.parent.iterdir()] == [model.name]


def test_a_refusal_is_one_line_and_code_2(model: Path) -> None:
    for options, said in ((("--shuffles", "0"), "Invalid value for '--shuffles'"), (("--within", "a"), "within='a'")):
        shown = run("study", "fraction", model, *options)
        assert (shown.returncode, shown.stdout) == (2, "")
        assert said in shown.stderr
        assert shown.stderr.count("\n") == 1


def command(model: Path, folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "spinspectra", "study", *options, str(model), "-o", str(folder), "--resume"]


def kept(folder: Path) -> list[tuple[str, int]]:
    """What a killed study goes on from: the record, the checkpoints of chains being sampled, and when they changed."""
    paths = [folder / "study.json", *(folder / "running").glob("*.npz")]
    return [(path.name, path.stat().st_mtime_ns) for path in paths if path.exists()]


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("blocks", "--sweeps", "8000", "--restarts", "1", "--shuffles", "3"),
        ("fraction", "--fractions", "0,1", "--dos", "--dos-sweeps", "600", *SHORT[3:-1], "1"),
    ],
    ids=["ground", "density"],
)
def test_killed_at_any_moment_it_ends_as_an_unbroken_one(model: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    here(*options, model, "-o", whole)
    rng, kills = np.random.default_rng(0), 0
    for i in range(2):
        before = kept(broken)
        process = subprocess.Popen(
            [*command(model, broken, *options), "--workers", str(1 + i)], stdout=subprocess.DEVNULL
        )
        while kept(broken) == before and process.poll() is None:
            time.sleep(0.005)
        time.sleep(0.3 * rng.random())
        process.kill()
        kills += process.wait() != 0
    assert kills > 0
    here(*options, model, "-o", broken, "--resume")
    pd.testing.assert_frame_equal(points(broken), points(whole), check_exact=True)
    assert (broken / "summary.csv").read_bytes() == (whole / "summary.csv").read_bytes()
    for density in whole.glob("*.dat"):
        assert (broken / density.name).read_bytes() == density.read_bytes()
    assert not (broken / "running").exists()


@posix
def test_ctrl_c_says_how_to_go_on(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    asked = command(model, folder, "blocks", "--sweeps", "200000", "--depths", "3")[:-1]
    interrupted(asked, folder / "study.json")
    with pytest.raises(CheckpointError, match="of another study: sweeps: 200000 in the file, 10 asked for"):
        here("blocks", model, "--sweeps", "10", "--depths", "3", "-o", folder, "--resume")
