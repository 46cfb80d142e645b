"""Handwritten digits at hand: scikit-learn's 1797 images of 8 x 8 pixels, as arrays and as folders of PNG files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE = 8  # pixels
N_CLASSES = 10
N_TEST = 397


@dataclass(frozen=True, slots=True)
class Digits:
    """Images as grey levels 0 to 255, uint8, shape (images, 8, 8), and what they show, int64, shape (images,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def train_and_test(seed: int = 0, n_test: int = N_TEST) -> tuple[Digits, Digits]:
    """All images, split by the seed; the test images are spread over the classes as all are."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    grey = np.round(images.reshape(-1, SIDE, SIDE) * (255 / 16)).astype(np.uint8)
    rows = np.arange(len(labels))
    train, test = train_test_split(rows, test_size=n_test, stratify=labels, random_state=seed)
    return tuple(Digits(grey[part], labels[part].astype(np.int64)) for part in (train, test))  # type: ignore[return-value]


def write_class_folders(digits: Digits, folder: Path) -> None:
    """Each image as `<folder>/<class>/<number>.png`, 8-bit grey."""
    from PIL import Image

    for at, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        path = folder / str(label) / f"{at:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
