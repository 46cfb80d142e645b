"""Top-1 of a small classifier on pictures whose classes are given by what it says of them."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from spinspectra.errors import MissingExtraError, OptionError, WeightsError
from spinspectra.studies.tasks import ImageTop1
from spinspectra.studies.tasks.loading import quiet
from tests.studies.tasks import models

LABELS = ("tench, Tinca tinca", "Great White", "eel")


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.vit(tmp_path_factory.mktemp("models") / "vit", LABELS)


def pictures() -> list[Image.Image]:
    """Noise of several sizes, some in grey and some with a palette."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(60):
        shape = (2 + number % 9, 2 + number % 7, 3)
        image = Image.fromarray(rng.choice(np.array([0, 255], np.uint8), shape))
        made.append(image.convert(("RGB", "L", "P")[number % 3]))
    return made


def said(folder: Path, images: list[Image.Image]) -> list[int]:
    """The class that transformers gives each picture, one at a time."""
    with quiet():
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        model = transformers.ViTForImageClassification.from_pretrained(folder)
    with torch.no_grad():
        inputs = [processor(image.convert("RGB"), return_tensors="pt") for image in images]
        return [int(model(**one).logits.argmax()) for one in inputs]


@pytest.fixture(scope="module")
def sorted_pictures(vit: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, Image.Image]]:
    found = list(zip(said(vit, pictures()), pictures(), strict=True))
    assert {number for number, _ in found} == {0, 1, 2}
    return found


def laid_out(folder: Path, found: list[tuple[int, Image.Image]], names: tuple[str, ...]) -> Path:
    for at, (number, image) in enumerate(found):
        path = folder / names[number] / f"{at}{('.png', '.PNG', '.bmp')[at % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return folder


@pytest.mark.parametrize("names", [("Tinca tinca", "great white", "2"), LABELS, ("0", "1", "EEL")], ids=str)
def test_pictures_where_the_model_puts_them_are_all_right(
    vit: Path, sorted_pictures: Any, names: tuple[str, ...], tmp_path: Path
) -> None:
    folder = laid_out(tmp_path / "images", sorted_pictures, names)
    (folder / ".hidden").mkdir()
    next(path for path in folder.iterdir() if path.name in names).joinpath("notes.txt").write_text("no picture")
    assert ImageTop1(folder)(vit) == {"top1": 1.0}


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_pictures_put_elsewhere_are_wrong(vit: Path, sorted_pictures: Any, batch: int, tmp_path: Path) -> None:
    moved = [((number + (at < 12)) % 3, image) for at, (number, image) in enumerate(sorted_pictures)]
    assert ImageTop1(laid_out(tmp_path, moved, LABELS), batch)(vit) == {"top1": 1.0 - 12 / 60}


def test_labels_come_before_numbers(tmp_path: Path) -> None:
    """A network whose classes are named by digits, not in their order."""
    folder = models.vit(tmp_path / "vit", ("2", "0", "1"))
    found = list(zip(said(folder, pictures()), pictures(), strict=True))
    assert ImageTop1(laid_out(tmp_path / "images", found, ("2", "0", "1")))(folder) == {"top1": 1.0}


def named(tmp_path: Path, *names: str) -> Path:
    return laid_out(tmp_path / "images", list(enumerate(pictures()[: len(names)])), names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("eel", "cat"), "class folder 'cat' is no label of the model"),
        (("eel", "3"), "class folder '3' is no label of the model"),
        (("eel", "2"), "two class folders are of one label"),
    ],
)
def test_folders_that_are_no_labels_are_refused(
    vit: Path, names: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    task = ImageTop1(named(tmp_path, *names))
    with pytest.raises(OptionError, match=message):
        task(vit)
    with pytest.raises(OptionError, match=message):
        task.check("m", {"model_type": "vit", "id2label": {str(n): label for n, label in enumerate(LABELS)}})


def test_a_name_of_two_labels_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "vit", "id2label": {"0": "crane, bird", "1": "crane, machine"}}
    with pytest.raises(OptionError, match="class folder 'crane' is 2 labels of the model"):
        ImageTop1(named(tmp_path, "crane")).check("m", config)


def test_folders_without_pictures_are_refused(vit: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such folder"):
        ImageTop1(tmp_path / "none")
    with pytest.raises(OptionError, match="holds no class folders"):
        ImageTop1(tmp_path)
    (tmp_path / "images" / "eel").mkdir(parents=True)
    with pytest.raises(OptionError, match="eel: a class folder without images"):
        ImageTop1(tmp_path / "images")
    (tmp_path / "images" / "eel" / "a.png").write_bytes(b"no picture")
    with pytest.raises(OptionError, match=r"a.png: no image that can be read"):
        ImageTop1(tmp_path / "images")(vit)


def test_networks_that_classify_no_images_are_refused(tmp_path: Path) -> None:
    task = ImageTop1(named(tmp_path, "eel"))
    bare = models.vit(tmp_path / "bare", LABELS, transformers.ViTModel)
    with pytest.raises(WeightsError, match="has no head for classifying images"):
        task(bare)
    with pytest.raises(OptionError, match=r"m: no image classifier .config.json says GPT2LMHeadModel"):
        task.check("m", {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})
    blind = models.vit(tmp_path / "blind", LABELS)
    (blind / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match="no image processor beside the weights"):
        task(blind)


def test_identity_tells_pictures_apart(tmp_path: Path) -> None:
    identities = [ImageTop1(named(tmp_path / name, "eel", "tench")).identity for name in "ab"]
    assert identities[0] == identities[1]
    (tmp_path / "b" / "images" / "eel" / "0.png").rename(tmp_path / "b" / "images" / "tench" / "0.png")
    (tmp_path / "b" / "images" / "eel").rmdir()
    assert ImageTop1(tmp_path / "b" / "images").identity != identities[0]
    path = tmp_path / "a" / "images" / "eel" / "0.png"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1  # of the same size
    path.write_bytes(content)
    assert ImageTop1(tmp_path / "a" / "images").identity != identities[0]


def test_without_pillow_it_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = named(tmp_path, "eel")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"needs pillow; pip install 'spinspectra\[torch\]'"):
        ImageTop1(folder)
