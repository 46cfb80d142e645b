"""The table of all layers: the peer's numbers, failed layers in their rows, executors, slices, averages."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pandas as pd
import pytest

from spinspectra import analyze, summarize
from spinspectra.errors import OptionError
from tests import minilm
from tests.spectra import reference

SAME = [
    "N M Q rf num_evals alpha D sigma xmin xmax num_pl_spikes alpha_weighted log_alpha_norm norm log_norm",
    "spectral_norm lambda_max log_spectral_norm stable_rank matrix_rank rank_loss weak_rank_loss sv_max sv_min",
    "entropy detX_num num_ERG_spikes ERG_gap detX_val detX_val_unrescaled",
]


def gaussians(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"{name}.weight": rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def details() -> pd.DataFrame:
    return analyze(minilm.FOLDER, detx=True)


@pytest.mark.parametrize("column", " ".join(SAME).split())
def test_minilm_has_the_peers_numbers(details: pd.DataFrame, column: str) -> None:
    expected = reference.minilm()
    ours = details.set_index("longname").loc[expected.index, column]
    np.testing.assert_allclose(ours.astype(float), expected[column].astype(float), rtol=1e-6, atol=1e-12)


def test_minilm_has_the_peers_layers_and_warnings(details: pd.DataFrame) -> None:
    expected = reference.minilm()
    assert set(details.longname) == set(expected.index)
    ours = details.set_index("longname").loc[expected.index]
    assert ours.status.tolist() == expected.status.tolist()
    assert ours.warning.tolist() == expected.warning.fillna("").tolist()


@pytest.mark.parametrize("column", ["alpha", "D", "sigma", "xmin", "num_pl_spikes", "stable_rank", "entropy"])
def test_synthetic_matrices_have_the_peers_numbers(column: str) -> None:
    expected = reference.synthetic()
    found = analyze({f"{name}.weight": matrix for name, matrix in reference.matrices().items()})
    ours = found.set_index("longname").loc[expected.index, column].astype(float)
    np.testing.assert_allclose(ours, expected[column].astype(float), rtol=1e-6)


def test_averages_are_the_peers(details: pd.DataFrame) -> None:
    """The peer's summary of the same run."""
    mean = reference.minilm()[["log_norm", "alpha", "alpha_weighted", "log_alpha_norm", "stable_rank"]].mean()
    found = summarize(details)
    assert found["alpha"] == pytest.approx(4.117094457966125, rel=1e-9)
    for column, expected in mean.items():
        assert found[str(column)] == pytest.approx(expected, rel=1e-9)


def test_bad_layers_cost_their_own_row() -> None:
    tensors = gaussians(good=(64, 64), nan=(64, 64), zero=(64, 64), flat=(20, 20))
    tensors["nan.weight"][3, 4] = np.nan
    tensors["zero.weight"][:] = 0.0
    tensors["flat.weight"] = np.eye(20, dtype=np.float32)
    found = analyze(tensors, detx=True, randomize=True, mp_fit=True).set_index("longname")
    assert found.status.to_dict() == {"flat": "failed", "good": "success", "nan": "failed", "zero": "failed"}
    assert "1 of 4096 values are NaN or infinite" in found.reason["nan"]
    assert all(found.reason[name] for name in ("flat", "nan", "zero"))
    assert found.alpha[["flat", "nan", "zero"]].isna().all()
    assert (found.warning[["flat", "nan", "zero"]] == "").all()
    assert summarize(found)["alpha"] == found.alpha["good"]
    assert found.norm["flat"] == 20.0


def hard_cases() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((n, 60)))[0] for n in (200, 60))
    return {
        "rank5": rng.standard_normal((100, 5)) @ rng.standard_normal((5, 80)),
        "rank20": (rng.standard_normal((100, 20)) @ rng.standard_normal((20, 80))).astype(np.float32),
        "constant": np.full((64, 32), 0.7, np.float32),
        "infinite": np.where(rng.random((64, 32)) < 0.01, np.inf, 1.0),
        "row": rng.standard_normal((1, 300)),
        "identical": 3.0 * np.linalg.qr(rng.standard_normal((20, 20)))[0],
        "bfloat16": rng.standard_normal((128, 64)).astype(ml_dtypes.bfloat16),
        "spanning": (left * np.sqrt(np.geomspace(1e-30, 1e6, 60))) @ right.T,
        "tiny": 1e-150 * rng.standard_normal((64, 64)),
        "huge": 1e150 * rng.standard_normal((64, 64)),
        "single": np.ones((1, 1)),
    }


def test_hard_cases_have_a_row_with_everything_asked_for() -> None:
    """Rank, status and reason are known beforehand; (N eps s_max)^2 hides what is below 2e-21 of the spanning one."""
    source = {f"{name}.weight": matrix for name, matrix in hard_cases().items()}
    options = {"detx": True, "randomize": True, "mp_fit": True, "vectors": True, "farms": True, "bootstrap": 5}
    found = analyze(source, min_evals=1, **options).set_index("longname")
    ranks = {"rank5": 5, "rank20": 20, "constant": 1, "row": 1, "identical": 20, "bfloat16": 64, "tiny": 64, "huge": 64}
    assert {name: found.matrix_rank[name] for name in ranks} == ranks
    assert 43 <= found.matrix_rank["spanning"] <= 46
    assert found.sv_max["spanning"] == pytest.approx(1e3, rel=1e-12)
    good = {"rank20", "bfloat16", "spanning", "tiny", "huge"}
    assert set(found.index[found.status == "success"]) == good
    bad = found[found.status == "failed"]
    assert (bad.reason != "").all()
    assert bad[["alpha", "sigma", "D", "xmin", "alpha_low", "alpha_p"]].isna().all(axis=None)
    assert (bad.num_pl_spikes.fillna(0) == 0).all()
    assert (found.sigma.dropna() > 0.0).all()
    assert found.farms_alpha[["row", "single", "infinite"]].isna().all()
    assert "values are NaN or infinite" in found.reason["infinite"]


