"""Train the four demonstration checkpoints: one small network before, during and after learning to add.

A one-block decoder transformer learns (a + b) mod 59 from 40 % of all pairs. It first memorises the training
pairs, and only thousands of steps later generalises to the pairs it has never seen ("grokking"). The script
stores the network at three moments of that run, and once more after a fine-tune on bad data:

    initial.safetensors     random weights, nothing learned
    memorising.safetensors  every training pair right, unseen pairs near chance
    grokked.safetensors     every training pair right, unseen pairs right as well
    degraded.safetensors    the grokked network, fine-tuned on data in which half of the labels are shuffled

The weights are float16 under the tensor names of OPT, about 0.4 MB a file. Each file states in its metadata
the accuracies measured on the rounded weights, always against the true sums. The script takes about three
minutes on one processor core and needs torch, numpy and safetensors:

    python examples/train_demo_checkpoints.py

The same seed gives the same split into training and unseen pairs everywhere, and the same weights on the same
machine with the same torch; elsewhere rounding may move the steps at which the network memorises and groks,
which is why those moments are found by measuring accuracy and not by a fixed step number.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

DEFAULT_OUT = Path(__file__).resolve().parents[1] / "src" / "spinspectra" / "demo" / "checkpoints"

EMBED_TOKENS = "model.decoder.embed_tokens.weight"
EMBED_POSITIONS = "model.decoder.embed_positions.weight"
QUERY = "model.decoder.layers.0.self_attn.q_proj.weight"
KEY = "model.decoder.layers.0.self_attn.k_proj.weight"
VALUE = "model.decoder.layers.0.self_attn.v_proj.weight"
ATTENTION_OUT = "model.decoder.layers.0.self_attn.out_proj.weight"
MLP_IN = "model.decoder.layers.0.fc1.weight"
MLP_OUT = "model.decoder.layers.0.fc2.weight"
HEAD = "lm_head.weight"

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the checkpoints hold, apart from the seed."""

    modulus: int = 59
    train_fraction: float = 0.4
    width: int = 128
    n_heads: int = 4
    mlp_width: int = 512
    learning_rate: float = 1e-3
    # Grokking needs strong decay: it is what makes the general solution cheaper than the memorised one.
    weight_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    max_steps: int = 20_000
    measure_every: int = 250
    report_every: int = 500
    # With every label shuffled nothing is left but noise. With half of them the fine-tune teaches the sum and
    # its contradiction at once, as a dirty data set does, and part of the old skill survives to be measured.
    bad_fraction: float = 0.5
    # Measured with seed 0: by step 250 every wrong label is memorised and the test accuracy is down to 0.24,
    # and it is still 0.23 at step 600. Stopping on that plateau, the outcome does not hang on the exact step.
    bad_steps: int = 300
    # Without decay nothing pulls the memorised noise out of the weights again.
    bad_weight_decay: float = 0.0
    # The order of summation, and with it the last bits of every weight, depends on the number of threads. The
    # matrices are so small that a second thread saves little, and costs a lot on a machine with other work.
    threads: int = 1


@dataclass(frozen=True)
class Task:
    """All pairs as token rows [a, b, =], their sums, and which of them are for training."""

    tokens: Tensor
    sums: Tensor
    train: Tensor
    test: Tensor


@dataclass(frozen=True)
class Checkpoint:
    """The rounded weights at one moment, with the accuracies measured on exactly these weights."""

    name: str
    step: int
    weights: Weights
    train_accuracy: float
    test_accuracy: float
    description: str


def make_task(recipe: Recipe, seed: int) -> Task:
    """Build the addition table and split it; numpy alone can repeat the split from the seed."""
    modulus = recipe.modulus
    pair = np.arange(modulus * modulus)
    first, second = pair // modulus, pair % modulus
    equals_sign = np.full_like(pair, modulus)
    order = np.random.default_rng(seed).permutation(modulus * modulus)
    n_train = round(recipe.train_fraction * modulus * modulus)
    return Task(
        tokens=torch.from_numpy(np.stack([first, second, equals_sign], axis=1)),
        sums=torch.from_numpy((first + second) % modulus),
        train=torch.from_numpy(order[:n_train]),
        test=torch.from_numpy(order[n_train:]),
    )


def initial_weights(recipe: Recipe, seed: int) -> Weights:
    """Draw independent normal weights, scaled by the input width so that signals keep their size."""
    shapes = {
        EMBED_TOKENS: (recipe.modulus + 1, recipe.width),
        EMBED_POSITIONS: (3, recipe.width),
        QUERY: (recipe.width, recipe.width),
        KEY: (recipe.width, recipe.width),
        VALUE: (recipe.width, recipe.width),
        ATTENTION_OUT: (recipe.width, recipe.width),
        MLP_IN: (recipe.mlp_width, recipe.width),
        MLP_OUT: (recipe.width, recipe.mlp_width),
        HEAD: (recipe.modulus, recipe.width),
    }
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) / shape[1] ** 0.5 for name, shape in shapes.items()}


