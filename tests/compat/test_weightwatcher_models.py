"""The WeightWatcher drop-in on every sort of model: wrapped dicts, files, a base, adapters; edits in place, figures."""

import copy
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import spinspectra as ss
import spinspectra.compat.weightwatcher as ww
from tests.compat.test_weightwatcher import analyze, normal, small_module, state, tensor, words


def folder(path: Path, **files: dict[str, torch.Tensor]) -> Path:
    path.mkdir(exist_ok=True)
    for stem, tensors in files.items():
        save_file(tensors, path / f"{stem}.safetensors")
    return path


def lora(rank: int = 16) -> dict[str, torch.Tensor]:
    return state(**{"q": tensor(1, 96, 64), "q.lora_A": tensor(10, rank, 64), "q.lora_B": tensor(20, 96, rank)})


@pytest.mark.parametrize("wrap", [lambda m: {"state_dict": m}, lambda m: {"model": m, "epoch": 3}, dict])
def test_wrapped_dicts_are_unwrapped(wrap: Any) -> None:
    model = state(a=tensor(1, 64, 64))
    assert analyze(wrap(model))["name"].tolist() == ["a"]
    assert analyze(wrap(model), base_model=wrap(model))["norm"].tolist() == [0.0]


def test_parameters_bare_keys_and_single_matrices_are_models() -> None:
    linear = nn.Linear(64, 64)
    total = float((linear.weight.detach().double() ** 2).sum())
    for model in (dict(nn.Sequential(linear).named_parameters()), linear.state_dict(), linear.weight):
        assert analyze(model)["norm"].item() == pytest.approx(total, rel=1e-9)
        assert analyze(model)["layer_id"].tolist() == [1]
    assert analyze(normal(0, 40, 30))["num_evals"].tolist() == [30]


@pytest.mark.parametrize("model", [{}, {"epoch": 3}, "no_such_dir", [1, 2], None])
def test_what_is_no_model_is_refused(model: Any) -> None:
    with pytest.raises(ss.SpinSpectraError):
        ww.WeightWatcher(model=model).analyze()
    if model is not None:
        with pytest.raises(ss.SpinSpectraError):
            ww.WeightWatcher(model=state(a=tensor(1, 64, 64))).analyze(model=model)


def test_a_parametrised_weight_is_the_one_the_network_computes_with() -> None:
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(64, 64)).eval())
    rows = analyze(model)
    assert rows["longname"].tolist() == ["0"]
    assert rows["norm"].item() == pytest.approx(float((model[0].weight.detach().double() ** 2).sum()), rel=1e-6)


def test_float64_tensors_keep_their_digits() -> None:
    a = normal(0, 128, 64)
    assert analyze(state(a=torch.tensor(a)))["norm"].item() == analyze(state(a=a))["norm"].item()


def test_tied_weights_count_once_and_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    embedding, head = nn.Embedding(200, 64), nn.Linear(64, 200, bias=False)
    head.weight = embedding.weight
    assert analyze(nn.Sequential(embedding, head))["name"].tolist() == ["0"]
    assert analyze(nn.Sequential(embedding, head), layers=["1"])["name"].tolist() == ["1"]
    assert [record.message for record in caplog.records] == ["1 (layer 2) is not analysed: tied to 0.weight"]


def test_integer_codes_are_no_weights(caplog: pytest.LogCaptureFixture) -> None:
    codes = torch.randint(-127, 127, (64, 64), dtype=torch.int8)
    assert analyze(state(a=codes)).empty
    assert "integer codes" in caplog.text


def test_a_base_is_subtracted_wherever_it_is_given() -> None:
    base, delta = normal(1, 64, 64), 0.01 * normal(2, 64, 64)
    model, total = state(a=base + delta), float((delta**2).sum())
    for rows in (
        analyze(model, base_model=state(a=base)),
        ww.WeightWatcher(model, base_model=state(a=base)).analyze(),
        ww.WeightWatcher().analyze(model=model, base_model=state(a=base)),
    ):
        assert rows["norm"].item() == pytest.approx(total, rel=1e-9)
    watcher = ww.WeightWatcher(model=model)
    watcher.analyze(base_model=state(a=base))
    assert watcher.get_ESD().sum() == pytest.approx(total, rel=1e-9)
    assert watcher.analyze()["norm"].item() == pytest.approx(float(((base + delta) ** 2).sum()), rel=1e-9)


def test_layers_are_paired_with_their_base_by_name() -> None:
    a, b, c = (normal(seed, 64, 64) for seed in (1, 2, 3))
    rows = analyze(state(a=a, c=c), base_model=state(a=a, b=b, c=c))
    assert rows["norm"].tolist() == [0.0, 0.0]
    rows = analyze(state(a=a, b=b, c=c), base_model=state(a=a, c=c[:60]))
    assert rows["status"].tolist() == ["failed"] * 3
    assert "is not in" in rows["reason"][1]
    assert "has shape (64, 64)" in rows["reason"][2]
    assert rows["norm"].isna().tolist() == [False, True, True]


def test_lora_products_and_weights_have_the_peers_rows() -> None:
    pair = lora()
    a, b, w = pair["q.lora_A.weight"].double(), pair["q.lora_B.weight"].double(), pair["q.weight"].double()
    rows = analyze(pair | state(z=tensor(3, 64, 64)), peft="with_base").set_index("name")
    assert rows["layer_id"].to_dict() == {"q": 1, "q.lora_W_plus_AB": 3, "q.lora_BA": 2, "z": 4}
    assert rows["peft"].tolist() == [False, True, True, False]
    assert rows.loc["q.lora_BA", "alpha"] == pytest.approx(3.049314, abs=1e-6)  # the peer's
    assert rows.loc["q.lora_BA", "matrix_rank"] == 16
    assert rows.loc["q.lora_BA", "norm"] == pytest.approx(float(((b @ a) ** 2).sum()), rel=1e-6)
    assert rows.loc["q.lora_W_plus_AB", "norm"] == pytest.approx(float(((w + b @ a) ** 2).sum()), rel=1e-6)
    assert rows.loc["q", "norm"] == pytest.approx(float((w**2).sum()), rel=1e-9)
    for only in (True, "peft_only"):
        assert analyze(pair, peft=only)["name"].tolist() == ["q.lora_BA"]


def test_small_ranks_and_b_before_a_are_no_reason_to_vanish() -> None:
    assert analyze(lora(4), peft=True)["matrix_rank"].tolist() == [4]
    swapped = dict(reversed(lora().items()))
    assert analyze(swapped, peft=True)["name"].tolist() == ["q.lora_BA"]
    with pytest.raises(ss.SpinSpectraError, match="no LoRA pairs"):
        analyze(state(a=tensor(1, 64, 64)), peft=True)
    with pytest.raises(ss.SpinSpectraError, match="peft and base_model"):
        analyze(lora(), peft=True, base_model=lora())


def test_shards_count_on_with_an_index_and_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two, three = ({f"{name}.weight": tensor(seed, 64, 64)} for seed, name in enumerate("abc"))
    files = {"model-1": one, "model-2": two, "model-3": three}
    rows = analyze(folder(tmp_path / "q2", **files))
    assert rows["layer_id"].tolist() == [0, 1, 2]
    assert rows["name"].tolist() == ["a", "b", "c"]
    path = folder(tmp_path / "q3", **{"model": one, "model.fp16": {"a.weight": one["a.weight"].half()}})
    assert analyze(path)["name"].tolist() == ["a"]
    assert "model.fp16.safetensors" in caplog.text
    with pytest.raises(ss.SpinSpectraError, match="in another file"):
        analyze(folder(tmp_path / "q4", **{"model-1": one, "model-2": one}))


def test_the_index_gives_the_order_and_names_missing_shards(tmp_path: Path) -> None:
    path = folder(tmp_path / "my_safetensors", model={"l10.weight": tensor(1, 64, 64), "l2.weight": tensor(2, 64, 64)})
    (path / "model.safetensors").rename(path / "model-1.safetensors")
    index = path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(("l2.weight", "l10.weight"), "model-1.safetensors")}))
    assert analyze(path)["name"].tolist() == ["l2", "l10"]
    index.write_text(
        json.dumps({"weight_map": {"l2.weight": "model-1.safetensors", "b.weight": "model-2.safetensors"}})
    )
    with pytest.raises(ss.SpinSpectraError, match=r"model-2\.safetensors"):
        analyze(path)


def test_pytorch_files_one_by_one(tmp_path: Path) -> None:
    torch.save(state(a=tensor(1, 64, 64), n=tensor(5, 64), b=tensor(2, 32, 64)), tmp_path / "pytorch_model-1.bin")
    torch.save(state(c=tensor(1, 64, 64)) | {"c.bias": tensor(3, 64)}, tmp_path / "pytorch_model-2.bin")
    for rows in (ww.WeightWatcher.describe_pytorch_bins(tmp_path), ww.WeightWatcher.analyze_pytorch_bins(tmp_path)):
        assert rows["layer_id"].tolist() == [1, 3, 4]
        assert rows["name"].tolist() == ["a", "b", "c"]
        assert list(rows)[-2:] == ["model_name", "model_filename"]
        assert [Path(name).name for name in rows["model_filename"]] == [f"pytorch_model-{i}.bin" for i in (1, 1, 2)]
    (tmp_path / "pytorch_model-2.bin").write_bytes(b"xx")
    with pytest.raises(ss.SpinSpectraError, match=r"pytorch_model-2\.bin"):
        ww.WeightWatcher.analyze_pytorch_bins(tmp_path)


def test_extracted_folders_are_models(tmp_path: Path) -> None:
    kernels = tensor(4, 16, 8, 3, 3)
    path = folder(
        tmp_path / "q6", model=state(a=tensor(1, 64, 64), n=tensor(5, 64), k=kernels) | {"a.bias": tensor(2, 64)}
    )
    (path / "config.json").write_text('{"model_type": "foo"}')
    (tmp_path / "out").mkdir()
    config = ww.WeightWatcher.extract_pytorch_bins(path, tmp_dir=tmp_path / "out")
    assert config["format"] == "safetensors"
    assert [one["weightfile"] for one in config["layers"].values()] == [f"foo.{i}.weight.npy" for i in range(3)]
    assert ww.WeightWatcher.infer_model_file_format(config["weights_dir"])[0] == "ww_flatfiles"
    rows = analyze(config["weights_dir"])
    assert rows["layer_id"].tolist() == [0, 1]
    assert rows["name"].tolist() == ["foo.0", "foo.1"]
    assert rows["longname"].tolist() == ["a", "k"]
    assert rows["norm"][1] == pytest.approx(float((kernels.double() ** 2).sum()), rel=1e-9)


def test_frameworks_have_the_peers_names(tmp_path: Path) -> None:
    infer = ww.WeightWatcher.infer_framework
    assert infer(small_module()) == ww.FRAMEWORK.PYTORCH
    assert infer(state(a=tensor(1, 8, 8))) == ww.FRAMEWORK.PYSTATEDICT
    assert infer(tmp_path) == ww.FRAMEWORK.PYSTATEDICT_DIR
    assert infer("nowhere/at/all") == ww.FRAMEWORK.UNKNOWN


def test_smoothing_a_module_is_the_exact_truncation_in_place() -> None:
    model = nn.Sequential(nn.Linear(64, 128)).bfloat16()
    weight, bias = model[0].weight, model[0].bias.detach().clone()
    u, s, v = torch.linalg.svd(weight.detach().double(), full_matrices=False)
    watcher = ww.WeightWatcher(model=model)
    assert watcher.SVDSmoothing(method="svd", percent=0.5) is model
    assert model[0].weight is weight
    assert weight.dtype == torch.bfloat16
    assert weight.requires_grad
    assert torch.equal(weight.detach(), ((u[:, :32] * s[:32]) @ v[:32]).bfloat16())
    assert torch.equal(model[0].bias.detach(), bias)


def test_smoothing_removes_the_top_for_a_negative_percent() -> None:
    model = state(a=tensor(1, 64, 128))
    values = torch.linalg.svdvals(model["a.weight"])
    ww.WeightWatcher(model=model).SVDSmoothing(method="svd", percent=-0.25)
    assert model["a.weight"].dtype == torch.float32
    assert torch.linalg.svdvals(model["a.weight"])[:48] == pytest.approx(values[16:], rel=1e-4)


def test_smoothing_keeps_what_the_table_counts() -> None:
    planted = (normal(1, 200, 10) @ normal(2, 10, 100)) + 0.1 * normal(3, 200, 100)
    row = analyze(state(a=planted), detX=True, mp_fit=True).iloc[0]
    for method, column in (("detX", "detX_num"), ("alpha_min", "num_pl_spikes"), ("rmt", "num_spikes")):
        model = state(a=planted.copy())
        assert ww.WeightWatcher().SVDSmoothing(model=model, method=method) is model
        assert np.linalg.matrix_rank(model["a.weight"]) == row[column]


def test_smoothing_a_dict_leaves_the_old_tensors_and_all_that_is_not_chosen() -> None:
    model = state(a=tensor(1, 64, 64), b=tensor(2, 64, 64))
    old, copied = dict(model), copy.deepcopy(model)
    ww.WeightWatcher(model=model).SVDSmoothing(layers=["a"])
    assert torch.equal(old["a.weight"], copied["a.weight"])
    assert not torch.equal(model["a.weight"], old["a.weight"])
    assert model["b.weight"] is old["b.weight"]


def test_smoothing_pools_the_slices_of_a_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(16, 24, 3))
    kept = int(analyze(model, detX=True)["detX_num"].item())
    ww.WeightWatcher(model=model).SVDSmoothing()
    slices = model[0].weight.detach().reshape(24, 16, 9).permute(2, 0, 1)
    assert int(torch.linalg.matrix_rank(slices, rtol=1e-5).sum()) == kept


def test_sharpness_removes_the_trap_and_returns_the_model() -> None:
    model = nn.Sequential(nn.Linear(60, 300))
    with torch.no_grad():
        model[0].weight.copy_(tensor(3, 300, 60) / 17)
        model[0].weight[0, 0] = 3.0
    before = torch.linalg.svdvals(model[0].weight.detach())
    assert ww.WeightWatcher(model=model).SVDSharpness() is model
    after = torch.linalg.svdvals(model[0].weight.detach())
    assert after[:59] == pytest.approx(before[1:], rel=1e-4)
    assert float(after[59]) < 1e-4


def test_edits_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "q9", model=state(a=tensor(1, 64, 64)))
    with pytest.raises(ss.SpinSpectraError, match=r"spinspectra\.smooth"):
        ww.WeightWatcher(model=path).SVDSmoothing()
    watcher = ww.WeightWatcher(model=state(a=tensor(1, 64, 64)))
    for options in ({"method": "bogus"}, {"pool": False}, {"fit": "TPL"}, {"method": "svd", "percent": 2.0}):
        with pytest.raises(ss.SpinSpectraError):
            watcher.SVDSmoothing(**options)


def test_distances_pair_by_name_and_leave_failures_out_of_the_mean() -> None:
    a, b = normal(1, 64, 32), normal(2, 64, 32)
    one = state(x=a, y=a) | {"x.bias": np.zeros(64)}
    two = state(y=b, x=a[:, :30], w=a) | {"x.bias": np.ones(64)}
    delta_w, delta_b, table = ww.WeightWatcher().distances(one, two)
    assert table.index.name == "layer_id"
    assert table["name"].tolist() == ["x", "y", "w"]
    assert table.index.tolist()[:2] == [1, 2]
    assert delta_w == table["delta_W"][2] == pytest.approx(float(np.linalg.norm(a - b)), rel=1e-12)
    assert table["delta_b"][1] == 8.0
    assert delta_b == pytest.approx(np.nanmean(table["delta_b"]))
    assert table["status"].tolist() == ["failed", "success", "unmatched"]
    assert ww.WeightWatcher().distances(one, two, layers=["y"])[2]["name"].tolist() == ["y"]
    assert ww.WeightWatcher().distances(one, one, method="cka")[0] == pytest.approx(1.0)


def test_matrix_distance() -> None:
    a, b = normal(1, 64, 32), normal(2, 64, 32)
    watcher = ww.WeightWatcher()
    assert watcher.matrix_distance(a, b) == pytest.approx(float(np.linalg.norm(a - b)))
    assert watcher.matrix_distance(a, 2.0 * a, method=ww.CKA) == pytest.approx(1.0)
    for bad in (b[:60], b[0], b[None]):
        with pytest.raises(ss.SpinSpectraError):
            watcher.matrix_distance(a, bad)


def test_vector_metrics_fill_the_column_of_their_name() -> None:
    vectors = normal(0, 2, 50)
    found = ww.WeightWatcher().vector_metrics(vectors)
    assert list(found) == ["length", "entropy", "discrete_entropy", "localization_ratio", "participation_ratio"]
    assert found["length"].tolist() == [50.0, 50.0]
    assert found["discrete_entropy"].tolist() == pytest.approx([3.468409, 3.520192], abs=1e-6)  # the peer's
    assert found["participation_ratio"].tolist() == pytest.approx([2.075979, 2.179065], abs=1e-6)
    assert found["localization_ratio"][0] == pytest.approx(np.abs(vectors[0]).sum() / np.abs(vectors[0]).max())
    assert ww.WeightWatcher().vector_metrics([vectors[0], vectors[1, :9]])["length"].tolist() == [50.0, 9.0]


def test_fits_of_eigenvalues_come_as_the_peers_tuples(tmp_path: Path) -> None:
    data = np.sort(np.random.default_rng(4).pareto(2, 300) + 1)
    watcher = ww.WeightWatcher()
    alpha, cutoff, xmin, xmax, distance, sigma, spikes, fingers, raw, status, warning = watcher.fit_powerlaw(
        data, savedir=tmp_path / "a" / "b"
    )
    assert alpha == raw == pytest.approx(3.0, abs=3 * sigma)
    assert sigma == pytest.approx((alpha - 1) / np.sqrt(spikes))
    assert (xmax, fingers, status, warning) == (data[-1], 0, "success", "")
    assert xmin in data
    assert 0.0 < distance < 0.1
    assert np.isnan(cutoff)
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {
        f"ww.layer0.{name}.png" for name in ("esd", "esd2", "esd3", "esd4", "esd5")
    }
    assert watcher.fit_powerlaw(data, xmin=1.5, plot=False)[2] >= 1.5
    drawn = [watcher.fit_powerlaw(data, plot=False, sample=True, sample_size=100)[0] for _ in range(2)]
    assert drawn[0] == drawn[1] != alpha
    assert watcher.fit_powerlaw(np.ones(20), plot=False)[-2] == "failed"
    noise = np.linalg.svd(normal(1, 300, 150), compute_uv=False) ** 2
    spikes, sigma_mp, softrank, low, high, scale = watcher.mp_fit(
        noise, 300, 150, 1, "", 0, 0, False, False, "", None, None, True, None
    )
    assert spikes == 0
    assert scale == pytest.approx(np.sqrt(150 / noise.sum()))
    assert (low, high) == pytest.approx([300 * (1 - 2**-0.5) ** 2, 300 * (1 + 2**-0.5) ** 2], rel=0.03)
    assert softrank == pytest.approx(high / noise.max())
    assert sigma_mp == pytest.approx(1.0, rel=0.02)


