"""The published data of arXiv 2209.08678 and what is known of them, from two archives in `data/`.

Source: the public repository stosicresearch/dnnising, folder paper/. dnnising-paper-dos.zip: densities of states, and
summary.csv, computed from them by other code. dnnising-paper-studies.zip: accuracy, and thinned densities of fractions
and blocks; its README.txt says how.
"""

import atexit
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import pandas as pd

from spinspectra.ising.density import DensityOfStates

ARCHIVE = Path(__file__).parent / "data" / "dnnising-paper-dos.zip"
STUDIES_ARCHIVE = Path(__file__).parent / "data" / "dnnising-paper-studies.zip"

_SIZES = {
    65_280: ("opt-125m", "gpt2", "bert-base", "vit-base", "deit-base", "beit-base"),
    173_056: ("opt-350m", "gpt2-medium", "bert-large", "bloom"),
    346_112: ("opt-1.3b",),
}
NETWORKS = tuple(f"{name}{twin}" for names in _SIZES.values() for name in names for twin in ("", "_shuffled"))
N_SPINS = {name: n for n, names in _SIZES.items() for name in NETWORKS if name.removesuffix("_shuffled") in names}
N_SPINS["ising8x8"] = 64


@cache
def folder() -> Path:
    """All files, extracted once a test run."""
    made = Path(tempfile.mkdtemp(prefix="dnnising-paper-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(made)
    return made


@cache
def published() -> Path:
    """A folder in the published layout: dos/, blocks/, fraction/, accuracy/. Not to be written to."""
    made = folder() / "paper"
    with zipfile.ZipFile(STUDIES_ARCHIVE) as archive:
        archive.extractall(made)
    shutil.copytree(folder(), made / "dos", ignore=shutil.ignore_patterns("paper", "*.csv"))
    return made


def path(name: str) -> Path:
    """The file of a network, of its `_shuffled` twin, or of `ising8x8`."""
    return folder() / f"{name}.dat"


@cache
def read(name: str) -> DensityOfStates:
    """The density in that file, its base found out."""
    return DensityOfStates.load(path(name), n_spins=N_SPINS[name])


@cache
def summary() -> pd.DataFrame:
    """Range, width and specific heat in the paper's convention, a row a network, by name."""
    return pd.read_csv(folder() / "summary.csv", index_col="name")
