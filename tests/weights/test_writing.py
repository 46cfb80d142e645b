"""Checkpoints rewritten with some tensors changed: all else byte for byte, whole or not at all."""

import json
import re

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from spinspectra import open_weights
from spinspectra.errors import OptionError, WeightsError
from spinspectra.spectra.smoothing import smooth
from spinspectra.spectra.truncation import truncated
from spinspectra.weights.opening import READERS
from spinspectra.weights.safetensors_file import SafetensorsFile
from spinspectra.weights.writing import open_checkpoint, rewrite


def tensors(dtype):
    rng = np.random.default_rng(0)
    return {
        "b.weight": rng.standard_normal((5, 3)).astype(dtype),
        "a.weight": rng.standard_normal((4, 7)).astype(dtype),
        "ids": np.arange(2**62, 2**62 + 5),
        "empty": np.zeros((0, 3), dtype),
        "scalar": np.array(0.1, dtype),
    }


def doubled(source, name):
    def edit(asked):
        return 2.0 * open_weights(source).read(name).astype(np.float64) if asked == name else None

    return edit


@pytest.fixture
def sharded(tmp_path):
    folder = tmp_path / "model"
    (folder / "below").mkdir(parents=True)
    save_file({"a.weight": np.ones((2, 3), np.float16), "unlisted": np.full(3, 7.0)}, folder / "one.safetensors")
    save_file({"b.weight": np.ones((3, 3), np.float32)}, folder / "below" / "two.safetensors")
    index = {"metadata": {"total_size": 48}, "weight_map": {"a.weight": "one.safetensors"}}
    index["weight_map"]["b.weight"] = "below/two.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "pytorch_model.bin.index.json").write_text("{}")
    (folder / "config.json").write_text('{"model_type": "none"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.onnx").write_bytes(b"the unchanged model")
    (folder / ".secret").write_text("hidden")
    return folder


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_only_the_edited_bytes_of_a_safetensors_file_differ(tmp_path, dtype):
    held = tensors(dtype)
    torch_held = {n: v if v.dtype.kind == "i" else v.astype(np.float32) for n, v in held.items()}
    codes = {np.dtype(ml_dtypes.bfloat16): torch.bfloat16, np.dtype(ml_dtypes.float8_e4m3fn): torch.float8_e4m3fn}
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    if np.dtype(dtype) in codes:
        from safetensors.torch import save_file as save_torch

        made = {n: torch.from_numpy(v) for n, v in torch_held.items()}
        made = {n: v.to(codes[np.dtype(dtype)]) if v.is_floating_point() else v for n, v in made.items()}
        save_torch(made, source, metadata={"format": "pt", "who": "me"})
    else:
        save_file(held, source, metadata={"format": "pt", "who": "me"})
    rewrite(open_checkpoint(source), out, doubled(source, "a.weight"))
    old, new = source.read_bytes(), out.read_bytes()
    changed = [i for i, (x, y) in enumerate(zip(old, new, strict=True)) if x != y]
    where = new.find((2 * held["a.weight"].astype(np.float64)).astype(dtype).tobytes())
    assert where > 0
    assert changed
    assert where <= changed[0]
    assert changed[-1] < where + held["a.weight"].nbytes
    with safe_open(out, framework="numpy") as file:
        assert file.metadata() == {"format": "pt", "who": "me"}


def test_nothing_edited_is_the_same_file(tmp_path):
    save_file(tensors(np.float32), tmp_path / "a.safetensors")
    rewrite(open_checkpoint(tmp_path / "a.safetensors"), tmp_path / "b.safetensors", lambda name: None)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("through", ["folder", "index"])
def test_a_sharded_folder_becomes_one(sharded, tmp_path, through):
    source = sharded if through == "folder" else sharded / "model.safetensors.index.json"
    asked, double = [], doubled(sharded, "b.weight")
    rewrite(open_checkpoint(source), tmp_path / "out", lambda name: asked.append(name) or double(name))
    out = tmp_path / "out"
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    kept = ["below/two.safetensors", "config.json", "model.safetensors.index.json", "one.safetensors", "tokenizer.json"]
    assert names == kept
    assert asked == ["a.weight", "b.weight"]
    for name in kept[1:]:
        assert (out / name).read_bytes() == (sharded / name).read_bytes()
    np.testing.assert_array_equal(open_weights(out).read("b.weight"), np.full((3, 3), 2.0))


def test_an_npz_archive_keeps_its_other_members(tmp_path):
    held = {"a": np.ones((2, 2), np.float32), "ids": np.arange(2**62, 2**62 + 3)}
    np.savez_compressed(tmp_path / "a.npz", **held)
    rewrite(open_checkpoint(tmp_path / "a.npz"), tmp_path / "b.npz", doubled(tmp_path / "a.npz", "a"))
    with np.load(tmp_path / "b.npz") as made:
        assert made["a"].dtype == np.float32
        np.testing.assert_array_equal(made["a"], np.full((2, 2), 2.0))
        np.testing.assert_array_equal(made["ids"], held["ids"])


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_pytorch_file_keeps_wrappers_ties_and_its_source(tmp_path, dtype, legacy):
    weight = torch.arange(6, dtype=dtype).reshape(2, 3) / 3
    state = {"a.weight": weight, "tied.weight": weight, "ids": torch.arange(3), "b": torch.ones(2, dtype=dtype)}
    source, out = tmp_path / "in.bin", tmp_path / "out.bin"
    torch.save({"epoch": 3, "state_dict": state}, source, _use_new_zipfile_serialization=not legacy)
    before = source.read_bytes()
    rewrite(open_checkpoint(source), out, doubled(source, "a.weight"))
    assert source.read_bytes() == before
    made = torch.load(out, weights_only=True)
    assert made["epoch"] == 3
    again = made["state_dict"]
    assert torch.equal(again["a.weight"], (2 * weight.double()).to(dtype))
    assert again["a.weight"].dtype == dtype
    assert again["tied.weight"].data_ptr() == again["a.weight"].data_ptr()
    assert torch.equal(again["ids"], state["ids"])
    assert torch.equal(again["b"], state["b"])


def test_pytorch_shards(tmp_path):
    source, out = tmp_path / "model", tmp_path / "out"
    source.mkdir()
    torch.save({"a.weight": torch.ones(2, 3)}, source / "one.bin")
    torch.save({"b.weight": torch.ones(3, 3)}, source / "two.bin")
    index = {"weight_map": {"a.weight": "one.bin", "b.weight": "two.bin"}}
    (source / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    rewrite(open_checkpoint(source), out, doubled(source, "b.weight"))
    assert sorted(path.name for path in out.iterdir()) == ["one.bin", "pytorch_model.bin.index.json", "two.bin"]
    made = open_weights(out)
    assert (made.read("a.weight").max(), made.read("b.weight").min()) == (1.0, 2.0)


def test_a_tensor_whose_values_share_memory_is_refused(tmp_path):
    torch.save({"a": torch.ones(3, 1).expand(3, 4)}, tmp_path / "in.pt")
    with pytest.raises(WeightsError, match=r"in.pt: a cannot be changed \(.*\); save it contiguous$"):
        rewrite(open_checkpoint(tmp_path / "in.pt"), tmp_path / "out.pt", lambda name: np.ones((3, 4)))
    assert [path.name for path in tmp_path.iterdir()] == ["in.pt"]


@pytest.mark.parametrize("error", [WeightsError("broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("folder", [True, False])
def test_a_broken_run_leaves_nothing(sharded, tmp_path, error, folder):
    def edit(name):
        raise error

    source = sharded if folder else sharded / "one.safetensors"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(type(error)):
        rewrite(open_checkpoint(source), tmp_path / ("out" if folder else "out.safetensors"), edit)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_appears_meanwhile_is_not_overwritten(sharded, tmp_path):
    out = tmp_path / "out.safetensors"
    with pytest.raises(OptionError, match="appeared while it was being written"):
        rewrite(open_checkpoint(sharded / "one.safetensors"), out, lambda name: out.write_text("mine") and None)
    assert out.read_text() == "mine"
    assert not list(tmp_path.glob("*.part"))


REFUSED = {
    "model": "out={}/model: is the source itself; name another place",
    "other": "out={}/other: exists already; remove it or name another place",
    "no/where": "out={}/no/where: there is no folder {}/no; make it first",
    "dangling": "out={}/dangling: exists already; remove it or name another place",
}


@pytest.mark.parametrize("out", REFUSED)
def test_refused_places(sharded, tmp_path, out):
    (tmp_path / "other").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    with pytest.raises(OptionError, match="^" + re.escape(REFUSED[out].replace("{}", str(tmp_path))) + "$"):
        rewrite(open_checkpoint(sharded), tmp_path / out, lambda name: None)


def test_a_file_needs_a_file_of_its_kind(sharded, tmp_path):
    checkpoint = open_checkpoint(sharded / "one.safetensors")
    with pytest.raises(OptionError, match=r"out=.*out: the source is a \.safetensors file; end it in the same way"):
        rewrite(checkpoint, tmp_path / "out", lambda name: None)
    with pytest.raises(OptionError, match="is the source itself"):
        rewrite(checkpoint, sharded / "one.safetensors", lambda name: None)


@pytest.mark.parametrize("source", [{"a": np.ones((2, 2))}, torch.nn.Linear(2, 2)])
def test_sources_in_memory_are_refused(source):
    with pytest.raises(OptionError, match="has no file format to write; save it, then give its path"):
        open_checkpoint(source)


@pytest.mark.parametrize("suffix", [".gguf", ".onnx", ".keras", ".h5"])
def test_formats_that_are_read_only_are_refused(tmp_path, suffix):
    (tmp_path / f"m{suffix}").write_bytes(b"never opened")
    message = rf"m\{suffix}: \{suffix} files are read and not written; convert it to one of \.safetensors, \.npz, "
    with pytest.raises(OptionError, match=message):
        open_checkpoint(tmp_path / f"m{suffix}")
    with pytest.raises(OptionError, match=message):
        smooth(tmp_path / f"m{suffix}", "percent", percent=0.5, out=tmp_path / f"out{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"m{suffix}"]


def test_a_folder_whose_only_weights_are_read_only_is_refused(tmp_path, monkeypatch):
    save_file({"a": np.ones((2, 2))}, tmp_path / "model.gguf")
    monkeypatch.setitem(READERS, ".gguf", lambda path, config: SafetensorsFile(path, config))
    with pytest.raises(OptionError, match=r"model\.gguf: \.gguf files are read and not written"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("given", ["file", "folder"])
@pytest.mark.parametrize(
    ("tensors", "config", "stored"),
    [
        ({"x.weight": np.ones((2, 3), np.int8), "x.SCB": np.ones(2)}, "{}", "int8 (bitsandbytes)"),
        ({"x.W_q": np.ones((2, 3), np.uint8)}, '{"quantization_config": {"quant_method": "hqq"}}', "HQQ codes"),
    ],
)
def test_quantised_checkpoints_are_refused(tmp_path, tensors, config, stored, given):
    save_file({"a": np.ones((2, 2))} | tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(OptionError, match=re.escape(f": its weights are stored as {stored}, which is read and not")):
        open_checkpoint(tmp_path if given == "folder" else tmp_path / "model.safetensors")


def test_values_that_do_not_fit(sharded, tmp_path):
    checkpoint = open_checkpoint(sharded)
    with pytest.raises(WeightsError, match=r"a.weight: 6 new values are beyond the range of float16; nothing was"):
        rewrite(checkpoint, tmp_path / "out", lambda name: np.full((2, 3), 1e5))
    with pytest.raises(WeightsError, match=r"a.weight has shape \(2, 3\), the new values \(3, 2\); nothing was"):
        rewrite(checkpoint, tmp_path / "out", lambda name: np.ones((3, 2)))
    assert not (tmp_path / "out").exists()


def test_a_file_that_shrinks_meanwhile(tmp_path):
    source = tmp_path / "in.safetensors"
    save_file({"a": np.ones(4), "b": np.ones(40_000)}, source)

    def shrink(name):
        if name == "a":
            source.write_bytes(source.read_bytes()[:500])
        return

    with pytest.raises(WeightsError, match=r"ended .* bytes early; the file changed while it was read"):
        rewrite(open_checkpoint(source), tmp_path / "out.safetensors", shrink)
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, "20KB"), (torch.bfloat16, "1GB")])
def test_transformers_loads_a_smoothed_model(tmp_path, dtype, size):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sides = {"hidden_size": 32, "intermediate_size": 64, "vocab_size": 100, "max_position_embeddings": 16}
    config = transformers.BertConfig(**sides, num_hidden_layers=2, num_attention_heads=2)
    made = transformers.BertModel(config).to(dtype)
    made.save_pretrained(tmp_path / "bert", max_shard_size=size)
    assert (tmp_path / "bert" / "model.safetensors.index.json").exists() == (size == "20KB")
    table = smooth(tmp_path / "bert", "percent", percent=0.5, out=tmp_path / "out", layers="dense")
    again = transformers.BertModel.from_pretrained(tmp_path / "out", dtype=dtype)
    weights = made.state_dict()
    assert set(table.name) < weights.keys()
    for name, value in again.state_dict().items():
        assert value.dtype == dtype
        if name in set(table.name):
            exact = torch.from_numpy(truncated(weights[name].float().numpy(), min(value.shape) // 2))
            assert torch.allclose(value.double(), exact, rtol=0.51 * torch.finfo(dtype).eps, atol=1e-8)
        else:
            assert torch.equal(value, weights[name])
    assert again(torch.arange(8)[None]).last_hidden_state.isfinite().all()
