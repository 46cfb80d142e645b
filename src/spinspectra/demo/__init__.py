"""Four small checkpoints of one network, with known accuracies, that come with the package.

A one-block transformer that learns addition modulo a prime: untrained, memorising its training pairs, having
understood (grokked) them, and damaged on purpose. Made by `examples/train_demo_checkpoints.py`.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files

from spinspectra.weights.opening import open_weights
from spinspectra.weights.safetensors_file import SafetensorsFile

NAMES = ("initial", "memorising", "grokked", "degraded")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One embedded checkpoint: its weights, and what is known of it from training."""

    name: str
    description: str
    step: int
    train_accuracy: float
    test_accuracy: float
    weights: SafetensorsFile


def checkpoints() -> list[Checkpoint]:
    """The four checkpoints, in the order of the story; accuracies are 0..1, of the stored float16 weights."""
    return [_open(name) for name in NAMES]


def _open(name: str) -> Checkpoint:
    with as_file(files(__package__) / "checkpoints" / f"{name}.safetensors") as path:
        weights = open_weights(path)
    assert isinstance(weights, SafetensorsFile)
    known = weights.metadata
    return Checkpoint(
        name=name,
        description=known["description"],
        step=int(known["step"]),
        train_accuracy=float(known["train_accuracy"]),
        test_accuracy=float(known["test_accuracy"]),
        weights=weights,
    )
