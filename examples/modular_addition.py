"""What the modular-addition network can do: a task of your own for the studies, in numpy alone.

    spinspectra study ... --evaluate examples/modular_addition.py:accuracy

The folder holds `model.safetensors`, such as a demonstration checkpoint of examples/train_demo_checkpoints.py, and
`task.json` with the modulus, the number of heads, the share of pairs trained on and the seed that drew them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WEIGHTS, TASK = "model.safetensors", "task.json"
BLOCK = "model.decoder.layers.0."
TOKENS, POSITIONS = "model.decoder.embed_tokens.weight", "model.decoder.embed_positions.weight"
KNOWN_OF_THE_TASK = ("modulus", "n_heads", "train_fraction", "seed")

Floats = NDArray[np.float64]
Weights = Mapping[str, Floats]


def accuracy(folder: str | Path) -> float:
    """The share of right sums among the pairs that the network was not trained on."""
    from safetensors.numpy import load_file

    weights = {name: tensor.astype(np.float64) for name, tensor in load_file(Path(folder) / WEIGHTS).items()}
    task = json.loads((Path(folder) / TASK).read_text(encoding="utf-8"))
    p = int(task["modulus"])
    order = np.random.default_rng(int(task["seed"])).permutation(p * p)
    unseen = order[round(float(task["train_fraction"]) * p * p) :]
    a, b = unseen // p, unseen % p
    tokens = np.stack([a, b, np.full_like(a, p)], axis=1)
    return float(np.mean(answers(weights, tokens, int(task["n_heads"])) == (a + b) % p))


def answers(weights: Weights, tokens: NDArray[np.int64], n_heads: int) -> NDArray[np.int64]:
    """The sum that the network names for each row [a, b, =], shape (pairs,)."""
    x = weights[TOKENS][tokens] + weights[POSITIONS]
    last = x[:, -1] + attention_at_last(weights, x, n_heads)
    last = last + np.maximum(last @ weights[BLOCK + "fc1.weight"].T, 0.0) @ weights[BLOCK + "fc2.weight"].T
    scores: Floats = last @ weights["lm_head.weight"].T
    named: NDArray[np.int64] = scores.argmax(axis=1)
    return named


def attention_at_last(weights: Weights, x: Floats, n_heads: int) -> Floats:
    """What attention adds to the last of three tokens, which sees them all, so that no mask is needed."""
    n_pairs, n_tokens, width = x.shape
    # (pairs, tokens, heads, width of a head)
    query, key, value = (
        (x @ weights[f"{BLOCK}self_attn.{part}_proj.weight"].T).reshape(n_pairs, n_tokens, n_heads, -1)
        for part in "qkv"
    )
    scores = np.einsum("ihd,ithd->iht", query[:, -1], key) / np.sqrt(width // n_heads)
    shares = np.exp(scores - scores.max(axis=2, keepdims=True))
    shares /= shares.sum(axis=2, keepdims=True)
    mixed = np.einsum("iht,ithd->ihd", shares, value).reshape(n_pairs, width)
    out: Floats = mixed @ weights[f"{BLOCK}self_attn.out_proj.weight"].T
    return out


def write_task(folder: Path, known: Mapping[str, Any]) -> None:
    """Write `task.json` from the metadata of a demonstration checkpoint."""
    task = {name: json.loads(str(known[name])) for name in KNOWN_OF_THE_TASK}
    (folder / TASK).write_text(json.dumps(task) + "\n", encoding="utf-8")
