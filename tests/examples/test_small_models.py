"""The pieces that the small networks are made of, beside transformers' own numbers and the facts of the data."""

import json
import math
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest
import torch
from PIL import Image

from examples import digits, modular_addition, texts, training
from examples.train_small_models import LENGTH, image_processor, make, pixels, small_gpt, small_vit
from examples.training import Schedule
from spinspectra.demo import NAMES, checkpoints


def test_every_topic_is_either_trained_on_or_tested_on() -> None:
    found = texts.help_texts(seed=3)
    for topic in topics.values():
        assert (topic.strip() in found.train) != (topic.strip() in found.test)
    assert len(found.train) + len(found.test) + 2 == len(texts.BETWEEN.join(one.strip() for one in topics.values()))


def test_saved_tokenizer_reads_characters_and_gives_them_back(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    texts.character_tokenizer("abc .\n\t[é", LENGTH).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = " a  b .\n\n\tcé[ ."
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text
    assert texts.tokens_of(tokenizer, text).tolist() == ids
    assert tokenizer("aZb")["input_ids"][1] == tokenizer.unk_token_id
    assert tokenizer.model_max_length == LENGTH


def test_images_go_into_the_folder_of_their_class(tmp_path: Path) -> None:
    _, test = digits.train_and_test(n_test=20)
    digits.write_class_folders(test, tmp_path)
    files = sorted(tmp_path.glob("*/*.png"), key=lambda file: file.name)
    assert [int(file.parent.name) for file in files] == test.labels.tolist()
    for file, image in zip(files, test.images, strict=True):
        assert np.array_equal(np.asarray(Image.open(file)), image)


def test_split_keeps_every_image_once() -> None:
    from sklearn.datasets import load_digits

    train, test = digits.train_and_test(seed=5)
    both = np.concatenate([train.images, test.images]).reshape(-1, 64) / 255 * 16
    images = load_digits().data
    assert np.array_equal(both[np.lexsort(both.T)].round(), images[np.lexsort(images.T)])


def test_training_sees_what_the_saved_processor_gives(tmp_path: Path) -> None:
    from transformers import AutoImageProcessor

    _, test = digits.train_and_test(n_test=12)
    image_processor().save_pretrained(tmp_path)
    images = [Image.fromarray(image) for image in test.images]
    given = AutoImageProcessor.from_pretrained(tmp_path)(images, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixels(test)[0], given)


def test_losses_are_those_of_transformers() -> None:
    tokenizer = texts.character_tokenizer("abcdefgh", 16)
    model = small_gpt(tokenizer, 32, 1, 16, seed=0).eval()
    tokens = torch.randint(len(tokenizer), (5 * 16 + 3,), generator=torch.Generator().manual_seed(0))
    batch = tokens[:80].view(5, 16)
    with torch.no_grad():
        expected = float(model(input_ids=batch, labels=batch).loss)
    assert training.language_loss(model, tokens, 16) == pytest.approx(expected, rel=1e-6)
    vit = small_vit(32, 1, seed=0).eval()
    images, labels = torch.rand(6, 3, 8, 8), torch.arange(6)
    with torch.no_grad():
        told = vit(pixel_values=images, labels=labels)
    right, loss = training.accuracy_and_loss(lambda batch: vit(pixel_values=batch).logits, images, labels)
    assert loss == pytest.approx(float(told.loss), rel=1e-6)
    assert right == sum(int(a) == int(b) for a, b in zip(told.logits.argmax(1), labels, strict=True)) / 6


def test_a_network_learns_a_text_that_repeats_itself() -> None:
    text = "spin up, spin down; " * 50
    tokenizer = texts.character_tokenizer(text, 20)
    model = small_gpt(tokenizer, 32, 1, 20, seed=0)
    tokens = texts.tokens_of(tokenizer, text)
    before = training.language_loss(model, tokens, 20)
    assert before == pytest.approx(math.log(len(tokenizer)), abs=0.2)
    training.train_language_model(model, tokens, 20, Schedule(120, 8, 1e-2), seed=0)
    assert training.language_loss(model, tokens, 20) < 0.2


def test_the_learning_rate_rises_once_and_falls_to_a_twentieth() -> None:
    rates = np.array([training.rate(step, 1000) for step in range(1000)])
    top = int(rates.argmax())
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top:]) < 0)
    assert rates[-1] == pytest.approx(0.05, abs=1e-4)
    assert 0.99 < rates.max() <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_modular_addition_is_as_accurate_as_stated(name: str, tmp_path: Path) -> None:
    checkpoint = {one.name: one for one in checkpoints()}[name]
    from safetensors.numpy import save_file

    weights = checkpoint.weights
    save_file({key: weights.read(key) for key in weights.names()}, tmp_path / modular_addition.WEIGHTS)
    modular_addition.write_task(tmp_path, weights.metadata)
    assert modular_addition.accuracy(tmp_path) == pytest.approx(checkpoint.test_accuracy, abs=5.1e-5)


def test_a_folder_is_made_whole_or_not_at_all_and_only_once(tmp_path: Path) -> None:
    def fails(folder: Path) -> dict[str, float]:
        (folder / "model.safetensors").write_bytes(b"half")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        make(tmp_path, "one", fails)
    assert not (tmp_path / "one").exists()
    make(tmp_path, "one", lambda folder: {"test_loss": 1.5})
    make(tmp_path, "one", fails)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert json.loads((tmp_path / "one" / "evaluation.json").read_text()) == {"test_loss": 1.5}
