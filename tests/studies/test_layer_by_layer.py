"""Two checkpoints layer by layer: against planted changes whose size, rank and place are known."""

import numpy as np
import pytest

import spinspectra as ss
from spinspectra.errors import OptionError
from tests.cli.helpers import tiny_opt


def matrix(seed: int, shape: tuple[int, int] = (30, 20)) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def model(seed: int = 0) -> dict[str, np.ndarray]:
    return {f"{i}.weight": matrix(10 * seed + i) for i in range(3)}


def test_a_model_is_itself():
    made = ss.compare([model(), model()])
    assert made["longname"].tolist() == ["0", "1", "2"]
    assert (made[["change", "change_top", "alpha_change"]] == 0.0).all(axis=None)
    assert (made["status"] == "success").all()
    assert made.attrs == {"only_a": [], "only_b": []}


def test_a_planted_change_of_rank_one_is_found_with_its_size():
    """1 % of the layer's norm in one direction: stable rank 1, and one number for both norms."""
    before = model()
    u, v = matrix(7)[:, 0].astype(np.float64), matrix(8)[0].astype(np.float64)
    direction = np.outer(u, v) / (np.linalg.norm(u) * np.linalg.norm(v))
    size = 0.01 * np.linalg.norm(before["1.weight"].astype(np.float64))
    after = before | {"1.weight": before["1.weight"].astype(np.float64) + size * direction}
    made = ss.compare([before, after]).set_index("longname")
    assert made.loc["1", "change"] == pytest.approx(0.01, rel=1e-6)
    assert made.loc["1", "change_stable_rank"] == pytest.approx(1.0, abs=1e-6)
    largest = np.linalg.norm(before["1.weight"].astype(np.float64), 2)
    assert made.loc["1", "change_top"] == pytest.approx(size / largest, rel=1e-6)
    assert made.loc[["0", "2"], "change"].tolist() == [0.0, 0.0]
    assert list(made[["stored_a", "stored_b"]].loc["1"]) == ["float32", "float64"]


def test_both_sides_have_the_numbers_of_analyze():
    before, after = model(), model(1)
    made = ss.compare([before, after])
    for side, one in (("a", before), ("b", after)):
        details = ss.analyze(one)
        for column in ("alpha", "log_norm", "stable_rank"):
            assert made[f"{column}_{side}"].tolist() == details[column].tolist()


def test_of_a_series_each_is_compared_with_the_first():
    series = [model(), {name: 1.5 * value for name, value in model().items()}, model()]
    made = ss.compare(series)
    assert made["change"].to_numpy() == pytest.approx([0.5] * 3 + [0.0] * 3, abs=1e-6)


def test_a_layer_that_fails_in_one_has_a_row_with_the_reason():
    broken = model()
    broken["1.weight"][2, 3] = np.nan
    made = ss.compare([model(), broken]).set_index("longname")
    assert made.loc["1", "status"] == "failed"
    assert made.loc["1", "reason"].startswith("second: ")
    assert np.isnan(made.loc["1", "change"])
    assert np.isnan(made.loc["1", "alpha_b"])
    assert made.loc[["0", "2"], "status"].tolist() == ["success"] * 2


def test_what_only_one_has_is_named():
    made = ss.compare([model() | {"old.weight": matrix(5)}, model() | {"new.weight": matrix(6)}])
    assert made["longname"].tolist() == ["0", "1", "2"]
    assert made.attrs == {"only_a": ["old"], "only_b": ["new"]}


def test_a_prefix_more_and_a_transposed_matrix_make_no_difference():
    before = model()
    after = {f"model.{name}": value for name, value in before.items()}
    after["model.2.weight"] = np.ascontiguousarray(before["2.weight"].T)
    made = ss.compare([before, after])
    assert made["change"].tolist() == [0.0] * 3
    assert made["longname_b"].tolist() == ["model.0", "model.1", "model.2"]


def test_names_of_another_format_are_matched_by_their_part_in_the_block():
    """An OPT against the same matrices under BERT's names, embeddings by their shape."""
    opt = tiny_opt() | {"model.decoder.embed_tokens.weight": matrix(3, (40, 6))}
    names = {
        "self_attn.q_proj": "attention.self.query",
        "self_attn.k_proj": "attention.self.key",
        "self_attn.v_proj": "attention.self.value",
        "self_attn.out_proj": "attention.output.dense",
        "fc1": "intermediate.dense",
        "fc2": "output.dense",
    }
    bert = {"embeddings.word_embeddings.weight": opt["model.decoder.embed_tokens.weight"]}
    for name, value in tiny_opt().items():
        block, part = name.removeprefix("model.decoder.layers.").removesuffix(".weight").split(".", 1)
        bert[f"encoder.layer.{block}.{names[part]}.weight"] = value
    made = ss.compare([opt, bert], min_evals=1)
    assert len(made) == len(opt)
    assert (made["change"] == 0.0).all()
    assert made.attrs == {"only_a": [], "only_b": []}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([model()], "1 model: give two or more"),
        ([], "0 models: give two or more"),
        ([model(), {"other.weight": matrix(0)}], "no tensor of one belongs to one of the other"),
    ],
)
def test_what_cannot_be_compared_is_refused(models, said):
    with pytest.raises(OptionError, match=said):
        ss.compare(models)
