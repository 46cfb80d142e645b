"""Figures as files: their names, their folder, and nothing left behind."""

import re

import numpy as np
import pytest

import spinspectra.plots as plots
from spinspectra.errors import SpinSpectraError
from spinspectra.layers import read_layers
from spinspectra.plots import save
from spinspectra.spectra import analyze
from spinspectra.spectra.measure import Measures, measure_layer
from tests.plots.conftest import CHECKPOINT, REAL_NAME

HOSTILE = [
    "../../etc/passwd",
    "/abs",
    "a/b",
    "a_b",
    "a\\b",
    ".hidden",
    "..",
    "",
    "CON",
    "con.x",
    "a\0b",
    "x" * 400,
    "\u5c64",
]


def rand(n, m, seed=0):
    return np.random.default_rng(seed).standard_normal((n, m)).astype(np.float32)


def is_png(path):
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_layer_figures_are_named_files(tmp_path, real):
    paths = plots.save_layer_figures("h.0.attn", real, tmp_path / "new" / "folder")
    assert paths[0] == tmp_path / "new" / "folder" / "h.0.attn.esd.png"
    assert len(paths) == 8
    assert all(is_png(path) for path in paths)
    assert sorted(paths) == sorted((tmp_path / "new" / "folder").iterdir())


def test_hostile_names_stay_in_the_folder_and_apart():
    stems = [save.safe_stem(name) for name in HOSTILE]
    assert len({stem.lower() for stem in stems}) == len(HOSTILE)
    for stem in stems:
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}", stem)
    assert save.safe_stem(save.safe_stem("a/b")) != save.safe_stem("a/b")  # a name that imitates a changed one


def test_files_appear_whole_or_not_at_all(tmp_path, spiked, monkeypatch):
    ax = plots.esd_linear(spiked.spectrum)
    target = tmp_path / "old.png"
    target.write_bytes(b"old")

    def half(file, **options):
        file.write(b"half")
        raise RuntimeError("stopped")

    monkeypatch.setattr(ax.figure, "savefig", half)
    with pytest.raises(RuntimeError, match="stopped"):
        plots.save_png(ax, target)
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]
    assert target.read_bytes() == b"old"


def test_a_link_is_replaced_not_followed(tmp_path, spiked):
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (tmp_path / "figure.png").symlink_to(outside)
    plots.save_png(plots.esd_linear(spiked.spectrum), tmp_path / "figure.png")
    assert outside.read_bytes() == b"mine"
    assert is_png(tmp_path / "figure.png")


def test_a_real_checkpoint(tmp_path):
    options = {"layers": [REAL_NAME], "detx": True, "mp_fit": True}
    paths = plots.save_figures(CHECKPOINT, tmp_path, **options)
    names = {path.name for path in paths}
    assert {"alpha-depth.png", "esd-ridge.png", "alpha-gap.png"} < names
    assert f"017-{REAL_NAME}.detx.png" in names
    assert len(names) == len(paths) == 3 + 7
    assert {path.name for path in tmp_path.iterdir()} == names


def test_figures_show_the_numbers_of_the_table():
    layer = {"a.weight": rand(60, 30)}
    row = analyze(layer, randomize=True, detx=True, mp_fit=True, seed=3).iloc[0]
    (read,) = read_layers(layer)
    (measured,) = measure_layer(Measures(randomize=True, detx=True, mp_fit=True, seed=3), True, read)
    found = measured.results
    assert (found.fit.alpha, found.fit.xmin) == (row.alpha, row.xmin)
    assert found.randomized.max_rand_eval == row.max_rand_eval
    assert (found.space.n_tail, found.bulk.bulk_max) == (row.detX_num, row.bulk_max)


def test_bad_layers_cost_only_their_own_figures(tmp_path):
    bad = rand(40, 20)
    bad[0, 0] = np.nan
    source = {"good.weight": rand(40, 20, 1), "bad.weight": bad, "zero.weight": np.zeros((40, 20), np.float32)}
    seen = []
    names = {path.name for path in plots.save_figures(source, tmp_path, progress=seen.append)}
    assert {"001-good.esd.png", "002-zero.esd.png"} < names
    assert not [name for name in names if "bad" in name]
    assert len(seen) == 3


def test_layers_that_differ_only_in_case_and_separators_get_files_each(tmp_path):
    source = {"a/b.weight": rand(20, 10), "A/b.weight": rand(20, 10, 1), "a_b.weight": rand(20, 10, 2)}
    names = [path.name.lower() for path in plots.save_figures(source, tmp_path)]
    assert len(set(names)) == len(names) == 3 * 5 + 2


def test_slices_apart(tmp_path):
    source = {"conv.weight": np.random.default_rng(0).standard_normal((20, 16, 1, 2)).astype(np.float32)}
    names = {path.name for path in plots.save_figures(source, tmp_path, pool=False)}
    assert {"000.0-conv.esd.png", "000.1-conv.esd.png"} < names


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(SpinSpectraError):
        plots.save_figures({"bias": np.zeros(5, np.float32)}, tmp_path / "none")
    assert not (tmp_path / "none").exists()
