"""Train the small networks that the studies show their work on, each with its test data beside it.

    char-gpt/          GPT-2 of 4 layers that reads characters, on Python's help topics; test.txt: other topics
    digits-vit/        vision transformer of 4 layers on scikit-learn's digits; test/<class>/*.png: other images
    modular-addition/  the demonstration network that adds modulo 59; judged by examples/modular_addition.py:accuracy

The first two are folders as transformers writes and reads them, with tokenizer or image processor. Each folder has an
evaluation.json with what the network does on its test data. About six minutes on a processor core; torch,
transformers and scikit-learn are needed (`pip install spinspectra[examples]`):

    python -m examples.train_small_models OUT

A seed repeats the networks on the same machine with the same torch and the same number of threads.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from examples import digits as digit_images
from examples import modular_addition, texts, training
from examples.training import Schedule

LENGTH = 128  # characters that the GPT sees at once
TEXT_SCHEDULE = Schedule(steps=2500, batch=8, learning_rate=3e-3, weight_decay=0.1)
DIGIT_SCHEDULE = Schedule(steps=1000, batch=32, learning_rate=1e-3, weight_decay=0.05)
WEIGHTS_OF_NARROW = 0.08  # first weights' standard deviation; the usual 0.02 is for ten times the width
THREADS = 1  # of torch: matrices so small gain little from a second, and lose much where other work runs

NAMES = ("modular-addition", "digits-vit", "char-gpt")

Numbers = dict[str, float]


def small_gpt(tokenizer: Any, width: int, depth: int, length: int, seed: int) -> Any:
    """GPT-2 with random weights for the tokenizer's characters; heads are 32 wide, no dropout."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=length,
        n_embd=width,
        n_layer=depth,
        n_head=max(1, width // 32),
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        use_cache=False,
    )
    return GPT2LMHeadModel(config)


def small_vit(width: int, depth: int, seed: int) -> Any:
    """A vision transformer with random weights for 8 x 8 images in patches of 2 x 2; heads are 16 wide."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(seed)
    names = {at: str(at) for at in range(digit_images.N_CLASSES)}
    config = ViTConfig(
        image_size=digit_images.SIDE,
        patch_size=2,
        num_channels=3,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=max(1, width // 16),
        intermediate_size=4 * width,
        initializer_range=WEIGHTS_OF_NARROW,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=names,
        label2id={name: at for at, name in names.items()},
    )
    return ViTForImageClassification(config)


def logits_of(vit: Any) -> training.Logits:
    """What the vision transformer says of images, shape (images, classes)."""

    def logits(images: Tensor) -> Tensor:
        found: Tensor = vit(pixel_values=images).logits
        return found

    return logits


def image_processor() -> Any:
    """Grey levels to three channels between -1 and 1, as `pixels` does."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    side = {"height": digit_images.SIDE, "width": digit_images.SIDE}
    return ViTImageProcessorPil(
        size=side, do_convert_rgb=True, rescale_factor=1 / 255, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def pixels(digits: digit_images.Digits, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Images as float32 between -1 and 1, shape (images, channels, 8, 8), and their labels, int64."""
    grey = torch.from_numpy(digits.images).float()[:, None] / 127.5 - 1.0
    return grey.expand(-1, channels, -1, -1).contiguous(), torch.from_numpy(digits.labels)


def train_char_gpt(folder: Path, seed: int, schedule: Schedule = TEXT_SCHEDULE, width: int = 128) -> Numbers:
    """Nats a character on the text of training (its first tenth) and of test."""
    found = texts.help_texts(seed)
    tokenizer = texts.character_tokenizer(found.train, LENGTH)
    train, test = (texts.tokens_of(tokenizer, text) for text in (found.train, found.test))
    model = small_gpt(tokenizer, width, 4, LENGTH, seed)
    training.train_language_model(model, train, LENGTH, schedule, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "test.txt").write_text(found.test, encoding="utf-8", newline="\n")
    train_loss = training.language_loss(model, train[: len(test)], LENGTH)
    return {"train_loss": train_loss, "test_loss": training.language_loss(model, test, LENGTH)}


def train_digits_vit(folder: Path, seed: int, schedule: Schedule = DIGIT_SCHEDULE, width: int = 64) -> Numbers:
    """The share of images named right, and nats an image, on the images of training and of test."""
    split = digit_images.train_and_test(seed)
    train, test = (pixels(part) for part in split)
    model = small_vit(width, 4, seed)
    logits = logits_of(model)
    training.train_classifier(model, logits, *train, schedule, seed)
    model.save_pretrained(folder)
    image_processor().save_pretrained(folder)
    digit_images.write_class_folders(split[1], folder / "test")
    train_accuracy, train_loss = training.accuracy_and_loss(logits, *train)
    accuracy, loss = training.accuracy_and_loss(logits, *test)
    return {"train_accuracy": train_accuracy, "train_loss": train_loss, "test_accuracy": accuracy, "test_loss": loss}


def copy_modular_addition(folder: Path) -> Numbers:
    """The grokked demonstration checkpoint, trained by examples/train_demo_checkpoints.py, as a folder with a task."""
    from safetensors import safe_open

    with as_file(files("spinspectra.demo") / "checkpoints" / "grokked.safetensors") as checkpoint:
        shutil.copyfile(checkpoint, folder / modular_addition.WEIGHTS)
        with safe_open(checkpoint, framework="numpy") as file:
            modular_addition.write_task(folder, file.metadata())
    return {"test_accuracy": modular_addition.accuracy(folder)}


def make(out: Path, name: str, train: Callable[[Path], Numbers]) -> None:
    """Train one network into a folder that gets its name only when it is whole; one that is there is left as it is."""
    folder, unfinished = out / name, out / f".{name}.part"
    if folder.exists():
        print(f"{name}: there already")
        return
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    began = time.perf_counter()
    numbers = train(unfinished)
    (unfinished / "evaluation.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    unfinished.rename(folder)
    shown = ", ".join(f"{key} {value:.4f}" for key, value in numbers.items())
    print(f"{name}: {shown} ({time.perf_counter() - began:.0f} s)", flush=True)


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description="Train the small networks of the studies.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the networks, a folder each")
    parser.add_argument("--seed", type=int, default=0, help="of splits, first weights and batches (default: 0)")
    parser.add_argument("--threads", type=int, default=THREADS, help=f"of torch (default: {THREADS})")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)}")
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()  # of files that are written in no time
    torch.set_num_threads(arguments.threads)
    seed: int = arguments.seed
    makers: dict[str, Callable[[Path], Numbers]] = {
        "modular-addition": copy_modular_addition,
        "digits-vit": lambda folder: train_digits_vit(folder, seed),
        "char-gpt": lambda folder: train_char_gpt(folder, seed),
    }
    for name in arguments.only or makers:
        make(arguments.out, name, makers[name])


if __name__ == "__main__":
    main()
