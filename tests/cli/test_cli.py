"""The command line as a user meets it: a real process, its output, its exit code, what it leaves on disk."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from spinspectra import IsingChain, load_spins, shuffle
from tests import minilm
from tests.cli.helpers import run, tiny_opt


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_file(tiny_opt(), path)
    return path


def test_help_names_the_commands_and_loads_nothing_heavy() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("describe", "ground", "dos", "heat", "demo"))
    code = (
        "import sys, spinspectra, spinspectra.cli.app\n"
        "heavy = {'torch', 'numba', 'numpy', 'scipy', 'pandas', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ground_as_json_agrees_with_the_spins_it_saves(model: Path, tmp_path: Path) -> None:
    shown = run("ground", model, "--shuffled", "--seed", "3", "--json", "-o", tmp_path / "spins")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    chain = IsingChain.from_weights(model)
    assert (found["n_spins"], found["n_bonds"]) == (chain.n_spins, chain.n_bonds)
    for name, owner, folder in (
        ("trained", chain, "spins"),
        ("shuffled", shuffle(chain, seed=3), "spins/shuffled"),
    ):
        assert owner.energy(load_spins(tmp_path / folder)) == found[name]["energy"]
        assert found[name]["stable"] is True
        assert abs(found[name]["energy"]) <= found[name]["bounds"]["dual"] <= found[name]["bounds"]["spectral"]


def test_ground_as_a_table_shows_both_networks(model: Path) -> None:
    shown = run("ground", model, "--shuffled", "--sweeps", "50")
    assert shown.returncode == 0, shown.stderr
    assert "trained" in shown.stdout
    assert "times as low as its shuffled twin" in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize("options", [("--sweeps", "0"), ("--no-bounds",), ("--blocks", "1"), ("--restarts", "3")])
def test_ground_options(model: Path, options: tuple[str, ...]) -> None:
    shown = run("ground", model, "--json", *options)
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["trained"]["stable"] is True
    assert found["n_spins"] == (48 if "--blocks" in options else 90)
    assert (found["trained"]["bounds"] is None) == ("--no-bounds" in options)


def test_describe_lists_every_tensor() -> None:
    shown = run("describe", minilm.FOLDER, "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["chain"] == {"family": "BERT", "n_blocks": 6, "n_spins": 16512, "n_bonds": 8847360}
    assert len(found["layers"]) == 104
    assert sum(row["params"] for row in found["layers"]) == 22713728
    assert sum(bool(row["chain"]) for row in found["layers"]) == 36


def test_describe_groups_blocks_and_names_the_chain(model: Path) -> None:
    shown = run("describe", model)
    assert shown.returncode == 0, shown.stderr
    assert "model.decoder.layers.*.fc1.weight" in shown.stdout
    assert "OPT, 2 blocks, N = 90 spins, B = 720 bonds" in shown.stdout
    assert "model.decoder.layers.1.fc1.weight" in run("describe", model, "--all").stdout


def test_describe_shows_any_checkpoint_and_says_why_there_is_no_chain(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"first.weight": np.ones((3, 4), np.float32)}, path)
    shown = run("describe", path)
    assert shown.returncode == 0
    assert "no known architecture family" in shown.stdout


def test_names_from_a_file_are_shown_as_text(tmp_path: Path) -> None:
    path = tmp_path / "hostile.safetensors"
    save_file({"[bold red]x[/]\x1b[2Jy\nz": np.ones((3, 4), np.float32)}, path)
    shown = run("describe", path)
    assert shown.returncode == 0
    assert r"[bold red]x[/]\x1b[2Jy\nz" in shown.stdout
    assert "\x1b[2J" not in shown.stdout


def poisoned(tensors: dict[str, np.ndarray], value: float) -> dict[str, np.ndarray]:
    tensors["model.decoder.layers.1.fc1.weight"][2, 3] = value
    return tensors


def misfit(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    tensors["model.decoder.layers.0.self_attn.k_proj.weight"] = np.ones((5, 6), np.float32)
    return tensors


def write_bad(kind: str, folder: Path) -> tuple[str, ...]:
    """Make one bad input; returns the arguments after `ground`."""
    path = folder / "bad.safetensors"
    tensors = tiny_opt()
    if kind == "missing path":
        return (str(folder / "nowhere"),)
    if kind == "empty file":
        path.touch()
    elif kind == "truncated":
        save_file(tensors, path)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "long header":
        path.write_bytes((10**6).to_bytes(8, "little") + b"{}")
    elif kind in ("absent shard", "shard outside"):
        shard = "model-1.safetensors" if kind == "absent shard" else "../x.safetensors"
        save_file(tensors, folder.parent / "x.safetensors")
        index = {"weight_map": dict.fromkeys(tensors, shard)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        return (str(folder),)
    elif kind in ("NaN", "infinity"):
        save_file(poisoned(tensors, np.nan if kind == "NaN" else np.inf), path)
    elif kind == "qkv misfit":
        save_file(misfit(tensors), path)
    elif kind == "unknown family":
        save_file({"a.weight": np.ones((2, 2), np.float32)}, path)
    else:
        save_file(tensors, path)
        return (str(path), "--blocks", kind.split()[-1])
    return (str(path),)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing path", "nowhere: no such file or folder"),
        ("empty file", "bad.safetensors: the file is empty"),
        ("truncated", "bad.safetensors: not a whole safetensors file"),
        ("long header", "bad.safetensors: not a whole safetensors file"),
        ("absent shard", "names the shard model-1.safetensors, which is not in the folder"),
        ("shard outside", "names the shard '../x.safetensors', which is outside its folder"),
        ("NaN", "model.decoder.layers.1.fc1.weight has 1 NaN values in 144"),
        ("infinity", "model.decoder.layers.1.fc1.weight has 1 infinite values in 144"),
        ("qkv misfit", "query, key and value differ in shape"),
        ("unknown family", "known: GPT-2, OPT, BLOOM, BERT, BEiT, DeiT, ViT"),
        ("blocks 0", "has 2 blocks; give 1 to 2"),
        ("blocks 3", "has 2 blocks; give 1 to 2"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(kind: str, said: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    arguments = write_bad(kind, folder)
    shown = run("ground", *arguments, "-o", tmp_path / "spins")
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr.count("\n") == 1
    assert said in shown.stderr
    assert not (tmp_path / "spins").exists()


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"""
import pickle, torch
class Attack:
    def __reduce__(self):
        return (open, ({str(marker)!r}, "w"))
