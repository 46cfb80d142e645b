"""The study of accuracy: what it evaluates, the widths beside it, and the same result however it is reached."""

import json
import math
import tempfile
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import threadpoolctl
import transformers
from safetensors.numpy import load_file, save_file

from spinspectra import IsingChain, anneal
from spinspectra.errors import ChainError, NonFiniteError, OptionError
from spinspectra.ising.checkpoint import CheckpointError
from spinspectra.ising.oracles import Enumerated
from spinspectra.studies import accuracy as module
from spinspectra.studies import shuffled_weights
from spinspectra.studies.accuracy import n_points, study_accuracy
from spinspectra.studies.tasks import CausalPerplexity, Text
from spinspectra.studies.widths import FromGround
from tests.cli.helpers import tiny_opt
from tests.layers.models import bloom, save
from tests.studies.tasks import models

SMALL = {"how": FromGround(20, 2)}


@dataclass
class First:
    """A task of no network: the first element of a matrix of the chain, and the folders it was called with."""

    seen: list[Path] = field(default_factory=list)
    fails_at: int = 0
    identity: Mapping[str, Any] = field(default_factory=lambda: {"task": "first"})

    def __call__(self, folder: Path) -> dict[str, float]:
        self.seen.append(folder)
        if 0 < self.fails_at <= len(self.seen):
            raise KeyboardInterrupt
        return {"first": float(load_file(folder / "model.safetensors")["model.decoder.layers.0.fc1.weight"][0, 0])}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One block of width 2 and an embedding: 2 + 2 + 2 + 8 + 2 spins."""
    (tmp_path / "model").mkdir()
    tensors = tiny_opt(n_blocks=1, d=2) | {"model.decoder.embed_tokens.weight": np.ones((5, 2), np.float32)}
    save_file(tensors, tmp_path / "model" / "model.safetensors")
    return tmp_path / "model"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def another(model: Path, folder: Path) -> Path:
    """A network that differs in an embedding, which is no part of the chain."""
    tensors = load_file(model / "model.safetensors")
    tensors["model.decoder.embed_tokens.weight"][0, 0] = 2.0
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return folder


def without_seconds(points: pd.DataFrame) -> pd.DataFrame:
    return points.drop(columns="seconds")


@pytest.mark.parametrize("reading", ["elements", "couplings"])
def test_widths_are_of_the_weights_that_were_evaluated(model: Path, reading: Any, tmp_path: Path) -> None:
    """Against all 2^16 states of each checkpoint that was kept."""
    keep = tmp_path / "kept"
    found = study_accuracy(model, First(), (0.0, 0.4, 1.0), 2, reading, keep=keep, how=FromGround(300, 50)).points
    assert found[["fraction", "shuffle"]].to_numpy().tolist() == [[0, 0], [0.4, 1], [0.4, 2], [1, 1], [1, 2]]
    folders = ["fraction0", "fraction0.4", "fraction0.4_2", "fraction1", "fraction1_2"]
    assert sorted(path.name for path in keep.iterdir()) == sorted([*folders, "checkpoints.json"])
    for row, name in zip(found.itertuples(), folders, strict=True):
        chain = IsingChain.from_weights(keep / name)
        lowest = Enumerated(chain.couplings).energies.min()
        assert row.width_per_spin == pytest.approx(2.0 * abs(lowest) / 16, rel=1e-6)
        assert row.value == load_file(keep / name / "model.safetensors")["model.decoder.layers.0.fc1.weight"][0, 0]
    assert (keep / "fraction0" / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert len(set(found["width_per_spin"])) == 5


def test_task_error_points_lost_and_their_errors(model: Path) -> None:
    """A task whose numbers are known: shares of right answers 0.8 trained, then 0.6, 0.4, 0.5, 0.1."""
    values = iter([0.8, 0.6, 0.4, 0.5, 0.1])

    def task(_: Path) -> dict[str, float]:
        value = next(values)
        return {"test_accuracy": value, "loss": -10.0 * value}

    study = study_accuracy(model, task, (0.1, 1.0), 2, **SMALL)
    rows = study.summary.set_index(["metric", "fraction"])
    assert rows["shuffles"].tolist() == [1, 1, 2, 2, 2, 2]
    trained, little, all_of_it = (rows.loc[("test_accuracy", fraction)] for fraction in (0.0, 0.1, 1.0))
    assert (trained["value"], trained["task_error"], trained["points_lost"]) == (0.8, 0.0, 0.0)
    assert (little["value"], little["value_err"]) == pytest.approx((0.5, 0.1))
    assert (little["task_error"], little["task_error_err"]) == pytest.approx((37.5, 12.5))
    assert (all_of_it["points_lost"], all_of_it["points_lost_err"]) == pytest.approx((50.0, 20.0))
    assert math.isnan(trained["value_err"])
    loss = rows.loc[("loss", 1.0)]
    assert loss["task_error"] == pytest.approx(all_of_it["task_error"])  # relative, whatever the sign
    assert math.isnan(loss["points_lost"])
    assert loss["width_per_spin"] == all_of_it["width_per_spin"]
    assert study.points.query("metric == 'loss'")["task_error"].tolist() == pytest.approx([0.0, 25, 50, 37.5, 87.5])


def test_metrics_without_a_relative_error(model: Path) -> None:
    """Nothing right when trained, and a shuffled network of infinite perplexity."""
    values = iter([{"accuracy": 0.0, "perplexity": 20.0}, {"accuracy": 0.1, "perplexity": math.inf}])
    summary = study_accuracy(model, lambda _: next(values), (1.0,), 1, **SMALL).summary
    assert summary["task_error"].isna().tolist() == [True, False, True, False]
    assert summary["task_error"].iloc[-1] == math.inf


def test_a_point_depends_on_itself_alone(model: Path) -> None:
    """Other fractions, another order, more shuffles: what both have is the same; another seed has it otherwise."""
    one = without_seconds(study_accuracy(model, First(), (0.0, 0.3, 1.0), 2, **SMALL).points)
    other = without_seconds(study_accuracy(model, First(), (1.0, 0.7, 0.3), 3, **SMALL).points)
    both = one.merge(other, how="inner")
    assert len(both) == len(one) == 5
    assert n_points((1.0, 0.7, 0.3), 3) == len(other)
    seeded = without_seconds(study_accuracy(model, First(), (0.0, 0.3, 1.0), 2, seed=1, **SMALL).points)
    assert len(one.merge(seeded, how="inner", on=["fraction", "shuffle", "value"])) < 4


def test_interrupted_it_goes_on_to_the_same_end(model: Path, temporary: Path, tmp_path: Path) -> None:
    whole = study_accuracy(model, First(), (0.3, 1.0), 2, **SMALL)
    record = tmp_path / "out" / "study.json"
    for fails_at in (3, 2):
        task = First(fails_at=fails_at)
        with pytest.raises(KeyboardInterrupt):
            study_accuracy(model, task, (0.3, 1.0), 2, record=record, **SMALL)
        assert len(task.seen) >= fails_at
        assert not list(temporary.iterdir())
    last = First()
    again = study_accuracy(model, last, (0.3, 1.0), 2, record=record, **SMALL)
    assert len(last.seen) == 2  # of 5, with 2 and 1 known from before
    pd.testing.assert_frame_equal(again.summary, whole.summary)
    pd.testing.assert_frame_equal(without_seconds(again.points), without_seconds(whole.points))
    assert not any(path.exists() for path in last.seen)


def test_a_checkpoint_that_was_kept_is_not_written_again(model: Path, tmp_path: Path) -> None:
    keep, record = tmp_path / "kept", tmp_path / "study.json"
    with pytest.raises(KeyboardInterrupt):
        study_accuracy(model, First(fails_at=2), (0.3,), 1, keep=keep, record=record, **SMALL)
    before = (keep / "fraction0.3" / "model.safetensors").stat().st_mtime_ns
    whole = study_accuracy(model, First(), (0.3,), 1, **SMALL)
    other = study_accuracy(model, First(), (0.3,), 1, keep=keep, **SMALL)  # not the record's, but the same checkpoints
    pd.testing.assert_frame_equal(other.summary, whole.summary)
    study_accuracy(model, First(), (0.3,), 1, keep=keep, record=record, **SMALL)
    assert (keep / "fraction0.3" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, "of another study: seed"),
        ({"reading": "couplings"}, "reading: elements in the file, couplings asked for"),
        ({"source": "other"}, "of another study: weights"),
        ({"note": "no note"}, "its note cannot be read"),
        ({"note": None}, "is not empty and no folder of kept checkpoints"),
    ],
    ids=str,
)
def test_checkpoints_of_another_study_are_not_evaluated(
    model: Path, changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    keep, record = tmp_path / "kept", tmp_path / "study.json"
    asked = {"source": model, "fractions": (0.3,), "shuffles": 1, "keep": keep, **SMALL}
    study_accuracy(**asked, task=First())
    changed = dict(changed)
    if "note" in changed:
        note = changed.pop("note")
        (keep / "checkpoints.json").unlink() if note is None else (keep / "checkpoints.json").write_text(note)
    if "source" in changed:
        changed["source"] = another(model, tmp_path / "other")
    task = First()
    with pytest.raises(OptionError, match=said):
        study_accuracy(**{**asked, **changed}, task=task, record=record)
    assert not task.seen
    assert not record.exists()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"reading": "couplings"}, "reading: elements in the file, couplings asked for"),
        ({"seed": 1}, "seed"),
        ({"how": FromGround(20, 3)}, "restarts"),
        ({"task": First(identity={"task": "second"})}, "task.task: first in the file, second asked for"),
        ({"source": "other"}, "weights"),
    ],
)
def test_the_record_of_another_study_is_refused(
    model: Path, changed: dict[str, Any], named: str, tmp_path: Path
) -> None:
    record = tmp_path / "study.json"
    asked = {"source": model, "task": First(), "record": record, **SMALL}
    study_accuracy(**asked, fractions=(0.0,))
    if "source" in changed:
        changed = {"source": another(model, tmp_path / "other")}
    with pytest.raises(CheckpointError, match=named):
        study_accuracy(**{**asked, **changed})


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "merges.txt", "spiece.model", "README.md"])
def test_the_record_is_of_all_files_that_an_evaluation_reads(model: Path, name: str, tmp_path: Path) -> None:
    record = tmp_path / "study.json"
    (model / name).write_text('{"model_type": "opt"}')
    study_accuracy(model, First(), (0.0,), record=record, **SMALL)
    (model / name).write_text('{"model_type": "opt", "do_layer_norm_before": false}')
    if name.endswith(".md"):  # which nothing reads
        study_accuracy(model, First(fails_at=1), (0.0,), record=record, **SMALL)
        return
    with pytest.raises(CheckpointError, match="of another study: weights"):
        study_accuracy(model, First(), (0.0,), record=record, **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": (0.0, 1.1)}, "fractions: 1.1"),
        ({"fractions": (0.1, 0.1)}, "fractions: 0.1 is there 2 times"),
        ({"shuffles": 0}, "shuffles=0"),
        ({"reading": "weights"}, "give elements or couplings"),
        ({"task": lambda _: {}}, "the task gave no metric"),
    ],
)
def test_what_makes_no_study_is_refused(model: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        study_accuracy(**{"source": model, "task": First(), **SMALL, "fractions": (0.0,), **options})


def test_sources_that_are_no_chain_or_no_model_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="has no file format to write"):
        study_accuracy({"a": np.ones((2, 2))}, First())  # type: ignore[arg-type]
    tensors = load_file(model / "model.safetensors")
    del tensors["model.decoder.layers.0.fc2.weight"]
    (tmp_path / "cut").mkdir()
    save_file(tensors, tmp_path / "cut" / "model.safetensors")
    (tmp_path / "cut" / "config.json").write_text('{"model_type": "opt"}')
    with pytest.raises(ChainError, match=r"fc2.weight is missing"):
        study_accuracy(tmp_path / "cut", First())
    tensors = load_file(model / "model.safetensors")
    tensors["model.decoder.layers.0.fc2.weight"][0, 0] = np.nan
    save_file(tensors, tmp_path / "cut" / "model.safetensors")
    task = First()
    with pytest.raises(NonFiniteError, match="NaN"):
        study_accuracy(tmp_path / "cut", task)
    assert not task.seen


def test_a_weight_file_alone_will_do_for_a_task_that_needs_no_more(model: Path) -> None:
    found = study_accuracy(model / "model.safetensors", First(), (0.3,), 1, **SMALL)
    whole = study_accuracy(model, First(), (0.3,), 1, **SMALL)
    pd.testing.assert_frame_equal(found.summary, whole.summary)


def test_a_weight_file_takes_its_config_along(tmp_path: Path) -> None:
    """BLOOM's heads are in no tensor's shape: without config.json there is no chain of what was evaluated."""
    folder = save(transformers.BloomForCausalLM(bloom(1)), tmp_path / "bloom")
    found = study_accuracy(folder / "model.safetensors", configured, (1.0,), 1, keep=tmp_path / "kept", **SMALL)
    assert found.points["value"].tolist() == [3.0, 3.0]
    whole = study_accuracy(folder, configured, (1.0,), 1, **SMALL)
    pd.testing.assert_frame_equal(found.summary, whole.summary)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(OptionError, match="of another study: weights"):
        study_accuracy(folder / "model.safetensors", configured, (1.0,), 1, keep=tmp_path / "kept", **SMALL)


def configured(folder: Path) -> dict[str, float]:
    return {"n_head": json.loads((folder / "config.json").read_text())["n_head"]}


def test_a_hub_id_is_resolved_once(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub may answer otherwise while a study runs: its points go by the folder that it gave first."""
    asked = []

    def resolve(hub_id: str) -> tuple[str, dict[str, Any]]:
        asked.append(hub_id)
        return str(model), {}

    monkeypatch.setattr(shuffled_weights, "model_folder", resolve)
    monkeypatch.chdir(tmp_path)
    found = study_accuracy("org/tiny", First(), (0.3,), 1, **SMALL)
    assert asked == ["org/tiny"]
    pd.testing.assert_frame_equal(found.summary, study_accuracy(model, First(), (0.3,), 1, **SMALL).summary)


class Here(Executor):
    """Works in the calling thread, which is the one that may say how many threads OpenBLAS has."""

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments, **options))
        return done


def test_widths_are_found_with_one_thread_of_products(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watched(*arguments: Any) -> Any:
        seen.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")
        return anneal(*arguments)

    monkeypatch.setattr(module, "anneal", watched)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        study_accuracy(model, First(), (0.0,), executor=Here(), **SMALL)
    assert seen
    assert set(seen) == {1}


def test_a_real_model_gets_back_its_own_perplexity(tmp_path: Path) -> None:
    folder = models.gpt2(tmp_path / "gpt2")
    task = CausalPerplexity(Text(models.text(), "made up"))
    points = study_accuracy(folder, task, (0.0, 1.0), 1, **SMALL).points
    assert points["value"].iloc[0] == task(folder)["perplexity"]
    assert points["value"].iloc[1] != points["value"].iloc[0]