def test_figures_have_the_peers_names(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Conv2d(12, 10, 1))
    modes = {"detX": True, "mp_fit": True, "randomize": True, "vectors": True, "deltas": True}
    analyze(model, plot=True, savefig=tmp_path / "nested" / "img", layers=[1], **modes)
    ends = words("esd esd2 esd3 esd4 esd5 detX mpfit1 mpfit2 randesd1 randesd2 deltaEs level-stats")
    ends += ["vector_metrics", "vector_histograms"]
    assert {path.name for path in (tmp_path / "nested" / "img").iterdir()} == {f"ww.layer1.{end}.png" for end in ends}


def test_figures_of_slices_of_failures_and_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    analyze(state(c=normal(0, 10, 10, 2, 1)), plot=True, pool=False, savefig="img")
    ends = ("esd", "esd2", "esd3", "esd4", "esd5")
    assert {p.name for p in Path("img").iterdir()} == {f"ww.layer1:{i}.{end}.png" for i in (0, 1) for end in ends}
    zero = analyze(state(a=np.zeros((16, 16))), plot=True, savefig=True)
    assert zero["status"].tolist() == ["failed"]
    assert {path.name for path in Path("ww-img").iterdir()} == {f"ww.layer1.{end}.png" for end in ends}
    analyze(state(a=normal(0, 16, 16)), plot=True, savefig=False)
    analyze(state(a=normal(0, 16, 16)), savefig="unused")
    assert {path.name for path in Path().iterdir()} == {"img", "ww-img"}


def test_every_example_of_the_peers_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its order, on a small model, with the import changed; `|` between alternatives read as one of them."""
    monkeypatch.chdir(tmp_path)
    logging.getLogger(ww.WW_NAME).setLevel(logging.ERROR)
    model, model_2 = small_module(), small_module()
    watcher = ww.WeightWatcher(model=model)
    details = watcher.analyze()
    assert watcher.get_summary(details)["alpha"] == pytest.approx(details["alpha"].mean())
    watcher.analyze(
        model=None, layers=[], min_evals=50, max_evals=None, randomize=True, mp_fit=True, pool=True, savefig=True
    )
    watcher.describe(model=None, min_evals=0, max_evals=None, plot=True, randomize=True, mp_fit=True, pool=True)
    assert watcher.get_details() is watcher.details
    assert watcher.get_ESD().size == 64
    assert len(watcher.distances(model, model_2)) == 3
    assert len(watcher.analyze(model=lora(), peft="peft_only")) == 1
    assert len(watcher.analyze(model=lora(), peft=True)) == 1
    details = watcher.analyze(model=model)
    assert watcher.get_summary(model) == watcher.get_summary()
    assert watcher.SVDSharpness(model=model) is model
    assert len(watcher.analyze(layers=[ww.LAYER_TYPE.CONV2D])) == 1
    assert watcher.analyze(layers=[20]).empty
    assert len(watcher.analyze(min_evals=50, max_evals=500)) == 2
    for fit in ("PL", "TPL", "E_TPL"):
        assert ("Lambda" in watcher.analyze(fit=fit, layers=[1])) == (fit != "PL")
    assert len(watcher.describe(model=model)) == 3
    assert len(watcher.analyze(pool=False)) == 11
    assert not list(Path().iterdir())
    watcher = ww.WeightWatcher()
    details = watcher.analyze(model=nn.Sequential(nn.Linear(16, 16)), plot=True, detX=True)
    assert len(details) == 1
    assert len(list(Path("ww-img").iterdir())) == 6
    logging.getLogger(ww.WW_NAME).setLevel(logging.NOTSET)


def test_analyze_vectors_gives_the_table() -> None:
    rows = ww.WeightWatcher(model=small_module()).analyze_vectors(layers=["2"], plot=False)
    assert rows["bulk_mean_part_ratio"].notna().all()
