"""Layers as they lie in a checkpoint: order, kinds, matrices, and the table of `describe`."""

from itertools import product
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spinspectra import describe, read_layers
from spinspectra.errors import WeightsError
from spinspectra.weights import TensorInfo
from tests.layers.models import BLOCKS, NAMES, ROLES, build, disk_arrays, memory_arrays, save

COLUMNS = ["layer_id", "name", "kind", "dtype", "shape", "params", "bytes", "chain"]
COLUMNS += ["N", "M", "rf", "num_evals", "same_as", "skipped"]


def network() -> torch.nn.Module:
    """One of everything that torch calls a layer of weights."""
    torch.manual_seed(0)
    parts = {
        "conv1": torch.nn.Conv1d(2, 3, 4),
        "conv2": torch.nn.Conv2d(2, 3, (2, 5)),
        "conv3": torch.nn.Conv3d(2, 3, (1, 2, 3)),
        "pointwise": torch.nn.Conv2d(4, 6, 1),
        "token_embedding": torch.nn.Embedding(7, 4),
        "dense": torch.nn.Linear(4, 5),
        "norm": torch.nn.LayerNorm(5),
        "batch_norm": torch.nn.BatchNorm2d(3),
    }
    return torch.nn.ModuleDict(parts)


def by_name(source: Any) -> dict[str, Any]:
    return {layer.name: layer for layer in read_layers(source)}


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_numbers_in_names_count_as_numbers(numbers: list[int]) -> None:
    arrays = {f"h.{number}.weight": np.ones((2, 2), np.float32) for number in numbers}
    layers = list(read_layers(arrays))
    assert [layer.name for layer in layers] == [f"h.{number}.weight" for number in sorted(numbers)]
    assert [layer.index for layer in layers] == list(range(len(numbers)))


def test_block_2_comes_before_block_10(tmp_path: Path) -> None:
    layers = read_layers(save(build("GPT-2", n_blocks=11), tmp_path))
    fused = [layer.name for layer in layers if layer.name.endswith("c_attn.weight")]
    assert fused == [f"h.{block}.attn.c_attn.weight" for block in range(11)]


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_is_a_layer_as_stored(name: str, tmp_path: Path) -> None:
    arrays = disk_arrays(build(name, headed=True), tmp_path)
    layers = by_name(tmp_path)
    assert layers.keys() == arrays.keys()
    for key, layer in layers.items():
        assert (layer.shape, layer.dtype) == (arrays[key].shape, arrays[key].dtype)
        assert len(layer.matrices()) == layer.n_matrices
        if layer.kind in ("dense", "embedding"):
            np.testing.assert_array_equal(layer.matrices()[0], arrays[key])


def test_kinds_of_a_torch_network() -> None:
    kinds = {name: layer.kind for name, layer in by_name(network()).items()}
    assert kinds == {
        "conv1.weight": "conv1d",
        "conv2.weight": "conv2d",
        "conv3.weight": "conv3d",
        "pointwise.weight": "conv2d",
        "token_embedding.weight": "embedding",
        "dense.weight": "dense",
        "norm.weight": "norm",
        "batch_norm.weight": "norm",
        "batch_norm.running_mean": "other",
        "batch_norm.running_var": "other",
        "batch_norm.num_batches_tracked": "other",
        **{f"{name}.bias": "bias" for name in ("conv1", "conv2", "conv3", "pointwise", "dense", "norm", "batch_norm")},
    }


