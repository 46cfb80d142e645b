"""What is trained: each network's factors, every factor balanced over a family and drawn on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CLASSIFIERS = ("mlp", "mlp-noise", "vit")
FAMILIES = (*CLASSIFIERS, "gpt")
N_NETWORKS = {"mlp": 24, "vit": 20, "gpt": 20}

MLP, VIT, GPT, NOISE = range(4)  # purposes of random numbers


@dataclass(frozen=True, slots=True)
class Network:
    """How one network is made.

    depth: hidden layers of an MLP, blocks of a transformer. size: images, or characters, trained on. noise: the share
    of labels that are wrong, or of characters replaced by any other. seed: of first weights, noise and batches.
    """

    family: str
    width: int
    depth: int
    steps: int
    weight_decay: float
    noise: float
    size: int
    seed: int


FACTORS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "mlp": {
        "width": (64, 96, 128, 192, 256, 384),
        "depth": (1, 2, 3, 4),
        "steps": (20, 100, 600, 4000),
        "weight_decay": (0.0, 0.1, 0.5, 1.0),
        "noise": (0.0, 0.1, 0.25, 0.5),
        "size": (150, 350, 700, 1400),
    },
    "vit": {
        "width": (48, 64, 80, 96),
        "depth": (1, 2, 3, 4),
        "steps": (60, 200, 600, 1500),
        "weight_decay": (0.0, 0.1, 0.5, 1.0),
        "noise": (0.0, 0.1, 0.25, 0.5),
        "size": (150, 350, 700, 1400),
    },
    "gpt": {
        "width": (64, 96, 128),
        "depth": (1, 2, 3, 4),
        "steps": (80, 200, 500, 1000),
        "weight_decay": (0.0, 0.1, 0.5, 1.0),
        "noise": (0.0, 0.02, 0.05, 0.15),
        "size": (20_000, 60_000, 150_000, 400_000),
    },
}
# Of the classical test only the noise differs: same first weights, same images, trained until all labels are learned.
NOISES = tuple(round(0.06 * i, 2) for i in range(14))
LEARNED_BY_HEART = Network("mlp-noise", 256, 2, 5000, 0.0, 0.0, 1400, 0)


def plan(seed: int = 0, numbers: Mapping[str, int] = N_NETWORKS, n_noises: int = len(NOISES)) -> dict[str, Network]:
    """All networks by name, a family after the other; fewer of a family are other networks, not the first of more."""
    made: dict[str, Network] = {}
    for purpose, (family, n) in enumerate(numbers.items()):
        rng = np.random.default_rng((seed, purpose))
        columns = {name: balanced(levels, n, rng) for name, levels in FACTORS[family].items()}
        for i in range(n):
            factors = {name: column[i] for name, column in columns.items()}
            made[f"{family}-{i:02d}"] = Network(family, seed=1000 * (purpose + 1) + i, **factors)  # type: ignore[arg-type]
    for noise in NOISES[:n_noises]:
        one = LEARNED_BY_HEART
        made[f"mlp-noise-{round(100 * noise):02d}"] = Network(
            one.family, one.width, one.depth, one.steps, one.weight_decay, noise, one.size, seed
        )
    return made


def balanced(levels: Sequence[float], n: int, rng: np.random.Generator) -> list[float]:
    """n levels in random order, each as often as any other, give or take one."""
    return [levels[i % len(levels)] for i in rng.permutation(n)]
