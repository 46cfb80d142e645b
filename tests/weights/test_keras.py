"""What Keras writes, in every format, against the very models that wrote it; and files of Keras 2 by its layout."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spinspectra import analyze, describe, open_weights, read_layers
from spinspectra.errors import WeightsError
from spinspectra.weights.keras.model import KerasModel
from tests.weights.keras_models import FORMATS, MODELS, arrays, fresh, keras, quantise, save, subclassed

L = keras.layers

# Keras hands tensors to numpy in a way that is about to go.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# Which variables a file without a config cannot name: of several that a layer may be without, some are there.
UNTOLD = {
    ("convolutions", ".weights.h5"): {
        f"batch_normalization.{variable}": f"batch_normalization.vars.{i}"
        for i, variable in enumerate(("beta", "moving_mean", "moving_variance"))
    },
    ("attention", ".weights.h5"): {"layer_normalization.gamma": "layer_normalization.vars.0"},
}
EINSUM = {"einsum_dense.kernel": (8, 3, 4), "einsum_dense_1.kernel": (8, 3, 4)}  # of an equation, which is no matrix


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, dict[str, Path]]]:
    """Every model, and where it is saved in each format."""
    made = {}
    for name, make in {**MODELS, "subclassed": subclassed}.items():
        model, folder = fresh(make), tmp_path_factory.mktemp(name)
        made[name] = model, {suffix: save(model, folder, suffix) for suffix in FORMATS}
    return made


def as_matrix(name: str, shape: tuple[int, ...], suffix: str) -> tuple[int, ...]:
    """What an einsum kernel is read as: (in, heads, width) as (in, heads width), (heads, width, out) likewise."""
    if name in EINSUM:
        return shape if suffix == ".weights.h5" else (8, 12)
    if name.endswith("attention_output.kernel"):
        return shape[0] * shape[1], shape[2]
    if "attention" in name and name.endswith(".kernel"):
        return shape[0], shape[1] * shape[2]
    return shape


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_names_shapes_and_values_are_the_models_own(saved, name: str, suffix: str) -> None:
    model, paths = saved[name]
    weights, untold = open_weights(paths[suffix]), UNTOLD.get((name, suffix), {})
    expected = {untold.get(path, path): values for path, values in arrays(model).items()}
    assert sorted(weights.names()) == sorted(expected)
    assert len(expected) == len(model.get_weights())
    for path, values in expected.items():
        info, read = weights.info(path), weights.read(path)
        assert info.dtype == values.dtype
        assert info.shape == read.shape == as_matrix(path, values.shape, suffix)
        np.testing.assert_array_equal(read.ravel(), values.ravel())


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_modules_are_the_layers_classes(saved, name: str, suffix: str) -> None:
    model, paths = saved[name]
    live, weights = open_weights(model), open_weights(paths[suffix])
    untold = UNTOLD.get((name, suffix), {})
    for path in live.names():
        assert weights.info(untold.get(path, path)).module == live.info(path).module


CLASSES = {
    "convolutions": {
        "stem.kernel": "Conv2D",
        "depthwise_conv2d.kernel": "DepthwiseConv2D",
        "separable_conv2d.pointwise_kernel": "SeparableConv2D",
        "up.kernel": "Conv2DTranspose",
        "p_re_lu.alpha": "PReLU",
        "head.kernel": "Dense",
    },
    "recurrent": {
        "words.embeddings": "Embedding",
        "both.forward_lstm.lstm_cell.kernel": "LSTMCell",
        "gru.gru_cell.recurrent_kernel": "GRUCell",
        "time_distributed.dense.kernel": "Dense",
        "simple_rnn.simple_rnn_cell.kernel": "SimpleRNNCell",
    },
    "attention": {"multi_head_attention.query.kernel": "EinsumDense", "feed_forward.dense.kernel": "Dense"},
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", CLASSES)
def test_classes_by_name(saved, name: str, suffix: str) -> None:
    weights = open_weights(saved[name][1][suffix])
    assert {path: weights.info(path).module for path in CLASSES[name]} == CLASSES[name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_layers_of_a_subclassed_model(saved, suffix: str) -> None:
    """Its config says nothing of them: classes come from the names that Keras gives by itself, borne out by shapes."""
    model, paths = saved["subclassed"]
    weights, expected = open_weights(paths[suffix]), arrays(model)
    if suffix != ".h5":  # a variable of a layer of one's own has no name in Keras 3's files
        for block in ("block", "second"):
            expected[f"{block}.vars.0"] = expected.pop(f"{block}.gain")
    assert sorted(weights.names()) == sorted(expected)
    for path, values in expected.items():
        np.testing.assert_array_equal(weights.read(path).ravel(), values.ravel())
    assert weights.info("block.multi_head_attention.query.kernel").shape == (4, 6)


def test_a_model_in_training_shows_its_weights_and_no_optimizer(tmp_path: Path) -> None:
    model = fresh(lambda: keras.Sequential([keras.Input((4,)), L.Dense(3), L.Dropout(0.5)]))
    model.compile("adam", "mse", metrics=["mae"])
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 3)))
    for suffix in FORMATS:
        assert sorted(open_weights(save(model, tmp_path, suffix)).names()) == ["dense.bias", "dense.kernel"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
@pytest.mark.parametrize("suffix", FORMATS[:2])
def test_other_precisions(tmp_path: Path, suffix: str, dtype: str) -> None:
    model = fresh(lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, dtype=dtype)]))
    weights = open_weights(save(model, tmp_path, suffix))
    kernel = model.layers[0].kernel.value.detach()
    assert weights.info("dense.kernel").dtype == dtype
    np.testing.assert_array_equal(weights.read("dense.kernel"), kernel.double().numpy())
    np.testing.assert_array_equal(open_weights(model).read("dense.kernel"), kernel.double().numpy())


# A model saved as a folder, and older files


@pytest.mark.parametrize("name", ["recurrent", "attention"])
def test_an_unpacked_archive_is_read_as_the_archive(saved, tmp_path: Path, name: str) -> None:
    _model, paths = saved[name]
    with zipfile.ZipFile(paths[".keras"]) as archive:
        archive.extractall(tmp_path)
    assert_same(open_weights(tmp_path), open_weights(paths[".keras"]))


@pytest.mark.parametrize("drop_empty", [False, True], ids=["all groups", "no empty groups"])
@pytest.mark.parametrize("root", ["layers", "_layer_checkpoint_dependencies"])
@pytest.mark.parametrize("name", MODELS)
def test_archives_from_before_layers_had_names(saved, tmp_path: Path, name: str, root: str, drop_empty: bool) -> None:
    """Keras before 3.6 wrote no names beside variables, perhaps no empty groups, 2.12 another root: config tells."""
    path = saved[name][1][".keras"]
    old = rewritten(path, tmp_path, lambda file: strip_names(file, root, drop_empty))
    assert_same(open_weights(old), open_weights(path))


def test_without_names_and_config_places_are_names(saved, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    path.write_bytes(saved["mlp"][1][".weights.h5"].read_bytes())
    with h5py.File(path, "a") as file:
        strip_names(file, "layers", False)
    weights = open_weights(path)
    assert sorted(weights.names()) == [
        f"layers.{layer}"
        for layer in ("dense.bias", "dense.kernel", "dense_1.kernel", "dense_2.bias", "dense_2.kernel")
    ]


def test_attention_and_cells_are_told_by_what_is_in_them(saved, tmp_path: Path) -> None:
    """Where neither names nor a config nor the place tell their class."""
    path = tmp_path / "model.weights.h5"
    for name in ("recurrent", "subclassed"):
        path.write_bytes(saved[name][1][".weights.h5"].read_bytes())
        with h5py.File(path, "a") as file:
            strip_names(file, "layers", False)
        weights = open_weights(path)
        found = {name: (weights.info(name).module, weights.info(name).shape) for name in weights.names()}
        if name == "subclassed":
            assert found["blocks.block_1.attend.query.kernel"] == ("EinsumDense", (4, 6))
            assert found["blocks.block_1.attend.attention_output.kernel"] == ("EinsumDense", (6, 4))
        else:
            assert found["layers.bidirectional.forward_layer.cell.recurrent_kernel"] == ("LSTMCell", (5, 20))
            assert found["layers.gru.gru_cell.kernel"] == ("GRUCell", (10, 12))


def strip_names(file: h5py.File, root: str, drop_empty: bool) -> None:
    groups: list[h5py.Group] = []
    file.visititems(lambda _name, node: groups.append(node) if isinstance(node, h5py.Group) else None)
    for group in reversed(groups):
        if group.name.endswith("/vars"):
            group.attrs.pop("name", None)
            if drop_empty and not len(group):
                del file[group.name]
    if root != "layers":
        file.move("layers", root)


def rewritten(path: Path, folder: Path, change: Any) -> Path:
    """An archive of the same members, its weights changed."""
    made = folder / "old.keras"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(made, "w") as new:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".h5"):
                buffer = io.BytesIO(content)
                with h5py.File(buffer, "a") as file:
                    change(file)
                content = buffer.getvalue()
            new.writestr(name, content)
    return made


def assert_same(one: Any, other: Any) -> None:
    assert sorted(one.names()) == sorted(other.names())
    for name in one.names():
        here, there = one.info(name), other.info(name)
        assert (here.shape, here.dtype, here.module) == (there.shape, there.dtype, there.module)
        np.testing.assert_array_equal(one.read(name), other.read(name))


# Keras 2 and the TensorFlow models of the transformers library, by their documented layout


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def legacy(path: Path, layers: dict[str, dict[str, np.ndarray]], chunk: int | None = None, fixed: bool = True) -> Path:
    """Weights as Keras 2 writes them: lists of names in attributes, cut in numbered ones where they are too long."""

    def put(group: Any, key: str, names: list[str]) -> None:
        data = np.array([name.encode() for name in names]) if fixed else names
        if chunk is None:
            group.attrs[key] = data
        else:
            for i in range(0, len(names), chunk):
                group.attrs[f"{key}{i // chunk}"] = data[i : i + chunk]

    with h5py.File(path, "w") as file:
        put(file, "layer_names", list(layers))
        file.attrs["backend"] = b"tensorflow"
        for layer, weights in layers.items():
            group = file.create_group(layer)
            put(group, "weight_names", list(weights))
            for name, values in weights.items():
                group[name] = values
    return path


@pytest.mark.parametrize(("chunk", "fixed"), [(None, True), (None, False), (1, True)], ids=["fixed", "heap", "chunked"])
def test_weights_of_keras_2(tmp_path: Path, chunk: int | None, fixed: bool) -> None:
    layers = {
        "block1_conv1": {"block1_conv1/kernel:0": random(3, 3, 3, 8), "block1_conv1/bias:0": random(8)},
        "up": {"up/kernel:0": random(5, 5, 2, 7), "up/bias:0": random(2)},
        "wave": {"wave/kernel:0": random(40, 1, 6), "wave/bias:0": random(6)},
        "dw": {"dw/depthwise_kernel:0": random(3, 3, 8, 1)},
        "words": {"words/embeddings:0": random(20, 6)},
        "lstm": {"lstm/lstm_cell/kernel:0": random(6, 16), "lstm/lstm_cell/recurrent_kernel:0": random(4, 16)},
        "attend": {
            "attend/query/kernel:0": random(6, 2, 3),
            "attend/query/bias:0": random(2, 3),
            "attend/attention_output/kernel:0": random(2, 3, 6),
            "attend/attention_output/bias:0": random(6),
        },
        "conv1/bn": {"conv1/bn/gamma:0": random(3)},
        "inner": {"dense/kernel:0": random(4, 5), "dense/bias:0": random(5)},
        "other": {"dense/kernel:0": random(5, 5)},
        "old": {"old_W": random(2, 3)},
    }
    weights = open_weights(legacy(tmp_path / "x.h5", layers, chunk, fixed))
    modules = {
        "block1_conv1.kernel": "Conv2D",
        "up.kernel": "Conv2DTranspose",
        "wave.kernel": "Conv1D",
        "dw.depthwise_kernel": "SeparableConv2D",
        "words.embeddings": "Embedding",
        "attend.query.kernel": "EinsumDense",
        "attend.attention_output.kernel": "EinsumDense",
        "inner.dense.kernel": "Dense",
    }
    assert {name: weights.info(name).module for name in modules} == modules
    names = [name for name in weights.names() if name not in modules]
    assert names == [
        "block1_conv1.bias",
        "up.bias",
        "wave.bias",
        "lstm.lstm_cell.kernel",
        "lstm.lstm_cell.recurrent_kernel",
        "attend.query.bias",
        "attend.attention_output.bias",
        "conv1.bn.gamma",
        "dense.bias",
        "other.dense.kernel",
        "old.old_W",
    ]
    stored = [values for layer in layers.values() for values in layer.values()]
    for name, values in zip(weights.names(), stored, strict=True):
        np.testing.assert_array_equal(weights.read(name).ravel(), values.ravel())
    assert weights.info("attend.query.kernel").shape == weights.info("attend.attention_output.kernel").shape == (6, 6)


def tf_bert(scope: str, heads: bool) -> dict[str, dict[str, np.ndarray]]:
    stem = f"{scope}/bert/encoder/layer_._{{i}}"
    parts = {"attention/self/query": (8, 8), "attention/output/dense": (8, 8), "intermediate/dense": (8, 32)}
    bert = {f"{scope}/bert/embeddings/word_embeddings/weight:0": random(30, 8)}
    for i in range(11):
        for part, shape in parts.items():
            bert[f"{stem.format(i=i)}/{part}/kernel:0"] = random(*shape)
            bert[f"{stem.format(i=i)}/{part}/bias:0"] = random(shape[1])
        bert[f"{stem.format(i=i)}/output/LayerNorm/gamma:0"] = random(8)
    layers = {"bert": bert}
    if heads:
        layers["mlm___cls"] = {f"{scope}/mlm___cls/predictions/bias:0": random(30)}
    return {**layers, "dropout_37": {}}


@pytest.mark.parametrize("heads", [False, True], ids=["model", "with head"])
def test_tensorflow_models_of_the_transformers_library(tmp_path: Path, heads: bool) -> None:
    scope = "tf_bert_for_masked_lm" if heads else "tf_bert_model"
    layers = tf_bert(scope, heads)
    weights = open_weights(legacy(tmp_path / "tf_model.h5", layers))
    prefix = "bert." if heads else ""
    name = f"{prefix}encoder.layer.10.attention.self.query.kernel"
    np.testing.assert_array_equal(
        weights.read(name), layers["bert"][f"{scope}/bert/encoder/layer_._10/attention/self/query/kernel:0"]
    )
    assert weights.info(name).module == "Dense"
    assert f"{prefix}embeddings.word_embeddings.weight" in weights.names()
    assert len(weights.names()) == 1 + 11 * 7 + heads
    assert ("mlm___cls.predictions.bias" in weights.names()) == heads
    assert describe(weights).set_index("name").loc[f"{prefix}embeddings.word_embeddings.weight", "kind"] == "embedding"


def test_any_other_hdf5_file_shows_its_floats_by_path(tmp_path: Path) -> None:
    arrays = {
        "net/0/w": random(3, 4),
        "net/0.w": random(2),
        "half": random(4).astype("f2"),
        "big": random(5).astype(">f8"),
    }
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values
        file["steps"], file["label"], file["list"] = np.arange(3), "text", h5py.Empty("f4")
        file["tied"] = file["net/0/w"]
    weights = open_weights(tmp_path / "x.h5")
    assert sorted(weights.names()) == ["big", "half", "list", "net/0.w", "net/0/w", "tied"]
    for name, values in arrays.items():
        assert weights.info(name).dtype == values.dtype
        np.testing.assert_array_equal(weights.read(name), values)
    first, second = (name for name in weights.names() if name in ("net/0/w", "tied"))
    assert (weights.info(first).same_as, weights.info(second).same_as) == ("", first)


# int8


def quantised(mode: str) -> tuple[Any, dict[str, np.ndarray]]:
    def make() -> Any:
        x = tokens = keras.Input((5, 8))
        x = L.MultiHeadAttention(2, 3)(x, x)
        x = L.Dense(8, name="square")(x)
        x = L.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="e")(x)
        x = L.EinsumDense("abde,fde->abf", (None, 6), name="backwards")(x)
        return keras.Model(tokens, L.EinsumDense("abc,cde->abed", (None, 4, 3), name="crossed")(x))

    model = fresh(make)
    before = arrays(model)
    quantise(model, mode)
    return model, before


def test_int8_codes_are_read_as_the_numbers_they_stand_for(tmp_path: Path) -> None:
    """Half a step of 1/127 of the largest of each output is what Keras's rounding may take."""
    model, before = quantised("int8")
    sources = [open_weights(model), *(open_weights(save(model, tmp_path, suffix)) for suffix in FORMATS[::2])]
    for weights in sources:
        kernels = [name for name in weights.names() if name.endswith("kernel")]
        assert not any("scale" in name for name in weights.names() if "crossed" not in name)
        assert sorted(kernels) == sorted(name for name in before if name.endswith("kernel"))
        for name in kernels:
            info = weights.info(name)
            if name == "crossed.kernel":  # its scales stand in another order than its columns
                assert info.format == "int8 codes of Keras"
                with pytest.raises(WeightsError, match=r"crossed\.kernel is stored as int8 codes of Keras, which are"):
                    weights.read(name)
                continue
            values, out_axis = before[name].reshape(info.shape), 1 if name == "backwards.kernel" else 0
            step = np.abs(values).max(axis=out_axis, keepdims=True) / 127
            assert (info.scheme, info.dtype) == ("int8 (Keras)", np.float32)
            assert info.stored_bytes == values.size + 4 * step.size
            assert np.all(np.abs(weights.read(name) - values) <= 0.501 * step)


