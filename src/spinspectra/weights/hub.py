"""Checkpoints on the Hugging Face hub: only the configuration and the weight files are fetched.

All fetching, caching, authentication and the offline switch (HF_HUB_OFFLINE) are huggingface_hub's.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.folder import INDEX_FILES, WHOLE_FILES, read_index

_HUB_ID = re.compile(
    r"(?P<repository>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(@(?P<revision>[\w./-]+))?(:(?P<file>.{1,400}))?"
)
_PART = re.compile(r"(?P<stem>.*-)00001(?P<of>-of-(?P<n>\d{5})\.gguf)")  # the first part of a split model
_MOST_PARTS = 1000


def is_hub_id(text: str) -> bool:
    """Whether a text reads as `org/name` or `org/name@revision`, with or without `:file` after it."""
    return _HUB_ID.fullmatch(text) is not None


def fetch(hub_id: str) -> Path:
    """The local path of the model's weight file or index, in huggingface_hub's cache, fetched if need be.

    hub_id: `org/name`, or `org/name@revision` for a branch, tag or commit. safetensors are preferred to
    pickles, and shards follow their index. `org/name:file.gguf` is one file of those there; further parts of a split
    model follow the first. Raises WeightsError if the model cannot be had.
    """
    match = _HUB_ID.fullmatch(hub_id)
    assert match is not None  # callers ask `is_hub_id`
    repository, revision, named = match["repository"], match["revision"] or "main", match["file"]
    if named and ("\\" in named or not set(named.split("/")).isdisjoint({"", ".", ".."})):
        raise WeightsError(f"{shown(hub_id)}: {shown(named)} is no file inside a model; name one")
    with _one_line_errors(hub_id, revision):
        in_reach = _answers(repository, revision)
        get = partial(_get, repository, revision, not in_reach)
        get("config.json")
        path = _one_file(get, named) if named else _first_weights(get)
    if path is None and named:
        raise WeightsError(f"{hub_id}: no such file or folder, and the model has no file {shown(named)}, nor its cache")
    if path is None:
        hub = "neither the hub nor its local cache gave" if in_reach else "the hub is out of reach and its cache lacks"
        raise WeightsError(
            f"{hub_id}: no such file or folder, and {hub} its weights "
            f"({WHOLE_FILES[0]}, {WHOLE_FILES[1]} or an index of shards); name another file as {repository}:FILE"
        )
    return path


def _answers(repository: str, revision: str) -> bool:
    """Whether the hub can be asked, by asking once: without this, every absent file waits for all its retries."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        get_hf_file_metadata(hf_hub_url(repository, "config.json", revision=revision))
    except OfflineModeIsEnabled:
        return False
    except HfHubHTTPError:
        return True  # it did answer; what it said comes again with the file
    except Exception:  # those of the HTTP library below, which varies by version
        return False
    return True


def _get(repository: str, revision: str, cache_only: bool, name: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, name, revision=revision, local_files_only=cache_only))
    except (EntryNotFoundError, LocalEntryNotFoundError):
        return None


@contextmanager
def _one_line_errors(hub_id: str, revision: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into a line that says what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except WeightsError:
        raise
    except GatedRepoError:  # a kind of RepositoryNotFoundError
        raise WeightsError(f"{hub_id}: the model is gated; accept its terms on the hub and log in") from None
    except RevisionNotFoundError:
        raise WeightsError(f"{hub_id}: the model has no revision {revision}; name a branch, tag or commit") from None
    except RepositoryNotFoundError:
        raise WeightsError(f"{hub_id}: no such file or folder, and no such model on the hub") from None
    except Exception as error:  # its other kinds, and those of the HTTP library below it
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{hub_id}: no such file or folder, and the hub did not answer ({shown(reason)})") from None


def _one_file(get: Callable[[str], Path | None], name: str) -> Path | None:
    path = get(name)
    if path is not None and (part := _PART.fullmatch(name)) and int(part["n"]) <= _MOST_PARTS:
        for number in range(2, int(part["n"]) + 1):
            get(f"{part['stem']}{number:05}{part['of']}")  # an absent one is reported when the first is opened
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
