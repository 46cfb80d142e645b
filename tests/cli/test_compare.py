"""`spinspectra compare` as a user runs it: folders, an adapter, files written, refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from tests.cli.helpers import run

RNG = np.random.default_rng(0)
LAYERS = {f"layer.{i}.weight": RNG.standard_normal((30, 20)).astype(np.float32) for i in range(2)}


@pytest.fixture
def pair(tmp_path):
    """A model, and the same with its second layer doubled."""
    for name, factor in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        tensors = LAYERS | {"layer.1.weight": (factor * LAYERS["layer.1.weight"]).astype(np.float32)}
        save_file(tensors, tmp_path / name / "model.safetensors")
    return tmp_path / "a", tmp_path / "b"


def test_the_table_shows_what_changed_most_first(pair, tmp_path):
    done = run("compare", *pair, "-o", tmp_path / "moved.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("layer.1") < done.stdout.index("layer.0")
    assert "100 %" in done.stdout
    made = pd.read_csv(tmp_path / "moved.csv").set_index("longname")
    assert made.loc["layer.1", "change"] == pytest.approx(1.0)
    assert made.loc["layer.0", "change"] == 0.0


def test_json_is_one_object(pair):
    done = json.loads(run("compare", *pair, "--json").stdout)
    assert [row["longname"] for row in done["layers"]] == ["layer.0", "layer.1"]
    assert done["layers"][0]["change"] == 0.0
    assert done["layers"][0]["change_stable_rank"] is None
    assert (done["only_a"], done["only_b"]) == ([], [])


def test_an_adapter_is_compared_as_what_it_makes_of_the_model(pair, tmp_path):
    """One pair of rank 1 on the first layer: the change has one direction, the other layer none."""
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    a, b = (RNG.standard_normal(shape).astype(np.float32) for shape in ((1, 20), (30, 1)))
    save_file(
        {"base_model.model.layer.0.lora_A.weight": a, "base_model.model.layer.0.lora_B.weight": b},
        adapter / "adapter_model.safetensors",
    )
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 1, "lora_alpha": 3}))
    first, second = json.loads(run("compare", pair[0], adapter, "--json").stdout)["layers"]
    expected = 3.0 * np.linalg.norm(b.astype(np.float64) @ a) / np.linalg.norm(LAYERS["layer.0.weight"])
    assert first["change"] == pytest.approx(expected, rel=1e-5)
    assert first["change_stable_rank"] == pytest.approx(1.0, abs=1e-3)
    assert second["change"] == 0.0


def test_bad_input_is_one_line(pair, tmp_path):
    for arguments in ([pair[0]], [pair[0], tmp_path / "absent"], [*pair, "-o", tmp_path / "x.png"]):
        done = run("compare", *arguments)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr
