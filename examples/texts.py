"""Text at hand: the help topics that Python ships (`pydoc_data.topics`), split by topic, and a tokenizer of characters.

The topics differ a little from one release of Python to the next, and with them the text and every figure from it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

TEST_SHARE = 0.1  # of the topics
BETWEEN = "\n\n"  # two topics
UNKNOWN, END = "<unk>", "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts to train on and to test on; no topic is in both."""

    train: str
    test: str


def help_texts(seed: int = 0, test_share: float = TEST_SHARE) -> Texts:
    """Python's help topics, a share of them drawn by the seed as the test text."""
    from pydoc_data.topics import topics

    names = sorted(topics)
    drawn = np.random.default_rng(seed).permutation(len(names))[: max(1, round(test_share * len(names)))]
    test = {names[at] for at in drawn}
    train_text, test_text = (
        BETWEEN.join(topics[name].strip() for name in names if (name in test) is wanted) for wanted in (False, True)
    )
    return Texts(train_text, test_text)


def character_tokenizer(text: str, length: int) -> Any:
    """A PreTrainedTokenizerFast with a token for each character of the text; others are `<unk>`.

    length: the longest text that the model takes, tokens. Nothing is added at either end.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: at for at, token in enumerate([UNKNOWN, END, *sorted(set(text))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        bos_token=END,
        eos_token=END,
        model_max_length=length,
        clean_up_tokenization_spaces=False,
    )


def tokens_of(tokenizer: Any, text: str) -> "Tensor":
    """The text as token numbers, int64, shape (characters,)."""
    import torch

    # Not tokenizer(text), which warns of texts longer than the model takes.
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    return torch.tensor(ids, dtype=torch.long)
