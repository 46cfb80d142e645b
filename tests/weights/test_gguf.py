"""GGUF files: models as llama.cpp's converter writes them, every number format, parts, both orders of bytes."""

import struct
import sys
import time

import gguf
import ml_dtypes
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from spinspectra import analyze, describe, open_weights
from spinspectra.errors import MissingExtraError, WeightsError
from spinspectra.weights.gguf.model import MODEL_TYPES
from tests.attacks.cost import measured
from tests.weights import gguf_models
from tests.weights.gguf_models import architecture, metadata, pairs, random_model, sorted_apart, turned, write

PLAIN = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I8": np.int8, "I16": np.int16, "I32": np.int32}
PLAIN |= {"I64": np.int64}
HEADS = {"attention.head_count": 4, "attention.head_count_kv": 2}


def answers(call, kind):
    """Whether the package can quantise to a type, or dequantise it."""
    block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    given = np.zeros((1, n_bytes), np.uint8) if call is quants.dequantize else np.zeros((1, block), np.float32)
    try:
        call(given, kind)
    except NotImplementedError:
        return False
    return True


BLOCKS = [kind for kind in Type if kind.name not in (*PLAIN, "BF16")]
READ = [kind for kind in BLOCKS if answers(quants.dequantize, kind)]
WRITTEN = [kind for kind in READ if answers(quants.quantize, kind)]


def stored(values, kind):
    """Values as the file holds them, and as they then are."""
    if kind == "BF16":
        rounded = values.astype(ml_dtypes.bfloat16)
        return (rounded.view(np.uint16), Type.BF16), rounded.astype(np.float32)
    rounded = values.astype(PLAIN[kind])
    return rounded, rounded.astype(np.float64)


