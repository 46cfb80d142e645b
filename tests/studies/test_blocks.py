"""Widths against depth: exact on small networks, the same whatever else is asked for, refused for other weights."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinspectra import DensityOfStates, IsingChain, shuffle
from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.ising.checkpoint import CheckpointError
from spinspectra.ising.oracles import Enumerated
from spinspectra.seeds import seed_sequence
from spinspectra.studies import blocks as module
from spinspectra.studies.blocks import BlocksStudy, default_depths, study_blocks
from spinspectra.studies.widths import FromDensity, FromGround
from tests.cli.helpers import tiny_opt

pytestmark = pytest.mark.filterwarnings("ignore::spinspectra.errors.DoubtWarning")

FAST = FromGround(100, 4)
Tensors = dict[str, np.ndarray]


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Bit for bit, but for the seconds they took."""
    one, other = (table.drop(columns="seconds", errors="ignore").reset_index(drop=True) for table in (one, other))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def ferromagnet(n_blocks: int = 3, d: int = 4) -> Tensors:
    """All couplings 1: queries are 1, keys and values 0."""
    tensors = tiny_opt(n_blocks=n_blocks, d=d)
    for name, tensor in tensors.items():
        tensor[:] = 0.0 if "k_proj" in name or "v_proj" in name else 1.0
    return tensors


def planted(n_blocks: int = 3, d: int = 4) -> Tensors:
    """The same with a random sign to every node (Mattis 1976): no bond is torn, until they are shuffled."""
    rng, tensors = np.random.default_rng(0), ferromagnet(n_blocks, d)
    last = rng.choice([-1.0, 1.0], d)
    for block in range(n_blocks):
        signs = [last, *(rng.choice([-1.0, 1.0], n) for n in (d, d, 4 * d, d))]
        parts = ("self_attn.q_proj", "self_attn.out_proj", "fc1", "fc2")
        for part, (left, right) in zip(parts, pairwise(signs), strict=True):
            tensors[f"model.decoder.layers.{block}.{part}.weight"] *= np.outer(right, left)
        last = signs[-1]
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def n_bonds(n_blocks: int, d: int) -> int:
    return n_blocks * 10 * d * d


def test_default_depths() -> None:
    known = {1: [1], 2: [1, 2], 3: [1, 2, 3], 6: [1, 2, 4, 6], 8: [1, 2, 4, 8], 12: [1, 2, 4, 8, 12]}
    assert {n: default_depths(n) for n in known} == known


def test_equal_couplings_lose_nothing_by_shuffling() -> None:
    """W = 2 B at every depth, exactly, trained and shuffled; all figures of the summary follow."""
    study = study_blocks(ferromagnet(), shuffles=2, how=FAST)
    assert study.points["n_blocks"].tolist() == [1] * 3 + [2] * 3 + [3] * 3
    assert study.points["shuffle"].tolist() == [0, 1, 2] * 3
    assert study.points["width"].tolist() == [2 * n_bonds(n, 4) for n in (1, 2, 3) for _ in range(3)]
    table = study.summary
    assert table["n_blocks"].tolist() == [1, 2, 3]
    assert table["n_spins"].tolist() == [4 + 28, 4 + 56, 4 + 84]
    assert table["delta"].tolist() == [0.0] * 3
    assert table["delta_err"].tolist() == [0.0] * 3
    assert table["width_over_largest"].tolist() == pytest.approx([1.0 / 3.0, 2.0 / 3.0, 1.0])
    assert table["width_per_spin"].tolist() == pytest.approx([2 * n_bonds(n, 4) / (4 + 28 * n) for n in (1, 2, 3)])


def test_an_order_that_shuffling_destroys_adds_up_over_the_blocks() -> None:
    study = study_blocks(planted(), shuffles=3, how=FAST)
    table = study.summary
    assert table["width"].tolist() == [2 * n_bonds(n, 4) for n in (1, 2, 3)]
    assert np.all(np.diff(table["delta"]) > 0.0)
    assert np.all(table["delta"] > 10.0 * table["delta_err"])
    largest = table["width"].max()
    for _, row in table.iterrows():
        twins = study.points.query("n_blocks == @row.n_blocks and shuffle > 0")["width"].to_numpy()
        assert np.all(twins < row["width"])
        error = twins.std(ddof=1) / np.sqrt(3)
        assert row["width_shuffled"] == pytest.approx(twins.mean())
        assert row["delta"] == pytest.approx(row["width"] - twins.mean())
        assert row["width_shuffled_err"] == pytest.approx(error)
        assert row["delta_err"] == pytest.approx(error)
        assert row["delta_over_largest"] == pytest.approx(row["delta"] / largest)
        assert row["delta_over_largest_err"] == pytest.approx(error / largest)
        assert row["delta_per_spin_err"] == pytest.approx(error / row["n_spins"])


def test_the_width_of_small_networks_is_exact_trained_and_shuffled() -> None:
    """One or two blocks of one node and four hidden ones: 8 and 15 spins, all states of each twin counted."""
    model = tiny_opt(n_blocks=2, d=1)
    study = study_blocks(model, shuffles=2, how=FromGround(100, 8), seed=5)
    for _, row in study.points.iterrows():
        chain = IsingChain.from_weights(model, int(row["n_blocks"]))
        if row["shuffle"]:
            twin = module._twin(seed_sequence(5), int(row["n_blocks"]), int(row["shuffle"]))
            chain = shuffle(chain, seed=twin.shuffle_seed)
        energies = Enumerated(chain.couplings).energies
        assert row["width"] == pytest.approx(float(energies.max() - energies.min()), rel=1e-6)


