"""Perplexity of small models against transformers' own losses, window after window and token after token."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from spinspectra.errors import MissingExtraError, OptionError, SpinSpectraError, WeightsError
from spinspectra.studies.tasks import CausalPerplexity, MaskedPerplexity, Text, hub_text, text_file, text_task
from spinspectra.studies.tasks.perplexity import longest_window
from tests.minilm import FOLDER
from tests.studies.tasks import models

TEXT = Text(models.text(), "made up")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.gpt2(tmp_path_factory.mktemp("models") / "gpt2")


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.opt(tmp_path_factory.mktemp("models") / "opt")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.bert(tmp_path_factory.mktemp("models") / "bert")


def guide_perplexity(folder: Path, text: str, window: int, stride: int) -> float:
    """Transformers' own loss of each window, labels of the context left out, weighed as its guide does."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids
    total, counted, end = 0.0, 0, 0
    start = 0
    while end < ids.shape[1]:
        stop = min(start + window, ids.shape[1])
        fresh = stop - end
        labels = ids[:, start:stop].clone()
        labels[:, :-fresh] = -100
        if fresh > 1:  # the loss of no label is NaN
            with torch.no_grad():
                total += model(ids[:, start:stop], labels=labels).loss.item() * (fresh - 1)
            counted += fresh - 1
        start, end = start + stride, stop
    return float(torch.tensor(total / counted, dtype=torch.float64).exp())


