"""Training one network of the zoo: its folder, and what it can do."""

import math
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from examples import digits, texts, training
from examples.train_small_models import logits_of, pixels, small_gpt, small_vit
from examples.training import Schedule
from examples.zoo.plan import Network

SPLIT_SEED = 0  # one test set for all
LENGTH = 64  # characters that a GPT of the zoo sees at once
RATES = {"mlp": 1e-3, "mlp-noise": 1e-3, "vit": 1e-3, "gpt": 2e-3}
BATCH = {"mlp": 64, "mlp-noise": 64, "vit": 32, "gpt": 16}

_NOISE, _SIZE = 1, 2  # purposes of random numbers


def train(network: Network, folder: Path) -> dict[str, float]:
    """Train into a folder that gets its name once it is whole; returns what the network can do.

    train_*, test_*: loss in nats, and accuracy of classifiers; of training on what was trained on, noise and all.
    guess_loss: of who knows the frequencies alone. skill: 1 - test_loss / guess_loss. quality: test accuracy, or minus
    the test loss of a GPT. gap: test error minus training error, or the losses' difference; skill_gap: the losses'
    difference over guess_loss.
    """
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    found = train_gpt(network, unfinished) if network.family == "gpt" else train_classifier(network, unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    found["skill"] = 1.0 - found["test_loss"] / found["guess_loss"]
    found["skill_gap"] = (found["test_loss"] - found["train_loss"]) / found["guess_loss"]
    return found


def train_classifier(network: Network, folder: Path) -> dict[str, float]:
    """An MLP as model.safetensors, or a vision transformer as transformers writes it."""
    everything, test_digits = digits.train_and_test(SPLIT_SEED)
    chosen = np.random.default_rng((SPLIT_SEED, _SIZE)).permutation(len(everything.labels))[: network.size]
    shown = digits.Digits(everything.images[chosen], with_wrong_labels(everything.labels[chosen], network))
    train_set, test_set = (pixels(part, 3 if network.family == "vit" else 1) for part in (shown, test_digits))
    if network.family == "vit":
        model = small_vit(network.width, network.depth, network.seed)
        logits = logits_of(model)
    else:
        model = logits = mlp(network.width, network.depth, network.seed)
    training.train_classifier(model, logits, *train_set, schedule_of(network), network.seed)
    save(model, folder)
    train_accuracy, train_loss = training.accuracy_and_loss(logits, *train_set)
    test_accuracy, test_loss = training.accuracy_and_loss(logits, *test_set)
    return {
        "train_accuracy": train_accuracy,
        "train_loss": train_loss,
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
        "guess_loss": math.log(digits.N_CLASSES),
        "quality": test_accuracy,
        "gap": train_accuracy - test_accuracy,
    }


def train_gpt(network: Network, folder: Path) -> dict[str, float]:
    """A GPT-2 that reads characters, as transformers writes it."""
    text = texts.help_texts(SPLIT_SEED)
    tokenizer = texts.character_tokenizer(text.train, LENGTH)
    clean = texts.tokens_of(tokenizer, text.train[: network.size])
    noisy, test = with_wrong_characters(clean, network), texts.tokens_of(tokenizer, text.test)
    model = small_gpt(tokenizer, network.width, network.depth, LENGTH, network.seed)
    training.train_language_model(model, noisy, LENGTH, schedule_of(network), network.seed)
    save(model, folder)
    tokenizer.save_pretrained(folder)
    train_loss = training.language_loss(model, noisy[: len(test)], LENGTH)
    test_loss = training.language_loss(model, test, LENGTH)
    return {
        "train_loss": train_loss,
        "test_loss": test_loss,
        "guess_loss": entropy(text.test),
        "quality": -test_loss,
        "gap": test_loss - train_loss,
    }


def mlp(width: int, depth: int, seed: int) -> nn.Sequential:
    """64 pixels, hidden layers of rectifiers, 10 classes; random weights as torch draws them."""
    torch.manual_seed(seed)
    sizes = [digits.SIDE**2, *[width] * depth, digits.N_CLASSES]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def schedule_of(network: Network) -> Schedule:
    """How the network is trained; the same for all of a family but for steps and decay."""
    return Schedule(network.steps, BATCH[network.family], RATES[network.family], network.weight_decay)


def save(model: Any, folder: Path) -> None:
    """As transformers does, or the tensors alone."""
    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder)
    else:
        save_file(model.state_dict(), folder / "model.safetensors")


def with_wrong_labels(labels: "np.ndarray[Any, np.dtype[np.int64]]", network: Network) -> Any:
    """A share `noise` of the labels moved to one of the nine others. Of one seed more noise keeps the wrong of less."""
    rng = np.random.default_rng((network.seed, _NOISE))
    order, moves = rng.permutation(len(labels)), rng.integers(1, digits.N_CLASSES, len(labels))
    wrong = order[: round(network.noise * len(labels))]
    noisy = labels.copy()
    noisy[wrong] = (labels[wrong] + moves[wrong]) % digits.N_CLASSES
    return noisy


def with_wrong_characters(tokens: Tensor, network: Network) -> Tensor:
    """A share `noise` of the characters replaced by any that occur, all alike."""
    rng = np.random.default_rng((network.seed, _NOISE))
    wrong = rng.permutation(len(tokens))[: round(network.noise * len(tokens))]
    noisy = tokens.clone()
    noisy[torch.from_numpy(wrong)] = torch.from_numpy(rng.choice(np.unique(tokens.numpy()), len(wrong)))
    return noisy


def entropy(text: str) -> float:
    """Nats a character of the text's own frequencies."""
    shares = np.array(list(Counter(text).values())) / len(text)
    return float(-(shares * np.log(shares)).sum())
