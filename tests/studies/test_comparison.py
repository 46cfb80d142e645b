"""A series of models: rows, names, records that are gone on with, and correlations of what is known."""

import json
import math
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from scipy.stats import kendalltau

from spinspectra.errors import OptionError
from spinspectra.ising.checkpoint import CheckpointError
from spinspectra.studies import comparison
from spinspectra.studies.comparison import Correlating, Measuring, compare_models, correlations_of, names_of
from spinspectra.studies.measures import measure_model
from spinspectra.studies.quality import Quality
from tests.cli.helpers import tiny_opt

FAST = Measuring(shuffles=2, sweeps=10)


def quality(values: dict[str, float]) -> Quality:
    return Quality({name: {"accuracy": value} for name, value in values.items()}, ("accuracy",))


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    """Five noisy networks, each with twice the weights of the one before."""
    paths = [tmp_path / f"net{i}.safetensors" for i in range(5)]
    for i, path in enumerate(paths):
        save_file({name: 2.0**i * tensor for name, tensor in tiny_opt(seed=i, n_blocks=1, d=16).items()}, path)
    return paths


def test_a_row_a_model_and_a_correlation_a_measure(series: list[Path]) -> None:
    known = quality({"net0": 0.1, "net1": 0.2, "net2": 0.3, "net3": 0.4, "net4": 0.5, "other": 1.0})
    found = compare_models(series, quality=known, measuring=FAST)
    assert list(found.table["model"]) == ["net0", "net1", "net2", "net3", "net4"]
    assert set(found.table["status"]) == {"success"}
    alone = measure_model(series[3], shuffles=2, sweeps=10)
    assert {name: found.table.loc[3, name] for name in alone} == pytest.approx(alone, nan_ok=True)
    rows = found.correlations.set_index("measure")
    assert rows.loc["log_norm", "value"] == pytest.approx(1.0)  # the norm grows with the quality, fourfold a step
    assert rows.loc["energy_per_spin", "value"] == pytest.approx(-1.0)
    assert rows.loc["n_weights", "reason"] == "x is constant"
    for name in ("alpha", "null_z", "ratio"):
        peer = kendalltau(found.table[name], [0.1, 0.2, 0.3, 0.4, 0.5])
        assert (rows.loc[name, "value"], rows.loc[name, "p"]) == pytest.approx((peer.statistic, peer.pvalue))
    assert not {"null_sd", "null_p", "seconds", "accuracy"} & set(rows.index)
    assert found.notes == ("1 of 6 rows of the quality match no model: other",)


