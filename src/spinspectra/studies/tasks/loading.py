"""Loading what transformers saved, quietly, and refusing what it would make up: no head, no tokenizer, no processor."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from spinspectra.errors import MissingExtraError, OptionError, WeightsError
from spinspectra.text import shown

Head = Literal["CausalLM", "MaskedLM", "ImageClassification"]

_DOES: dict[Head, str] = {
    "CausalLM": "predicting the next token",
    "MaskedLM": "predicting masked tokens",
    "ImageClassification": "classifying images",
}
_TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer_config.json", "spiece.model")
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_LOADING = threading.Lock()  # transformers sets torch's defaults while it loads, which all threads share


def require_transformers() -> None:
    """Raises MissingExtraError without torch and transformers, without importing them."""
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise MissingExtraError(f"evaluating a network needs {name}; pip install 'spinspectra[torch]'")


def require_pillow() -> None:
    """Raises MissingExtraError without Pillow, without importing it."""
    if find_spec("PIL") is None:
        raise MissingExtraError("evaluating a network on images needs pillow; pip install 'spinspectra[torch]'")


def load_model(folder: Path, head: Head, device: str) -> Any:
    """The model with this head, for inference, in the dtype it is stored in.

    Raises WeightsError if the checkpoint lacks the head or another parameter, which transformers would fill with random
    numbers, or cannot be loaded; OptionError for a device that torch cannot use. No code of the checkpoint's is run.
    """
    require_transformers()
    import transformers

    _require(folder, ("config.json",), "no config.json, so transformers cannot tell what network this is")
    auto = getattr(transformers, f"AutoModelFor{head}")
    with _LOADING, quiet():
        try:
            model, info = auto.from_pretrained(
                folder, output_loading_info=True, trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # of many kinds, by what is wrong with the folder
            raise WeightsError(f"{folder}: transformers cannot load it for {_DOES[head]} ({_line(error)})") from None
    absent = sorted({*info["missing_keys"], *map(str, info["mismatched_keys"])})
    if absent:
        raise WeightsError(
            f"{folder}: has no head for {_DOES[head]}: {len(absent)} parameters of {type(model).__name__} not there "
            f"({', '.join(map(shown, absent[:2]))}{', ...' if len(absent) > 2 else ''}); give a model with one"
        )
    try:
        return model.eval().to(device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise OptionError(f"device {device!r}: torch cannot use it ({_line(error)})") from None


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer saved with the model. Raises WeightsError if there is none, or it cannot be loaded."""
    return _load_with("AutoTokenizer", folder, _TOKENIZERS, "tokenizer")


def load_image_processor(folder: Path) -> Any:
    """The image processor saved with the model. Raises WeightsError as `load_tokenizer` does."""
    return _load_with("AutoImageProcessor", folder, _PROCESSORS, "image processor")


def _load_with(auto: str, folder: Path, files: tuple[str, ...], kind: str) -> Any:
    require_transformers()
    import transformers

    _require(folder, files, f"no {kind} beside the weights; save it there with its save_pretrained")
    with _LOADING, quiet():
        try:
            return getattr(transformers, auto).from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:
            raise WeightsError(f"{folder}: transformers cannot load its {kind} ({_line(error)})") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars and remarks; both are as they were afterwards."""
    from transformers.utils import logging as remarks

    logging: Any = remarks  # it has no annotations
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _require(folder: Path, files: tuple[str, ...], otherwise: str) -> None:
    if not any((folder / name).is_file() for name in files):
        raise WeightsError(f"{folder}: {otherwise}")


def _line(error: Exception) -> str:
    return shown(next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__))
