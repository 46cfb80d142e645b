"""Adapters on the command line: alone, and merged into their base, in every command that takes a model."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import spinspectra as ss
from tests.cli.helpers import run, tiny_opt

QUERY = "model.decoder.layers.1.self_attn.q_proj"


@pytest.fixture
def folders(tmp_path):
    """A tiny OPT, and an adapter of rank 2 on one of its queries."""
    rng = np.random.default_rng(1)
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    adapter.mkdir()
    save_file(tiny_opt(), base / "model.safetensors")
    pair = {"lora_A": (2, 6), "lora_B": (6, 2)}
    tensors = {f"base_model.model.{QUERY}.{side}.weight": rng.standard_normal(shape) for side, shape in pair.items()}
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    save_file(tensors, adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2}))
    return base, adapter


def test_an_adapter_alone_is_described_as_its_products(folders):
    _base, adapter = folders
    (layer,) = json.loads(run("describe", adapter, "--json").stdout)["layers"]
    assert (layer["name"], layer["shape"]) == (f"{QUERY}.weight", [6, 6])


def test_a_model_is_described_with_its_adapter_merged(folders):
    base, adapter = folders
    described = json.loads(run("describe", base, "--adapter", adapter, "--json").stdout)
    assert described["chain"]["n_spins"] == ss.IsingChain.from_weights(base).n_spins
    assert set(described["costs"]) == {"ground", "dos"}  # six eigenvalues are too few to analyse
    assert all(layer["skipped"] for layer in described["layers"])


def test_the_ground_state_is_that_of_the_merged_model(folders):
    base, adapter = folders
    done = json.loads(run("ground", base, "--adapter", adapter, "--json", "--sweeps", "50").stdout)
    merged = ss.IsingChain.from_weights(ss.merge_adapter(base, adapter))
    expected = ss.anneal(merged, sweeps=50, seed=0).energy
    assert done["trained"]["energy"] == pytest.approx(expected)
    assert expected != pytest.approx(ss.anneal(ss.IsingChain.from_weights(base), sweeps=50, seed=0).energy)