def test_false_discovery_rate_is_benjamini_hochbergs() -> None:
    """q of the k-th smallest of m values of p is the least of p m / k there and above."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.standard_normal((12, 4)), columns=["alpha", "log_norm", "stable_rank", "ratio"])
    table["accuracy"] = table["alpha"] + 0.3 * rng.standard_normal(12)
    rows = correlations_of(table, ["accuracy"], Correlating(replicas=100)).sort_values("p")
    p = rows["p"].to_numpy()
    expected = [min(p[i] * 4 / (i + 1) for i in range(k, 4)) for k in range(4)]
    assert rows["q"].to_numpy() == pytest.approx(np.minimum(expected, 1.0))


def test_a_bad_model_costs_its_own_row(series: list[Path], tmp_path: Path) -> None:
    series[1].write_bytes(b"no weights")
    convolutions = {"conv.weight": np.random.default_rng(0).standard_normal((32, 16, 3, 3))}
    vectors = {"norm.weight": np.ones(5)}
    sources = {"good": series[0], "broken": series[1], "convolutions": convolutions, "vectors": vectors}
    table = compare_models(sources, measuring=FAST).table.set_index("model")
    assert table["status"].to_dict() == {
        "good": "success",
        "broken": "failed",
        "convolutions": "partial",
        "vectors": "failed",
    }
    assert "not a whole safetensors file" in table.loc["broken", "reason"]
    assert "conv.weight is of kind conv2d" in table.loc["convolutions", "reason"]
    assert table.loc["convolutions", "alpha"] > 1.0
    assert math.isnan(table.loc["convolutions", "ratio"])
    assert math.isnan(table.loc["broken", "alpha"])
    assert "no layer to analyse" in table.loc["vectors", "reason"]
    with pytest.raises(OptionError, match="none of 1 models can be opened; the first: "):
        compare_models([series[1]])


def test_workers_change_nothing(series: list[Path]) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(3) as three, ProcessPoolExecutor(1, spawn) as other:
        tables = [
            compare_models(series, measuring=FAST, executor=pool).table.drop(columns="seconds")
            for pool in (one, three, other)
        ]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    pd.testing.assert_frame_equal(tables[0], tables[2], check_exact=True)


def test_a_record_is_gone_on_with_and_changed_files_are_measured_anew(series: list[Path], tmp_path: Path) -> None:
    record, done = tmp_path / "study" / "study.json", list[tuple[str, int]]()

    def progress(name: str, n: int) -> None:
        done.append((name, n))

    first = compare_models(series[:2], measuring=FAST, record=record, progress=progress).table
    assert sorted(name for name, _ in done) == ["", "net0", "net1"]
    done.clear()
    more = compare_models(series[:3], measuring=FAST, record=record, progress=progress).table
    assert done == [("", 2), ("net2", 3)]
    pd.testing.assert_frame_equal(more[:2], first, check_exact=True)
    save_file(tiny_opt(seed=9, n_blocks=1, d=16), series[0])
    os.utime(series[0], ns=(1, 1))
    done.clear()
    again = compare_models(series[:3], measuring=FAST, record=record, progress=progress).table
    assert done == [("", 2), ("net0", 3)]
    assert again.loc[0, "alpha"] != more.loc[0, "alpha"]
    with pytest.raises(CheckpointError, match="of another study: shuffles: 2 in the file, 5 asked for"):
        compare_models(series[:3], measuring=Measuring(shuffles=5, sweeps=10), record=record)


@pytest.mark.parametrize("lost", ["ising", "all"])
def test_what_failed_is_measured_again(
    series: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """A disk that is away for a while, or an extra that is installed later."""
    record, done = tmp_path / "study.json", list[str]()

    def away(source: Path, **options: Any) -> dict[str, float]:
        if source == series[1] and (options["ising"] or lost == "all"):
            raise OSError("the disk is away")
        return measure_model(source, **options)

    def progress(name: str, _: int) -> None:
        done.append(name)

    with monkeypatch.context() as while_away:
        while_away.setattr(comparison, "measure_model", away)
        first = compare_models(series[:3], measuring=FAST, record=record).table.set_index("model")
    assert first.loc["net1", "status"] == ("failed" if lost == "all" else "partial")
    assert "the disk is away" in first.loc["net1", "reason"]
    again = compare_models(series[:2], measuring=FAST, record=record, progress=progress).table.set_index("model")
    assert done == ["", "net1"]
    assert set(again["status"]) == {"success"}
    alone = measure_model(series[1], shuffles=2, sweeps=10)
    assert {name: again.loc["net1", name] for name in alone} == pytest.approx(alone, nan_ok=True)
    assert len(json.loads(record.read_text())["points"]) == 3  # also the one that was not asked for


def test_without_heat_a_network_has_its_lowest_energy() -> None:
    nothing = {"0.weight": np.zeros((16, 20)), "1.weight": np.zeros((12, 16))}
    (row,) = compare_models({"nothing": nothing}, measuring=replace(FAST, heat=True)).table.to_dict("records")
    assert row["status"] == "partial"
    assert row["reason"].startswith("no T_c: ")
    assert "every coupling is zero" in row["reason"]
    assert (row["n_spins"], row["energy_per_spin"], row["width_per_spin"], row["n_layers"]) == (48, 0, 0, 2)


def test_models_in_memory_are_told_apart_in_a_record(tmp_path: Path) -> None:
    record = tmp_path / "study.json"
    for seed in (0, 1, 0):
        compare_models({"net": tiny_opt(seed, 1, 16)}, measuring=FAST, record=record)
    assert len(json.loads(record.read_text())["points"]) == 2


def test_names() -> None:
    same = ["a/model.safetensors", "b/c.npz", "hub/c", "hub/gpt2"]
    assert names_of(same) == ["a", "b/c.npz", "hub/c", "gpt2"]
    assert names_of([Path("run/step.10"), "opt-1.3b"]) == ["step.10", "opt-1.3b"]
    assert names_of([{}, {}]) == ["model 0", "model 1"]


def test_refusals(series: list[Path]) -> None:
    with pytest.raises(OptionError, match="nothing to compare"):
        compare_models([])
    with pytest.raises(OptionError, match="is given twice"):
        compare_models([series[0], series[0]])
    with pytest.raises(OptionError, match="2 models and 1 names"):
        compare_models(series[:2], names=["a"])
    with pytest.raises(OptionError, match="none of its 1 rows"):
        compare_models(series, quality=quality({"x": 1.0}))
    with pytest.raises(OptionError, match="alpha is the name of a measure"):
        compare_models(series, quality=Quality({"net0": {"alpha": 1.0}}, ("alpha",)))