def test_int8_embeddings_have_a_scale_a_row(tmp_path: Path) -> None:
    model = fresh(lambda: keras.Sequential([keras.Input((5,)), L.Embedding(9, 6)]))
    values = arrays(model)["embedding.embeddings"]
    quantise(model, "int8")
    for weights in (open_weights(model), open_weights(save(model, tmp_path, ".keras"))):
        assert weights.names() == ["embedding.embeddings"]
        error = np.abs(weights.read("embedding.embeddings") - values)
        assert np.all(error <= 0.501 * np.abs(values).max(axis=1, keepdims=True) / 127)


def test_int4_codes_and_codes_without_a_config_are_refused_by_name(tmp_path: Path) -> None:
    model = fresh(lambda: keras.Sequential([keras.Input((8,)), L.Dense(8), L.Dense(8)]))
    quantise(model, "int4")
    weights = open_weights(save(model, tmp_path, ".keras"))
    assert weights.info("dense.kernel").format == "int4 codes of Keras"
    assert "int4 codes of Keras, a quantised" in describe(weights).set_index("name").loc["dense.kernel", "skipped"]
    weights = open_weights(save(model, tmp_path, ".weights.h5"))
    with pytest.raises(
        WeightsError, match=r"dense\.kernel is stored as int8 or int4 codes of Keras, which are not read"
    ):
        weights.read("dense.kernel")