def raw_blocks(rng, shape, kind):
    """Blocks of a type, of random values where the package can quantise, else of random bytes."""
    if kind in WRITTEN:
        return quants.quantize(rng.normal(size=shape).astype(np.float32), kind)
    block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    return rng.integers(0, 256, (*shape[:-1], shape[-1] // block * n_bytes), dtype=np.uint8)


def dequantised(raw, kind):
    with np.errstate(all="ignore"):  # random scales may be infinite
        return quants.dequantize(raw, kind)


# Models


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("key", gguf_models.CONFIGS)
def test_a_converted_model_has_the_tensors_of_its_module(tmp_path, key, kind):
    """Names, shapes, values and the order of rows; matrices are stored in `kind`, vectors in float32."""
    expected, tensors = {}, {}
    for name, pair in pairs(key).items():
        as_stored = kind if pair.own.ndim > 1 else "F32"
        expected[name] = stored(pair.own, as_stored)[1]
        tensors[name] = stored(pair.written, as_stored)[0]
    weights = open_weights(write(tmp_path / "x.gguf", architecture(key), tensors, metadata(key)))
    assert weights.names() == list(expected)
    for name, values in expected.items():
        info = weights.info(name)
        assert (info.shape, info.scheme) == (values.shape, "")
        assert (
            info.dtype == {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[kind if values.ndim > 1 else "F32"]
        )
        read = weights.read(name)
        assert read.dtype == np.float32
        shifted = key == "gemma2" and name.endswith("norm.weight")  # 1 was added and is taken off again
        np.testing.assert_allclose(read, values, rtol=0, atol=2e-7 if shifted else 0)


@pytest.mark.parametrize("key", ["llama", "bloom", "gpt2"])
def test_transformers_reads_the_same_model_from_these_files(tmp_path, key):
    """The peer undoes the conversion of these three too: what it reads is the model, so the test files are right."""
    said = metadata(key) | {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a"] * 48}
    tensors = {name: pair.written for name, pair in pairs(key).items()}
    model = random_model(key)
    path = write(tmp_path / "x.gguf", architecture(key), tensors, said)
    peer = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=model)["tensors"]
    assert len(peer) == len(tensors)
    assert all(torch.equal(values, model.state_dict()[name]) for name, values in peer.items())


@pytest.mark.parametrize("key", ["llama", "falcon", "mixtral"])
def test_a_quantised_model_is_each_matrix_quantised(tmp_path, key):
    """Rows are quantised each by itself, so the order they are stored in does not touch their values."""
    found = {name: pair for name, pair in pairs(key).items() if pair.own.ndim > 1}
    tensors = {name: (quants.quantize(pair.written, Type.Q8_0), Type.Q8_0) for name, pair in found.items()}
    weights = open_weights(write(tmp_path / "x.gguf", architecture(key), tensors, metadata(key)))
    for name, pair in found.items():
        expected = quants.dequantize(quants.quantize(np.ascontiguousarray(pair.own), Type.Q8_0), Type.Q8_0)
        np.testing.assert_array_equal(weights.read(name), expected)
        assert np.abs(expected - pair.own).max() < 0.02 * np.abs(pair.own).max()


# Number formats


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
@pytest.mark.parametrize("shape", [(24, 512), (1200, 256)], ids=["small", "of-two-pieces"])
def test_every_type_is_dequantised_and_put_in_order(tmp_path, kind, shape):
    raw = raw_blocks(np.random.default_rng(int(kind)), shape, kind)
    tensors = {"blk.0.attn_q.weight": (turned(raw, 4), kind), "blk.0.attn_v.weight": (raw, kind)}
    weights = open_weights(write(tmp_path / "x.gguf", "llama", tensors, HEADS))
    expected = dequantised(raw, kind)
    for name in tensors:
        info = weights.info(name)
        assert (info.shape, info.dtype, info.scheme, info.n_bytes) == (shape, np.float32, kind.name, raw.size)
        values = weights.read(name)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, expected)


def test_a_quantised_vector_is_put_in_order_too(tmp_path):
    """Its rows are single values, cut between pieces and not between blocks."""
    own = raw_blocks(np.random.default_rng(9), (300_032,), Type.Q8_0)
    values = quants.dequantize(own, Type.Q8_0)
    path = write(tmp_path / "x.gguf", "llama", {"blk.0.attn_k.bias": (own, Type.Q8_0)}, HEADS)
    np.testing.assert_array_equal(turned(open_weights(path).read("blk.0.attn_k.bias"), 2), values)


def test_types_that_can_be_written_are_close_to_what_was(tmp_path):
    own = np.random.default_rng(0).normal(size=(8, 512)).astype(np.float32)
    tensors = {kind.name: (quants.quantize(own, kind), kind) for kind in WRITTEN}
    weights = open_weights(write(tmp_path / "x.gguf", "none", tensors))
    assert {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0"} <= set(tensors)
    for kind in WRITTEN:
        error = np.std(weights.read(kind.name) - own)
        bits = 8 * weights.info(kind.name).n_bytes / own.size
        assert error < (1 if kind.name.startswith("TQ") else 8 * 2**-bits), kind.name


@pytest.mark.parametrize("kind", [*PLAIN, "BF16"])
def test_plain_numbers_keep_their_type(tmp_path, kind):
    values = np.arange(-60, 60).reshape(4, 5, 6) * (1 if kind[0] == "I" else 0.37)
    written, expected = stored(values, kind)
    weights = open_weights(write(tmp_path / "x.gguf", "llama", {"a": written}))
    assert (weights.info("a").shape, weights.info("a").scheme) == ((4, 5, 6), "")
    assert weights.info("a").dtype == ("bfloat16" if kind == "BF16" else PLAIN[kind])
    read = weights.read("a")
    assert read.dtype == (np.float64 if kind == "F64" else np.float32)
    np.testing.assert_array_equal(read, expected)


def test_integers_beyond_float32_are_exact(tmp_path):
    values = np.array([2**40 + 1, -3])
    np.testing.assert_array_equal(open_weights(write(tmp_path / "x.gguf", "llama", {"a": values})).read("a"), values)


def test_the_scale_that_nvfp4_leaves_out_is_applied(tmp_path):
    """One scale a matrix, or one an expert, beside the blocks; other types have scales that are none of theirs."""
    rng = np.random.default_rng(4)
    one, three = raw_blocks(rng, (6, 128), Type.NVFP4), raw_blocks(rng, (3, 6, 128), Type.NVFP4)
    scale, scales = np.array([0.25], np.float32), np.array([2, -3, 0.5], np.float32)
    tensors = {"a.weight": (one, Type.NVFP4), "a.scale": scale, "b.weight": (three, Type.NVFP4), "b.scale": scales}
    tensors |= {"c.weight": (one, Type.NVFP4), "d.weight": np.ones((2, 2), np.float32), "d.scale": scale}
    weights = open_weights(write(tmp_path / "x.gguf", "llama", tensors))
    np.testing.assert_array_equal(weights.read("a.weight"), quants.dequantize(one, Type.NVFP4) / 4)
    expected = quants.dequantize(three, Type.NVFP4) * scales[:, None, None]
    np.testing.assert_array_equal(weights.read("b.weight"), expected)
    np.testing.assert_array_equal(weights.read("c.weight"), quants.dequantize(one, Type.NVFP4))
    np.testing.assert_array_equal(weights.read("d.weight"), 1)


@pytest.mark.parametrize("kind", [kind for kind in BLOCKS if kind not in READ], ids=lambda kind: kind.name)
def test_a_type_that_cannot_be_dequantised_is_described_and_refused_by_name(tmp_path, kind):
    raw = np.zeros((2, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8)
    weights = open_weights(write(tmp_path / "x.gguf", "llama", {"a": (raw, kind)}))
    assert describe(weights)["dtype"].tolist() == [kind.name]
    with pytest.raises(WeightsError, match=rf"a is stored as {kind.name}, which the gguf package cannot dequantise"):
        weights.read("a")


@pytest.mark.parametrize(("number", "name"), [(31, "Q4_0_4_4"), (4, "Q4_2"), (977, "GGML type 977")])
def test_a_type_that_is_not_known_is_refused_by_name(tmp_path, number, name):
    path = write(tmp_path / "x.gguf", "llama", {"name": np.ones(7, np.float32)})
    raw, entry = path.read_bytes(), b"name" + struct.pack("<IQ", 1, 7)
    assert raw.count(entry + bytes(4)) == 1
    path.write_bytes(raw.replace(entry + bytes(4), entry + struct.pack("<I", number)))
    with pytest.raises(
        WeightsError, match=rf"name is stored as {name}, which the installed gguf package does not know"
    ):
        open_weights(path)


def test_no_more_than_the_result_and_a_piece_is_in_memory(tmp_path):
    raw = raw_blocks(np.random.default_rng(5), (2048, 4096), Type.Q4_K)
    path = write(tmp_path / "x.gguf", "llama", {"blk.0.attn_q.weight": (raw, Type.Q4_K)}, HEADS)
    weights = open_weights(path)
    with measured() as cost:
        n_bytes = weights.read("blk.0.attn_q.weight").nbytes
    assert n_bytes == 1 << 25
    assert cost.traced_bytes < n_bytes + 16e6


# Files


def test_the_package_reads_the_same(tmp_path):
    rng = np.random.default_rng(6)
    tensors = {
        "a": rng.normal(size=(3, 5)),
        "b": rng.normal(size=(2, 3, 4)).astype(np.float16),
        "c": np.float32([1, 2]),
    }
    tensors["d"] = raw_blocks(rng, (3, 64), Type.Q5_1), Type.Q5_1
    path = write(tmp_path / "x.gguf", "llama", tensors, {"general.alignment": 64, "tokenizer.ggml.scores": [0.5] * 9})
    weights, peer = open_weights(path), gguf.GGUFReader(path)
    assert weights.names() == [tensor.name for tensor in peer.tensors]
    for tensor in peer.tensors:
        assert weights.info(tensor.name).shape == tuple(tensor.shape[::-1])
        values = tensor.data if tensor.name != "d" else quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(weights.read(tensor.name), values)


def test_version_2_is_version_3_of_little_endian(tmp_path):
    path = write(tmp_path / "x.gguf", "llama", {"a": np.float32([1, 2, 3])}, HEADS)
    raw = path.read_bytes()
    path.write_bytes(raw[:4] + struct.pack("<I", 2) + raw[8:])
    np.testing.assert_array_equal(open_weights(path).read("a"), [1, 2, 3])


def test_big_endian_numbers_are_read_and_blocks_refused(tmp_path):
    values = np.arange(-6, 6).reshape(3, 4)
    kinds = ["F64", "F32", "F16", "BF16", "I8", "I16", "I32", "I64"]
    tensors = {kind: stored(values, kind)[0] for kind in kinds} | {"Q8_0": (np.zeros((2, 34), np.uint8), Type.Q8_0)}
    path = write(tmp_path / "x.gguf", "llama", tensors, metadata("llama"), endianess=gguf.GGUFEndian.BIG)
    weights = open_weights(path)
    assert weights.config["num_key_value_heads"] == 2
    for kind in kinds:
        np.testing.assert_array_equal(weights.read(kind), values)
    with pytest.raises(WeightsError, match="Q8_0 is stored as Q8_0 in big-endian order, which is not read"):
        weights.read("Q8_0")


def test_a_large_vocabulary_costs_little(tmp_path):
    """150,000 tokens with their scores and types, and twice as many merges; an idle machine takes far less."""
    path = write(tmp_path / "x.gguf", "llama", {"a": np.ones((2, 2), np.float32)}, metadata("llama"))
    raw = path.read_bytes()
    n_entries = struct.unpack_from("<Q", raw, 16)[0]
    rng = np.random.default_rng(7)
    lengths = rng.integers(1, 24, 450_000).tolist()
    words = [struct.pack("<Q", length) + b"t" * length for length in lengths]
    extra = b"".join(
        struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", 9, kind, count) + content
        for key, kind, count, content in [
            (b"tokenizer.ggml.tokens", 8, 150_000, b"".join(words[:150_000])),
            (b"tokenizer.ggml.scores", 6, 150_000, bytes(4 * 150_000)),
            (b"tokenizer.ggml.token_type", 5, 150_000, bytes(4 * 150_000)),
            (b"tokenizer.ggml.merges", 8, 300_000, b"".join(words[150_000:])),
        ]
    )
    header = raw[:16] + struct.pack("<Q", n_entries + 4) + extra + raw[24:]
    data = len(raw) - 32  # one tensor of 16 bytes, padded
    assert data % 32 == 0
    start = data + len(header) - len(raw)
    path.write_bytes(header[:start] + bytes(-start % 32) + header[start:])
    start = time.perf_counter()  # by the clock alone: tracing memory makes the loop many times slower
    open_weights(path)
    assert time.perf_counter() - start < 1
    with measured() as cost:
        weights = open_weights(path)
    assert weights.metadata["tokenizer.ggml.tokens"] is None
    np.testing.assert_array_equal(weights.read("a"), 1)
    assert cost.traced_bytes < 1e6


@pytest.mark.parametrize("through", ["first", "folder"])
def test_parts_open_as_one(tmp_path, through):
    found = pairs("llama")
    tensors = {name: pair.written for name, pair in found.items()}
    write(tmp_path / "m.gguf", "llama", tensors, metadata("llama"), split_max_tensors=11)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"m-0000{one}-of-00003.gguf" for one in (1, 2, 3)]
    weights = open_weights(tmp_path if through == "folder" else tmp_path / "m-00001-of-00003.gguf")
    assert weights.names() == list(found)
    assert weights.config["num_attention_heads"] == 4
    for name, pair in found.items():
        np.testing.assert_array_equal(weights.read(name), pair.own)
    assert weights.info(weights.names()[-1]).file == str(tmp_path / "m-00003-of-00003.gguf")


@pytest.mark.parametrize(
    ("spoil", "opened", "message"),
    [
        (
            lambda folder: (folder / "m-00002-of-00003.gguf").unlink(),
            "",
            "part 2 of 3, m-00002-of-00003.gguf, is missing",
        ),
        (lambda folder: None, "m-00003-of-00003.gguf", "is not the first of 3 parts; open m-00001-of-00003.gguf"),
        (lambda folder: swap(folder, 2, 3), "", "m-00002-of-00003.gguf: says it is no part 2 of 3"),
        (lambda folder: swap(folder, 1, 2), "m-00001-of-00003.gguf", "is not the first of 3 parts"),
        (
            lambda folder: (folder / "m-00001-of-00003.gguf").rename(folder / "n.gguf"),
            "n.gguf",
            "is one of 3 parts, and",
        ),
        (lambda folder: (folder / "m-00001-of-00003.gguf").unlink(), "", "open m-00001-of-00003.gguf"),
    ],
    ids=["missing", "not-the-first", "swapped", "first-swapped", "renamed", "first-missing"],
)
def test_parts_that_do_not_make_a_whole(tmp_path, spoil, opened, message):
    tensors = {name: np.ones(3, np.float32) for name in "abcde"}
    write(tmp_path / "m.gguf", "llama", tensors, metadata("llama"), split_max_tensors=2)
    spoil(tmp_path)
    with pytest.raises(WeightsError, match=message):
        open_weights(tmp_path / opened)


def swap(folder, one, other):
    first, second = (folder / f"m-0000{number}-of-00003.gguf" for number in (one, other))
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)


def test_files_of_several_models_are_no_parts(tmp_path):
    for name in ("a-00001-of-00002.gguf", "b-00002-of-00002.gguf"):
        write(tmp_path / name, "llama", {"a": np.ones(3, np.float32)})
    with pytest.raises(WeightsError, match=r"2 \.gguf files and no index"):
        open_weights(tmp_path)


def test_a_file_that_ends_while_it_is_read(tmp_path):
    raw = raw_blocks(np.random.default_rng(8), (64, 256), Type.Q8_0)
    path = write(tmp_path / "x.gguf", "llama", {"a": (raw, Type.Q8_0)})
    weights = open_weights(path)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(WeightsError, match="a ends early; the file changed while it was read"):
        weights.read("a")
    path.unlink()
    with pytest.raises(WeightsError, match=r"a cannot be read \(No such file or directory\)"):
        weights.read("a")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "x.gguf", "llama", {"a": np.ones(3, np.float32)})
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtraError, match=r"x\.gguf: GGUF files need .* pip install 'spinspectra\[gguf\]'"):
        open_weights(path)


