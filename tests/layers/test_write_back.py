"""Chains written back into their checkpoints: every element of the blocks and nothing else, in both readings."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from spinspectra import IsingChain, open_weights, shuffle
from spinspectra.errors import ChainError, OptionError
from spinspectra.layers import recognise
from spinspectra.layers.write_back import couplings_edit, elements_edit, read_elements, stored_tensors
from spinspectra.studies.shuffled_weights import Reading, write_shuffled
from spinspectra.weights.writing import open_checkpoint
from tests.layers.models import BLOCKS, CASES, NAMES, WIDTH, build, save

READINGS: tuple[Reading, ...] = ("elements", "couplings")


def n_elements(name: str) -> int:
    """q, k, v and proj are width x width, fc1 and fc2 width x MLP, in each block."""
    return BLOCKS * (4 * WIDTH * WIDTH + 2 * WIDTH * CASES[name].mlp)


def raw(folder: Path) -> dict[str, Any]:
    """Every tensor by its name on disk."""
    weights = open_weights(folder)
    return {name: weights.read(name) for name in weights.names()}


def written(name: str, tmp_path: Path, fraction: float, reading: Reading, seed: int = 0) -> tuple[Path, Path]:
    """A model of the family with its head, and the same with its chain shuffled."""
    source, out = save(build(name, headed=True), tmp_path / "model"), tmp_path / "out"
    write_shuffled(open_checkpoint(source), out, fraction, reading, seed=seed)
    return source, out


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("name", NAMES)
def test_fraction_zero_gives_the_model_back_bit_for_bit(name: str, reading: Reading, tmp_path: Path) -> None:
    source, out = written(name, tmp_path, 0.0, reading)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in source.iterdir())
    for path in source.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_fraction_zero_in_other_formats(reading: Reading, dtype: torch.dtype, tmp_path: Path) -> None:
    """float16 numbers below its normal range, negative zeros and PyTorch's own files among them."""
    state = {name: tensor.to(dtype) for name, tensor in build("OPT", headed=True).state_dict().items()}
    first = next(tensor for name, tensor in state.items() if "q_proj.weight" in name)
    first[0, :3] = torch.tensor([-0.0, 6e-8, -3e-6], dtype=dtype)
    (tmp_path / "model").mkdir()
    torch.save(state, tmp_path / "model" / "pytorch_model.bin")
    write_shuffled(open_checkpoint(tmp_path / "model"), tmp_path / "out", 0.0, reading)
    back = torch.load(tmp_path / "out" / "pytorch_model.bin", weights_only=True)
    kind = torch.int64 if dtype == torch.float64 else torch.int16
    assert all(torch.equal(back[name].view(kind), tensor.view(kind)) for name, tensor in state.items())


@pytest.mark.parametrize("name", NAMES)
def test_elements_keep_their_values_and_stay_in_the_blocks(name: str, tmp_path: Path) -> None:
    before, after = map(raw, written(name, tmp_path, 1.0, "elements"))
    changed = [tensor for tensor in before if not np.array_equal(before[tensor], after[tensor])]
    assert sum(before[tensor].size for tensor in changed) == n_elements(name)
    assert not [tensor for tensor in changed if before[tensor].ndim != 2 or not tensor.endswith(".weight")]
    assert not [tensor for tensor in changed for part in ("embed", "head", "norm", "cls") if part in tensor.lower()]
    values = [np.sort(np.concatenate([one[tensor].ravel() for tensor in changed])) for one in (before, after)]
    assert np.array_equal(*values)


def test_a_fraction_of_elements_is_chosen_from_all_tensors_alike(tmp_path: Path) -> None:
    """0.3 of the elements, all values different: a permutation leaves about one of them where it was."""
    before, after = map(raw, written("GPT-2", tmp_path, 0.3, "elements"))
    moved = {name: np.count_nonzero(before[name] != after[name]) for name in before}
    n = n_elements("GPT-2")
    assert round(0.3 * n) - 6 <= sum(moved.values()) <= round(0.3 * n)
    for name, count in moved.items():
        if count:  # binomial, within five deviations
            assert abs(count - 0.3 * before[name].size) < 5.0 * (0.21 * before[name].size) ** 0.5


