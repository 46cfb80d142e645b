"""The zoo: a balanced plan, noise as said, and the whole way from training to figures on eight tiny networks."""

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from examples.zoo import run, train
from examples.zoo.correlations import ALL, BASELINES, SAME_STEPS, WITHIN, correlations
from examples.zoo.plan import FACTORS, FAMILIES, LEARNED_BY_HEART, Network, plan


def test_every_factor_takes_its_levels_equally_often() -> None:
    networks = plan(seed=1)
    assert len(networks) >= 48
    for family, factors in FACTORS.items():
        members = [network for network in networks.values() if network.family == family]
        assert len(members) >= 16
        for name, levels in factors.items():
            counts = Counter(getattr(network, name) for network in members)
            assert set(counts) == set(levels)
            assert max(counts.values()) - min(counts.values()) <= 1
    noisy = [network for network in networks.values() if network.family == "mlp-noise"]
    assert {replace(network, noise=0.0) for network in noisy} == {replace(LEARNED_BY_HEART, seed=1)}
    assert len({network.noise for network in noisy}) == len(noisy)


def test_wrong_labels_are_as_many_as_said_and_more_noise_keeps_the_wrong_of_less() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 200)
    less, more = (train.with_wrong_labels(labels, replace(LEARNED_BY_HEART, noise=noise)) for noise in (0.1, 0.3))
    assert np.count_nonzero(less != labels) == 20
    assert np.count_nonzero(more != labels) == 60
    assert np.array_equal(more[less != labels], less[less != labels])
    assert set(more) <= set(range(10))


def test_wrong_characters_are_a_share_of_the_text() -> None:
    tokens = torch.arange(1000) % 50
    noisy = train.with_wrong_characters(tokens, replace(LEARNED_BY_HEART, noise=0.2))
    changed = int((noisy != tokens).sum())
    assert 180 <= changed <= 200  # a fiftieth of the draws is the character itself
    assert torch.equal(train.with_wrong_characters(tokens, LEARNED_BY_HEART), tokens)


def test_entropy_of_equal_shares() -> None:
    assert train.entropy("abcd" * 7) == pytest.approx(np.log(4))


def test_an_mlp_is_learned_by_heart_and_says_so(tmp_path: Path) -> None:
    network = replace(LEARNED_BY_HEART, width=64, size=40, steps=300, noise=0.5)
    found = train.train(network, tmp_path / "one")
    assert found["train_accuracy"] == 1.0
    assert found["test_accuracy"] < 0.7
    assert found["gap"] == pytest.approx(found["train_accuracy"] - found["test_accuracy"])
    assert found["skill_gap"] > 0.0


@pytest.fixture
def tiny() -> dict[str, Network]:
    networks = plan(0, {"mlp": 2, "vit": 2, "gpt": 2}, 2)
    return {
        name: replace(network, width=32, depth=1, steps=3, size=150 if network.family != "gpt" else 5000)
        for name, network in networks.items()
    }


def test_from_training_to_figures_and_nothing_is_done_twice(
    tiny: dict[str, Network], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(1) as executor:
        found = run.train_and_measure(tiny, tmp_path, False, executor)
        records = [(tmp_path / f"{name}.json").read_bytes() for name in (run.TRAINED, run.MEASURED)]
        monkeypatch.setattr("examples.zoo.train.train", None)  # would be called, and fail
        monkeypatch.setattr("examples.zoo.measure.measure", None)
        run.train_and_measure(tiny, tmp_path, False, executor)
        monkeypatch.setattr("examples.zoo.measure.heat", lambda folder: {"T_c": float(len(folder.name))})
        _, warm = run.train_and_measure(tiny, tmp_path, True, executor)
    assert {name: one["T_c"] for name, one in warm.items()} == {name: len(name) for name in tiny}
    assert [(tmp_path / f"{name}.json").read_bytes() for name in (run.TRAINED, run.MEASURED)] == records
    assert sorted(path.name for path in (tmp_path / run.NETWORKS).iterdir()) == sorted(tiny)
    retrained = tmp_path / run.NETWORKS / "mlp-00"
    shutil.copy(tmp_path / run.NETWORKS / "mlp-01" / "model.safetensors", retrained)
    monkeypatch.setattr("examples.zoo.measure.measure", lambda folder: {"alpha": -1.0})
    with ThreadPoolExecutor(1) as executor:
        _, anew = run.train_and_measure(tiny, tmp_path, False, executor)
    assert [name for name, one in anew.items() if one["alpha"] == -1.0] == ["mlp-00"]
    run.write_tables(tiny, *found, tmp_path)
    zoo, table = (pd.read_csv(tmp_path / name) for name in ("zoo.csv", "correlations.csv"))
    assert zoo["name"].tolist() == list(tiny)
    assert zoo[["alpha", "log_norm", "energy_per_spin", "frobenius"]].notna().all(axis=None)
    assert set(BASELINES) < set(table["measure"])
    for name in ("zoo-taus.png", "zoo-scatter.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_correlations_of_columns_that_are_known() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for at, family in enumerate(FAMILIES):
        for i in range(8):
            network = replace(LEARNED_BY_HEART, family=family, steps=100 * (i % 2))
            quality = rng.normal()
            results = {"quality": quality, "gap": rng.normal(), "skill": quality, "skill_gap": 0.0, "train_loss": i}
            # As good as it can be within a family, and misleading between them.
            measures = {"good": quality - 100.0 * at, "parameters": 7.0, "frobenius": -quality, "mean_square": i}
            rows.append({"name": f"{family}-{i}", **asdict(network), **results, **measures})
    zoo = pd.DataFrame(rows)
    zoo["skill"] += 100.0 * zoo["family"].map(FAMILIES.index)
    found = correlations(zoo).set_index(["target", "measure", "scope"])
    taus: Any = found["tau"]
    for scope in (*FAMILIES, WITHIN, SAME_STEPS):
        assert taus["quality", "good", scope] == pytest.approx(1.0)
        assert taus["quality", "frobenius", scope] == pytest.approx(-1.0)
    assert taus["quality", "good", ALL] < 0.0
    assert np.isnan(taus["quality", "parameters", "mlp"])
    assert found.loc[("quality", "parameters", "mlp"), "reason"] == "x is constant"
    told = found[found["p"].notna()]
    assert (told["q"] >= told["p"] - 1e-12).all()