# What the metadata say


@pytest.mark.parametrize("key", gguf_models.CONFIGS)
def test_the_configuration_is_that_of_the_model(tmp_path, key):
    weights = open_weights(write(tmp_path / "x.gguf", architecture(key), {"a": np.ones(2, np.float32)}, metadata(key)))
    config = gguf_models.CONFIGS[key]
    assert weights.config["model_type"] == config.model_type
    assert weights.config["gguf_architecture"] == architecture(key)
    for word in ("num_hidden_layers", "num_attention_heads", "hidden_size", "vocab_size"):
        assert weights.config[word] == getattr(config, word)
    if key == "mixtral":
        assert weights.config["num_local_experts"] == config.num_local_experts


def test_a_given_configuration_wins_and_moves_no_rows(tmp_path):
    own = np.arange(32, dtype=np.float32).reshape(16, 2)
    path = write(tmp_path / "x.gguf", "llama", {"blk.0.attn_q.weight": turned(own, 4)}, HEADS)
    weights = open_weights(path, config={"model_type": "other", "num_attention_heads": 2})
    assert weights.config == {"model_type": "other", "num_attention_heads": 2}
    np.testing.assert_array_equal(weights.read("blk.0.attn_q.weight"), own)


def test_numbers_of_heads_may_differ_from_block_to_block(tmp_path):
    own = np.arange(64, dtype=np.float32).reshape(32, 2)
    tensors = {f"blk.{block}.attn_k.weight": turned(own, n) for block, n in ((0, 4), (1, 8), (2, 2))}
    said = {"attention.head_count": 8, "attention.head_count_kv": [4, 8, 2], "block_count": 3}
    weights = open_weights(write(tmp_path / "x.gguf", "deci", tensors, said))
    assert "num_key_value_heads" not in weights.config
    for name in tensors:
        np.testing.assert_array_equal(weights.read(name), own)


