"""Top-1 accuracy of an image classifier on a folder with one folder of images a class."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinspectra.errors import OptionError
from spinspectra.studies.tasks.loading import load_image_processor, load_model, require_pillow
from spinspectra.text import shown

_FAMILIES = ("vit", "vit_msn", "deit", "beit")  # of those that make a chain, by model_type
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


@dataclass(frozen=True, slots=True)
class ImageTop1:
    """The share of images whose class gets the highest score: {"top1": 0 to 1}.

    images: a folder of class folders, each named as the model's config.json names the class (all of it, one of its
    synonyms between commas, or its number), with pictures in it. batch: images at once. device: torch's name of one.

    Raises OptionError without class folders or pictures in one, MissingExtraError without Pillow; called, WeightsError
    without such a head or an image processor, and OptionError for class folders that are no labels of the model, or
    damaged pictures.
    """

    images: Path
    batch: int = 32
    device: str = "cpu"
    _classes: dict[str, list[Path]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_pillow()
        object.__setattr__(self, "_classes", _class_folders(self.images))

    @property
    def identity(self) -> Mapping[str, Any]:
        digest = hashlib.sha256()
        for path in (path for paths in self._classes.values() for path in paths):
            digest.update(os.fsencode(path.relative_to(self.images)) + b"\0" + _digest(path))
        return {"task": "top-1", "images": digest.hexdigest()}

    def check(self, model: str, config: Mapping[str, Any]) -> None:
        """Raises OptionError for a network that is no image classifier by its config.json, or has other labels."""
        if config.get("model_type") not in _FAMILIES:
            said = ", ".join(map(str, config.get("architectures") or [config.get("model_type")]))
            raise OptionError(f"{model}: no image classifier (config.json says {said})")
        _numbers(self.images, list(self._classes), config.get("id2label") or {})

    def __call__(self, folder: Path) -> Mapping[str, float]:
        import torch

        model, processor = load_model(folder, "ImageClassification", self.device), load_image_processor(folder)
        number_of = _numbers(self.images, list(self._classes), model.config.id2label)
        pictures = [(path, number_of[name]) for name, paths in self._classes.items() for path in paths]
        mode = {1: "L", 4: "RGBA"}.get(getattr(model.config, "num_channels", 3), "RGB")
        right = 0
        for start in range(0, len(pictures), self.batch):
            batch = pictures[start : start + self.batch]
            inputs = processor([_picture(path, mode) for path, _ in batch], return_tensors="pt")
            pixels = inputs["pixel_values"].to(self.device, model.dtype)
            with torch.inference_mode():
                best = model(pixel_values=pixels).logits.argmax(-1).cpu()
            right += int((best == torch.tensor([number for _, number in batch])).sum())
        return {"top1": right / len(pictures)}


def _class_folders(images: Path) -> dict[str, list[Path]]:
    """The pictures of each class folder, in order."""
    if not images.is_dir():
        raise OptionError(f"{images}: no such folder; give one with a folder of images for each class")
    folders = sorted(path for path in images.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise OptionError(f"{images}: holds no class folders; give one with a folder of images for each class")
    found: dict[str, list[Path]] = {}
    for folder in folders:
        found[folder.name] = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not found[folder.name]:
            raise OptionError(f"{folder}: a class folder without images; fill it or remove it")
    return found


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise OptionError(f"{path}: cannot be read ({error.strerror or error})") from None


def _numbers(images: Path, names: list[str], id2label: Mapping[Any, Any]) -> dict[str, int]:
    """The class number of each folder name."""
    labels = {int(number): str(label) for number, label in id2label.items()}
    made: dict[str, int] = {}
    for name in names:
        fitting = _fitting(name, labels)
        if len(fitting) != 1:
            some = ", ".join(shown(label) for label in list(labels.values())[:5]) + (", ..." if len(labels) > 5 else "")
            what = f"is {len(fitting)} labels" if fitting else "is no label"
            raise OptionError(
                f"{images}: class folder '{shown(name)}' {what} of the model ({some or 'it names none'}); "
                "name each folder as the model's config.json names the class, or by its number"
            )
        made[name] = fitting[0]
    if len(set(made.values())) < len(made):
        raise OptionError(f"{images}: two class folders are of one label; join them")
    return made


def _fitting(name: str, labels: Mapping[int, str]) -> list[int]:
    """The numbers of the labels that are this name; else of those with it as a synonym; else the number it is."""
    folded = name.casefold()
    whole = [number for number, label in labels.items() if label.casefold() == folded]
    if whole:
        return whole
    synonyms = [
        number for number, label in labels.items() if folded in (word.strip() for word in label.casefold().split(","))
    ]
    if synonyms:
        return synonyms
    return [int(name)] if name.isdecimal() and int(name) in labels else []


def _picture(path: Path, mode: str) -> Any:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert(mode)
    except OSError as error:
        raise OptionError(f"{path}: no image that can be read ({shown(str(error))})") from None
