"""Hostile GGUF files: one line each, little time, little memory, whatever their headers claim."""

import struct
import time

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from gguf import quants

from spinspectra import describe, open_weights
from spinspectra.errors import WeightsError
from tests.attacks import build
from tests.attacks.build import BROKEN_NAME, LONG_NAME
from tests.attacks.cost import measured
from tests.attacks.test_attacks import assert_one_line, caught, read_all
from tests.weights.gguf_models import metadata, pairs, write

U32, U64, TEXT, ARRAY = 4, 10, 8, 9
FITTING = [("a", (4,), 0, 0)]  # name, shape as stored, type, offset: a vector of four float32
GIB = 1 << 30


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def entry(key, kind, content):
    return text(key) + struct.pack("<I", kind) + content


def array(key, kind, count, content=b""):
    return entry(key, ARRAY, struct.pack("<IQ", kind, count) + content)


def tensor(name, shape, kind, offset, n_sides=None):
    sides = len(shape) if n_sides is None else n_sides
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", sides, *shape, kind, offset)


def gguf(entries=(), tensors=FITTING, n_bytes=16, version=3, counts=None, magic=b"GGUF", length=0, name="x.gguf"):
    """A file of that header, padded, and so many zero bytes; counts: tensors and entries claimed; length: a hole."""

    def make(folder):
        n_tensors, n_entries = counts or (len(tensors), len(entries))
        raw = magic + struct.pack("<IQQ", version, n_tensors, n_entries) + b"".join(entries)
        raw += b"".join(one if isinstance(one, bytes) else tensor(*one) for one in tensors)
        raw += bytes(-len(raw) % 32) + bytes(n_bytes)
        with (folder / name).open("wb") as file:
            file.write(raw)
            file.truncate(max(length, len(raw)))
        return folder / name

    return make


def cut(keep):
    """A whole file of which `keep` bytes, or so many from its end if negative, are left."""

    def make(folder):
        path = write(folder / "x.gguf", "llama", {"a": np.ones((8, 8), np.float32)}, metadata("llama"))
        path.write_bytes(path.read_bytes()[:keep])
        return path

    return make


def of(*tensors, n_bytes=16):
    return gguf(tensors=tensors, n_bytes=n_bytes)


def parts(count, number=0, name="x-00001-of-00002.gguf"):
    said = [entry("split.count", 2, struct.pack("<H", count)), entry("split.no", 2, struct.pack("<H", number))]
    return gguf(said, name=name)


def parts_alike(folder):
    """Two parts that both hold the same tensor."""
    parts(2)(folder)
    parts(2, 1, "x-00002-of-00002.gguf")(folder)
    return folder


def part_a_pipe(folder):
    build.pipe("-00002-of-00002.gguf")(folder)
    return parts(2)(folder)


def llama(name, shape, *entries):
    """One float16 tensor of an architecture whose rows are put back in order."""
    said = [entry("general.architecture", TEXT, text("llama")), *entries]
    return gguf(said, [(name, shape, 1, 0)], 2 * int(np.prod(shape)))


NOT_WHOLE = "not a whole GGUF file"
HEADS = "llama.attention.head_count"
NO_HEADS = "does not say how many heads"
MANY = 1 << 40

