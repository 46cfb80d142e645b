"""The WeightWatcher drop-in has the peer's rows, columns, ids and names, and its numbers where those are right.

tests/data/weightwatcher-0.7.7 holds the peer's own tables; ids, names and column lists below were printed by it.
"""

import inspect
import logging
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from transformers import AutoModel

import spinspectra as ss
import spinspectra.compat.weightwatcher as ww
from tests import minilm
from tests.spectra import reference


def words(text: str) -> list[str]:
    return text.split()


# The peer's columns of analyze(), in its order; `reason` is ours.
COLUMNS = words(
    "layer_id name D M N Q alpha alpha_weighted entropy has_esd lambda_max layer_type log_alpha_norm log_norm "
    "log_spectral_norm longname matrix_rank norm num_evals num_pl_spikes rank_loss rf sigma spectral_norm stable_rank "
    "status sv_max sv_min warning weak_rank_loss xmax xmin"
)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def tensor(seed: int, *shape: int) -> torch.Tensor:
    return torch.tensor(normal(seed, *shape)).float()


def state(**tensors: Any) -> dict[str, Any]:
    return {f"{name}.weight": value for name, value in tensors.items()}


def analyze(model: Any, **options: Any) -> pd.DataFrame:
    return ww.WeightWatcher(model=model).analyze(**options)


def small_module() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.Sequential(nn.Conv2d(16, 24, 3), nn.LayerNorm(8)), nn.Linear(64, 32))


@cache
def bert() -> nn.Module:
    model: nn.Module = AutoModel.from_pretrained(minilm.FOLDER)
    return model


@cache
def bert_details() -> pd.DataFrame:
    return ww.WeightWatcher(model=bert()).analyze(detX=True)


@pytest.mark.parametrize("column", reference.minilm().reset_index().columns)
def test_a_trained_bert_has_the_peers_table(column: str) -> None:
    peer, ours = reference.minilm().reset_index()[column], bert_details()[column]
    if pd.api.types.is_numeric_dtype(peer) and peer.dtype != bool:
        np.testing.assert_allclose(ours, peer, rtol=1e-6)
    else:
        assert ours.tolist() == peer.fillna("").tolist()


def test_the_columns_are_the_peers_in_its_order() -> None:
    details = analyze(state(a=normal(0, 64, 64)))
    assert [column for column in details if column != "reason"] == COLUMNS
    sliced = analyze(small_module(), pool=False)
    assert [c for c in sliced if c not in COLUMNS] == ["reason", "slice_id"]
    assert list(sliced)[:2] == ["layer_id", "name"]
    assert list(sliced)[2:] == sorted(list(sliced)[2:])


def test_modes_add_the_peers_columns() -> None:
    a = state(a=normal(0, 64, 64))
    added = set(analyze(a, mp_fit=True, randomize=True, ERG=True, vectors=True, fix_fingers="clip_xmax"))
    assert added - {*COLUMNS, "reason"} == {
        *words("num_spikes sigma_mp mp_softrank W_scale bulk_max bulk_min max_rand_eval rand_distance ww_softrank"),
        *words("ww_maxdist rand_num_spikes num_traps rand_sigma_mp rand_mp_softrank rand_W_scale rand_bulk_max"),
        *words("rand_bulk_min detX_num num_ERG_spikes ERG_gap detX_val detX_val_unrescaled num_fingers raw_alpha"),
        *(
            f"{side}_{moment}_{of}"
            for side in ("bulk", "tail")
            for moment in ("mean", "var")
            for of in ("vec_entropy", "loc_ratio", "part_ratio")
        ),
    }
    assert "Lambda" in analyze(a, fit="TPL")


@pytest.mark.parametrize("name", reference.matrices())
def test_synthetic_matrices_have_the_peers_tail(name: str) -> None:
    peer, ours = reference.synthetic().loc[name], analyze(state(**{name: reference.matrices()[name]})).iloc[0]
    for column in ("alpha", "D", "sigma", "xmin", "num_pl_spikes", "stable_rank", "log_norm", "alpha_weighted"):
        assert ours[column] == pytest.approx(peer[column], rel=1e-6), column