torch.save({{"a.weight": Attack()}}, {str(tmp_path / "bad.bin")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    marker.unlink(missing_ok=True)
    shown = run("ground", tmp_path / "bad.bin")
    assert shown.returncode == 2
    assert "refused" in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert not marker.exists()


def test_an_output_that_cannot_be_is_refused_before_the_work(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shown = run("ground", model, "-o", tmp_path / "file" / "spins")
    assert shown.returncode == 2
    assert shown.stderr.count("\n") == 1
    assert "is no folder that can be written to" in shown.stderr


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    return run("demo")


def test_demo_tells_the_story(demo: subprocess.CompletedProcess[str]) -> None:
    assert demo.returncode == 0, demo.stderr
    for name in ("initial", "memorising", "grokked", "degraded"):
        assert name in demo.stdout
    assert "What it shows" in demo.stdout
    assert "What the heat shows" in demo.stdout
    assert "What the spectra show" in demo.stdout


def test_demo_fits_a_terminal_of_80_columns(demo: subprocess.CompletedProcess[str]) -> None:
    lines = demo.stdout.splitlines()
    rules = [len(line.rstrip()) for line in lines if "\N{BOX DRAWINGS LIGHT HORIZONTAL}" in line]
    assert len(rules) == 4
    assert max(rules) <= 80
    assert max(map(len, lines)) <= 120


def test_analyze_as_json_and_as_files(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tensors = {f"l{i}.weight": np.random.default_rng(i).standard_normal((40, 30)).astype(np.float32) for i in range(3)}
    tensors["bad.weight"] = np.full((40, 30), np.nan, np.float32)
    save_file(tensors, path)
    shown = run("analyze", path, "--detx", "--json", "-o", tmp_path / "out" / "details.csv")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert [row["longname"] for row in found["layers"]] == ["bad", "l0", "l1", "l2"]
    assert found["layers"][0]["status"] == "failed"
    assert found["layers"][0]["alpha"] is None
    alphas = [row["alpha"] for row in found["layers"][1:]]
    assert found["summary"]["alpha"] == pytest.approx(np.mean(alphas))
    written = (tmp_path / "out" / "details.csv").read_text().splitlines()
    assert len(written) == 5
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["details.csv"]


def test_analyze_as_a_table_says_what_to_look_at() -> None:
    shown = run("analyze", minilm.FOLDER, "--detx")
    assert shown.returncode == 0, shown.stderr
    assert "39 of 39 layers fitted: mean alpha 4.12" in shown.stdout
    assert "1 look over-trained (alpha < 2): embeddings.position_embeddings" in shown.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fit", "X"), "--fit X: give one of PL, TPL, E_TPL"),
        (("-o", "details.txt"), "the name must end in .csv, .json, .parquet"),
        (("--layer", "nothing"), "nothing is called 'nothing'"),
        (("--min-evals", "1000"), "no layer to analyse among 12 tensors"),
    ],
)
def test_analyze_refuses_in_one_line(model: Path, options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    shown = run("analyze", model, *options, cwd=tmp_path)
    assert shown.returncode == 2
    assert shown.stderr.count("\n") == 1
    assert said in shown.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ground",), "Missing argument 'MODEL'"),
        (("ground", "x", "--sweeps", "1e3"), "Invalid value for '--sweeps'"),
        (("ground", "x", "--sweeps", "9" * 20), "Invalid value for '--sweeps'"),
        (("ground", "x", "--restarts", "0"), "Invalid value for '--restarts'"),
        (("nothing",), "No such command 'nothing'"),
        (("demo", "extra"), "extra"),
    ],
)
def test_wrong_words_are_one_line_too(arguments: tuple[str, ...], said: str) -> None:
    shown = run(*arguments)
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert said in shown.stderr


def test_a_folder_that_holds_other_things_is_left_alone(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "spins"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    shown = run("ground", model, "--sweeps", "5", "-o", folder)
    assert shown.returncode == 2
    assert "holds thesis.txt, which is no spin file; give a folder of its own" in shown.stderr
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_a_second_run_replaces_the_first_ones_spins(model: Path, tmp_path: Path) -> None:
    run("ground", model, "--sweeps", "5", "--no-bounds", "--shuffled", "-o", tmp_path / "spins")
    assert (tmp_path / "spins" / "shuffled" / "l8.dat").exists()
    shown = run("ground", model, "--sweeps", "5", "--no-bounds", "--blocks", "1", "-o", tmp_path / "spins")
    assert shown.returncode == 0, shown.stderr
    assert sorted(path.name for path in (tmp_path / "spins").iterdir()) == [f"l{i}.dat" for i in range(5)]


def test_a_prefix_chooses_among_stacks(tmp_path: Path) -> None:
    two = {f"{name}.{key}": value for name in ("query", "passage") for key, value in tiny_opt().items()}
    save_file(two, tmp_path / "two.safetensors")
    refused = run("ground", tmp_path / "two.safetensors")
    assert "choose one with prefix=" in refused.stderr
    shown = run("ground", tmp_path / "two.safetensors", "--prefix", "query.model.decoder.", "--json", "--no-bounds")
    assert json.loads(shown.stdout)["n_spins"] == 90


def test_printed_bounds_are_still_bounds(model: Path) -> None:
    """Rounded outward: what is shown as proved lies at or beyond what was proved."""
    exact = json.loads(run("ground", model, "--json", "--sweeps", "20").stdout)
    shown = run("ground", model, "--sweeps", "20").stdout
    width = float(re.search(r"and ([0-9.]+) \(proved\)", shown)[1])
    assert 0 <= width - 2 * exact["trained"]["bounds"]["dual"] / exact["n_spins"] <= 1.0001e-4
    row = next(line for line in shown.splitlines() if line.split()[:1] == ["trained"])
    dual, spectral = (float(text.replace("\N{MINUS SIGN}", "-")) for text in row.split()[3:5])
    assert dual <= -exact["trained"]["bounds"]["dual"] / exact["n_spins"]
    assert spectral <= -exact["trained"]["bounds"]["spectral"] / exact["n_spins"]