ATTACKS = {
    # from the outside in
    "empty": (build.empty_file(".gguf"), "the file is empty; fetch it again"),
    "pipe": (build.pipe(".gguf"), "not a regular file"),
    "web-page": (build.text_file(".gguf", "<html>\n" * 9), "not a GGUF file (it begins with b'<htm')"),
    "magic": (gguf(magic=b"GGU\n"), r"not a GGUF file (it begins with b'GGU\n')"),
    "old-format": (gguf(magic=b"tjgg"), "not a GGUF file"),
    "magic-alone": (cut(4), f"{NOT_WHOLE} (no version in b'')"),
    "version-1": (gguf(version=1), "GGUF version 1 is not read, 2 and 3 are"),
    "version-4": (gguf(version=4), "GGUF version 4 is not read"),
    "version-0": (gguf(version=0), "no version in"),
    "version-large": (gguf(version=0x01020304), "no version in"),
    "cut-in-counts": (cut(20), "its header needs"),
    "cut-in-metadata": (cut(90), "its header needs"),
    "cut-before-data": (cut(-256), "a ends at"),
    "cut-in-data": (cut(-4), "a ends at"),
    "no-tensors": (gguf(tensors=[]), "x.gguf: holds no tensors"),
    "tensors-2^64": (gguf(counts=(2**64 - 1, 0)), "it claims 18446744073709551615 tensors and 0 metadata entries"),
    "entries-2^63": (gguf(counts=(1, 2**63)), "it claims 1 tensors and 9223372036854775808 metadata entries"),
    "tensors-of-nothing": (gguf(counts=(2**16, 0), length=64 * GIB), "two tensors named ''"),
    "tensors-2^16+1": (gguf(counts=(2**16 + 1, 0), length=64 * GIB), "it claims 65537 tensors"),
    # metadata
    "key-2^64": (gguf([struct.pack("<Q", 2**64 - 1)]), "a metadata key of 18446744073709551615 bytes"),
    "key-beyond-file": (gguf([struct.pack("<Q", 60_000)]), "its header needs"),
    "key-not-utf8": (gguf([entry(b"\xff\n", U32, bytes(4))]), r"a metadata key that is not UTF-8: b'\xff\n'"),
    "key-twice": (gguf([entry("a\nb", U32, bytes(4))] * 2), r"two metadata entries 'a\nb'"),
    "type-unknown": (gguf([entry(BROKEN_NAME, 99, bytes(9))]), "is of the unknown type 99"),
    "text-2^64": (gguf([entry("a", TEXT, struct.pack("<Q", 2**64 - 1))]), "its header needs"),
    "text-beyond-file": (gguf([entry("a", TEXT, struct.pack("<Q", 4000))]), "its header needs"),
    "array-of-arrays": (gguf([array("a", ARRAY, 3)]), "a is an array of the unknown type 9"),
    "array-2^64": (gguf([array("a", U64, 2**64 - 1)]), "its header needs"),
    "array-wraps-to-8": (gguf([array("a", U64, 2**61 + 1, bytes(8))]), "its header needs"),
    "strings-2^64": (gguf([array("a", TEXT, 2**64 - 1)]), "strings in its metadata"),
    "strings-beyond-file": (gguf([array("a", TEXT, 2_000_000)]), "its header needs"),
    "strings-of-nothing": (gguf([array("a", TEXT, MANY)], length=64 * GIB), "more than 2097152 strings"),
    "string-longer-than-file": (gguf([array("a", TEXT, 2, text("x") + struct.pack("<Q", MANY))]), "its header needs"),
    "strings-far-apart": (
        gguf([array("a", TEXT, 2, struct.pack("<Q", 60 * GIB))], length=64 * GIB),
        "its header takes more than 536870912 bytes",
    ),
    "alignment-0": (gguf([entry("general.alignment", U32, bytes(4))]), "an alignment of 0"),
    "alignment-3": (
        gguf([entry("general.alignment", U32, struct.pack("<I", 3))]),
        "an alignment of 3, which is no power",
    ),
    "alignment-2^31": (gguf([entry("general.alignment", U32, struct.pack("<I", 2**31))]), "a ends at 2147483664"),
    "alignment-a-text": (gguf([entry("general.alignment", TEXT, text("32"))]), "general.alignment is no number"),
    "names-of-64-KiB": (
        gguf([entry(f"{one:065000}", U32, bytes(4)) for one in range(200)]),
        "bytes of names and values",
    ),
    # tensors
    "name-2^64": (of(struct.pack("<Q", 2**64 - 1)), "a tensor's name of 18446744073709551615 bytes"),
    "name-not-utf8": (of((b"\xfe", (4,), 0, 0)), "a tensor's name that is not UTF-8"),
    "name-twice": (of(("a\nb", (4,), 0, 0), ("a\nb", (4,), 0, 32), n_bytes=64), r"two tensors named 'a\nb'"),
    "dimensions-9": (of(("a", (1,) * 9, 0, 0)), "a has 9 dimensions"),
    "dimensions-2^32": (of(tensor("a", (4,), 0, 0, n_sides=2**32 - 1)), "a has 4294967295 dimensions"),
    "shape-2^64": (of(("a", (2**64 - 1,), 0, 0)), "a claims the shape (18446744073709551615,)"),
    "shape-wraps-to-4": (of(("a", (4, 2**62 + 1), 0, 0)), "a claims the shape"),
    "shape-wraps-to-0": (of(("a", (2**32, 2**32), 0, 0)), "a claims the shape"),
    "shape-of-nothing": (of(("a", (0, 2**60), 0, 0)), "a claims the shape (1152921504606846976, 0)"),
    "shape-beyond-file": (of(("a", (10**9,), 0, 0)), "a ends at"),
    "shape-beyond-file-far": (of(("a", (10**8, 10**8), 0, 0)), "a ends at"),
    "expansion-beyond-file": (of(("a", (256, 10**9), int(Type.IQ1_S), 0)), "a ends at"),
    "rows-of-part-blocks": (of(("a", (33, 32), int(Type.Q8_0), 0), n_bytes=2000), "a has rows of 33 values"),
    "single-number-in-blocks": (of(("a", (), int(Type.Q8_0), 0)), "a has rows of 1 values"),
    "type-2^32": (of((BROKEN_NAME, (4,), 2**32 - 1, 0)), "is stored as GGML type 4294967295"),
    "type-retired": (of(("a", (32,), 36, 0)), "a is stored as IQ4_NL_4_4, which the installed gguf package does not"),
    "offset-2^64": (of(("a", (4,), 0, 2**64 - 32)), "a ends at"),
    "offset-between": (of(("a", (4,), 0, 8), n_bytes=64), "a begins at 8, between the multiples of 32"),
    "overlap": (of(("a", (16,), 0, 0), ("b\n", (4,), 0, 32), n_bytes=64), r"b\n overlaps a"),
    "same-bytes": (of(("a", (4,), 0, 0), ("b", (4,), 0, 0)), "b overlaps a"),
    # parts
    "parts-missing": (parts(2), "part 2 of 2, x-00002-of-00002.gguf, is missing; fetch it"),
    "parts-65535": (parts(65535, name="x-00001-of-65535.gguf"), "part 2 of 65535"),
    "parts-of-another-number": (parts(3), "is one of 3 parts, and its name does not end in -00001-of-00003.gguf"),
    "parts-without-name": (parts(2, name="x.gguf"), "is one of 2 parts, and its name does not end in"),
    "part-of-two-lines": (parts(2, name="a\nb-00001-of-00002.gguf"), r"a\nb-00002-of-00002.gguf, is missing"),
    "part-a-pipe": (part_a_pipe, "part 2 of 2, x-00002-of-00002.gguf, is missing"),
    "parts-alike": (parts_alike, "x-00002-of-00002.gguf: a is in another part too"),
    # rows to be put in order
    "heads-missing": (llama("blk.0.attn_q.weight", (4, 4)), NO_HEADS),
    "heads-2^64": (llama("blk.0.attn_k.weight", (4, 4), entry(HEADS, U64, b"\xff" * 8)), "4 rows, which do not divide"),
    "heads-negative": (llama("blk.0.attn_k.weight", (4, 4), entry(HEADS, 5, b"\xff" * 4)), NO_HEADS),
    "heads-a-fraction": (llama("blk.0.attn_k.weight", (4, 4), entry(HEADS, 6, b"\0\0\0\x40")), NO_HEADS),
    "heads-a-text": (llama("blk.0.attn_k.weight", (4, 4), entry(HEADS, TEXT, text("2"))), NO_HEADS),
    "heads-true": (llama("blk.0.attn_k.weight", (4, 4), entry(HEADS, 7, b"\1")), NO_HEADS),
    "heads-of-no-block": (
        llama("blk.999999999.attn_q.weight", (4, 4), array(HEADS, U32, 2, struct.pack("<II", 2, 2))),
        NO_HEADS,
    ),
}


