"""The folder of a model with all that evaluating it needs: weights, config.json, tokenizer or image processor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinspectra.errors import OptionError, WeightsError
from spinspectra.text import shown
from spinspectra.weights.folder import read_config
from spinspectra.weights.hub import is_hub_id
from spinspectra.weights.opening import open_weights
from spinspectra.weights.writing import open_checkpoint

_BESIDE = ("*.json", "*.txt", "*.model")  # of tokenizers and processors


def model_folder(source: str) -> tuple[str, Mapping[str, Any]]:
    """The local folder of a checkpoint and its config.json; of a hub id the cache, where the files beside are fetched.

    Raises OptionError for a single weight file, WeightsError without config.json and as `open_weights` does.
    """
    if not Path(source).exists() and is_hub_id(source):
        if ":" in source:
            raise OptionError(f"{source}: a weight file alone cannot be evaluated; name the model without it")
        open_weights(source)  # the weights themselves, by the package's own rules
        folder = _fetched(source)
    else:
        checkpoint = open_checkpoint(source)
        if not checkpoint.is_folder:
            raise OptionError(f"{source}: a weight file alone cannot be evaluated; give the folder of the model")
        folder = checkpoint.root
    config = read_config(folder)
    if config is None:
        raise WeightsError(f"{folder}: no config.json, so transformers cannot tell what network this is")
    return str(folder), config


def _fetched(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    repository, _, revision = hub_id.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or "main", allow_patterns=list(_BESIDE)))
    except Exception as error:  # those of the HTTP library below, which varies by version
        reason = shown(str(error).partition("\n")[0])
        raise WeightsError(f"{hub_id}: its tokenizer or processor cannot be had ({reason})") from None
