"""LoRA adapters as PEFT saves and holds them: products, merged weights, and their spectra."""

import json

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spinspectra import IsingChain, analyze, esd, open_weights
from spinspectra.spectra.metrics import spectral_metrics
from spinspectra.weights.adapters import adapter_products, is_adapter, merge_adapter
from spinspectra.weights.differences import difference
from tests.minilm import FOLDER

BF16 = ml_dtypes.bfloat16


def integers(seed, *shape):
    """Small whole numbers: their products and sums are exact in float32."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def pair(module, n_out, n_in, rank=4, adapter="", seed=0):
    middle = f".{adapter}" if adapter else ""
    return {
        f"{module}.lora_A{middle}.weight": integers(2 * seed + 1, rank, n_in),
        f"{module}.lora_B{middle}.weight": integers(2 * seed + 2, n_out, rank),
    }


def product_of(tensors):
    a, b = (next(value for name, value in tensors.items() if side in name) for side in ("_A", "_B"))
    return b.astype(np.float64) @ a


def save_adapter(folder, tensors, suffix=".safetensors", **config):
    """A folder as `PeftModel.save_pretrained` leaves it, training_args.bin beside it as trainers do."""
    folder.mkdir(exist_ok=True)
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "fan_in_fan_out": False} | config
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "training_args.bin").write_bytes(b"anything")
    named = {f"base_model.model.{name}": value for name, value in tensors.items()}
    if suffix == ".safetensors":
        save_file(named, folder / "adapter_model.safetensors")
    else:
        torch.save({name: torch.from_numpy(value) for name, value in named.items()}, folder / "adapter_model.bin")
    return folder


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_saved_adapter_gives_factor_times_b_a_under_the_weight_s_name(tmp_path, suffix):
    tensors = pair("encoder.q", 6, 5)
    products = adapter_products(save_adapter(tmp_path, tensors, suffix))
    assert products.names() == ["encoder.q.weight"]
    info = products.info("encoder.q.weight")
    assert (info.shape, info.dtype) == ((6, 5), "float64")
    np.testing.assert_array_equal(products.read("encoder.q.weight"), 2.0 * product_of(tensors))


# What peft 0.21 makes of these settings, module q of rank 4.
@pytest.mark.parametrize(
    ("config", "factor"),
    [
        ({"lora_alpha": 6}, 1.5),
        ({"lora_alpha": 6, "use_rslora": True}, 3.0),
        ({"lora_alpha": 0}, 0.0),
        ({"r": 16, "rank_pattern": {"q": 4}, "lora_alpha": 6}, 1.5),
        ({"alpha_pattern": {"block.0.q": 10}}, 2.5),
        ({"alpha_pattern": {r"block\.\d+\.[qv]": 10}}, 2.5),
        ({"alpha_pattern": {"^block.0.q": 10}}, 2.0),  # anchored, but what stands before the last dots is not the start
        ({"alpha_pattern": {"lock.0.q": 10, "0": 12, "k": 14}}, 2.0),
        ({"alpha_pattern": {"0.q": 10, "q": 12}}, 2.5),
    ],
)
def test_the_factor_follows_the_configuration(tmp_path, config, factor):
    tensors = pair("model.block.0.q", 6, 5)
    products = adapter_products(save_adapter(tmp_path, tensors, **config))
    np.testing.assert_array_equal(products.read("model.block.0.q.weight"), factor * product_of(tensors))


def test_the_factor_is_one_without_a_configuration_and_as_given_with_one():
    tensors = pair("q", 6, 5)
    np.testing.assert_array_equal(adapter_products(tensors).read("q.weight"), product_of(tensors))
    given = adapter_products(tensors, config={"lora_alpha": 12})
    np.testing.assert_array_equal(given.read("q.weight"), 3 * product_of(tensors))


def test_the_order_in_the_file_does_not_matter():
    tensors = pair("q", 6, 5)
    reverse = dict(reversed(tensors.items()))
    np.testing.assert_array_equal(adapter_products(reverse).read("q.weight"), product_of(tensors))


@pytest.mark.parametrize("adapter", ["", ".default"])
def test_an_embedding_s_product_is_turned(adapter):
    a, b = integers(1, 3, 20), integers(2, 7, 3)
    tensors = {f"embed.lora_embedding_A{adapter}": a, f"embed.lora_embedding_B{adapter}": b}
    base = integers(3, 20, 7)
    merged = merge_adapter({"embed.weight": base}, tensors)
    np.testing.assert_array_equal(merged.read("embed.weight"), base + (b @ a).T)


@pytest.mark.parametrize("kernel", [(3,), (3, 3), (1, 1), (2, 3, 2)])
def test_a_convolution_s_product_is_the_two_convolutions_in_one(kernel):
    a, b = integers(1, 2, 5, *kernel), integers(2, 7, 2, *(1 for _ in kernel))
    products = adapter_products({"conv.lora_A.weight": a, "conv.lora_B.weight": b})
    convolve = [torch.conv1d, torch.conv2d, torch.conv3d][len(kernel) - 1]
    x = torch.from_numpy(integers(3, 1, 5, *(6 for _ in kernel)))
    whole = convolve(x, torch.from_numpy(products.read("conv.weight")).float())
    assert torch.equal(whole, convolve(convolve(x, torch.from_numpy(a)), torch.from_numpy(b)))


@pytest.mark.parametrize("setting", [True, False])
def test_weights_stored_input_by_output_are_known_by_their_shape(setting):
    tensors, base = pair("c_attn", 15, 5), integers(9, 5, 15)
    merged = merge_adapter({"c_attn.weight": base}, tensors, config={"lora_alpha": 4, "fan_in_fan_out": setting})
    np.testing.assert_array_equal(merged.read("c_attn.weight"), base + product_of(tensors).T)


def test_square_weights_follow_the_setting():
    tensors, base = pair("c_proj", 5, 5), integers(9, 5, 5)
    merged = merge_adapter({"c_proj.weight": base}, tensors, config={"lora_alpha": 4, "fan_in_fan_out": True})
    np.testing.assert_array_equal(merged.read("c_proj.weight"), base + product_of(tensors).T)


@pytest.mark.parametrize("rank", [1, 3, 8, 20])
@pytest.mark.parametrize("dtype", [np.float16, BF16, np.float32])
def test_a_product_s_spectrum_has_the_rank_of_the_pair(rank, dtype):
    """Any rank, below 8 too; the smallest of the pair's directions is 10^-6 of the largest."""
    rng = np.random.default_rng(rank)
    a, b = rng.standard_normal((rank, 60)), rng.standard_normal((90, rank)) * np.logspace(0, -3, rank)
    tensors = {"q.lora_A.weight": a.astype(dtype), "q.lora_B.weight": b.astype(dtype)}
    assert spectral_metrics(esd(adapter_products(tensors).read("q.weight")))["matrix_rank"] == rank
    table = analyze(adapter_products(tensors))
    assert table["matrix_rank"].tolist() == [rank]
    assert table[["N", "M"]].to_numpy().tolist() == [[90, 60]]