def test_falcon_with_one_key_is_stored_as_it_was(tmp_path):
    own = np.arange(48, dtype=np.float32).reshape(24, 2)
    assert np.array_equal(sorted_apart(own, 1, n_queries=4), own)
    said = {"attention.head_count": 4, "attention.head_count_kv": 1}
    weights = open_weights(write(tmp_path / "x.gguf", "falcon", {"blk.0.attn_qkv.weight": own}, said))
    np.testing.assert_array_equal(weights.read("blk.0.attn_qkv.weight"), own)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, r"does not say how many heads there are \(llama.attention.head_count\)"),
        ({"attention.head_count": 0}, "does not say how many heads"),
        ({"attention.head_count": [4]}, "does not say how many heads"),
        ({"attention.head_count": 5}, "has 16 rows, which do not divide among 5 heads"),
        ({"attention.head_count": 16}, "has 16 rows, which do not divide among 16 heads"),
    ],
    ids=["none", "zero", "block-not-there", "five", "too-many"],
)
def test_rows_that_cannot_be_put_back_are_not_given_in_another_order(tmp_path, said, message):
    tensors = {"blk.3.attn_q.weight": np.ones((16, 2), np.float32), "blk.3.attn_v.weight": np.ones((16, 2), np.float32)}
    weights = open_weights(write(tmp_path / "x.gguf", "llama", tensors, said))
    with pytest.raises(WeightsError, match=message):
        weights.read("blk.3.attn_q.weight")
    np.testing.assert_array_equal(weights.read("blk.3.attn_v.weight"), 1)


