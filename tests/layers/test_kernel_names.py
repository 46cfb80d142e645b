"""Checkpoints of TensorFlow's and Flax's days: `kernel` for `weight`, input x output; the chain is the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinspectra import IsingChain, open_weights
from spinspectra.layers import recognise
from tests.layers.models import disk_arrays
from tests.layers.zoo import ENTRIES, Entry, model_of

KINDS = ("bert", "roberta", "electra", "distilbert", "albert", "vit", "t5", "t5 1.1", "bart", "whisper", "opt", "clip")
CASES = [entry for entry in ENTRIES if str(entry) in (*KINDS, "mistral", "deberta-v2", "wav2vec2")]


def with_kernels(arrays: dict[str, Any]) -> dict[str, Any]:
    """Maps turned and renamed; tables and vectors stay."""
    maps = {name for name, value in arrays.items() if is_map(name, value)}
    rest = {name: value for name, value in arrays.items() if name not in maps}
    return rest | {f"{name.removesuffix('weight')}kernel": arrays[name].T for name in maps}


def is_map(name: str, value: Any) -> bool:
    return value.ndim == 2 and name.endswith(".weight") and "embed" not in name and "relative" not in name


@pytest.mark.parametrize("entry", CASES, ids=str)
def test_chain_is_that_of_the_model(entry: Entry, tmp_path: Path) -> None:
    model = model_of(entry)
    arrays = disk_arrays(model, tmp_path)
    weights = open_weights(with_kernels(arrays), config=model.config.to_dict())
    for prefix in entry.stacks:
        alone, chain = (IsingChain.from_weights(one, prefix=prefix or None) for one in (tmp_path, weights))
        np.testing.assert_array_equal(chain.flat, alone.flat)
        assert (chain.nodes, chain.labels) == (alone.nodes, alone.labels)
        assert recognise(weights, prefix or None).name == entry.family


@pytest.mark.parametrize("kind", ["bert", "vit", "distilbert", "opt"])
def test_names_alone_suffice(kind: str, tmp_path: Path) -> None:
    entry = next(entry for entry in ENTRIES if str(entry) == kind)
    arrays = disk_arrays(model_of(entry), tmp_path)
    chain = IsingChain.from_weights(with_kernels(arrays))
    np.testing.assert_array_equal(chain.flat, IsingChain.from_weights(arrays).flat)