def test_ids_and_names_of_a_module_are_those_of_named_modules() -> None:
    rows = analyze(small_module())
    assert rows["layer_id"].tolist() == [1, 3, 5]
    assert rows["name"].tolist() == ["0", "0", "2"]
    assert rows["longname"].tolist() == ["0", "1.0", "2"]
    assert rows["layer_type"].tolist() == ["dense", "conv2d", "dense"]
    assert analyze(small_module(), start_ids=1)["layer_id"].tolist() == [2, 4, 6]
    root = analyze(nn.Linear(64, 64)).iloc[0]
    assert (root["layer_id"], root["name"], root["longname"]) == (0, "Linear", "Linear")


def test_ids_of_a_state_dict_count_its_weight_keys() -> None:
    model = state(z=tensor(1, 64, 64), norm=torch.ones(64), a=tensor(2, 64, 32)) | {"z.bias": torch.ones(64)}
    rows = analyze(model)
    assert rows["layer_id"].tolist() == [1, 3]
    assert rows["name"].tolist() == rows["longname"].tolist() == ["z", "a"]
    assert analyze(model, start_ids=5)["layer_id"].tolist() == [5, 7]
    watcher = ww.WeightWatcher(model=small_module())
    assert watcher.analyze(model=model)["layer_id"].tolist() == [1, 3]


def test_ids_of_a_folder_count_its_weight_keys_from_0() -> None:
    rows = ww.WeightWatcher(model=minilm.FOLDER).describe()
    blocks = [5 + 8 * block + step for block in range(6) for step in (0, 1, 2, 3, 4, 6)]
    assert rows["layer_id"].tolist() == [1, 3, *blocks, 52]
    assert rows["name"].iloc[0] == rows["longname"].iloc[0] == "embeddings.position_embeddings"
    assert set(rows["layer_type"]) == {"dense"}


def test_slices_are_rows_of_their_own() -> None:
    rows = analyze(small_module(), pool=False)
    assert rows["layer_id"].tolist() == [1, *[3] * 9, 5]
    assert rows["slice_id"].tolist() == [0, *range(9), 0]
    assert rows["num_evals"].tolist() == [64, *[16] * 9, 32]
    assert rows["rf"].tolist() == [1, *[9] * 9, 1]
    described = ww.WeightWatcher(model=small_module()).describe(pool=False)
    shared = ["layer_id", "slice_id", "num_evals", "rf", "N", "M"]
    pd.testing.assert_frame_equal(described[shared], rows[shared])


def test_convolutions_keep_their_norm() -> None:
    kernel = normal(0, 64, 32, 3, 3)
    total = float((kernel**2).sum())
    watcher = ww.WeightWatcher(model=state(c=kernel))
    assert watcher.analyze()["norm"].sum() == pytest.approx(total, rel=1e-12)
    assert watcher.analyze(pool=False)["norm"].sum() == pytest.approx(total, rel=1e-12)
    assert watcher.get_ESD(layer=1).sum() == pytest.approx(total, rel=1e-12)


def test_the_largest_embeddings_are_analysed_unless_limits_say_no(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Embedding(50257, 16)
    assert len(analyze(model)) == 1
    assert not caplog.records
    watcher = ww.WeightWatcher(model=model)
    assert len(watcher.analyze(max_N=50000)) == 0
    assert len(watcher.analyze(max_N=50000)) == 0
    assert [record.message for record in caplog.records] == [
        "Embedding (layer 0) is not analysed: N = 50257, more than max_N=50000"
    ]
    assert len(watcher.analyze(max_evals=15)) == 0
    assert len(watcher.analyze(max_evals=16, min_evals=0)) == 1


def test_layers_without_an_id_of_the_peers_are_numbered_after_the_others() -> None:
    model = nn.Sequential(nn.LSTM(64, 64), nn.Linear(64, 64), nn.Conv3d(16, 16, 3))
    rows = analyze(model)
    assert rows["longname"].tolist() == ["1", "2", "0.weight_ih_l0", "0.weight_hh_l0"]
    assert rows["layer_id"].tolist()[:2] == [2, 3]
    assert rows["layer_id"].min() == 2
    assert rows["layer_id"].is_unique
    assert analyze(model, layers=["dense", "conv1d", "conv2d", "embedding"])["longname"].tolist() == ["1"]


def test_describe_lists_what_is_left_out_with_the_reason() -> None:
    watcher = ww.WeightWatcher(model=nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 2)))
    assert watcher.describe()["longname"].tolist() == ["0"]
    every = watcher.describe(skipped=True).set_index("longname")["skipped"]
    assert every["0"] == ""
    assert every["1"].startswith("norm: no matrix")
    assert every["2"] == "2 eigenvalues, fewer than min_evals=8"
    assert {"0.bias", "1.bias", "2.bias"} < set(every.index)


