"""A checkpoint minus the one it started from: pairing by name, what is refused, and the rounding that is left."""

import pickle

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spinspectra import analyze, describe, open_weights
from spinspectra.errors import WeightsError
from spinspectra.weights import differences as module
from spinspectra.weights.differences import difference
from tests.minilm import FOLDER

BF16 = ml_dtypes.bfloat16
QUERY = "encoder.layer.2.attention.self.query.weight"
FC1 = "encoder.layer.3.intermediate.dense.weight"


def gaussian(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class HeadersOnly:
    """Weights that must not be read."""

    source, config = "headers", {"model_type": "bert"}

    def __init__(self, *names):
        self._names = names

    def names(self):
        return list(self._names)

    def info(self, name):
        return open_weights({name: np.zeros((2, 3), np.float32)}).info(name)

    def read(self, name):
        raise AssertionError(f"{name} was read")


def edge(found, name):
    """The singular value up to which there is only rounding, by what `rounding` promises."""
    shape = found.info(name).shape
    return found.rounding(name) * (np.sqrt(shape[0]) + np.sqrt(shape[1]))


def test_any_two_formats_are_subtracted_by_name(tmp_path):
    live = torch.nn.Linear(3, 2)
    save_file({"bias": np.ones(2, np.float32), "weight": np.full((2, 3), 0.5, np.float32)}, tmp_path / "b.safetensors")
    found = difference(live, tmp_path / "b.safetensors")
    assert found.names() == ["weight", "bias"]
    np.testing.assert_array_equal(found.read("weight"), live.weight.detach().numpy() - np.float32(0.5))
    np.testing.assert_array_equal(found.read("bias"), live.bias.detach().numpy() - np.float32(1.0))
    assert found.source == f"Linear - {tmp_path / 'b.safetensors'}"


def test_opening_reads_headers_only():
    found = difference(HeadersOnly("a", "b"), HeadersOnly("b", "a"))
    assert found.config == {"model_type": "bert"}
    assert len(describe(found)) == 2


def test_a_layer_more_in_the_base_shifts_no_pair():
    model = {"a": gaussian(1, 64, 64), "c": gaussian(3, 64, 64)}
    base = {"a": model["a"], "b": gaussian(2, 64, 64), "c": model["c"]}
    assert analyze(difference(model, base))["norm"].tolist() == [0.0, 0.0]


def test_a_layer_that_the_base_lacks_costs_its_own_row():
    model = {"a": gaussian(1, 64, 64), "b": gaussian(2, 64, 64), "c": gaussian(3, 64, 64)}
    base = {"a": gaussian(4, 64, 64), "c": gaussian(5, 64, 48)}
    table = analyze(difference(model, base)).set_index("longname")
    assert table["status"].tolist() == ["success", "failed", "failed"]
    assert table["reason"]["b"] == "mapping of arrays: b is not in mapping of arrays; no difference"
    assert "c has shape (64, 64), in mapping of arrays (64, 48); no difference" in table["reason"]["c"]
    expected = float(np.square(model["a"] - base["a"], dtype=np.float64).sum())
    assert table["norm"]["a"] == pytest.approx(expected, rel=1e-12)


def test_a_transposed_tensor_is_not_turned():
    found = difference({"a": gaussian(1, 4, 6)}, {"a": gaussian(1, 6, 4)})
    with pytest.raises(WeightsError, match=r"a has shape \(4, 6\), .* \(6, 4\), transposed; no difference"):
        found.read("a")


@pytest.mark.parametrize("prefix", ["bert.", "base_model.model.", "model."])
def test_either_side_may_carry_a_prefix_more(prefix):
    bare = {"x.weight": gaussian(1, 3, 4), "x.bias": gaussian(2, 3)}
    longer = {prefix + name: value + 1 for name, value in bare.items()} | {"head.weight": gaussian(3, 2, 3)}
    found = difference(longer, bare)
    np.testing.assert_array_equal(found.read(f"{prefix}x.weight"), longer[f"{prefix}x.weight"] - bare["x.weight"])
    with pytest.raises(WeightsError, match=r"head\.weight is not in"):
        found.read("head.weight")
    np.testing.assert_array_equal(difference(bare, longer).read("x.bias"), bare["x.bias"] - longer[f"{prefix}x.bias"])


def test_a_prefix_is_no_way_out_where_names_are_equal():
    model = {"head.weight": gaussian(1, 3, 3), "bert.x.weight": gaussian(2, 3, 3)}
    found = difference(model, {"head.weight": gaussian(3, 3, 3), "x.weight": gaussian(4, 3, 3)})
    with pytest.raises(WeightsError, match=r"bert\.x\.weight is not in"):
        found.read("bert.x.weight")


@pytest.mark.parametrize(
    ("model", "base", "message"),
    [
        (["a"], ["b"], "no tensor has the same name in headers; theirs begin with a and b$"),
        (["xa.weight"], ["a.weight"], "no tensor has the same name"),  # a prefix ends with a dot
        (["q.lora_A.weight"], ["q.weight"], "it is an adapter, merge it first"),
        (["0.weight", "1.weight"], ["weight"], "names fit as well under '0.' as under '1.'"),
    ],
)
def test_names_that_do_not_settle_the_pairs_are_refused(model, base, message):
    with pytest.raises(WeightsError, match=message):
        difference(HeadersOnly(*model), HeadersOnly(*base))


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [(BF16, BF16, "float32"), ("f2", "f4", "float32"), ("f4", "f8", "float64"), ("f8", "f4", "float64")],
)
def test_the_dtype_is_that_of_the_values(ours, theirs, expected):
    found = difference({"a": np.ones((3, 4), ours)}, {"a": np.ones((3, 4), theirs)})
    assert found.info("a").dtype == found.read("a").dtype == expected