@pytest.mark.parametrize(
    ("family", "kinds"),
    [
        (
            "GPT-2",
            {
                "transformer.wte.weight": "embedding",
                "transformer.wpe.weight": "embedding",
                "transformer.h.0.ln_1.weight": "norm",
                "transformer.h.0.ln_1.bias": "bias",
                "transformer.h.0.attn.c_attn.weight": "dense",
                "transformer.h.0.mlp.c_proj.bias": "bias",
                "lm_head.weight": "dense",
            },
        ),
        (
            "BERT",
            {
                "bert.embeddings.word_embeddings.weight": "embedding",
                "bert.embeddings.position_embeddings.weight": "embedding",
                "bert.embeddings.LayerNorm.weight": "norm",
                "bert.encoder.layer.0.attention.self.query.weight": "dense",
                "cls.predictions.bias": "bias",
            },
        ),
        ("OPT", {"model.decoder.embed_positions.weight": "embedding", "model.decoder.project_in.weight": "dense"}),
        ("BLOOM", {"transformer.word_embeddings.weight": "embedding"}),
        (
            "DeiT",
            {
                "deit.embeddings.cls_token": "other",
                "deit.embeddings.distillation_token": "other",
                "deit.embeddings.position_embeddings": "other",
                "deit.embeddings.patch_embeddings.projection.weight": "conv2d",
                "deit.layers.0.attention.q_proj.weight": "dense",
                "cls_classifier.weight": "dense",
            },
        ),
        ("BEiT", {"beit.layers.0.lambda_1": "norm", "beit.embeddings.patch_embeddings.projection.weight": "conv2d"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kinds_of_a_transformer(family: str, kinds: dict[str, str]) -> None:
    layers = by_name(build(family, headed=True))
    assert {name: layers[name].kind for name in kinds} == kinds


def test_relative_position_tables_are_no_matrices() -> None:
    layers = by_name(build("BEiT"))
    tables = [layer for name, layer in layers.items() if "relative_position" in name]
    assert len(tables) >= BLOCKS
    assert {(layer.kind, layer.n_matrices) for layer in tables} == {("other", 0)}


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.bool_])
def test_old_causal_masks_are_no_convolutions(dtype: type) -> None:
    arrays = {"h.0.attn.bias": np.ones((1, 1, 8, 8), dtype), "h.0.attn.masked_bias": np.array(-1e4, np.float32)}
    for layer in read_layers(arrays):
        assert (layer.kind, layer.n_matrices, layer.matrices()) == ("other", 0, [])


@pytest.mark.parametrize("name", ["conv1.weight", "conv2.weight", "conv3.weight", "pointwise.weight"])
def test_a_convolution_gives_its_slice_at_every_kernel_position(name: str) -> None:
    module = network()
    kernel = module.state_dict()[name].numpy()
    positions = list(product(*(range(size) for size in kernel.shape[2:])))
    layer = by_name(module)[name]
    matrices = layer.matrices()
    assert layer.n_matrices == len(matrices) == len(positions)
    for matrix, position in zip(matrices, positions, strict=True):
        np.testing.assert_array_equal(matrix, kernel[(slice(None), slice(None), *position)])


def test_convolution_slices_add_up_to_the_convolution() -> None:
    """A 1-d convolution is the sum over kernel positions of slice times shifted input."""
    module = network()
    signal = torch.randn(2, 9)
    slices = by_name(module)["conv1.weight"].matrices()
    shifted = (torch.from_numpy(matrix) @ signal[:, k : k + 6] for k, matrix in enumerate(slices))
    expected = torch.nn.functional.conv1d(signal[None], module["conv1"].weight)[0]
    torch.testing.assert_close(sum(shifted), expected)


def test_vectors_have_no_matrices() -> None:
    layers = by_name(network())
    for name in ("norm.weight", "dense.bias", "batch_norm.running_var"):
        assert (layers[name].n_matrices, layers[name].matrices()) == (0, [])


def test_dtype_is_as_stored_and_values_are_widened() -> None:
    values = np.array([[1.5, -0.25], [3.0, 0.125]])
    dtypes = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16, "float32": np.float32, "float64": np.float64}
    layers = by_name({f"{name}.weight": values.astype(dtype) for name, dtype in dtypes.items()})
    for name in dtypes:
        layer = layers[f"{name}.weight"]
        assert (layer.kind, layer.dtype) == ("dense", name)
        (matrix,) = layer.matrices()
        assert matrix.dtype == (np.float64 if name == "float64" else np.float32)
        np.testing.assert_array_equal(matrix, values)


def test_empty_and_integer_tensors_hold_no_matrices() -> None:
    arrays = {"empty.weight": np.ones((0, 4), np.float32), "index.weight": np.ones((4, 4), np.int64)}
    for layer in read_layers(arrays):
        assert (layer.kind, layer.matrices()) == ("other", [])


def test_nothing_is_read_before_it_is_asked_for() -> None:
    class Headers:
        source, config = "headers", None

        def names(self) -> list[str]:
            return ["dense.weight"]

        def info(self, name: str) -> TensorInfo:
            return TensorInfo((3, 2), np.dtype(np.float32), "headers")

        def read(self, name: str) -> Any:
            raise WeightsError("read too early")

    (layer,) = read_layers(Headers())
    assert (layer.kind, layer.shape) == ("dense", (3, 2))
    assert list(describe(Headers())["name"]) == ["dense.weight"]
    with pytest.raises(WeightsError, match="read too early"):
        layer.matrices()


@pytest.mark.parametrize("name", NAMES)
def test_table_has_one_row_a_tensor(name: str, tmp_path: Path) -> None:
    arrays = disk_arrays(build(name, headed=True), tmp_path)
    table = describe(tmp_path)
    assert list(table.columns) == COLUMNS
    assert sorted(table["name"]) == sorted(arrays)
    assert list(table["layer_id"]) == list(range(len(arrays)))
    for row in table.itertuples():
        array = arrays[row.name]
        assert (row.shape, row.params, row.bytes, row.dtype) == (array.shape, array.size, array.nbytes, "float32")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("names", ["disk", "memory"])
def test_table_names_the_part_in_the_chain(name: str, names: str, tmp_path: Path) -> None:
    model = build(name, headed=True)
    table = describe(save(model, tmp_path) if names == "disk" else model)
    labels = table[table["chain"] != ""]["chain"].value_counts().to_dict()
    n_qkv = 1 if name in ("GPT-2", "BLOOM") else 3
    assert labels == {f"{block}.{role}": n_qkv if role == "qkv" else 1 for block, role in product(range(BLOCKS), ROLES)}


def chain_column(table: pd.DataFrame) -> dict[str, str]:
    return {row.name: row.chain for row in table.itertuples() if row.chain}


def test_chain_column_of_gpt2_and_bert() -> None:
    gpt2 = {"attn.c_attn": "qkv", "attn.c_proj": "proj", "mlp.c_fc": "fc1", "mlp.c_proj": "fc2"}
    bert = {f"attention.self.{part}": "qkv" for part in ("query", "key", "value")}
    bert |= {"attention.output.dense": "proj", "intermediate.dense": "fc1", "output.dense": "fc2"}
    for name, stem, parts in (("GPT-2", "transformer.h", gpt2), ("BERT", "bert.encoder.layer", bert)):
        expected = {
            f"{stem}.{block}.{part}.weight": f"{block}.{role}"
            for block in range(BLOCKS)
            for part, role in parts.items()
        }
        assert chain_column(describe(build(name, headed=True))) == expected


@pytest.mark.parametrize("make", [network, lambda: {"h.0.attn.c_attn.weight": np.ones((4, 11), np.float32)}])
def test_table_without_a_chain(make: Any) -> None:
    source = make()
    table = describe(source)
    n_tensors = len(source) if isinstance(source, dict) else len(source.state_dict())
    assert len(table) == n_tensors
    assert set(table["chain"]) == {""}


def test_shared_tensors_each_have_a_row() -> None:
    model = build("GPT-2", headed=True)
    table = describe(model).set_index("name")
    assert table.loc["lm_head.weight", "kind"] == "dense"
    assert table.loc["transformer.wte.weight", "kind"] == "embedding"
    assert table.loc["lm_head.weight", "skipped"] == "tied to transformer.wte.weight"
    assert len(table) == len(memory_arrays(model))
