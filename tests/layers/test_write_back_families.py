"""Chains written back where heads share keys, where MLPs have gates and where experts stand side by side."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spinspectra import IsingChain, open_weights, shuffle
from spinspectra.errors import ChainError
from spinspectra.layers import recognise
from spinspectra.layers.write_back import read_elements, stored_tensors
from spinspectra.studies.shuffled_weights import Reading, write_shuffled
from spinspectra.weights.writing import open_checkpoint
from tests.layers.models import save
from tests.layers.zoo import ENTRIES, Entry, model_of

# Grouped queries, separate and fused; gates, apart, by halves and in turn; experts in numbered tensors and stacked, in
# both orientations, with and without one that all share.
GROUPED = ("llama", "mistral", "phi3", "falcon 7b", "falcon 40b", "gpt_bigcode one key", "deberta", "modernbert")
OTHERS = ("t5 1.1", "mixtral", "qwen2_moe", "granitemoeshared", "gpt_oss", "llama4_text", "qwen3_vl_moe")
CASES = [entry for entry in ENTRIES if str(entry) in (*GROUPED, *OTHERS)]
EVERY = pytest.mark.parametrize("entry", CASES, ids=str)
READINGS = pytest.mark.parametrize("reading", ["elements", "couplings"])


def prefix_of(entry: Entry) -> str | None:
    """The first stack of each."""
    return next(iter(entry.stacks)) or None


def written(entry: Entry, folder: Path, fraction: float, reading: Reading, dtype: Any = None) -> tuple[Path, Path]:
    model = model_of(entry)
    source, out = folder / "model", folder / "out"
    save(model, source)
    if dtype is not None:
        as_stored(source / "model.safetensors", dtype)
    write_shuffled(open_checkpoint(source), out, fraction, reading, prefix_of(entry), seed=3)
    return source, out


def as_stored(path: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import load_file, save_file

    save_file({name: tensor.to(dtype) for name, tensor in load_file(path).items()}, path)


def test_every_case_is_there() -> None:
    assert set(map(str, CASES)) == {*GROUPED, *OTHERS}


@EVERY
@READINGS
def test_fraction_zero_gives_the_bytes_back(entry: Entry, reading: Reading, tmp_path: Path) -> None:
    source, out = written(entry, tmp_path, 0.0, reading)
    for path in source.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()


@EVERY
def test_elements_keep_their_values_and_stay_in_the_chain(entry: Entry, tmp_path: Path) -> None:
    source, out = (open_weights(path) for path in written(entry, tmp_path, 1.0, "elements"))
    network = recognise(source, prefix_of(entry))
    inside = set(stored_tensors(network))
    for name in source.names():
        assert np.array_equal(source.read(name), out.read(name)) == (name not in inside), name
    before, after = read_elements(network), read_elements(recognise(out, prefix_of(entry)))
    assert Counter(before.tolist()) == Counter(after.tolist())


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_couplings_written_back_map_to_the_shuffled_chain(entry: Entry, dtype: torch.dtype, tmp_path: Path) -> None:
    """One tensor of a sum makes up for the rounding of the others, so that the sum is off by its own alone."""
    source, out = written(entry, tmp_path, 0.3, "couplings", dtype)
    before, made = (IsingChain.from_weights(folder, prefix=prefix_of(entry)) for folder in (source, out))
    asked = shuffle(before, 0.3, seed=3)
    weights = open_weights(out)
    tensors = stored_tensors(recognise(weights, prefix_of(entry)))
    rounding = torch.finfo(dtype).eps * max(float(np.abs(weights.read(name)).max()) for name in tensors)
    for was, J, K in zip(before.couplings, asked.couplings, made.couplings, strict=True):
        assert np.all(np.abs(J - K) <= rounding)
        assert np.array_equal(J[was == J], K[was == J])


def test_only_the_query_moves_where_heads_share_keys(tmp_path: Path) -> None:
    entry = next(entry for entry in CASES if str(entry) == "mistral")
    source, out = (open_weights(path) for path in written(entry, tmp_path, 0.5, "couplings"))
    for name in source.names():
        same = np.array_equal(source.read(name), out.read(name))
        if name.endswith(("k_proj.weight", "v_proj.weight")):
            assert same, name
        if name.endswith("q_proj.weight"):
            assert not same, name


def test_gate_and_values_share_a_change_alike(tmp_path: Path) -> None:
    entry = next(entry for entry in CASES if str(entry) == "llama")
    source, out = (open_weights(path) for path in written(entry, tmp_path, 0.5, "couplings"))
    gate, up = (
        out.read(f"layers.1.mlp.{part}_proj.weight") - source.read(f"layers.1.mlp.{part}_proj.weight")
        for part in ("gate", "up")
    )
    assert np.count_nonzero(gate) > gate.size / 3
    assert gate == pytest.approx(up, abs=1e-6)


def test_a_block_used_again_and_again_moves_as_one(tmp_path: Path) -> None:
    """ALBERT: elements can be moved, the couplings of every depth by themselves cannot."""
    entry = next(entry for entry in ENTRIES if str(entry) == "albert")
    source, out = written(entry, tmp_path, 1.0, "elements")
    before, after = (IsingChain.from_weights(folder) for folder in (source, out))
    assert not np.array_equal(before.flat, after.flat)
    np.testing.assert_array_equal(after.couplings[0], after.couplings[4])
    with pytest.raises(ChainError, match="blocks share tensors"):
        write_shuffled(open_checkpoint(source), tmp_path / "other", 0.5, "couplings")