def test_merging_leaves_all_else_as_it_is(tmp_path):
    base = {"q.weight": integers(5, 6, 5), "q.bias": integers(6, 6), "ids": np.arange(3)}
    tensors = pair("q", 6, 5)
    merged = merge_adapter(base, save_adapter(tmp_path, tensors))
    assert merged.names() == list(base)
    np.testing.assert_array_equal(merged.read("q.weight"), base["q.weight"] + 2 * product_of(tensors))
    np.testing.assert_array_equal(merged.read("q.bias"), base["q.bias"])
    assert (merged.info("q.weight").dtype, merged.info("ids").dtype) == ("float32", "int64")


@pytest.mark.parametrize("dtype", [BF16, np.float16, np.float32, np.float64])
def test_a_sum_is_rounded_once_to_the_base_s_dtype(dtype):
    rng = np.random.default_rng(1)
    base = rng.standard_normal((30, 20)).astype(dtype)
    tensors = {f"q.lora_{side}.weight": rng.standard_normal(shape) for side, shape in (("A", (3, 20)), ("B", (30, 3)))}
    merged = merge_adapter({"q.weight": base}, tensors)
    assert merged.info("q.weight").dtype == dtype
    np.testing.assert_array_equal(
        merged.read("q.weight"), (base.astype(np.float64) + product_of(tensors)).astype(dtype).astype(np.float64)
    )


