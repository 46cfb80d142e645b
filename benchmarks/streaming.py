"""A checkpoint larger than memory should be: made up to the shapes of Llama-2-7B, described and analysed.

    python benchmarks/streaming.py FOLDER [--blocks 32] [--only-kinds]

Writes 13.5 GB (32 blocks) of bfloat16 shards into FOLDER, streaming, unless they are there, then runs `spinspectra
describe` and `spinspectra analyze` on it as a user would, each in a process of its own whose peak memory is taken.
--only-kinds: analyse one layer of each kind instead of all, and give the seconds for each.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np

WIDTH, HIDDEN, VOCABULARY = 4096, 11008, 32000
PER_SHARD = 5 << 30  # bytes
CHUNK = 1 << 24  # values made at a time

KINDS = (
    "model.layers.0.self_attn.q_proj",
    "model.layers.0.mlp.gate_proj",
    "model.layers.0.mlp.down_proj",
    "lm_head",
)

Shape = tuple[int, ...]


def tensors(blocks: int) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of Llama-2-7B, in the order of its index."""
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for i in range(blocks):
        stem = f"model.layers.{i}."
        for part in "qkvo":
            yield f"{stem}self_attn.{part}_proj.weight", (WIDTH, WIDTH)
        for part in ("gate", "up"):
            yield f"{stem}mlp.{part}_proj.weight", (HIDDEN, WIDTH)
        yield f"{stem}mlp.down_proj.weight", (WIDTH, HIDDEN)
        for part in ("input", "post_attention"):
            yield f"{stem}{part}_layernorm.weight", (WIDTH,)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def write(folder: Path, blocks: int) -> None:
    """The shards, their index and config.json, one chunk of values in memory at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[list[tuple[str, Shape]]] = [[]]
    size = 0
    for name, shape in tensors(blocks):
        size += 2 * math.prod(shape)
        if size > PER_SHARD:
            shards.append([])
            size = 2 * math.prod(shape)
        shards[-1].append((name, shape))
    rng, weight_map = np.random.default_rng(0), {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        weight_map |= {name: file for name, _shape in shard}
        write_shard(folder / file, shard, rng)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    sizes = {"hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_attention_heads": 32, "num_hidden_layers": blocks}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "torch_dtype": "bfloat16", **sizes}))


def write_shard(path: Path, shard: list[tuple[str, Shape]], rng: np.random.Generator) -> None:
    header, end = {}, 0
    for name, shape in shard:
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _name, shape in shard:
            left = math.prod(shape)
            while left:
                values = 0.02 * rng.standard_normal(min(left, CHUNK), np.float32)
                file.write(values.astype(ml_dtypes.bfloat16).tobytes())
                left -= values.size


def run(*arguments: str) -> tuple[float, float, str]:
    """Seconds, peak resident GB and output of a command of ours in a process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "spinspectra", *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"spinspectra {' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1e6, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", type=int, default=32)
    parser.add_argument("--only-kinds", action="store_true")
    options = parser.parse_args()
    if not (options.folder / "config.json").is_file():
        start = time.perf_counter()
        write(options.folder, options.blocks)
        print(f"written in {time.perf_counter() - start:.0f} s")
    seconds, memory, text = run("describe", str(options.folder))
    print(text)
    print(f"describe: {seconds:.2f} s, peak {memory:.2f} GB")
    if options.only_kinds:
        for name in (
            "model.layers.0.self_attn.q_proj",
            "model.layers.0.mlp.gate_proj",
            "model.layers.0.mlp.down_proj",
            "lm_head",
        ):
            seconds, memory, _text = run("analyze", str(options.folder), "--layer", name)
            print(f"analyze {name}: {seconds:.1f} s, peak {memory:.2f} GB")
        return
    seconds, memory, text = run("analyze", str(options.folder), "-o", str(options.folder / "details.csv"))
    print(text)
    print(f"analyze: {seconds:.0f} s, peak {memory:.2f} GB")


if __name__ == "__main__":
    main()