# Live models


@pytest.mark.parametrize("name", [*MODELS, "subclassed"])
def test_a_live_model_is_analysed_as_its_file(saved, name: str) -> None:
    model, paths = saved[name]
    live = open_weights(model)
    assert isinstance(live, KerasModel)
    assert sorted(live.names()) == sorted(arrays(model))
    tables = [
        analyze(source, min_evals=3).set_index("longname").sort_index().drop(columns=["layer_id"])
        for source in (live, paths[".keras"])
    ]
    if name == "subclassed":
        tables = [table[~table.index.str.contains(r"block\.gain|second\.gain|vars")] for table in tables]
    assert len(tables[0]) > 1
    assert tables[0].equals(tables[1]), name


def test_live_values_are_those_of_now(saved) -> None:
    model = fresh(MODELS["mlp"])
    weights = open_weights(model)
    before = weights.read("dense.kernel").copy()
    model.layers[0].kernel.assign(before + 1)
    np.testing.assert_array_equal(weights.read("dense.kernel"), before + 1)


def test_a_live_layer_and_one_that_is_shared() -> None:
    def make() -> Any:
        shared, x = L.Dense(4, name="shared"), keras.Input((4,))
        inner = keras.Sequential([keras.Input((4,)), shared], name="inner")
        return keras.Model(x, L.Dense(2)(shared(inner(x))))

    model = fresh(make)
    assert len(open_weights(model).names()) == len(model.weights) == 4
    layer = model.layers[-1]
    np.testing.assert_array_equal(open_weights(layer).read("kernel"), arrays(model)["dense.kernel"])


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"Sequential \w+: has no weights yet; build the model first"):
        open_weights(keras.Sequential([L.Dense(3)]))