@pytest.mark.parametrize("name", NAMES)
def test_couplings_written_back_map_to_the_shuffled_chain(name: str, tmp_path: Path) -> None:
    source, out = written(name, tmp_path, 0.2, "couplings", seed=3)
    asked, made = shuffle(IsingChain.from_weights(source), 0.2, seed=3), IsingChain.from_weights(out)
    eps = float(np.finfo(np.float32).eps)
    for label, J, K in zip(asked.labels, asked.couplings, made.couplings, strict=True):
        if label.endswith("qkv"):  # the third of the three is rounded once, and so is their sum
            assert np.all(np.abs(J - K) <= eps * (np.abs(J) + 4.0))
        else:
            assert np.array_equal(J, K)
    transformers.utils.logging.disable_progress_bar()
    headed = CASES[name].headed.from_pretrained(out, output_loading_info=True)[1]
    assert not headed["missing_keys"]


@pytest.mark.parametrize("name", ["OPT", "GPT-2", "BLOOM"])
def test_query_key_and_value_share_a_change_alike(name: str, tmp_path: Path) -> None:
    """The three ways of storing them, by the parameters of the model as transformers has them in memory."""
    source, out = written(name, tmp_path, 0.5, "couplings")
    case = CASES[name]
    changes = []
    for folder in (source, out):
        model = case.headed.from_pretrained(folder).base_model
        attention = model.get_submodule(case.blocks)[1].get_submodule(case.first.rpartition(".")[0])
        changes.append([part.detach().double().numpy() for part in query_key_value(name, attention)])
    q, k, v = (after - before for before, after in zip(*changes, strict=True))
    assert np.count_nonzero(q) > q.size / 3
    assert q == pytest.approx(k, abs=1e-6)
    assert q == pytest.approx(v, abs=1e-6)
    kept = (q == 0.0) & (k == 0.0)
    assert np.count_nonzero(kept) > q.size / 3
    assert not v[kept].any()


def query_key_value(name: str, attention: Any) -> tuple[Any, Any, Any]:
    """As each attention splits what it stores."""
    if name == "OPT":
        return attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight
    if name == "GPT-2":
        return attention.c_attn.weight.split(WIDTH, dim=1)
    fused = attention.query_key_value.weight.view(attention.num_heads, 3, attention.head_dim, WIDTH)
    return fused[:, 0], fused[:, 1], fused[:, 2]


def shared() -> dict[str, Any]:
    """Two blocks that are one, as in ALBERT."""
    state = dict(build("OPT", n_blocks=1).state_dict())
    return state | {name.replace("layers.0.", "layers.1."): tensor for name, tensor in state.items()}


def test_what_blocks_share_is_shuffled_once(tmp_path: Path) -> None:
    transformer = recognise(open_weights(shared()))
    assert read_elements(transformer).size == n_elements("OPT") // BLOCKS
    (tmp_path / "model").mkdir()
    torch.save(shared(), tmp_path / "model" / "pytorch_model.bin")
    checkpoint = open_checkpoint(tmp_path / "model")
    write_shuffled(checkpoint, tmp_path / "out", 1.0)
    back = open_weights(tmp_path / "out")
    for name in stored_tensors(transformer):
        assert np.array_equal(back.read(name), back.read(name.replace("layers.0.", "layers.1.")))
    counts = [Counter(read_elements(recognise(one)).tolist()) for one in (open_weights(shared()), back)]
    assert counts[0] == counts[1]
    with pytest.raises(ChainError, match="blocks share tensors"):
        write_shuffled(checkpoint, tmp_path / "other", 0.5, "couplings")
    assert not (tmp_path / "other").exists()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    source = save(build("OPT"), tmp_path / "model")
    checkpoint = open_checkpoint(source)
    transformer = recognise(checkpoint.weights)
    with pytest.raises(ChainError, match=r"has 3168 elements in its chain, not \(7,\)"):
        elements_edit(transformer, np.zeros(7))
    with pytest.raises(ChainError, match="couplings of other shapes"):
        couplings_edit(transformer, IsingChain.from_weights(source).couplings[1:])
    with pytest.raises(OptionError, match="fraction"):
        write_shuffled(checkpoint, tmp_path / "out", 1.5)
    with pytest.raises(OptionError, match="give elements or couplings"):
        write_shuffled(checkpoint, tmp_path / "out", 0.5, "weights")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
