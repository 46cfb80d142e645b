"""Builders of hostile files: each takes an empty folder, writes the attack there and returns what to open."""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

MARKER = "EXECUTED"  # the file that a payload writes if anything runs it
LONG_NAME = "x" * 10_000
BROKEN_NAME = "layer\nspinspectra: all is well\r\x1b[2J\u2028.weight"
PETABYTES = 10**15  # float64 values

GPT2_BLOCK = {"attn.c_attn": (4, 12), "attn.c_proj": (4, 4), "mlp.c_fc": (4, 16), "mlp.c_proj": (16, 4)}


class Payload:
    """An object whose unpickling writes the marker."""

    def __init__(self, folder):
        self.marker = str(folder / MARKER)

    def __reduce__(self):
        return exec, (f"open({self.marker!r}, 'w').close()",)


# Plain files


def missing_path(folder):
    return folder / "absent.safetensors"


def endless_path(folder):
    return "x/" * 5_000


def path_with_a_line_break(folder):
    return f"{folder}/a\nb.bin"


def empty_file(suffix):
    def build(folder):
        (folder / f"x{suffix}").touch()
        return folder / f"x{suffix}"

    return build


def text_file(suffix, text):
    def build(folder):
        (folder / f"x{suffix}").write_text(text)
        return folder / f"x{suffix}"

    return build


def pipe(suffix):
    """A pipe nobody writes to: reading it would wait for ever."""

    def build(folder):
        os.mkfifo(folder / f"x{suffix}")
        return folder / f"x{suffix}"

    return build


# safetensors


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors(header, n_bytes, length=None):
    """A file of a header (an object or raw bytes), the length it claims, and so many zero bytes."""

    def build(folder):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        claimed = len(text) if length is None else length
        path = folder / "x.safetensors"
        path.write_bytes(struct.pack("<Q", claimed) + text + bytes(n_bytes))
        return path

    return build


def safetensors_cut(keep):
    """A whole file of which `keep(size, header length)` bytes are left."""

    def build(folder):
        path = folder / "x.safetensors"
        save_file({"a": np.ones((8, 8), np.float32)}, path)
        raw = path.read_bytes()
        path.write_bytes(raw[: keep(len(raw), struct.unpack("<Q", raw[:8])[0])])
        return path

    return build


# Folders and indices


def index(content, shards=("a",), name="model.safetensors.index.json"):
    """An index of that content (an object or raw text) over good shards `a.safetensors`, each with one tensor."""

    def build(folder):
        inside = folder / "model"
        inside.mkdir()
        save_file({"a": np.ones(2, np.float32)}, folder / "outside.safetensors")
        for shard in shards:
            save_file({shard: np.ones(2, np.float32)}, inside / f"{shard}.safetensors")
        (inside / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return inside

    return build


def weight_map(shard, tensor="a"):
    return index({"weight_map": {tensor: shard}})


def absolute_shard(folder):
    return weight_map(str(folder / "outside.safetensors"))(folder)


def config(text):
    def build(folder):
        save_file({"a": np.ones(2, np.float32)}, folder / "model.safetensors")
        (folder / "config.json").write_bytes(text)
        return folder

    return build


def huge_config(folder):
    """A configuration of 64 GiB, all of it a hole."""
    source = config(b"{}")(folder)
    with (folder / "config.json").open("r+b") as file:
        file.truncate(64 << 30)
    return source


def several_files(folder):
    for name in ("b", "a"):
        save_file({name: np.ones(2, np.float32)}, folder / f"{name}.safetensors")
    return folder


# PyTorch


def torch_file(content, **options):
    def build(folder):
        path = folder / "x.bin"
        torch.save(content, path, **options)
        return path

    return build


def torch_payload(zipped):
    def build(folder):
        content = {"a": torch.ones(2), "b": Payload(folder)}
        return torch_file(content, _use_new_zipfile_serialization=zipped)(folder)

    return build


def raw_pickle(protocol):
    """A pickle without any of PyTorch's wrapping."""

    def build(folder):
        path = folder / "x.bin"
        path.write_bytes(pickle.dumps({"a": Payload(folder)}, protocol=protocol))
        return path

    return build


def torch_cut(share, zipped):
    def build(folder):
        path = torch_file({"a": torch.ones(64, 64)}, _use_new_zipfile_serialization=zipped)(folder)
        raw = path.read_bytes()
        path.write_bytes(raw[: int(len(raw) * share)])
        return path

    return build


def torch_deflated(folder):
    """A PyTorch file whose zip members were compressed, so that its offsets point at something else."""
    path = torch_file({"a": torch.ones(64, 64)})(folder)
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def torch_sparse(folder):
    """One stored value in a matrix of 10^12."""
    tensor = torch.sparse_coo_tensor([[0], [0]], [1.0], (10**6, 10**6), check_invariants=True)
    return torch_file({"a": tensor})(folder)


# npz


def npy_header(shape, descr="<f8"):
    return repr({"descr": descr, "fortran_order": False, "shape": shape})


def npz(header, n_bytes=0, compression=zipfile.ZIP_STORED, version=1, member="a.npy"):
    """An archive with one member: a .npy header of that text and so many zero bytes."""

    def build(folder):
        text = header.encode() + b"\n"
        content = b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text + bytes(n_bytes)
        with zipfile.ZipFile(folder / "x.npz", "w", compression) as archive:
            archive.writestr(member, content)
        return folder / "x.npz"

    return build


def npz_of_objects(folder):
    np.savez(folder / "x.npz", a=np.array([Payload(folder)], dtype=object))
    return folder / "x.npz"


def npz_lying_directory(folder):
    """Header and zip directory agree on 3.2 GB; there are none."""
    path = npz(npy_header((400_000_000,)))(folder)
    with zipfile.ZipFile(path) as archive:
        size = archive.infolist()[0].file_size
    true, false = struct.pack("<II", size, size), struct.pack("<II", size, size + 3_200_000_000)
    path.write_bytes(path.read_bytes().replace(true, false))
    return path


def npz_lying_twice(folder):
    """As above, and the directory claims that the bytes lie there uncompressed."""
    path = npz(npy_header((400_000_000,)))(folder)
    with zipfile.ZipFile(path) as archive:
        size = archive.infolist()[0].file_size
    true, false = struct.pack("<II", size, size), struct.pack("<II", *[size + 3_200_000_000] * 2)
    path.write_bytes(path.read_bytes().replace(true, false))
    return path


def npz_cut(share):
    def build(folder):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, a=np.arange(4096.0))
        raw = buffer.getvalue()
        (folder / "x.npz").write_bytes(raw[: int(len(raw) * share)])
        return folder / "x.npz"

    return build


def npz_garbled(folder):
    """Compressed bytes that do not decompress."""
    np.savez_compressed(folder / "x.npz", a=np.arange(4096.0))
    raw = bytearray((folder / "x.npz").read_bytes())
    raw[len(raw) // 2 - 200 : len(raw) // 2 + 200] = b"\xff" * 400
    (folder / "x.npz").write_bytes(raw)
    return folder / "x.npz"


# Chains


def gpt2_block():
    rng = np.random.default_rng(0)
    return {f"h.0.{part}.weight": rng.normal(size=shape).astype(np.float32) for part, shape in GPT2_BLOCK.items()}


def chain_with(part, value):
    """A GPT-2 block with one bad number in one of its matrices."""

    def build(folder: Path):
        tensors = gpt2_block()
        tensors[f"h.0.{part}.weight"][1, 2] = value
        save_file(tensors, folder / "model.safetensors")
        return folder / "model.safetensors"

    return build