def test_scale_changes_no_alpha() -> None:
    tensors = gaussians(a=(80, 60))
    tiny = {name: tensor * np.float32(2.0**-60) for name, tensor in tensors.items()}
    assert analyze(tiny).alpha.tolist() == analyze(tensors).alpha.tolist()


def test_rank_is_that_of_the_stored_numbers() -> None:
    rng = np.random.default_rng(1)
    product = rng.standard_normal((256, 8)) @ rng.standard_normal((8, 256))
    tensors = {f"{np.dtype(t)}.weight": product.astype(t) for t in ("f8", "f4", "f2", ml_dtypes.bfloat16)}
    found = analyze(tensors)
    assert found.matrix_rank.tolist() == [8, 8, 8, 8]
    assert found.rank_loss.tolist() == [248] * 4


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_executors_change_nothing(pool: type) -> None:
    tensors = gaussians(a=(60, 40), b=(40, 90), c=(30, 30))
    alone = analyze(tensors, randomize=True, seed=3)
    with pool(2) as executor:
        together = analyze(tensors, randomize=True, seed=3, executor=executor)
    pd.testing.assert_frame_equal(alone, together)


def test_a_layers_random_columns_do_not_depend_on_the_others() -> None:
    tensors = gaussians(a=(60, 40), b=(40, 90))
    np.random.seed(7)  # noqa: NPY002  the global generator must be left alone
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    both, alone = analyze(tensors, randomize=True), analyze(tensors, randomize=True, layers="b")
    assert both.rand_distance[1] == alone.rand_distance[0]
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_convolution_is_pooled_or_split() -> None:
    tensors = gaussians(conv=(32, 16, 3, 3))
    pooled, split = analyze(tensors), analyze(tensors, pool=False)
    total = float((tensors["conv.weight"].astype(np.float64) ** 2).sum())
    assert (pooled.num_evals[0], pooled.rf[0], pooled.N[0], pooled.M[0]) == (144, 9, 32, 16)
    assert pooled.norm[0] == pytest.approx(total)
    assert split.slice_id.tolist() == list(range(9))
    assert split.norm.sum() == pytest.approx(total)
    assert split.sv_min.min() == pytest.approx(pooled.sv_min[0])


def test_experts_are_a_stack_of_matrices() -> None:
    tensors = gaussians(experts=(4, 20, 30))
    found = analyze(tensors)
    expected = sorted(np.concatenate([np.linalg.svd(one, compute_uv=False) for one in tensors["experts.weight"]]))
    assert (found.layer_type[0], found.rf[0], found.num_evals[0]) == ("stack", 4, 80)
    assert found.sv_max[0] == pytest.approx(expected[-1], rel=1e-6)


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (None, ["a.deep.b", "c", "e.embed"]),
        ("c", ["c"]),
        ("b", ["a.deep.b"]),
        ("a.deep.b.weight", ["a.deep.b"]),
        (["dense"], ["a.deep.b", "c"]),
        ("-dense", ["e.embed"]),
        ([0, 2], ["a.deep.b", "e.embed"]),
        ([-1], ["a.deep.b", "e.embed"]),
        (["-c", -2], ["a.deep.b"]),
        ([], ["a.deep.b", "c", "e.embed"]),
    ],
)
def test_layers_are_chosen_by_id_name_and_kind(choice: object, left: list[str]) -> None:
    tensors = gaussians(**{"a.deep.b": (10, 10), "c": (10, 10), "e.embed": (30, 10)})
    assert analyze(tensors, layers=choice).longname.tolist() == left  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("nothing", "nothing is called 'nothing'"),
        (9, "nothing is called 9"),
        (["c", "-b"], "not both"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choice: object, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        analyze(gaussians(b=(10, 10), c=(10, 10)), layers=choice)  # type: ignore[arg-type]


def test_a_name_with_a_dash_in_front_is_a_name_where_there_is_one() -> None:
    assert analyze(gaussians(**{"-x": (10, 10), "x": (10, 10)}), layers="-x").longname.tolist() == ["-x"]


def test_nothing_to_analyse_is_an_error_that_says_why() -> None:
    with pytest.raises(OptionError, match=r"small\.weight, is 3 eigenvalues, fewer than min_evals=8"):
        analyze(gaussians(small=(3, 3)))


def test_detx_finds_the_same_start_in_both_units(details: pd.DataFrame) -> None:
    rescaled = details.detX_val * details.num_evals / details.norm
    np.testing.assert_allclose(details.detX_val_unrescaled, rescaled, rtol=1e-12)
    assert details.lambda_ERG.equals(details.detX_val)


def test_a_name_that_is_no_text_is_spelled_out():
    """Half a surrogate pair, which JSON headers may hold and tables of text may not."""
    details = analyze({"a\ud800.weight": np.random.default_rng(0).standard_normal((20, 10))})
    assert details["longname"].tolist() == ["a\\ud800"]
