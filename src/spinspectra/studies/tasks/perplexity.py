"""Perplexity of language models over a long text in windows, for those that predict the next token and the masked ones.

Causal: as transformers' guide on perplexity defines it (huggingface.co/docs/transformers/perplexity), with its way of
averaging: a window's mean loss counts as many times as it has new tokens, less one. Masked: every token is hidden once
and predicted from all others of its window; hidden one at a time, that is the pseudo-perplexity of Salazar et al. 2020.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.studies.tasks.loading import Head, load_model, load_tokenizer, quiet
from spinspectra.studies.tasks.texts import Text
from spinspectra.studies.tasks.windows import Window, batches, check_windows, windows_over

MASK_EVERY = 7  # about the 15 % of tokens that BERT was trained to predict

_CAUSAL = ("gpt2", "opt", "bloom")  # of the families that make a chain, by model_type
_MASKED = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "ernie")
_OFFSET = ("roberta", "xlm-roberta", "camembert")  # their positions start after that of the padding token
_LOGITS = 1 << 26  # in a batch, unless it is given; 256 MB as float32
_MOST_ROWS = 64


@dataclass(frozen=True, slots=True)
class CausalPerplexity:
    """Perplexity of a model that predicts the next token: {"perplexity": exp of the mean loss}.

    window: tokens at a time, default as many as the model takes. stride: new tokens a window, default half a window;
    equal to the window there is no overlap. batch: windows at once, default by memory. device: torch's name of one.

    Called, raises WeightsError without such a head or a tokenizer, OptionError if the text is shorter than a window.
    """

    text: Text
    window: int | None = None
    stride: int | None = None
    batch: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_windows(self.window, self.stride)

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"task": "causal perplexity", "text": self.text.digest, "window": self.window, "stride": self.stride}

    def __call__(self, folder: Path) -> Mapping[str, float]:
        import torch

        reader = _reader(folder, "CausalLM", self)
        ids = _tokens(reader, self.text, special=True)
        windows = _cut(reader, self, len(ids), reader.window)
        tokens = torch.tensor(ids)
        total, n_tokens = 0.0, 0
        for rows in batches(windows, reader.batch, _length):
            inputs = torch.stack([tokens[row.start : row.stop] for row in rows]).to(self.device)
            with torch.inference_mode():
                logits = reader.model(input_ids=inputs, use_cache=False).logits
            for row, scores, words in zip(rows, logits, inputs, strict=True):
                n_predicted = min(row.n_new, len(words) - 1)  # nothing predicts the first token of a window
                if row.n_new > 1:
                    losses = _losses(scores[-n_predicted - 1 : -1], words[-n_predicted:])
                    total += float(losses.mean()) * (row.n_new - 1)
                    n_tokens += row.n_new - 1
        return {"perplexity": _exp(total / n_tokens)}


@dataclass(frozen=True, slots=True)
class MaskedPerplexity:
    """Perplexity of a model that predicts masked tokens: {"perplexity": exp of the mean loss over all tokens}.

    window, stride, batch, device: as for `CausalPerplexity`; a window has the special tokens that the tokenizer adds.
    mask_every: in each pass over a window every so-manieth new token is masked, in as many passes, so each token is
    predicted once; from the window's length on they are masked one at a time.

    Called, raises as `CausalPerplexity`, and OptionError if the tokenizer has no mask.
    """

    text: Text
    window: int | None = None
    stride: int | None = None
    batch: int | None = None
    device: str = "cpu"
    mask_every: int = MASK_EVERY

    def __post_init__(self) -> None:
        check_windows(self.window, self.stride)
        if self.mask_every < 2:
            raise OptionError(f"mask_every={self.mask_every}: give at least 2, or nothing is left to predict from")

    @property
    def identity(self) -> Mapping[str, Any]:
        asked = {"window": self.window, "stride": self.stride, "mask_every": self.mask_every}
        return {"task": "masked perplexity", "text": self.text.digest, **asked}

    def __call__(self, folder: Path) -> Mapping[str, float]:
        import torch

        reader = _reader(folder, "MaskedLM", self)
        if reader.tokenizer.mask_token_id is None:
            raise OptionError(f"{folder}: its tokenizer has no mask token")
        before, after = _special_tokens(reader.tokenizer)
        tokens = torch.tensor(_tokens(reader, self.text, special=False))
        size = reader.window - len(before) - len(after)
        passes = _passes(_cut(reader, self, len(tokens), size), self.mask_every)
        total = 0.0
        for rows in batches(passes, reader.batch, lambda row: _length(row.window)):
            words = torch.stack([tokens[row.window.start : row.window.stop] for row in rows])
            hidden = torch.zeros_like(words, dtype=torch.bool)
            for mask, row in zip(hidden, rows, strict=True):
                mask[len(mask) - row.window.n_new + row.number :: self.mask_every] = True
            masked = words.masked_fill(hidden, reader.tokenizer.mask_token_id)
            edges = [torch.tensor(ids, dtype=words.dtype).expand(len(rows), -1) for ids in (before, after)]
            with torch.inference_mode():
                logits = reader.model(input_ids=torch.cat([edges[0], masked, edges[1]], 1).to(self.device)).logits
            scores = logits[:, len(before) : len(before) + words.shape[1]][hidden.to(self.device)]
            total += float(_losses(scores, words[hidden].to(self.device)).sum())
        return {"perplexity": _exp(total / len(tokens))}


def text_task(
    model: str,
    config: Mapping[str, Any],
    text: Text,
    mask_every: int | None = None,
    **options: Any,
) -> CausalPerplexity | MaskedPerplexity:
    """The task for a language model, by what its config.json says it is; options: those that both kinds have.

    Raises OptionError for a network that is no language model, or `mask_every` for one that masks nothing.
    """
    architectures = [str(name) for name in config.get("architectures") or ()]
    family = config.get("model_type")
    causal = any(name.endswith(("CausalLM", "LMHeadModel")) for name in architectures)
    if family in _MASKED and not causal:
        return MaskedPerplexity(text, **options, mask_every=MASK_EVERY if mask_every is None else mask_every)
    if not causal and family not in _CAUSAL:
        said = ", ".join(architectures) or family or "nothing"
        raise OptionError(f"{model}: no language model that a text could be given to (config.json says {said})")
    if mask_every is not None:
        raise OptionError(f"mask_every={mask_every}: is for masked language models; {model} predicts the next token")
    return CausalPerplexity(text, **options)


class _Reader(NamedTuple):
    """A model made ready. window: tokens at a time, special ones included."""

    folder: Path
    model: Any
    tokenizer: Any
    window: int
    batch: int


class _Pass(NamedTuple):
    """One reading of a window: of its new tokens, number, number + mask_every, ... are masked."""

    window: Window
    number: int


def _passes(windows: Iterable[Window], mask_every: int) -> Iterator[_Pass]:
    for window in windows:
        yield from (_Pass(window, number) for number in range(min(mask_every, window.n_new)))


def _reader(folder: Path, head: Head, task: CausalPerplexity | MaskedPerplexity) -> _Reader:
    model, tokenizer = load_model(folder, head, task.device), load_tokenizer(folder)
    longest = longest_window(model.config)
    window = task.window if task.window is not None else longest
    if window is None:
        raise OptionError(f"{folder}: config.json does not say how many tokens it takes at a time; give a window")
    if longest is not None and window > longest:
        raise OptionError(f"window={window}: the model takes {longest} tokens at a time; give at most that")
    rows = max(1, min(_MOST_ROWS, _LOGITS // (window * model.config.vocab_size)))
    return _Reader(folder, model, tokenizer, window, rows if task.batch is None else task.batch)


def longest_window(config: Any) -> int | None:
    """How many tokens a model takes at a time, from its configuration; None where that does not say."""
    said = getattr(config, "max_position_embeddings", None) or getattr(config, "seq_length", None)
    if not isinstance(said, int):
        return None
    return said - (config.pad_token_id or 0) - 1 if config.model_type in _OFFSET else said


def _tokens(reader: _Reader, text: Text, special: bool) -> list[int]:
    with quiet():  # it remarks that the text is longer than a window
        ids: list[int] = reader.tokenizer(text.words, add_special_tokens=special).input_ids
    known = int(reader.model.config.vocab_size)
    if ids and max(ids) >= known:
        raise OptionError(f"{reader.folder}: its tokenizer gives token {max(ids)} and the model knows {known}")
    return ids


def _cut(reader: _Reader, task: CausalPerplexity | MaskedPerplexity, n_tokens: int, size: int) -> list[Window]:
    if size < 2:
        raise OptionError(f"window={reader.window}: leaves no room for the text between the special tokens")
    if n_tokens < size:
        raise OptionError(
            f"{task.text.source}: {n_tokens} tokens, shorter than a window of {size}; give a longer text or a "
            "smaller window"
        )
    stride = max(1, size // 2) if task.stride is None else task.stride
    check_windows(size, stride)
    return windows_over(n_tokens, size, stride)


def _length(window: Window) -> int:
    return window.stop - window.start


def _special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text."""
    ids = tokenizer("a", add_special_tokens=True).input_ids
    inner = tokenizer("a", add_special_tokens=False).input_ids
    for start in range(len(ids) - len(inner) + 1):
        if ids[start : start + len(inner)] == inner:
            return ids[:start], ids[start + len(inner) :]
    return [], []


def _losses(scores: Any, words: Any) -> Any:
    """-ln p of each word, (n,), in float64; scores (n, vocabulary)."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(scores.float(), words, reduction="none").double()


def _exp(loss: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(loss))
