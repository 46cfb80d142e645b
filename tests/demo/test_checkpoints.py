"""The embedded checkpoints do what is said of them: accuracies recomputed by a plain numpy forward pass."""

from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray

from spinspectra import IsingChain
from spinspectra.demo import NAMES, Checkpoint, checkpoints

CHECKPOINTS = {checkpoint.name: checkpoint for checkpoint in checkpoints()}
BLOCK = "model.decoder.layers.0."


def attend(x: NDArray[np.floating], checkpoint: Checkpoint, n_heads: int) -> NDArray[np.floating]:
    """Causal attention read out at the last of the three tokens, so that no mask is needed; x: (pairs, 3, d)."""
    read = checkpoint.weights.read
    query, key, value = (x @ read(f"{BLOCK}self_attn.{part}_proj.weight").T for part in "qkv")
    heads = [np.split(part, n_heads, axis=2) for part in (query[:, -1:], key, value)]
    mixed = []
    for q, k, v in zip(*heads, strict=True):
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2])
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        mixed.append((weights / weights.sum(axis=2, keepdims=True)) @ v)
    return np.concatenate(mixed, axis=2)[:, 0] @ read(f"{BLOCK}self_attn.out_proj.weight").T


def predict(checkpoint: Checkpoint, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """The network's answers to a + b, for pairs a * p + b."""
    read, known = checkpoint.weights.read, checkpoint.weights.metadata
    p = int(known["modulus"])
    tokens = np.stack([pairs // p, pairs % p, np.full_like(pairs, p)], axis=1)
    x = read("model.decoder.embed_tokens.weight")[tokens] + read("model.decoder.embed_positions.weight")
    last = x[:, -1] + attend(x, checkpoint, int(known["n_heads"]))
    hidden = np.maximum(last @ read(f"{BLOCK}fc1.weight").T, 0.0)
    last = last + hidden @ read(f"{BLOCK}fc2.weight").T
    return np.argmax(last @ read("lm_head.weight").T, axis=1)


def accuracies(checkpoint: Checkpoint) -> tuple[float, float]:
    """On the training pairs and on all others, the split drawn as the training script says."""
    known = checkpoint.weights.metadata
    p = int(known["modulus"])
    order = np.random.default_rng(int(known["seed"])).permutation(p * p)
    right = predict(checkpoint, order) == (order // p + order % p) % p
    n_train = round(float(known["train_fraction"]) * p * p)
    return float(right[:n_train].mean()), float(right[n_train:].mean())


@pytest.mark.parametrize("name", NAMES)
def test_stated_accuracies_are_the_networks(name: str) -> None:
    train, test = accuracies(CHECKPOINTS[name])
    assert train == pytest.approx(CHECKPOINTS[name].train_accuracy, abs=5.1e-5)
    assert test == pytest.approx(CHECKPOINTS[name].test_accuracy, abs=5.1e-5)


def test_the_story_holds() -> None:
    assert CHECKPOINTS["initial"].test_accuracy < 0.1
    assert CHECKPOINTS["memorising"].train_accuracy == 1.0
    assert CHECKPOINTS["memorising"].test_accuracy <= 0.1
    assert CHECKPOINTS["grokked"].test_accuracy >= 0.99
    assert CHECKPOINTS["degraded"].test_accuracy <= 0.5


def test_they_fit_the_package() -> None:
    folder = files("spinspectra.demo") / "checkpoints"
    sizes = [len((folder / f"{name}.safetensors").read_bytes()) for name in NAMES]
    assert sum(sizes) < 4_000_000


@pytest.mark.parametrize("name", NAMES)
def test_the_chain_is_one_block_of_width_128(name: str) -> None:
    chain = IsingChain.from_weights(CHECKPOINTS[name].weights)
    assert chain.nodes == (128, 128, 128, 512, 128)
    read = CHECKPOINTS[name].weights.read
    total = sum(read(f"{BLOCK}self_attn.{part}_proj.weight").astype(np.float64) for part in "qkv")
    assert np.array_equal(chain.couplings[0], total.T.astype(np.float32))