@pytest.mark.parametrize(
    ("layers", "kept"),
    [
        ([], ["0", "1.0", "2"]),
        (3, ["1.0"]),
        ([1, 5], ["0", "2"]),
        (np.array([5]), ["2"]),
        ([-3], ["0", "2"]),
        ("conv2d", ["1.0"]),
        ([ww.LAYER_TYPE.CONV2D | ww.LAYER_TYPE.CONV2D | ww.LAYER_TYPE.DENSE], ["0", "1.0", "2"]),
        (["-dense"], ["1.0"]),
        (["0"], ["0", "1.0"]),
        (["1.0"], ["1.0"]),
        (["-1.0"], ["0", "2"]),
    ],
)
def test_layers_are_chosen_by_id_name_longname_and_type(layers: Any, kept: list[str]) -> None:
    assert analyze(small_module(), layers=layers)["longname"].tolist() == kept


def test_a_name_with_a_dash_is_a_name() -> None:
    model = state(**{"my-layer": normal(0, 64, 64), "b": normal(1, 64, 64)})
    assert analyze(model, layers=["my-layer"])["name"].tolist() == ["my-layer"]
    assert analyze(model, layers=["-my-layer"])["name"].tolist() == ["b"]


def test_what_is_not_there_is_logged_and_gives_no_row(caplog: pytest.LogCaptureFixture) -> None:
    for layers in ([99], ["nothing"], "embedding"):
        rows = analyze(small_module(), layers=layers)
        assert rows.empty
        assert "alpha" in rows
    assert [record.args for record in caplog.records] == [(99,), ("nothing",), ("embedding",)]
    with pytest.raises(ss.SpinSpectraError, match="keep or layers to leave out"):
        analyze(small_module(), layers=[1, -3])


def test_layer_0_can_be_left_out_by_name(tmp_path: Any) -> None:
    from safetensors.numpy import save_file

    save_file(state(a=normal(0, 32, 32), b=normal(1, 32, 32)), tmp_path / "model.safetensors")
    assert analyze(tmp_path)["layer_id"].tolist() == [0, 1]
    assert analyze(tmp_path, layers=["-a"])["layer_id"].tolist() == [1]


def test_failed_fits_are_nan_and_stay_out_of_the_summary() -> None:
    watcher = ww.WeightWatcher(model=state(a=normal(2, 64, 64), zero=np.zeros((64, 64)), bad=np.full((64, 64), np.nan)))
    rows = watcher.analyze(detX=True).set_index("name")
    assert rows["status"].tolist() == ["success", "failed", "failed"]
    assert rows.loc[["zero", "bad"], ["alpha", "D", "sigma", "xmin"]].isna().all(axis=None)
    assert (rows.loc[["zero", "bad"], "warning"] == "").all()
    assert "NaN" in rows.loc["bad", "reason"]
    summary = watcher.get_summary()
    assert summary["alpha"] == rows.loc["a", "alpha"]
    assert set(summary) == {"log_norm", "alpha", "alpha_weighted", "log_alpha_norm", "log_spectral_norm", "stable_rank"}
    assert all(np.isfinite(value) for value in summary.values())
    assert watcher.get_details() is watcher.details
    assert ww.WeightWatcher().get_summary() == {}


def test_alpha_does_not_depend_on_the_unit_of_the_weights() -> None:
    a = normal(0, 256, 256) / 16
    rows = analyze(state(a=a, b=1e-3 * a))
    assert rows["alpha"][1] == pytest.approx(rows["alpha"][0], rel=1e-9)