@pytest.mark.parametrize(("window", "stride"), [(16, 8), (16, 16), (10, 3), (16, 1), (5, 4), (7, 7)])
@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_causal_perplexity_is_that_of_the_guide(
    name: str, window: int, stride: int, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(name)
    found = CausalPerplexity(TEXT, window, stride)(folder)
    assert found == {"perplexity": pytest.approx(guide_perplexity(folder, TEXT.words, window, stride), rel=1e-6)}


def test_windows_are_by_default_the_models_and_half_of_it(gpt2: Path) -> None:
    expected = guide_perplexity(gpt2, TEXT.words, models.LENGTH, models.LENGTH // 2)
    assert CausalPerplexity(TEXT)(gpt2)["perplexity"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_changes_nothing(gpt2: Path, bert: Path, batch: int) -> None:
    assert CausalPerplexity(TEXT, batch=batch)(gpt2) == pytest.approx(CausalPerplexity(TEXT)(gpt2), rel=1e-6)
    assert MaskedPerplexity(TEXT, batch=batch)(bert) == pytest.approx(MaskedPerplexity(TEXT)(bert), rel=1e-6)


def loss_of_masked(model: Any, words: list[int], hidden: list[int]) -> torch.Tensor:
    """-ln p of the hidden words, each from transformers' own probabilities."""
    shown = [models.VOCABULARY["[MASK]"] if at in hidden else word for at, word in enumerate(words)]
    ids = torch.tensor([[models.VOCABULARY["[CLS]"], *shown, models.VOCABULARY["[SEP]"]]])
    with torch.no_grad():
        scores = model(ids).logits[0, 1:-1].double().log_softmax(-1)
    return -torch.stack([scores[at, words[at]] for at in hidden])


@pytest.mark.parametrize(("window", "mask_every"), [(16, 100), (12, 14), (16, 3)])
def test_masked_perplexity_predicts_each_token_once(bert: Path, window: int, mask_every: int) -> None:
    """Windows of window - 2 words side by side; from the window's length on one token is masked at a time."""
    model = transformers.BertForMaskedLM.from_pretrained(bert)
    ids = [models.VOCABULARY[word] for word in TEXT.words.split()]
    losses = []
    for start in range(0, len(ids), window - 2):
        words = ids[start : start + window - 2]
        for number in range(min(mask_every, len(words))):
            losses.append(loss_of_masked(model, words, list(range(number, len(words), mask_every))))
    every = torch.cat(losses)
    assert len(every) == len(ids)
    found = MaskedPerplexity(TEXT, window, window - 2, mask_every=mask_every)(bert)
    assert found["perplexity"] == pytest.approx(float(every.mean().exp()), rel=1e-6)


def test_masked_windows_that_overlap_mask_only_what_is_new(bert: Path) -> None:
    """14 words at a time, then 7 new ones with 7 before them."""
    model = transformers.BertForMaskedLM.from_pretrained(bert)
    ids = [models.VOCABULARY[word] for word in TEXT.words.split()][:21]
    losses = [loss_of_masked(model, ids[:14], [at]) for at in range(14)]
    losses += [loss_of_masked(model, ids[7:], [at]) for at in range(7, 14)]
    text = Text(" ".join(TEXT.words.split()[:21]), "made up")
    found = MaskedPerplexity(text, mask_every=14)(bert)["perplexity"]
    assert found == pytest.approx(float(torch.cat(losses).mean().exp()), rel=1e-6)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(tmp_path: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(models.gpt2(tmp_path / "gpt2"))
    with torch.no_grad():
        model.transformer.wte.weight.zero_()
    model.save_pretrained(tmp_path / "gpt2")
    found = CausalPerplexity(TEXT)(tmp_path / "gpt2")["perplexity"]
    assert found == pytest.approx(len(models.VOCABULARY), rel=1e-6)


def test_the_kind_of_task_is_by_the_models_config(gpt2: Path, opt: Path, bert: Path) -> None:
    def kind(folder: Path, **changes: Any) -> type:
        return type(text_task("m", json.loads((folder / "config.json").read_text()) | changes, TEXT))

    assert kind(gpt2) is kind(opt) is CausalPerplexity
    assert kind(bert) is MaskedPerplexity
    assert kind(bert, architectures=["BertLMHeadModel"]) is CausalPerplexity
    assert kind(gpt2, architectures=None) is CausalPerplexity
    with pytest.raises(OptionError, match=r"no language model .* says ViTForImageClassification"):
        kind(gpt2, architectures=["ViTForImageClassification"], model_type="vit")
    with pytest.raises(OptionError, match="is for masked language models"):
        text_task("m", {"model_type": "gpt2"}, TEXT, mask_every=5)
    found = text_task("m", {"model_type": "bert"}, TEXT, mask_every=5, stride=3)
    assert found == MaskedPerplexity(TEXT, stride=3, mask_every=5)


def test_how_many_tokens_a_model_takes() -> None:
    """RoBERTa counts positions from after its padding token's: two of its table are never used. BLOOM has no table."""
    assert longest_window(transformers.GPT2Config()) == 1024
    assert longest_window(transformers.BertConfig()) == 512
    assert longest_window(transformers.RobertaConfig(max_position_embeddings=514, pad_token_id=1)) == 512
    assert longest_window(transformers.BloomConfig()) is None


def without_tokenizer(folder: Path) -> Path:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    return folder


def short(n_words: int) -> Text:
    return Text(models.text(n_words), "short.txt")


@pytest.mark.parametrize(
    ("task", "folder", "kind", "message"),
    [
        (CausalPerplexity(short(15)), models.gpt2, OptionError, "short.txt: 15 tokens, shorter than a window of 16"),
        (CausalPerplexity(short(14)), models.opt, OptionError, "short.txt: 15 tokens, shorter than a window of 16"),
        (MaskedPerplexity(short(13)), models.bert, OptionError, "short.txt: 13 tokens, shorter than a window of 14"),
        (CausalPerplexity(TEXT, 17), models.gpt2, OptionError, "the model takes 16 tokens at a time"),
        (MaskedPerplexity(TEXT, 3), models.bert, OptionError, "leaves no room for the text"),
        (MaskedPerplexity(TEXT, 10, 9), models.bert, OptionError, "stride=9: is longer than the window of 8"),
        (CausalPerplexity(TEXT), lambda f: without_tokenizer(models.gpt2(f)), WeightsError, "no tokenizer beside"),
        (
            CausalPerplexity(TEXT),
            lambda f: models.gpt2(f, vocab_size=9),
            OptionError,
            "gives token 17 and the model knows 9",
        ),
        (
            MaskedPerplexity(TEXT),
            lambda f: models.bert(f, transformers.BertModel),
            WeightsError,
            "has no head for predicting masked tokens: [0-9]+ parameters of BertForMaskedLM",
        ),
        (MaskedPerplexity(TEXT), lambda _: FOLDER, WeightsError, "has no head for predicting masked tokens"),
        (MaskedPerplexity(TEXT), models.gpt2, WeightsError, "cannot load it for predicting masked tokens"),
        (CausalPerplexity(TEXT, device="sofa"), models.gpt2, OptionError, "device 'sofa': torch cannot use it"),
        (CausalPerplexity(TEXT), lambda f: f, WeightsError, "no config.json"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_one_line(
    task: Any, folder: Any, kind: type[SpinSpectraError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message) as told:
        task(folder(tmp_path / "model"))
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    "options", [{"window": 1}, {"stride": 0}, {"window": 5, "stride": 6}, {"mask_every": 1}], ids=str
)
def test_impossible_windows_are_refused_at_once(options: dict[str, int]) -> None:
    with pytest.raises(OptionError, match=f"{list(options)[-1]}="):
        MaskedPerplexity(TEXT, **options)


def test_texts_from_files(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes("\ufeffgr\u00fcn\r\n".encode())
    assert text_file(path).words == "gr\u00fcn\r\n"
    for content, message in ((b"", "holds no text"), (b" \n", "holds no text"), (b"gr\xfcn", "no UTF-8 text .byte 2.")):
        path.write_bytes(content)
        with pytest.raises(OptionError, match=message):
            text_file(path)
    for missing in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(OptionError, match="cannot be read"):
            text_file(missing)


def test_texts_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(place: str, configuration: str, split: str) -> Any:
        asked.append((place, configuration, split))
        if "lambada" in place:
            raise ConnectionError("no\nway")
        return {"text": ["", " = A = \n", "b"]}

    with pytest.raises(OptionError, match="give wikitext2, wikitext103, lambada"):
        hub_text("bible")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match="pip install datasets"):
        hub_text("wikitext2")
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert hub_text("wikitext2").words == "\n\n = A = \n\n\nb"
    assert asked == [("Salesforce/wikitext", "wikitext-2-raw-v1", "test")]
    with pytest.raises(OptionError, match="lambada: cannot be had") as told:
        hub_text("lambada")
    assert len(str(told.value).splitlines()) == 1