def test_integers_stay_integers_and_have_no_rounding():
    found = difference({"position_ids": np.arange(12).reshape(3, 4)}, {"position_ids": np.ones((3, 4), int)})
    assert found.info("position_ids").dtype == "int64"
    assert found.rounding("position_ids") is None


def test_one_memory_in_both_is_one_difference():
    tied, base = gaussian(1, 9, 8), gaussian(2, 9, 8)
    model = {"embed.weight": tied, "head.weight": tied}
    both = difference(model, {"embed.weight": base, "head.weight": base})
    assert both.info("head.weight").same_as == "embed.weight"
    assert difference(model, {"embed.weight": base}).info("head.weight").same_as == "embed.weight"
    assert difference(model, {"embed.weight": base, "head.weight": base.copy()}).info("head.weight").same_as == ""


def test_it_travels_to_other_processes():
    found = pickle.loads(pickle.dumps(difference(FOLDER, FOLDER)))
    assert not found.read(QUERY).any()


# Numbers from 1 to 2 are 2^-7 apart in bfloat16, 2^-10 in float16, 2^-23 in float32.
@pytest.mark.parametrize(
    ("ours", "theirs", "spacings"), [(BF16, BF16, (-7, -7)), (BF16, "f4", (-7,)), ("f2", BF16, (-10, -7))]
)
@pytest.mark.parametrize("shape", [(40, 30), (16, 8, 3), (4, 9, 8), (16, 8, 3, 3), (50,)])
def test_equal_noise_has_the_variance_of_rounding(ours, theirs, spacings, shape):
    model = {"a": np.full(shape, 1.75).astype(ours)}
    base = {"a": np.full(shape, 1.25).astype(theirs)}
    expected = np.sqrt(sum(4.0**spacing for spacing in spacings) / 12)
    assert difference(model, base).rounding("a") == pytest.approx(expected, rel=1e-6)


def test_equal_tensors_have_no_rounding():
    values = {"a": gaussian(1, 30, 20).astype(BF16)}
    found = difference(values, values)
    assert found.rounding("a") == 0.0
    assert not found.read("a").any()


def test_the_noise_is_never_more_than_the_difference():
    base = np.ones((30, 20), BF16)
    model = base.copy()
    model[3, 4] = 1 + 2.0**-7
    found = difference({"a": model}, {"a": base})
    # no row and no column has more than the one entry that differs, though 20 and 30 numbers in them are rounded
    assert edge(found, "a") == pytest.approx(2.0**-7 + 2.0**-7, rel=1e-12)


@pytest.mark.parametrize("name", [QUERY, FC1, "embeddings.position_embeddings.weight"])
def test_what_bfloat16_takes_away_from_a_trained_weight_is_all_rounding(name):
    """W less its own rounding has only rounding in it, in full rank; a spectrum of its own size shows none of that."""
    weights = open_weights(FOLDER).read(name)
    found = difference({name: weights}, {name: weights.astype(BF16)})
    values = np.linalg.svd(found.read(name).astype(np.float64), compute_uv=False)
    assert values[0] < edge(found, name) < 2 * values[0]
    assert values[-1] > np.finfo(np.float32).eps * values[0] * 10


@pytest.mark.parametrize("name", [QUERY, FC1])
@pytest.mark.parametrize("relative", [0.003, 0.01, 0.1])
def test_the_rank_of_a_change_shows_through_bfloat16(name, relative):
    """A change of rank 8 and of 0.3 % to 10 % of a trained weight, both stored as bfloat16 (spacing up to 0.8 %)."""
    weights = open_weights(FOLDER).read(name).astype(np.float64)
    change = gaussian(1, weights.shape[0], 8).astype(float) @ gaussian(2, 8, weights.shape[1])
    change *= relative * np.sqrt(np.mean(weights**2) / np.mean(change**2))
    found = difference({name: (weights + change).astype(BF16)}, {name: weights.astype(BF16)})
    values = np.linalg.svd(found.read(name), compute_uv=False)
    assert np.count_nonzero(values > edge(found, name)) == 8


@pytest.mark.parametrize("shape", [(37, 20), (6, 9, 8), (12, 7, 3)])
def test_rounding_does_not_depend_on_how_many_rows_are_summed_at_once(shape, monkeypatch):
    found = difference({"a": gaussian(1, *shape).astype(BF16)}, {"a": gaussian(2, *shape).astype(BF16)})
    at_once = found.rounding("a")
    monkeypatch.setattr(module, "_CHUNK", 50)
    assert found.rounding("a") == pytest.approx(at_once, rel=1e-12)


def test_nan_and_infinity_cost_their_own_row():
    bad = gaussian(1, 20, 20)
    bad[2, 3], bad[4, 5] = np.nan, np.inf
    table = analyze(difference({"a": bad, "b": gaussian(2, 20, 20)}, {"a": bad, "b": gaussian(3, 20, 20)}))
    assert table["status"].tolist() == ["failed", "success"]
    assert table["reason"][0] == "2 of 400 values are NaN or infinite"