def test_ids_mean_the_same_to_get_ESD_as_in_the_table() -> None:  # noqa: N802
    watcher = ww.WeightWatcher(model=nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 96)))
    for start in (0, 1, 7):
        for _, row in watcher.analyze(start_ids=start).iterrows():
            values = watcher.get_ESD(layer=row["layer_id"])
            assert values[-1] == pytest.approx(row["lambda_max"], rel=1e-12)
            assert values.sum() == pytest.approx(row["norm"], rel=1e-12)
    assert np.array_equal(watcher.get_ESD(layer="0"), watcher.get_ESD())
    with pytest.raises(ss.SpinSpectraError, match="no such layer"):
        watcher.get_ESD(layer=99)


def test_get_weights_gives_the_matrices() -> None:
    model = nn.Sequential(nn.Linear(64, 32), nn.Conv2d(24, 16, 3))
    watcher = ww.WeightWatcher(model=model)
    (dense,) = watcher.get_Weights(layer=1)
    assert np.array_equal(dense, model[0].weight.detach().numpy())
    slices = watcher.get_Weights(layer=2)
    assert [one.shape for one in slices] == [(24, 16)] * 9
    assert np.array_equal(slices[5].T, model[1].weight.detach().numpy()[:, :, 1, 2])
    assert watcher.get_framework_layer(layer=2) is model[1]


def test_random_columns_are_reproducible_and_of_one_draw() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    watcher = ww.WeightWatcher(model=state(a=normal(2, 300, 150)))
    one = watcher.analyze(randomize=True).iloc[0]
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert one["max_rand_eval"] / one["lambda_max"] == pytest.approx(one["ww_softrank"], rel=1e-12)
    assert watcher.analyze(randomize=True).iloc[0]["max_rand_eval"] == one["max_rand_eval"]
    assert watcher.get_ESD(random=True)[-1] == one["max_rand_eval"]
    watcher.seed = 1
    assert watcher.analyze(randomize=True).iloc[0]["max_rand_eval"] != one["max_rand_eval"]


def test_one_trap_counts_one_however_many_replicas_there_are() -> None:
    a = normal(3, 300, 60) / 17
    a[0, 0] = 3.0
    assert analyze(state(a=a), randomize=True)["num_traps"].item() == pytest.approx(1.0, abs=0.2)


def test_a_spike_on_a_square_matrix_is_one_spike() -> None:
    u, v = (normal(seed, 256) for seed in (4, 5))
    spike = 20.0 * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
    row = analyze(state(a=normal(1, 256, 256) / 16 + spike), mp_fit=True).iloc[0]
    assert row["num_spikes"] == 1
    assert row["bulk_max"] == pytest.approx(4.0, rel=0.05)


def test_xmax_leaves_the_largest_out_by_sign_or_not() -> None:
    a = state(a=normal(0, 256, 256) / 16)
    cut = [analyze(a, xmax=k)["alpha"].item() for k in (2, -2)]
    assert cut == pytest.approx([4.8966, 4.8966], abs=1e-4)  # the peer's alpha for xmax=-2
    plain = analyze(a)["alpha"].item()
    assert analyze(a, xmax=False)["alpha"].item() == plain
    values = ww.WeightWatcher(model=a).get_ESD()
    assert ww.WeightWatcher().fit_powerlaw(values, xmax=-2, plot=False)[0] == pytest.approx(cut[0], rel=1e-9)
    assert ww.WeightWatcher().fit_powerlaw(values, plot=False)[0] == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"xmax": True}, "xmax=True"),
        ({"xmax": 2.5}, "xmax=2.5"),
        ({"fft": True}, "fft=True is not offered"),
        ({"conv2d_fft": True}, "not offered"),
        ({"intra": True}, "not offered"),
        ({"stacked": True}, "not offered"),
        ({"inverse": True}, "not offered"),
        ({"min_evals": 50, "max_evals": 20}, "no layer is left"),
        ({"max_evals": -2}, "max_evals=-2"),
        ({"fit": "XYZ"}, "fit='XYZ'"),
        ({"fix_fingers": "bogus"}, "fix_fingers"),
        ({"fix_fingers": "clip_xmax", "xmax": 3}, "both say where"),
        ({"fix_fingers": "clip_xmax", "max_fingers": 0}, "max_fingers=0"),
        ({"fit": "E_TPL", "fix_fingers": "clip_xmax"}, "E_TPL"),
        ({"svd_method": "quick"}, "svd_method"),
        ({"savefig": None}, "savefig=None"),
        ({"start_ids": -1}, "start_ids=-1"),
        ({"channels": "middle"}, "channels"),
        ({"peft": "yes"}, "peft='yes'"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"pl_package": "other"}, "pl_package"),
    ],
)
def test_bad_options_are_refused_with_the_reason(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ss.SpinSpectraError, match=said):
        analyze(state(a=normal(0, 32, 32)), **options)