def test_the_merged_network_computes_what_the_adapted_one_does():
    base = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.ReLU(), torch.nn.Linear(5, 6)).double()
    tensors = pair("0", 5, 7) | pair("2", 6, 5, seed=1)
    merged = merge_adapter(base, tensors, config={"lora_alpha": 2, "r": 4})
    x = torch.randn(9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    adapted = x
    for i in ("0", "2"):
        a, b = (torch.from_numpy(tensors[f"{i}.lora_{side}.weight"]).double() for side in "AB")
        adapted = base[int(i)](adapted) + 0.5 * adapted @ a.T @ b.T
        adapted = adapted.relu() if i == "0" else adapted
    base.load_state_dict({name: torch.from_numpy(merged.read(name).copy()) for name in merged.names()})
    torch.testing.assert_close(base(x), adapted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stored", ["q.weight", "q.base_layer.weight"])
def test_base_and_pairs_in_one_dict(stored):
    """The sum keeps its full rank, which a spectrum cut to the pair's rank would not show."""
    base, tensors = integers(7, 96, 64), pair("q", 96, 64, rank=16)
    merged = merge_adapter(tensors | {stored: base})
    assert merged.names() == ["q.weight"]
    row = analyze(merged).iloc[0]
    assert row["num_evals"] == row["matrix_rank"] == 64
    assert row["norm"] == pytest.approx(float(np.sum((base + product_of(tensors)) ** 2)), rel=1e-12)
    assert adapter_products(tensors | {stored: base}).names() == ["q.weight"]


def test_a_model_that_peft_wraps_is_read_as_it_is_in_memory():
    tensors = pair("base_model.model.q", 6, 5, adapter="default")
    whole = {
        "base_model.model.q.base_layer.weight": integers(5, 6, 5),
        "base_model.model.q.base_layer.bias": integers(6, 6),
        "base_model.model.score.original_module.weight": integers(7, 3, 6),
        "base_model.model.score.modules_to_save.default.weight": integers(8, 3, 6),
    }
    merged = merge_adapter(whole | tensors)
    assert merged.names() == ["q.weight", "q.bias", "score.weight"]
    np.testing.assert_array_equal(merged.read("q.weight"), integers(5, 6, 5) + product_of(tensors))
    np.testing.assert_array_equal(merged.read("score.weight"), integers(8, 3, 6))


def test_a_live_model_brings_its_own_configuration():
    class Settings:
        def to_dict(self):
            return {"peft_type": "LORA", "r": 4, "lora_alpha": 12}

    tensors = pair("q", 6, 5, adapter="default")
    model = torch.nn.Module()
    model.peft_config = {"default": Settings()}
    model.state_dict = lambda: {name: torch.from_numpy(value) for name, value in tensors.items()}
    np.testing.assert_array_equal(adapter_products(model).read("q.weight"), 3 * product_of(tensors))


def test_a_base_changed_when_training_began_is_right_beside_its_pairs():
    tensors, config = pair("q", 6, 5), {"lora_alpha": 8, "init_lora_weights": "pissa"}
    merged = merge_adapter(tensors | {"q.base_layer.weight": integers(5, 6, 5)}, config=config)
    np.testing.assert_array_equal(merged.read("q.weight"), integers(5, 6, 5) + 2 * product_of(tensors))


def test_what_was_trained_as_a_whole_replaces_or_is_added(tmp_path):
    base = {"bert.q.weight": integers(5, 6, 5), "bert.q.bias": integers(6, 6), "bert.embed.weight": integers(7, 20, 5)}
    resized, head = integers(8, 22, 5), integers(9, 3, 6)
    tensors = pair("bert.q", 6, 5) | {"bert.embed.weight": resized, "score.weight": head}
    merged = merge_adapter(base, save_adapter(tmp_path, tensors, modules_to_save=["score"]))
    assert merged.names() == [*base, "score.weight"]
    assert merged.info("bert.embed.weight").shape == (22, 5)
    np.testing.assert_array_equal(merged.read("bert.embed.weight"), resized)
    np.testing.assert_array_equal(merged.read("score.weight"), head)
    # the base without the head's wrapper, as it is published; what it lacks keeps its name
    bare = merge_adapter({name.removeprefix("bert."): value for name, value in base.items()}, tmp_path)
    assert bare.names() == ["q.weight", "q.bias", "embed.weight", "score.weight"]
    np.testing.assert_array_equal(bare.read("embed.weight"), resized)


def test_a_resized_embedding_may_be_adapted_too():
    a, b, resized = integers(1, 3, 22), integers(2, 5, 3), integers(8, 22, 5)
    tensors = {"e.lora_embedding_A": a, "e.lora_embedding_B": b, "e.base_layer.weight": resized}
    merged = merge_adapter({"e.weight": integers(7, 20, 5)}, tensors)
    np.testing.assert_array_equal(merged.read("e.weight"), resized + (b @ a).T)


def test_an_adapted_weight_is_no_longer_the_one_it_was_tied_to():
    tied = integers(1, 9, 5)
    merged = merge_adapter({"embed.weight": tied, "head.weight": tied, "again.weight": tied}, pair("head", 9, 5))
    assert [merged.info(name).same_as for name in merged.names()] == ["", "", "embed.weight"]


def test_a_trained_network_with_an_adapter(tmp_path):
    """MiniLM under names with `bert.`, as a classifier holds it: its chain is made, and its change has the rank 2."""
    name = "encoder.layer.2.attention.self.query.weight"
    module = f"bert.{name.removesuffix('.weight')}"
    tensors = {key: value / np.float32(9) for key, value in pair(module, 384, 384, rank=2).items()}
    adapter = save_adapter(tmp_path, tensors, r=2, lora_alpha=1)
    merged = merge_adapter(FOLDER, adapter)
    assert IsingChain.from_weights(merged).n_spins == IsingChain.from_weights(FOLDER).n_spins
    change = difference(merged, FOLDER)
    np.testing.assert_allclose(change.read(name), 0.5 * product_of(tensors), atol=1e-6)
    values = np.linalg.svd(change.read(name), compute_uv=False)
    assert np.count_nonzero(values > change.rounding(name) * 2 * np.sqrt(384)) == 2
    assert not change.read("encoder.layer.2.attention.self.key.weight").any()


def test_an_adapter_folder_is_known_and_still_opens_as_what_it_holds(tmp_path):
    tensors = pair("q", 6, 5)
    save_adapter(tmp_path / "a", tensors)
    for path in (tmp_path / "a", str(tmp_path / "a"), tmp_path / "a" / "adapter_model.safetensors"):
        assert is_adapter(path)
        assert adapter_products(path).info("q.weight").shape == (6, 5)
    for other in (tmp_path, tmp_path / "none", FOLDER, "x" * 5000, tensors, None):
        assert not is_adapter(other)
    assert len(open_weights(tmp_path / "a").names()) == 2
