"""Texts to judge language models on: a local file, or WikiText and LAMBADA from the hub through `datasets`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.text import shown

# Name on the hub, configuration, split and column. Their records are joined by blank lines, as transformers' guide on
# perplexity joins WikiText's; of LAMBADA that is the perplexity of all of its text, not of the last words alone.
DATASETS = {
    "wikitext2": ("Salesforce/wikitext", "wikitext-2-raw-v1", "test", "text"),
    "wikitext103": ("Salesforce/wikitext", "wikitext-103-raw-v1", "test", "text"),
    "lambada": ("cimec/lambada", "plain_text", "test", "text"),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text and where it came from. words: all of it, as it is given to the tokenizer."""

    words: str
    source: str

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the text as UTF-8."""
        return hashlib.sha256(self.words.encode("utf-8", "surrogatepass")).hexdigest()

    def __repr__(self) -> str:
        return f"Text({self.source}: {len(self.words):,} characters)"


def text_file(path: Path) -> Text:
    """A file of UTF-8 text, whole. Raises OptionError if it is not there, empty, or no text."""
    try:
        words = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OptionError(f"{path}: cannot be read ({error.strerror or error}); give a text file") from None
    except UnicodeDecodeError as error:
        raise OptionError(f"{path}: no UTF-8 text (byte {error.start}); give a text file") from None
    return _some(Text(words, str(path)))


def hub_text(name: str) -> Text:
    """One of `DATASETS`, fetched or from the cache of `datasets`.

    Raises OptionError for another name or if it cannot be had, MissingExtraError without `datasets`.
    """
    if name not in DATASETS:
        raise OptionError(f"dataset {name!r}: give {', '.join(DATASETS)}, or a text file")
    try:
        from datasets import load_dataset  # type: ignore[import-not-found]
    except ImportError:
        raise MissingExtraError(
            f"dataset {name}: fetching it needs datasets; pip install datasets, or give its text as a file"
        ) from None
    place, configuration, split, column = DATASETS[name]
    try:
        records = load_dataset(place, configuration, split=split)[column]
    except Exception as error:  # of the hub, the disk or the parser
        raise OptionError(
            f"dataset {name}: cannot be had ({shown(str(error) or type(error).__name__)}); give its text as a file"
        ) from None
    return _some(Text("\n\n".join(records), f"{place} {configuration} {split}"))


def _some(text: Text) -> Text:
    if not text.words.strip():
        raise OptionError(f"{text.source}: holds no text")
    return text