@pytest.mark.parametrize("arch", ["qwen2", "phi3", "starcoder2", "command-r", "unheard-of"])
def test_other_architectures_keep_their_rows(tmp_path, arch):
    own = np.arange(32, dtype=np.float32).reshape(16, 2)
    tensors = {f"blk.0.attn_{part}.weight": own for part in ("q", "k", "qkv")}
    weights = open_weights(write(tmp_path / "x.gguf", arch, tensors, HEADS))
    assert ("model_type" in weights.config) == (arch != "unheard-of")
    for name in tensors:
        np.testing.assert_array_equal(weights.read(name), own)


def test_model_types_are_names_that_both_sides_know():
    assert set(MODEL_TYPES) <= set(gguf.MODEL_ARCH_NAMES.values())
    assert set(MODEL_TYPES.values()) <= set(CONFIG_MAPPING_NAMES)


# On the way to a table


def test_describe_and_analyze_take_a_model_of_four_bits(tmp_path):
    tensors = {}
    for name, pair in pairs("mixtral").items():
        quantised = pair.own.ndim > 1 and "gate_inp" not in name
        tensors[name] = (quants.quantize(pair.written, Type.Q4_0), Type.Q4_0) if quantised else pair.written
    path = write(tmp_path / "x.gguf", "llama", tensors, metadata("mixtral"))
    table = describe(path).set_index("name")
    kinds = {"token_embd": "embedding", "blk.0.attn_q": "dense", "blk.1.ffn_up_exps": "stack", "output_norm": "norm"}
    assert {name: table.loc[f"{name}.weight", "kind"] for name in kinds} == kinds
    assert table.loc["blk.0.attn_q.weight", "dtype"] == "Q4_0"
    assert table.loc["blk.0.attn_q.weight", "bytes"] == 64 * 64 * 18 // 32
    own = pairs("mixtral")["blk.0.attn_q.weight"].own
    same = quants.dequantize(quants.quantize(own, Type.Q4_0), Type.Q4_0)
    details = analyze(path, layers=["blk.0.attn_q.weight"])
    assert details["sv_max"].tolist() == [pytest.approx(np.linalg.norm(same, 2), rel=1e-5)]