def split_heads(vectors: Tensor, n_heads: int) -> Tensor:
    """Turn (pair, position, width) into (pair, head, position, head width): consecutive slices are heads."""
    n_pairs, n_positions, width = vectors.shape
    return vectors.view(n_pairs, n_positions, n_heads, width // n_heads).transpose(1, 2)


def attend_from_last(weights: Weights, stream: Tensor, n_heads: int) -> Tensor:
    """Return what attention adds to the last position.

    With one block, nothing reads the other positions afterwards, so they are not computed; and the last
    position may look at all three, so the causal mask hides nothing from it.
    """
    query = split_heads(stream[:, -1:] @ weights[QUERY].T, n_heads)
    key = split_heads(stream @ weights[KEY].T, n_heads)
    value = split_heads(stream @ weights[VALUE].T, n_heads)
    scores = query @ key.transpose(2, 3) / key.shape[-1] ** 0.5
    mixed = torch.softmax(scores, dim=-1) @ value
    return mixed.flatten(start_dim=1) @ weights[ATTENTION_OUT].T


def forward(weights: Weights, tokens: Tensor, n_heads: int) -> Tensor:
    """Return the logits of the answer, read at the last token."""
    stream = weights[EMBED_TOKENS][tokens] + weights[EMBED_POSITIONS]
    last = stream[:, -1] + attend_from_last(weights, stream, n_heads)
    last = last + torch.relu(last @ weights[MLP_IN].T) @ weights[MLP_OUT].T
    return last @ weights[HEAD].T


def rounded(weights: Weights) -> Weights:
    """Copy the weights as float16, the form in which they are stored."""
    return {name: weight.detach().to(torch.float16).contiguous() for name, weight in weights.items()}


def accuracies(weights: Weights, task: Task, n_heads: int) -> tuple[float, float]:
    """Return the share of right answers on the training pairs and on the unseen pairs."""
    # Double precision, so that another program recomputing these numbers meets no tie to break differently.
    exact = {name: weight.double() for name, weight in weights.items()}
    with torch.no_grad():
        right = (forward(exact, task.tokens, n_heads).argmax(dim=1) == task.sums).double()
    return right[task.train].mean().item(), right[task.test].mean().item()


def make_checkpoint(name: str, step: int, weights: Weights, description: str, task: Task, recipe: Recipe) -> Checkpoint:
    """Round the weights and measure what is left of the accuracy."""
    stored = rounded(weights)
    train_accuracy, test_accuracy = accuracies(stored, task, recipe.n_heads)
    return Checkpoint(name, step, stored, train_accuracy, test_accuracy, description)


def start_adamw(weights: Weights, weight_decay: float, recipe: Recipe) -> torch.optim.AdamW:
    """Make the weights trainable and hand them to a fresh optimiser."""
    for weight in weights.values():
        weight.requires_grad_()
    return torch.optim.AdamW(weights.values(), lr=recipe.learning_rate, weight_decay=weight_decay, betas=recipe.betas)


def take_step(weights: Weights, tokens: Tensor, labels: Tensor, n_heads: int, optimiser: torch.optim.Optimizer) -> None:
    """Take one full-batch step down the cross entropy."""
    optimiser.zero_grad()
    functional.cross_entropy(forward(weights, tokens, n_heads), labels).backward()
    optimiser.step()


def has_memorised(checkpoint: Checkpoint) -> bool:
    """Tell whether every training pair is right while unseen pairs are still near chance."""
    return checkpoint.train_accuracy == 1.0 and checkpoint.test_accuracy <= 0.10


def has_grokked(checkpoint: Checkpoint) -> bool:
    """Tell whether the network answers pairs it has never seen."""
    return checkpoint.train_accuracy == 1.0 and checkpoint.test_accuracy >= 0.99


def has_degraded(checkpoint: Checkpoint) -> bool:
    """Tell whether the network has clearly lost what it had learned."""
    return checkpoint.test_accuracy <= 0.5


def report(checkpoint: Checkpoint) -> None:
    """Print one line of progress."""
    train_accuracy, test_accuracy = checkpoint.train_accuracy, checkpoint.test_accuracy
    print(f"step {checkpoint.step:6d}  train {train_accuracy:.4f}  test {test_accuracy:.4f}", flush=True)


def train_until_grokked(weights: Weights, task: Task, recipe: Recipe) -> list[Checkpoint]:
    """Train the weights in place; return the network at the start, having memorised, and having grokked.

    The last two are each caught at the first measurement that shows them.
    """
    initial = make_checkpoint(
        "initial", 0, weights, "The network has random weights and has not been trained.", task, recipe
    )
    report(initial)
    memorising = None
    optimiser = start_adamw(weights, recipe.weight_decay, recipe)
    tokens, labels = task.tokens[task.train], task.sums[task.train]
    for step in range(1, recipe.max_steps + 1):
        take_step(weights, tokens, labels, recipe.n_heads, optimiser)
        if step % recipe.measure_every:
            continue
        now = make_checkpoint("unnamed", step, weights, "", task, recipe)
        if step % recipe.report_every == 0:
            report(now)
        if memorising is None and has_memorised(now):
            text = "The network answers every training pair, but on unseen pairs it is still near chance."
            memorising = replace(now, name="memorising", description=text)
        if has_grokked(now):
            if memorising is None:
                raise SystemExit("The network grokked without a measured moment of pure memorising; try another seed.")
            text = "The network also answers nearly all of the pairs it has never seen."
            return [initial, memorising, replace(now, name="grokked", description=text)]
    raise SystemExit(f"The network has not grokked within {recipe.max_steps} steps; try another seed.")


def shuffle_some_labels(labels: Tensor, fraction: float, seed: int) -> Tensor:
    """Shuffle a random share of the labels among themselves, so that each sum stays as frequent as it was."""
    # A pair of numbers as the seed keeps these draws apart from those of the split for every seed.
    generator = np.random.default_rng((seed, 1))
    chosen = generator.permutation(len(labels))[: round(fraction * len(labels))]
    shuffled = labels.clone()
    shuffled[torch.from_numpy(chosen)] = labels[torch.from_numpy(generator.permutation(chosen))]
    return shuffled


def degrade(weights: Weights, grokked: Checkpoint, task: Task, recipe: Recipe, seed: int) -> Checkpoint:
    """Fine-tune the grokked weights in place on partly wrong labels; accuracies still count the true sums."""
    optimiser = start_adamw(weights, recipe.bad_weight_decay, recipe)
    tokens = task.tokens[task.train]
    labels = shuffle_some_labels(task.sums[task.train], recipe.bad_fraction, seed)
    for _ in range(recipe.bad_steps):
        take_step(weights, tokens, labels, recipe.n_heads, optimiser)
    description = (
        f"The grokked network was fine-tuned for {recipe.bad_steps} steps on its training pairs "
        f"with {recipe.bad_fraction:.0%} of the labels shuffled."
    )
    degraded = make_checkpoint("degraded", grokked.step + recipe.bad_steps, weights, description, task, recipe)
    report(degraded)
    return degraded


def require_claims(checkpoints: list[Checkpoint]) -> None:
    """End the script unless every checkpoint is what its name says."""
    claims = {"memorising": has_memorised, "grokked": has_grokked, "degraded": has_degraded}
    for checkpoint in checkpoints:
        if checkpoint.name in claims and not claims[checkpoint.name](checkpoint):
            raise SystemExit(
                f"The {checkpoint.name} checkpoint fails its claim (train {checkpoint.train_accuracy:.4f}, "
                f"test {checkpoint.test_accuracy:.4f}); nothing was written."
            )


def metadata_of(checkpoint: Checkpoint, recipe: Recipe, seed: int) -> dict[str, str]:
    """Collect what a reader needs to recompute the accuracies; safetensors metadata holds only strings."""
    return {
        "name": checkpoint.name,
        "step": str(checkpoint.step),
        "train_accuracy": f"{checkpoint.train_accuracy:.4f}",
        "test_accuracy": f"{checkpoint.test_accuracy:.4f}",
        "description": checkpoint.description,
        "modulus": str(recipe.modulus),
        "n_heads": str(recipe.n_heads),
        "train_fraction": str(recipe.train_fraction),
        "seed": str(seed),
    }


def sort_header(file: bytes) -> bytes:
    """Put the header of a safetensors file in alphabetical order.

    The library writes the metadata in an order that changes from run to run; sorted, the same weights always
    give the same file. The positions of the tensors count from the end of the header and stay valid.
    """
    data_start = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:data_start]), sort_keys=True, separators=(",", ":")).encode()
    # The format pads the header with spaces so that the tensors start at a multiple of eight bytes.
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[data_start:]


