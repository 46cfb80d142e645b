"""Training that all small networks share: AdamW, a warm start, a cosine down, batches drawn by a seed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

BETAS = (0.9, 0.99)
WARM_STEPS = 50
LAST_RATE = 0.05  # of the highest
EVALUATION_BATCH = 64


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how hard a network is trained. weight_decay: AdamW's, of matrices only."""

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.0


def descend(model: nn.Module, loss_of: Callable[[Generator], Tensor], schedule: Schedule, seed: int) -> None:
    """Train in place; `loss_of` draws a batch with the generator and gives its loss."""
    generator = torch.Generator().manual_seed(seed)
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in model.parameters() if parameter.ndim > 1]},
        {"params": [parameter for parameter in model.parameters() if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(
        groups,
        lr=schedule.learning_rate,
        betas=BETAS,
        weight_decay=schedule.weight_decay,
    )
    model.train()
    for step in range(schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * rate(step, schedule.steps)
        optimiser.zero_grad()
        loss_of(generator).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.eval()


def rate(step: int, steps: int) -> float:
    """The learning rate at a step as a share of the highest."""
    warm = min(1.0, (step + 1) / min(WARM_STEPS, max(steps // 5, 1)))
    return warm * (LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + math.cos(math.pi * step / steps)))


def train_language_model(model: nn.Module, tokens: Tensor, length: int, schedule: Schedule, seed: int) -> None:
    """On windows of `length` tokens from anywhere in the text; tokens: int64, shape (n,)."""
    window = torch.arange(length)

    def loss_of(generator: Generator) -> Tensor:
        starts = torch.randint(len(tokens) - length + 1, (schedule.batch, 1), generator=generator)
        batch = tokens[starts + window]
        return next_token_loss(model, batch)

    descend(model, loss_of, schedule, seed)


def next_token_loss(model: nn.Module, tokens: Tensor) -> Tensor:
    """Mean nats a token of all but the first; tokens: shape (windows, length)."""
    logits = model(input_ids=tokens).logits
    return functional.cross_entropy(logits[:, :-1].flatten(end_dim=1), tokens[:, 1:].flatten())


@torch.no_grad()
def language_loss(model: nn.Module, tokens: Tensor, length: int) -> float:
    """Mean nats a token, over windows side by side: the first token of a window is read and not foretold."""
    windows = tokens[: len(tokens) // length * length].view(-1, length)
    batches = torch.split(windows, EVALUATION_BATCH)
    return math.fsum(float(next_token_loss(model, batch)) * len(batch) for batch in batches) / len(windows)


Logits = Callable[[Tensor], Tensor]


def train_classifier(
    model: nn.Module, logits: Logits, images: Tensor, labels: Tensor, schedule: Schedule, seed: int
) -> None:
    """On batches of images, shape (n, channels, side, side)."""

    def loss_of(generator: Generator) -> Tensor:
        rows = torch.randint(len(labels), (schedule.batch,), generator=generator)
        return functional.cross_entropy(logits(images[rows]), labels[rows])

    descend(model, loss_of, schedule, seed)


@torch.no_grad()
def accuracy_and_loss(logits: Logits, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """The share of images named right, and the mean cross entropy in nats."""
    found = logits(images)
    right = (found.argmax(dim=1) == labels).double().mean()
    return float(right), float(functional.cross_entropy(found, labels))
