"""Checkpoints on the Hugging Face hub: only the configuration and the weight files are fetched.

All fetching, caching, authentication and the offline switch (HF_HUB_OFFLINE) are huggingface_hub's.
"""

import re
from collections.abc import Callable
from pathlib import Path

from spinspectra.errors import WeightsError
from spinspectra.weights.folder import INDEX_FILES, WHOLE_FILES, read_index

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(@[\w./-]+)?")


def is_hub_id(text: str) -> bool:
    """Whether a text reads as `org/name` or `org/name@revision`."""
    return _HUB_ID.fullmatch(text) is not None


def fetch(hub_id: str) -> Path:
    """The local path of the model's weight file or index, in huggingface_hub's cache, fetched if need be.

    hub_id: `org/name`, or `org/name@revision` for a branch, tag or commit. safetensors are preferred to
    pickles, and shards follow their index. Raises WeightsError if the model cannot be had.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = hub_id.partition("@")

    def get(name: str) -> Path | None:
        try:
            return Path(hf_hub_download(repository, name, revision=revision or None))
        except LocalEntryNotFoundError:
            return None  # not in the cache, and the hub is out of reach or switched off
        except EntryNotFoundError:
            return None

    try:
        get("config.json")
        path = _first_weights(get)
    except GatedRepoError:  # a kind of RepositoryNotFoundError
        raise WeightsError(f"{hub_id}: the model is gated; accept its terms on the hub and log in") from None
    except RevisionNotFoundError:
        raise WeightsError(f"{hub_id}: the model has no revision {revision!r}; name a branch, tag or commit") from None
    except RepositoryNotFoundError:
        raise WeightsError(f"{hub_id}: no such file or folder, and no such model on the hub") from None
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{hub_id}: no such file or folder, and the hub did not answer ({reason})") from None
    if path is None:
        raise WeightsError(
            f"{hub_id}: no such file or folder, and neither the hub nor its local cache gave its weights "
            f"({WHOLE_FILES[0]}, {WHOLE_FILES[1]} or an index of shards)"
        )
    return path


def _first_weights(get: Callable[[str], Path | None]) -> Path | None:
    for whole, index in zip(WHOLE_FILES, INDEX_FILES, strict=True):
        if path := get(whole):
            return path
        if path := get(index):
            for shard in sorted(set(read_index(path).values())):
                get(shard)  # an absent one is reported when the index is opened
            return path
    return None
