"""The published data: read as they are, against raw columns and another summary; symmetry against exact g(E)."""

import math
import shutil
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from spinspectra.errors import SpinSpectraError
from spinspectra.ising.density import DensityOfStates
from spinspectra.ising.oracles import ConstantCouplings, Enumerated
from spinspectra.studies.published import (
    SIZES,
    ChainSize,
    Published,
    TaskCurve,
    Twins,
    block_table,
    curve_table,
    facts_of,
    fraction_table,
    heat_table,
    mirrored,
    network_heat,
    network_table,
    rank_table,
    read_ours,
    read_published,
    symmetric_width,
    task_errors,
    task_table,
)
from tests import paper
from tests.ising.helpers import random_system


@pytest.fixture(scope="module")
def published() -> Published:
    return read_published(paper.published())


@pytest.fixture(scope="module")
def fractions(published: Published) -> pd.DataFrame:
    return fraction_table(published)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small one, to be spoiled."""
    for name in ("dos/opt-1.3b", "dos/opt-1.3b_shuffled", "fraction/gpt2/fraction0.2", "accuracy/gpt2-lambada"):
        target = tmp_path / f"{name}.dat"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paper.published() / f"{name}.dat", target)
    return tmp_path


def raw(name: str) -> np.ndarray:
    """Both columns of a file, (2, rows)."""
    return np.loadtxt(paper.published() / f"{name}.dat").T


# Reading


def test_all_of_it_is_there(published: Published) -> None:
    assert {f"{name}{twin}" for name in published.densities for twin in ("", "_shuffled")} == set(paper.NETWORKS)
    assert {model: list(depths) for model, depths in published.blocks.items()} == {
        "bert-base": [1, 2, 4, 6, 8, 10, 12],
        "gpt2": [1, 2, 4, 6, 12],
        "opt-125m": [1, 2, 4, 6, 8, 10, 12],
        "opt-350m": [1, 2, 6, 8, 12, 16, 24],
    }
    assert {model: list(by) for model, by in published.fractions.items()} == {
        "bert-base": [0.0, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0],
        "gpt2": [0.0, 0.05, 0.1, 0.2, 0.5, 1.0],
        "opt-125m": [0.01, 0.05, 0.1, 0.2],
    }
    assert not published.heats


def test_bases_are_told_and_numbers_kept(published: Published) -> None:
    """Base 10 for networks, natural for the lattice, as physics.md, section 8, found by other means."""
    assert set(curve_table(published)["log_base"]) == {"10"}
    assert published.lattice is not None
    assert published.lattice.how["log_base"] == "e"
    energies, column = raw("blocks/gpt2/blocks4")
    density = published.blocks["gpt2"][4].trained
    assert np.array_equal(density.energies, energies)
    assert density.ln_g == pytest.approx(column * (768 * 29) * math.log(10.0), rel=1e-12)


def test_sizes_are_those_of_the_models() -> None:
    assert {name: size.n_spins() for name, size in SIZES.items()} == {
        name: n for name, n in paper.N_SPINS.items() if name in SIZES
    }
    assert ChainSize(384, 6).n_spins() == 16_512  # MiniLM


def test_accuracies_to_the_last_digit(published: Published) -> None:
    """Typed in from the files: line ends of two kinds, none at the end, one in exponents, one a row short."""
    found = {
        f"{curve.model} {curve.task}": dict(zip(curve.fractions, curve.metric, strict=True))
        for curve in published.tasks
    }
    assert len(found) == 6
    at = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
    wikitext103 = (29.9448, 29.9494, 30.1086, 31.2069, 38.7369, 3042.1362, 5.8e8)
    assert found["gpt2 wikitext103"] == dict(zip(at, wikitext103, strict=True))
    assert list(found["opt-125m wikitext103"]) == [0.0, 0.01, 0.05, 0.1, 0.2, 0.5]
    assert found["vit-base imagenet"][0.1] == 79.58
    assert found["vit-base imagenet"][1.0] == 0.08
    assert found["gpt2 lambada"][1.0] == 61734444.0


def test_an_incomplete_row_is_a_gap(folder: Path) -> None:
    (folder / "accuracy" / "gpt2-lambada.dat").write_text("0\t45.0\r\n0.5\r\n1\t90.0")
    (curve,) = read_published(folder).tasks
    assert curve.fractions.tolist() == [0.0, 0.5, 1.0]
    assert np.array_equal(task_errors(curve), [0.0, np.nan, 100.0], equal_nan=True)


def test_our_own_files_in_the_layout_need_no_size(folder: Path) -> None:
    mirror = mirrored(paper.read("opt-1.3b"))
    for name in ("mine", "mine_shuffled"):
        mirror.save(folder / "dos" / f"{name}.dat")
    found = read_published(folder).densities["mine"].trained
    assert np.array_equal(found.ln_g, mirror.ln_g)
    assert found.n_spins == 346_112


def test_a_size_is_taken_for_a_network_unknown(folder: Path) -> None:
    for twin in ("", "_shuffled"):
        shutil.copy(folder / "dos" / f"opt-1.3b{twin}.dat", folder / "dos" / f"mine{twin}.dat")
    densities = read_published(folder, {"mine": ChainSize(2048, 24)}).densities
    assert np.array_equal(densities["mine"].trained.ln_g, densities["opt-1.3b"].trained.ln_g)


def rewrite(name: str, text: str):
    return lambda folder: (folder / f"{name}.dat").write_text(text)


def reorder(folder: Path) -> None:
    path = folder / "fraction" / "gpt2" / "fraction0.2.dat"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[5:], *lines[:5]]))


SPOILED = {
    "unsorted": (reorder, "fraction0.2.dat: energies do not ascend"),
    "one line": (rewrite("dos/opt-1.3b", "-3.0 0.1\n"), "opt-1.3b.dat: a single line"),
    "words": (rewrite("dos/opt-1.3b", "-3.0 0.1\nabc def\n"), "opt-1.3b.dat: not two columns of numbers"),
    "one side": (
        rewrite("dos/opt-1.3b", "-3.0 0.1\n-2.0 0.2\n"),
        "opt-1.3b.dat: energies -3 .. -2 lie on one side of 0",
    ),
    "no twin": (
        lambda folder: (folder / "dos" / "opt-1.3b_shuffled.dat").unlink(),
        "opt-1.3b_shuffled.dat is not beside",
    ),
    "unknown size": (
        lambda folder: [
            shutil.copy(folder / f"dos/opt-1.3b{t}.dat", folder / f"dos/x{t}.dat") for t in ("", "_shuffled")
        ],
        "x.dat: of a network of unknown size; give its width and blocks",
    ),
    "another name": (rewrite("fraction/gpt2/fraction2", "-1 0\n1 0\n"), "fraction2.dat: not a file of this folder"),
    "metric in words": (
        rewrite("accuracy/gpt2-lambada", "0 45\n1 many\n"),
        "gpt2-lambada.dat: line 2 is not two numbers",
    ),
    "infinite metric": (
        rewrite("accuracy/gpt2-lambada", "0 45\n1 inf\n"),
        "gpt2-lambada.dat: line 2 is not two numbers",
    ),
    "nothing unshuffled": (rewrite("accuracy/gpt2-lambada", "0.1 45\n1 50\n"), "fractions must ascend from 0"),
    "too few rows": (rewrite("accuracy/gpt2-lambada", "0 45"), "gpt2-lambada.dat: 1 lines of numbers"),
    "no task": (rewrite("accuracy/gpt2", "0 45\n1 50\n"), "gpt2.dat: name it MODEL-TASK.dat"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILED.values(), ids=SPOILED.keys())
def test_what_is_damaged_is_refused_in_one_line(folder: Path, spoil, message: str) -> None:
    read_published(folder)
    spoil(folder)
    with pytest.raises(SpinSpectraError) as error:
        read_published(folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    for wrong, message in ((tmp_path / "none", "no such folder"), (tmp_path, "holds none of dos, blocks, fraction")):
        with pytest.raises(SpinSpectraError, match=message):
            read_published(wrong)


# Symmetry


def exact() -> tuple[DensityOfStates, float]:
    """g(E) of 12 + 10 + 9 spins with couplings 1 and 2, and the variance sum(J^2)."""
    energies, ln_g = ConstantCouplings((12, 10, 9), (1.0, 2.0)).ln_g()
    zero = np.zeros(energies.size)
    density = DensityOfStates(energies, ln_g, zero, zero.astype(np.int64), 31, float(np.diff(energies).min()), {})
    return density, 120.0 + 4.0 * 90.0


def cut(density: DensityOfStates, kept: np.ndarray) -> DensityOfStates:
    parts = (density.energies, density.ln_g, density.stderr, density.counts)
    return DensityOfStates(*(part[kept] for part in parts), density.n_spins, density.bin_width, {})


def test_facts_of_an_exact_density() -> None:
    density, variance = exact()
    facts = facts_of(density)
    assert facts.width == facts.symmetric_width == pytest.approx(2.0 * 300.0 / 31)
    assert facts.missed == facts.missed_low == facts.missed_high == 0.0
    assert facts.asymmetry == pytest.approx(0.0, abs=1e-12)
    assert facts.states == pytest.approx(1.0)
    assert facts.mean == pytest.approx(0.0, abs=1e-12)
    assert facts.std == pytest.approx(math.sqrt(variance) / 31)


@pytest.mark.parametrize("side", ["low", "high"])
def test_a_tail_that_was_missed_is_told_and_put_back(side: str) -> None:
    density, _ = exact()
    sign = 1.0 if side == "low" else -1.0
    part = cut(density, sign * density.energies <= 150.0)
    facts, last = facts_of(part), float(np.max(sign * part.energies))
    assert facts.width == pytest.approx((300.0 + last) / 31)
    assert symmetric_width(part) == density.width
    missed = (facts.missed_high, facts.missed_low) if side == "low" else (facts.missed_low, facts.missed_high)
    assert missed == (pytest.approx((300.0 - last) / 31), 0.0)
    assert facts.missed == pytest.approx(1.0 - last / 300.0)
    whole = mirrored(part)
    assert whole.how["side"] == side
    assert np.array_equal(whole.energies, density.energies)
    assert whole.ln_g == pytest.approx(density.ln_g, abs=1e-9)


def test_asymmetry_is_the_largest_difference_between_the_sides() -> None:
    density, _ = exact()
    ln_g = density.ln_g.copy()
    ln_g[density.energies == 100.0] += 3.1
    bent = DensityOfStates(density.energies, ln_g, density.stderr, density.counts, 31, density.bin_width, {})
    assert facts_of(bent).asymmetry == pytest.approx(3.1 / 31)


def test_heat_with_the_tail_put_back_is_that_of_the_whole() -> None:
    density, _ = exact()
    part = cut(density, density.energies >= -150.0)
    t = np.linspace(0.02, 1.0, 50)
    whole, found = network_heat(Twins(density, density), t), network_heat(Twins(part, part), t)
    assert found.mirrored_trained.C.to_numpy() == pytest.approx(whole.trained.C.to_numpy(), rel=1e-9)
    assert not np.allclose(found.trained.C.to_numpy(), whole.trained.C.to_numpy(), rtol=0.05)


def test_more_blocks_reach_at_least_as_low() -> None:
    """What `at_least` rests on: enumerated, for prefixes of random chains."""
    for seed in range(5):
        matrices = random_system((3, 4, 2, 4, 3), seed).matrices
        ground = [Enumerated(matrices[:n]).ground_energy() for n in range(1, 5)]
        assert all(below < above for above, below in pairwise(ground))


# Tables


def test_curves_against_the_summary_of_other_code(published: Published) -> None:
    table = curve_table(published).set_index("file")
    for name, row in paper.summary().iterrows():
        found = table.loc[f"dos/{name}"]
        assert (found.n_spins, found.bins) == (row.n_spins, row.rows)
        for kind in ("e_min", "e_max", "width"):
            assert found[kind] == pytest.approx(row[f"{kind}_per_spin"], rel=1e-5)


def test_symmetric_widths_lie_between_one_and_two_published_ones(published: Published) -> None:
    table = curve_table(published)
    assert len(table) == 93
    assert (table["symmetric_width"] >= table["width"]).all()
    assert (table["symmetric_width"] < 2.0 * table["width"]).all()
    assert ((table["missed_low"] == 0.0) | (table["missed_high"] == 0.0)).all()


def test_networks_are_compared_with_their_twins(published: Published) -> None:
    some = ("opt-1.3b", "deit-base")
    heats = {
        name: network_heat(published.densities[name], np.linspace(0.002, 1.0, 3))
        for name in published.densities
        if name in some
    }
    part = Published(published.folder, SIZES, {n: published.densities[n] for n in some}, None, {}, {}, (), {})
    table, summary = network_table(part, heats).set_index("network"), paper.summary()
    for name in some:
        trained, shuffled = summary.loc[name], summary.loc[f"{name}_shuffled"]
        row = table.loc[name]
        assert row.ratio == pytest.approx(trained.width_per_spin / shuffled.width_per_spin, rel=1e-5)
        assert row.T_c_trained == pytest.approx(trained.heat_peak_T, abs=2e-4)
        assert row.T_c_shuffled == pytest.approx(shuffled.heat_peak_T, abs=2e-4)
        assert row.C_max_shuffled == pytest.approx(shuffled.heat_peak_C, rel=1e-4)
    assert table["side"].to_dict() == {"opt-1.3b": "low", "deit-base": "high"}
    assert table.loc["deit-base"].ratio < 1.0 < table.loc["opt-1.3b"].ratio


def test_published_heats_are_compared(published: Published, tmp_path: Path) -> None:
    """A curve written by the formula of physics.md, section 5, is the one computed; one moved by 0.1 is 0.1 off."""
    energies, column = raw("dos/opt-1.3b")
    e, t = energies / np.ptp(energies), np.linspace(0.01, 1.0, 40)
    weights = np.exp(column - e / t[:, None])
    mean = (weights @ e) / weights.sum(1)
    curve = ((weights * (e - mean[:, None]) ** 2).sum(1) / weights.sum(1)) / t**2
    folder = tmp_path / "specificheat_normalized"
    folder.mkdir()
    for name, shift in (("opt-1.3b", 0.0), ("opt-1.3b_shuffled", 0.1)):
        np.savetxt(folder / f"C_{name}.dat", np.stack([t, curve + shift], 1))
    heats = read_published(tmp_path).heats
    part = Published(tmp_path, SIZES, {}, None, {}, {}, (), heats)
    twice = Twins(*(published.densities["opt-1.3b"].trained,) * 2)
    table = heat_table(part, {"opt-1.3b": network_heat(twice, t)})
    assert table["difference"].tolist() == [pytest.approx(0.0, abs=1e-9), pytest.approx(0.1)]
    assert table["published_T_c"].tolist() == [t[curve.argmax()]] * 2


def test_blocks_against_the_raw_columns(published: Published) -> None:
    table = block_table(published)
    for model, rows in table.groupby("model"):
        trained, shuffled = (
            [np.ptp(raw(f"blocks/{model}/blocks{blocks}{twin}")[0]) for blocks in rows["blocks"]]
            for twin in ("", "_shuffled")
        )
        assert rows["width_trained"].to_numpy() == pytest.approx(trained)
        assert rows["delta"].to_numpy() == pytest.approx(np.subtract(trained, shuffled))
        assert rows["width_relative"].to_numpy() == pytest.approx(trained / np.max(trained))
        least = list(accumulate(rows["symmetric_width_trained"], max))
        at_end = symmetric_width(published.densities[model].trained)
        assert rows["at_least"].tolist() == [*least[:-1], max(least[-1], at_end)]
        assert rows["depth"].iloc[-1] == 1.0


def test_the_published_figure_of_blocks_shows_trained_widths(published: Published) -> None:
    """Its points for gpt2, read off: 0.29, 0.48, 0.76, 1 (half the depth), 0.97; those of Delta would be others."""
    table = block_table(published).set_index(["model", "blocks"]).loc["gpt2"]
    assert table["width_relative"].tolist() == pytest.approx([0.29, 0.48, 0.76, 1.0, 0.97], abs=0.02)


def test_twins_of_different_bins_are_told(published: Published) -> None:
    table = block_table(published)
    others = table[~table["same_bins"].astype(bool)]
    assert list(zip(others["model"], others["blocks"], strict=True)) == [("gpt2", 6)]
    assert others["delta_relative"].isna().all()
    assert table.groupby("model")["delta_relative"].max().eq(1.0).all()


def test_fractions_end_in_the_networks_of_dos(published: Published, fractions: pd.DataFrame) -> None:
    table = fractions.set_index(["model", "fraction"])
    assert table.loc[("opt-125m", 0.0), "source"] == "dos"
    assert table.loc[("gpt2", 0.0), "source"] == "fraction"
    assert table.loc[("opt-125m", 1.0), "width"] == pytest.approx(
        paper.summary().loc["opt-125m_shuffled"].width_per_spin, rel=1e-5
    )
    assert table.loc[("gpt2", 0.2), "width"] == pytest.approx(np.ptp(raw("fraction/gpt2/fraction0.2")[0]) / 65_280)


def test_task_errors_stand_beside_widths(published: Published, fractions: pd.DataFrame) -> None:
    table = task_table(published, fractions).set_index(["model", "task", "fraction"])
    assert table.loc[("gpt2", "lambada", 0.05), "error"] == pytest.approx(100 * (45.8582 / 45.2795 - 1))
    assert table.loc[("vit-base", "imagenet", 0.1), "error"] == pytest.approx(100 * (79.58 / 79.44 - 1))
    assert table.loc[("gpt2", "lambada", 0.05), "width"] == pytest.approx(4.495767, rel=1e-6)
    assert np.isnan(table.loc[("gpt2", "lambada", 0.01), "width"])
    assert len(table) == sum(curve.fractions.size for curve in published.tasks)


def test_rank_correlations_of_width_and_error(published: Published, fractions: pd.DataFrame) -> None:
    tasks = task_table(published, fractions)
    ranks = rank_table(tasks).set_index(["model", "task", "of"])
    for (model, task), rows in tasks.dropna(subset=["width"]).groupby(["model", "task"]):
        found = ranks.loc[(model, task, "width")]
        assert found.n == len(rows)
        if len(rows) > 3:
            assert found.tau == pytest.approx(kendalltau(rows["width"], rows["error"]).statistic)
            assert found.rho == pytest.approx(spearmanr(rows["width"], rows["error"]).statistic)
    assert ranks.loc[("opt-125m", "wikitext103", "width")].tau == -1.0
    assert np.isnan(ranks.loc[("vit-base", "imagenet", "width")].tau)


# Ours


def test_ours_is_known_by_what_is_in_the_file(published: Published, tmp_path: Path) -> None:
    tables = {
        "a": pd.DataFrame({"n_blocks": [1], "width": [2.0], "delta": [1.0]}),
        "b": pd.DataFrame({"fraction": [0.0], "width_per_spin": [2.0]}),
        "c": pd.DataFrame({"fraction": [0.0], "metric": ["x"], "task_error": [0.0], "width_per_spin": [2.0]}),
    }
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    density = mirrored(paper.read("opt-1.3b_shuffled"))
    density.save(tmp_path / "d.nc")
    files = [("gpt2", tmp_path / f"{name}.csv") for name in tables] + [("opt-1.3b_shuffled", tmp_path / "d.nc")]
    ours = read_ours(published, files)
    assert [list(ours.blocks), list(ours.fractions), list(ours.tasks)] == [["gpt2"]] * 3
    assert ours.blocks["gpt2"]["width"].tolist() == [2.0]
    assert np.array_equal(ours.densities["opt-1.3b_shuffled"].ln_g, density.ln_g)


def test_ours_of_another_network_is_refused(published: Published, tmp_path: Path) -> None:
    mirrored(paper.read("opt-1.3b")).save(tmp_path / "d.nc")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "f.csv").write_text("fraction,width_per_spin\n0,2\n")
    for name, file, message in (
        ("gpt2", "d.nc", "of 346112 spins, and gpt2 has 65280"),
        ("minilm", "d.nc", "minilm: the published data have no such curve; they have beit-base"),
        ("vit-base", "f.csv", "vit-base: the published data have no such curve; they have bert-base"),
        ("gpt2", "x.csv", "not the summary.csv"),
        ("gpt2", "none.csv", "no such file"),
    ):
        with pytest.raises(SpinSpectraError, match=message):
            read_ours(published, [(name, tmp_path / file)])


def test_task_errors_are_relative_to_the_trained() -> None:
    curve = TaskCurve("m", "t", np.array([0.0, 0.5]), np.array([80.0, 60.0]))
    assert task_errors(curve).tolist() == [0.0, 25.0]