@pytest.mark.parametrize(("make", "message"), ATTACKS.values(), ids=ATTACKS)
def test_an_attack_meets_its_error(make, message, tmp_path):
    source = make(tmp_path)
    error, cost = caught(read_all, source)
    assert type(error) is WeightsError
    assert message in str(error)
    assert_one_line(error)
    assert cost.seconds < 5
    assert cost.traced_bytes < 64e6
    assert cost.resident_bytes < 100e6


def test_as_many_strings_as_may_be_take_no_more_than_a_few_seconds(tmp_path):
    """All of them empty, in a hole; by the clock alone, since tracing memory makes the loop many times slower."""
    path = gguf([array("a", TEXT, 2**21)], tensors=[], counts=(0, 3), length=64 * GIB)(tmp_path)
    start = time.perf_counter()
    with pytest.raises(WeightsError, match="two metadata entries ''"):
        open_weights(path)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("name", [LONG_NAME, BROKEN_NAME, ""], ids=["10,000-characters", "line-breaks", "empty"])
def test_names_of_any_kind_are_described_and_read(tmp_path, name):
    path = of((name, (2, 2), 0, 0))(tmp_path)
    assert describe(path)["name"].tolist() == [name]
    np.testing.assert_array_equal(open_weights(path).read(name), np.zeros((2, 2)))