def test_options_without_effect_have_none() -> None:
    model = state(a=normal(0, 64, 64), c=normal(1, 16, 8, 3, 3))
    idle = {"glorot_fix": True, "sparsify": False, "svd_method": "accurate", "conv2d_norm": False}
    pd.testing.assert_frame_equal(analyze(model, **idle, pl_package="powerlaw"), analyze(model))


def test_tolerance_counts_weak_eigenvalues() -> None:
    model = state(a=np.diag(np.sqrt(np.arange(1.0, 41.0))))
    assert analyze(model)["weak_rank_loss"].item() == 0
    assert analyze(model, tolerance=10.5)["weak_rank_loss"].item() == 10
    other = [column for column in COLUMNS if column != "weak_rank_loss"]
    pd.testing.assert_frame_equal(analyze(model, tolerance=10.5)[other], analyze(model)[other])


def test_old_words_are_understood_and_said_to_be_old(caplog: pytest.LogCaptureFixture) -> None:
    assert len(analyze(small_module(), ww2x=True, min_size=5)) == 11
    assert [record.message for record in caplog.records] == [
        "min_size has no effect; use min_evals, max_evals or max_N",
        "ww2x=True means pool=False",
    ]


def test_valid_params_knows_good_from_bad() -> None:
    assert ww.WeightWatcher.valid_params(ww.DEFAULT_PARAMS)
    assert not ww.WeightWatcher.valid_params(ww.DEFAULT_PARAMS | {"intra": True})
    assert not ww.WeightWatcher.valid_params(ww.DEFAULT_PARAMS | {"MAX_FINGERS": 0, "fix_fingers": "clip_xmax"})


def test_the_signature_is_the_peers_but_for_the_two_limits() -> None:
    names = words(
        "self model layers min_evals max_evals min_size max_size max_N glorot_fix plot randomize savefig mp_fit "
        "conv2d_norm ww2x pool conv2d_fft fft deltas intra vectors channels stacked fix_fingers xmin_max max_fingers "
        "finger_thresh fit sparsify detX ERG svd_method tolerance start_ids pl_package xmax base_model peft inverse"
    )
    defaults = [
        *[None, [], 8, None, None, None, None, False, False, False, "ww-img", False, True, False, True, False, False],
        *[False, False, False, None, False, False, None, 10, 1.0, "PL", True, False, False, "fast", 1e-6, 0, "ww"],
        *[None, None, False, False],
    ]
    found = inspect.signature(ww.WeightWatcher.analyze).parameters
    assert list(found) == names
    assert [one.default for one in found.values()][1:] == defaults


def test_the_users_model_is_not_changed_by_reading_it() -> None:
    model = small_module()
    ww.WeightWatcher(model=model).analyze(detX=True)
    assert not any(hasattr(part, "longname") for part in model.modules())


def test_importing_has_no_side_effects_and_needs_no_torch() -> None:
    code = (
        "import sys, logging, warnings, numpy as np; before = list(warnings.filters), logging.getLogger().level;"
        "sys.modules['torch'] = None; import spinspectra.compat.weightwatcher as ww;"
        "assert (list(warnings.filters), logging.getLogger().level) == before;"
        "assert not logging.getLogger().handlers;"
        "rows = ww.WeightWatcher(model={'a.weight': np.random.default_rng(0).standard_normal((32, 32))}).analyze();"
        "assert len(rows) == 1 and ww.__version__ == '0.7.7'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_log_level_is_that_of_one_logger() -> None:
    root = logging.getLogger().level
    ww.WeightWatcher(log_level=logging.ERROR)
    assert logging.getLogger("weightwatcher").level == logging.ERROR
    assert logging.getLogger().level == root
    ww.WeightWatcher(log_level=logging.NOTSET)