def test_nothing_of_keras_is_needed_to_read(saved, tmp_path: Path) -> None:
    """Neither Keras, nor TensorFlow, nor HDF5's library is imported."""
    import subprocess
    import sys

    code = (
        "import sys; from spinspectra import open_weights; w = open_weights(sys.argv[1]); w.read(w.names()[0]);"
        "print(sorted({'keras', 'tensorflow', 'h5py', 'torch'} & set(sys.modules)))"
    )
    path = str(saved["mlp"][1][".keras"])
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_layers_are_counted_in_blocks_of_the_table(saved) -> None:
    """Kinds and matrices of a model with every recurrent layer, as `read_layers` gives them."""
    layers = {layer.name: layer for layer in read_layers(saved["recurrent"][1][".keras"]) if layer.n_matrices}
    found = {name: (layer.kind, layer.n_matrices) for name, layer in layers.items()}
    assert found == {
        "words.embeddings": ("embedding", 1),
        "both.forward_lstm.lstm_cell.kernel": ("recurrent", 4),
        "both.forward_lstm.lstm_cell.recurrent_kernel": ("recurrent", 4),
        "both.backward_lstm.lstm_cell.kernel": ("recurrent", 4),
        "both.backward_lstm.lstm_cell.recurrent_kernel": ("recurrent", 4),
        "gru.gru_cell.kernel": ("recurrent", 3),
        "gru.gru_cell.recurrent_kernel": ("recurrent", 3),
        "time_distributed.dense.kernel": ("dense", 1),
        "rnn.stacked_rnn_cells.lstm_cell.kernel": ("recurrent", 4),
        "rnn.stacked_rnn_cells.lstm_cell.recurrent_kernel": ("recurrent", 4),
        "rnn.stacked_rnn_cells.gru_cell.kernel": ("recurrent", 3),
        "rnn.stacked_rnn_cells.gru_cell.recurrent_kernel": ("recurrent", 3),
        "rnn.stacked_rnn_cells.lstm_cell_1.kernel": ("recurrent", 4),
        "rnn.stacked_rnn_cells.lstm_cell_1.recurrent_kernel": ("recurrent", 4),
        "simple_rnn.simple_rnn_cell.kernel": ("recurrent", 1),
        "simple_rnn.simple_rnn_cell.recurrent_kernel": ("recurrent", 1),
    }


def test_config_is_passed_on(saved) -> None:
    path = saved["mlp"][1][".keras"]
    assert open_weights(path).config is None
    assert open_weights(path, {"model_type": "x"}).config == {"model_type": "x"}
    assert json.loads(zipfile.ZipFile(path).read("config.json"))["class_name"] == "Sequential"