def test_scalars_empty_tensors_and_many_sides(tmp_path):
    path = of(
        ("a", (), 0, 0), ("b", (0,), 0, 32), ("c", (5, 0), 0, 32), ("d", (2, 1, 2, 1, 1, 1, 1), 0, 64), n_bytes=96
    )(tmp_path)
    shapes = {"a": (), "b": (0,), "c": (0, 5), "d": (1, 1, 1, 1, 2, 1, 2)}
    weights = open_weights(path)
    for name, shape in shapes.items():
        np.testing.assert_array_equal(weights.read(name), np.zeros(shape))
    assert describe(path)["shape"].tolist() == list(shapes.values())


def test_empty_tensors_have_no_rows_to_put_in_order(tmp_path):
    said = [entry("general.architecture", TEXT, text("llama")), entry(HEADS, U32, struct.pack("<I", 2))]
    path = gguf(said, [("blk.0.attn_q.weight", (0, 2**55), 0, 0), ("a", (4,), 0, 0)])(tmp_path)
    assert open_weights(path).read("blk.0.attn_q.weight").shape == (2**55, 0)


def test_infinite_scales_are_values_and_no_warnings(tmp_path):
    """Blocks of all ones have scales that are no numbers; whoever needs finite values finds out."""
    tensors = {kind.name: (np.full((2, size), 255, np.uint8), kind) for kind, size in BLOCK_BYTES.items()}
    weights = open_weights(write(tmp_path / "x.gguf", "none", tensors))
    assert not np.isfinite(weights.read("Q8_0")).any()
    for name in tensors:
        weights.read(name)


BLOCK_BYTES = {kind: trait.type_size for kind, trait in quants._type_traits.items() if kind != Type.BF16}


def a_model(folder, rng):
    """A small model of every kind of tensor: float32, float16, blocks, in parts now and then."""
    tensors = {}
    for name, pair in pairs("mixtral").items():
        kind = rng.choice(["F32", "F16", "Q8_0", "IQ4_NL"]) if pair.own.ndim > 1 else "F32"
        if kind in ("F32", "F16"):
            tensors[name] = pair.written.astype(np.float32 if kind == "F32" else np.float16)
        else:
            block, n_bytes = quants._type_traits[Type[kind]].block_size, quants._type_traits[Type[kind]].type_size
            shape = (*pair.own.shape[:-1], pair.own.shape[-1] // block * n_bytes)
            tensors[name] = rng.integers(0, 256, shape, dtype=np.uint8), Type[kind]
    said = metadata("mixtral") | {"tokenizer.ggml.tokens": [f"t{one}" for one in range(48)], "general.alignment": 32}
    return write(folder / "x.gguf", "llama", tensors, said)


LARGE = [0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]


def garbled(raw, rng, header):
    """Bytes overwritten, mostly in the header, numbers made large, a piece taken out, or the end cut off."""
    raw = bytearray(raw)
    for _ in range(rng.integers(1, 5)):
        end = header if rng.random() < 0.8 else len(raw)
        at = int(rng.integers(end))
        match rng.integers(5):
            case 0 | 1:
                raw[at] = rng.integers(256)
            case 2:
                raw[at : at + 8] = struct.pack("<Q", LARGE[rng.integers(len(LARGE))])
            case 3:
                del raw[at : at + int(rng.integers(1, 9))]
            case 4:
                raw[at:at] = rng.bytes(int(rng.integers(1, 9)))
    return bytes(raw[: rng.integers(len(raw))] if rng.random() < 0.2 else raw)


@pytest.mark.parametrize("seed", range(40))
def test_garbled_files_give_weights_or_one_line(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = a_model(tmp_path, rng)
    header = 4096
    for _ in range(10):
        (tmp_path / "y.gguf").write_bytes(garbled(path.read_bytes(), rng, header))
        with measured() as cost:
            try:
                read_all(tmp_path / "y.gguf")
            except WeightsError as error:
                assert_one_line(error)
        assert cost.seconds < 5
        assert cost.traced_bytes < 32e6