def test_a_point_does_not_depend_on_what_else_is_asked_for() -> None:
    model = tiny_opt(n_blocks=3)
    whole = study_blocks(model, shuffles=3, how=FAST).points
    part = study_blocks(model, [2], shuffles=1, how=FAST).points
    same(part, whole.query("n_blocks == 2 and shuffle < 2"))
    with ThreadPoolExecutor(1) as one:
        same(study_blocks(model, [3, 1, 2], shuffles=3, how=FAST, executor=one).points, whole)


def test_another_seed_gives_other_twins() -> None:
    model = tiny_opt()
    one, other = (study_blocks(model, [2], how=FAST, seed=seed).points["width"][1:] for seed in (0, 1))
    assert not set(one) & set(other)
    assert one.nunique() == 3


def test_a_study_goes_on_with_more_depths_and_shuffles_and_ends_the_same(tmp_path: Path) -> None:
    model, record = tiny_opt(n_blocks=3), tmp_path / "study.json"
    first = study_blocks(model, [1], 2, FAST, record=record)
    calls: list[tuple[str, int]] = []
    more = study_blocks(model, None, 3, FAST, record=record, progress=lambda name, known: calls.append((name, known)))
    assert calls[0] == ("", 3)
    pd.testing.assert_frame_equal(more.points[:3], first.points)  # seconds too: not measured again
    whole = study_blocks(model, None, 3, FAST)
    same(more.points, whole.points)
    same(more.summary, whole.summary)


def test_the_record_of_another_study_is_refused(tmp_path: Path) -> None:
    record = tmp_path / "study.json"

    def study(
        model: Tensors, how: FromGround | FromDensity = FAST, seed: int = 0, depths: list[int] | None = None
    ) -> BlocksStudy:
        return study_blocks(model, depths, 1, how, seed, record=record)

    study(tiny_opt(n_blocks=3), depths=[1, 3])
    frozen = tiny_opt(n_blocks=3)
    frozen["model.decoder.layers.2.fc1.weight"][0, 0] += 1.0  # the first two blocks are the same
    for model, how, seed, depths, said in (
        (tiny_opt(seed=1, n_blocks=3), FAST, 0, None, "first_block"),
        (frozen, FAST, 0, None, "whose first 3 blocks have other weights"),
        (tiny_opt(n_blocks=3), FromGround(101, 4), 0, None, "sweeps: 100 in the file, 101 asked for"),
        (tiny_opt(n_blocks=3), FAST, 1, None, "seed"),
        (tiny_opt(n_blocks=3), FromDensity(), 0, None, "widths: ground in the file, density asked for"),
    ):
        with pytest.raises(CheckpointError, match="of another ") as caught:
            study(model, how, seed, depths)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    study(frozen, depths=[1, 2])  # of which the file has nothing else


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"depths": [1, 4]}, "depths: 4: .* has 3 blocks; give whole numbers from 1 to 3"),
        ({"depths": [0]}, "depths: 0"),
        ({"depths": [1.5]}, "depths: 1.5"),
        ({"depths": [True]}, "depths: True"),
        ({"depths": [2, 2]}, "depths: 2 is there 2 times; give each once"),
        ({"depths": []}, "depths: give at least one"),
        ({"shuffles": 0}, "shuffles=0: give a whole number, at least 1"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_refused_before_the_work(arguments: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=said):
        study_blocks(tiny_opt(n_blocks=3), record=tmp_path / "study.json", **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_what_is_no_transformer_is_refused() -> None:
    with pytest.raises(SpinSpectraError):
        study_blocks({"weight": np.ones((3, 3), np.float32)})


def test_densities_in_the_papers_layout(tmp_path: Path) -> None:
    how = FromDensity(30, 40, 2, tmp_path)
    study = study_blocks(tiny_opt(d=3), [2], 2, how, record=tmp_path / "study.json")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"study.json", "blocks2.dat", "blocks2_shuffled.dat"}
    for _, row in study.points.query("shuffle < 2").iterrows():
        twin = "_shuffled" if row["shuffle"] else ""
        density = DensityOfStates.load(tmp_path / f"blocks{row['n_blocks']}{twin}.dat")
        assert density.n_spins == row["n_spins"] == 3 + 21 * row["n_blocks"]
        assert density.width == row["width"]
        assert density.ln_total == pytest.approx(np.log(2.0) * density.n_spins)
    assert {"T_c", "T_c_err", "T_c_shuffled", "T_c_shuffled_err"} <= set(study.summary)
    ground = study_blocks(tiny_opt(d=3), [2], 2, FromGround(300, 4))
    assert study.summary["width"].to_numpy() == pytest.approx(ground.summary["width"].to_numpy(), rel=0.1)
    rows, (shuffled,) = study.points.query("shuffle > 0"), study.summary.to_dict("records")
    assert shuffled["T_c_shuffled"] == pytest.approx(rows["T_c"].mean())
    assert shuffled["T_c_shuffled_err"] == pytest.approx(rows["T_c"].std(ddof=1) / np.sqrt(2.0))
