"""A checkpoint whose chain has been shuffled, written as a checkpoint again, in either reading of the paper.

arXiv 2209.08678 shuffles "the values" of a network and evaluates the network on tasks. The chain has only sums of
query, key and value, and a network cannot be run on sums. So either the elements of W_Q, W_K, W_V and all other
matrices are shuffled, or the couplings are, and the change of each sum is carried back to the three that it is of.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from spinspectra.errors import OptionError, WeightsError
from spinspectra.files import whole_file
from spinspectra.identity import differences_of
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.shuffle import shuffle
from spinspectra.layers import recognise
from spinspectra.layers.write_back import couplings_edit, elements_edit, read_elements
from spinspectra.permutation import shuffle_some
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.studies.tasks.model_folder import model_folder
from spinspectra.weights.hub import is_hub_id
from spinspectra.weights.writing import Checkpoint, open_checkpoint, other_files, rewrite

Reading = Literal["elements", "couplings"]

KEPT = "checkpoints.json"  # in a folder of checkpoints that are kept: what they are of
_CONFIG = "config.json"


def write_shuffled(
    checkpoint: Checkpoint,
    out: Path,
    fraction: float,
    reading: Reading = "elements",
    prefix: str | None = None,
    seed: Seed = 0,
) -> None:
    """Write the checkpoint to `out` with a fraction of its chain shuffled; all else is copied as it is.

    elements: of all stored elements of query, key, value, proj, fc1 and fc2 of all blocks, round(fraction * n) are
    chosen without replacement and their values permuted. couplings: as `ising.shuffle`, and the checkpoint written maps
    to that chain up to the rounding of its dtype. Fraction 0 gives the weights back bit for bit.

    Raises OptionError for a fraction outside 0..1 or another reading, and what `recognise` and `rewrite` raise.
    """
    check_reading(reading)
    if not 0.0 <= fraction <= 1.0:
        raise OptionError(f"fraction={fraction}: give a number from 0 to 1")
    transformer = recognise(checkpoint.weights, prefix)
    if reading == "elements":
        flat = read_elements(transformer)
        shuffle_some(flat, round(fraction * flat.size), np.random.default_rng(seed_sequence(seed)))
        edit = elements_edit(transformer, flat)
    else:
        chain = IsingChain.from_weights(checkpoint.weights, prefix=prefix)
        edit = couplings_edit(transformer, shuffle(chain, fraction, seed=seed).couplings)
    rewrite(checkpoint, out, edit)


def write_model(
    checkpoint: Checkpoint, folder: Path, fraction: float, reading: Reading, prefix: str | None, seed: Seed
) -> None:
    """`write_shuffled` to a new folder, whatever the source is: of a file alone, its config.json comes along.

    A folder that is there is left as it is, for what stands in it is whole; see `require_kept`.
    """
    out = folder if checkpoint.is_folder else folder / checkpoint.root.name
    if out.exists():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    if (config := checkpoint.root.parent / _CONFIG).is_file() and not checkpoint.is_folder:
        shutil.copyfile(config, folder / _CONFIG)
    write_shuffled(checkpoint, out, fraction, reading, prefix, seed)


def check_reading(reading: str) -> None:
    """Raises OptionError if there is no such reading."""
    if reading not in get_args(Reading):
        raise OptionError(f"reading={reading!r}: give {' or '.join(get_args(Reading))}")


def local_checkpoint(source: str | PathLike[str]) -> Checkpoint:
    """`open_checkpoint`; a hub id becomes its folder in the cache, and all that a task may want is fetched there now.

    So a study goes on with the files that it began with, whatever the hub has by then.
    """
    is_id = isinstance(source, str) and is_hub_id(source) and not Path(source).exists()
    return open_checkpoint(model_folder(str(source))[0] if is_id else source)


def checkpoint_digest(checkpoint: Checkpoint) -> str:
    """Hex SHA-256 of all that a copy of the checkpoint has: weight files, whatever they are called, and those beside.

    Notes (.md) do not count. Raises WeightsError for files that cannot be read.
    """
    digest = hashlib.sha256()
    config = checkpoint.root.parent / _CONFIG
    beside = list(other_files(checkpoint)) if checkpoint.is_folder else [config] if config.is_file() else []
    files = [("", file) for file in sorted(checkpoint.names_in)]
    files += [(file.name, file) for file in beside if file.suffix != ".md"]
    for name, file in files:
        try:
            with file.open("rb") as stream:
                digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise WeightsError(f"{file}: cannot be read ({error.strerror or error})") from None
    return digest.hexdigest()


def require_kept(keep: Path, identity: Mapping[str, Any]) -> None:
    """Make a folder for checkpoints of this identity, or find it made.

    Raises OptionError for the folder of other checkpoints, and one with anything else in it.
    """
    note = keep / KEPT
    if note.exists():
        try:
            differing = differences_of(json.loads(note.read_text(encoding="utf-8")), dict(identity))
        except (OSError, ValueError, RecursionError):
            differing = ["its note cannot be read"]
        if differing:
            raise OptionError(f"keep={keep}: holds checkpoints of another study: {'; '.join(differing)}; name another")
        return
    try:
        if keep.exists() and any(keep.iterdir()):
            raise OptionError(f"keep={keep}: is not empty and no folder of kept checkpoints; name a new folder")
        keep.mkdir(parents=True, exist_ok=True)
        with whole_file(note) as part:
            part.write_text(json.dumps(identity, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OptionError(f"keep={keep}: cannot be written to ({error.strerror or error}); name another") from None
