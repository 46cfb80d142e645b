"""`dos` and `heat` as a user meets them: files, figures, refusals, interruptions of any kind and what comes after."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from spinspectra import DensityOfStates, IsingChain, shuffle, thermodynamics
from spinspectra.cli.heat import plus_minus
from spinspectra.cli.sampling_bar import remaining
from tests import paper
from tests.cli.helpers import interrupted, run, tiny_opt

FAST = ("--bins", "40", "--sweeps", "200", "--runs", "2")
METHODS = {
    "tempering": ("--bins", "40", "--sweeps", "2000", "--runs", "2"),
    "wang-landau": (
        *("--method", "wang-landau", "--bins", "40", "--teams", "2", "--windows", "2", "--ln-f-end", "4e-6"),
        *("--checkpoint-every", "0.1"),
    ),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_file(tiny_opt(), path)
    return path


def same(a: Path, b: Path) -> bool:
    one, other = (DensityOfStates.load(path) for path in (a, b))
    names = ("energies", "ln_g", "stderr", "counts")
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in names)


def test_dos_of_both_networks_as_json_and_files(model: Path, tmp_path: Path) -> None:
    shown = run(
        "dos", model, "--shuffled", *FAST, "--json", "-o", tmp_path / "out" / "d.nc", "--plot", tmp_path / "d.png"
    )
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    chain = IsingChain.from_weights(model)
    for name, owner, file in (("trained", chain, "d.nc"), ("shuffled", shuffle(chain, seed=0), "d_shuffled.nc")):
        density = DensityOfStates.load(tmp_path / "out" / file)
        assert density.n_spins == found["n_spins"] == chain.n_spins
        assert density.width == found[name]["width"]
        spread = np.exp(density.ln_g - density.ln_total) @ density.means**2
        assert spread == pytest.approx(owner.sum_of_squares, rel=0.1)  # the variance of E, whatever the chain
        assert found[name]["T_c"] > 0.0
        assert found[name]["how"]["version"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["d.nc", "d_shuffled.nc"]
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


def test_dos_as_a_table(model: Path, tmp_path: Path) -> None:
    shown = run("dos", model, "--shuffled", *FAST, "-o", tmp_path / "d.dat")
    assert shown.returncode == 0, shown.stderr
    assert "times its shuffled twin's" in shown.stdout
    assert "d_shuffled.dat" in shown.stdout
    assert DensityOfStates.load(tmp_path / "d.dat").ln_total == pytest.approx(np.log(2.0) * 90)


def test_the_number_of_workers_changes_nothing(model: Path, tmp_path: Path) -> None:
    for workers in ("1", "3"):
        assert run("dos", model, *FAST, "--workers", workers, "-o", tmp_path / f"{workers}.nc").returncode == 0
    assert same(tmp_path / "1.nc", tmp_path / "3.nc")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_killed_at_any_moment_it_ends_where_an_unbroken_run_does(model: Path, tmp_path: Path, method: str) -> None:
    whole, broken, kept = tmp_path / "whole.nc", tmp_path / "broken.nc", tmp_path / "run.npz"
    began = time.monotonic()
    assert run("dos", model, *METHODS[method], "-o", whole).returncode == 0
    seconds = time.monotonic() - began
    command = [sys.executable, "-m", "spinspectra", "dos", model, *METHODS[method], "--checkpoint", kept, "--resume"]
    rng, kills = np.random.default_rng(0), 0
    for i in range(40):
        workers = ("--workers", str(1 + i % 3))
        process = subprocess.Popen([*map(str, command), "-o", str(broken), *workers], stdout=subprocess.DEVNULL)
        try:
            process.wait(seconds * rng.uniform(0.3, 0.8))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        if process.wait() == 0:
            break
        assert not broken.exists()
    assert kills > 0
    assert same(whole, broken)


@pytest.mark.slow
def test_ctrl_c_keeps_the_run_and_says_how_to_go_on(model: Path, tmp_path: Path) -> None:
    kept, output = tmp_path / "run.npz", tmp_path / "out.nc"
    options = (*METHODS["tempering"], "--checkpoint", str(kept), "-o", str(output))
    interrupted([sys.executable, "-m", "spinspectra", "dos", str(model), *options], kept)
    again = run("dos", model, *options)
    assert again.returncode == 2
    assert "is there already; go on from it with --resume" in again.stderr
    assert run("dos", model, *options, "--resume").returncode == 0
    assert run("dos", model, *METHODS["tempering"], "-o", tmp_path / "whole.nc").returncode == 0
    assert same(tmp_path / "whole.nc", output)


def test_a_checkpoint_of_other_weights_is_refused(model: Path, tmp_path: Path) -> None:
    kept = tmp_path / "run.npz"
    assert run("dos", model, *FAST, "--checkpoint", kept).returncode == 0
    other = tmp_path / "other.safetensors"
    save_file(tiny_opt(seed=1), other)
    for arguments, named in (((other, *FAST), "couplings"), ((model, *FAST[:-1], "3"), "runs")):
        shown = run("dos", *arguments, "--checkpoint", kept, "--resume")
        assert shown.returncode == 2
        assert f"a checkpoint of another run: {named}" in shown.stderr or f"; {named}: " in shown.stderr
        assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "magic"), "--method magic: give tempering or wang-landau"),
        (("--method", "wang-landau", "--sweeps", "100"), "--sweeps: is not for --method wang-landau"),
        (("--windows", "3"), "--windows: is not for --method tempering"),
        (("--resume",), "--resume: say from which file with --checkpoint FILE"),
        (("-o", "d.csv"), "name it .nc (everything) or .dat (two columns)"),
        (("-o", "."), "name it .nc"),
        (("--plot", "."), "--plot .: is a folder"),
        (("--bins", "1"), "Invalid value for '--bins'"),
    ],
)
def test_dos_refuses_before_the_work(model: Path, options: tuple[str, ...], said: str) -> None:
    shown = run("dos", model, *options)
    assert shown.returncode == 2
    assert said in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_heat_redraws_the_papers_peaks(tmp_path: Path) -> None:
    """opt-125m peaks at T = 0.109 with C = 1.047, its shuffled twin, over the same width, at 0.0307 with 1.117."""
    files = [paper.path(name) for name in ("opt-125m", "opt-125m_shuffled")]
    options = ("--n-spins", "65280", "--convention", "paper")
    shown = run("heat", *files, *options, "--json", "-o", tmp_path / "heat.csv", "--plot", tmp_path / "c.png")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    known = paper.summary()
    for name, one in found.items():
        assert one["T_c"] == pytest.approx(known.loc[name, "heat_peak_T"], rel=0.01)
        assert one["C_max"] == pytest.approx(known.loc[name, "heat_peak_C"], rel=0.01)
    rows = list(csv.DictReader((tmp_path / "heat.csv").read_text().splitlines()))
    assert {row["density"] for row in rows} == set(found)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    table = run("heat", *files, *options)
    assert "0.108" in table.stdout
    assert "10" in table.stdout  # the base of the logarithm that it took


def test_heat_of_a_sampled_density(model: Path, tmp_path: Path) -> None:
    assert run("dos", model, *FAST, "-o", tmp_path / "d.nc").returncode == 0
    shown = run("heat", tmp_path / "d.nc", "--low", "1", "--high", "20", "--points", "5", "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)["d"]
    exact = thermodynamics(DensityOfStates.load(tmp_path / "d.nc"), np.geomspace(1.0, 20.0, 5))
    assert found["T"] == exact["T"].values.tolist()
    assert found["C"] == pytest.approx(exact["C"].values.tolist())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "says nothing of the number of spins; give n_spins"),
        (("--n-spins", "64", "--log-base", "2"), "--log-base 2: give auto, e or 10"),
        (("--n-spins", "64", "--convention", "mine"), "--convention mine: give extensive or paper"),
        (("--n-spins", "64", "--width", "2"), "width belongs to convention='paper'"),
        (("--n-spins", "64", "--low", "3", "--high", "2"), "the low temperature comes first"),
        (("--n-spins", "64", "-o", "x.txt"), "the name must end in .csv or .nc"),
        (("--n-spins", "64", "--convention", "paper", "--width", "0"), "width=0.0: give a finite number above zero"),
        (("--n-spins", "64", "--convention", "paper", "--low", "0"), "finite and above zero"),
    ],
)
def test_heat_refuses_in_one_line(options: tuple[str, ...], said: str) -> None:
    shown = run("heat", paper.path("ising8x8"), *options)
    assert shown.returncode == 2
    assert said in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_numbers_with_errors() -> None:
    assert plus_minus(10.3123, 0.0213) == "10.312 ± 0.021"
    assert plus_minus(10.3123, 0.0213, figures=1) == "10.31 ± 0.02"
    assert plus_minus(1234.5, 96.0) == "1234 ± 96"
    assert plus_minus(10.3123, float("nan")) == "10.31"
    assert plus_minus(float("nan"), 1.0) == "\N{EN DASH}"


def test_time_left() -> None:
    assert remaining(0.5, 0.5, 60.0) == ", 1:00 left"
    assert remaining(0.75, 0.25, 3600.0) == ", 1:00:00 left"  # resumed at a half, a quarter gained in an hour
    assert remaining(0.001, 0.001, 5.0) == ""
    assert remaining(1.0, 1.0, 5.0) == ""