def write_checkpoint(checkpoint: Checkpoint, folder: Path, recipe: Recipe, seed: int) -> Path:
    """Write one file, so that a reader sees either the old file or the whole new one."""
    path = folder / f"{checkpoint.name}.safetensors"
    unfinished = folder / f".{checkpoint.name}.{os.getpid()}.tmp"
    try:
        # Not save_file: it makes files that only their owner may read, and these are packaged for others.
        file = save(checkpoint.weights, metadata=metadata_of(checkpoint, recipe, seed))
        unfinished.write_bytes(sort_header(file))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def train_all(recipe: Recipe, seed: int) -> list[Checkpoint]:
    """Run the whole story once and return its four checkpoints."""
    task = make_task(recipe, seed)
    weights = initial_weights(recipe, seed)
    checkpoints = train_until_grokked(weights, task, recipe)
    return [*checkpoints, degrade(weights, checkpoints[-1], task, recipe, seed)]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the four demonstration checkpoints.")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="folder for the four files")
    parser.add_argument("--seed", type=int, default=0, help="decides the split and the first weights (default: 0)")
    return parser.parse_args()


def main() -> None:
    """Train, check, and only then write."""
    arguments = parse_arguments()
    recipe = Recipe()
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    started = time.perf_counter()
    checkpoints = train_all(recipe, arguments.seed)
    require_claims(checkpoints)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for checkpoint in checkpoints:
        path = write_checkpoint(checkpoint, arguments.out, recipe, arguments.seed)
        print(f"wrote {path.name}: {path.stat().st_size} bytes, step {checkpoint.step}")
    print(f"done in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
