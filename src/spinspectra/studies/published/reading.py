"""Readers of the published files, in the layout of the folder paper/ of the repository stosicresearch/dnnising.

    dos/NAME[_shuffled].dat   blocks/MODEL/blocksL[_shuffled].dat   fraction/MODEL/fractionF.dat
    accuracy/MODEL-TASK.dat   specificheat[_normalized]/[C_]NAME.dat

Numbers stay as they are in the files; `how["log_base"]` of a density says in which base its second column was read.
Our own .dat files in the same layout are read too.
"""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError, SpinSpectraError
from spinspectra.ising.density import DensityOfStates
from spinspectra.text import shown

Floats = NDArray[np.float64]

LATTICE = "ising8x8"  # the 8 x 8 square lattice, exact: N = 64, natural logarithm
TWIN = "_shuffled"
_HEAT_FOLDERS = ("specificheat", "specificheat_normalized")
_FOLDERS = ("dos", "blocks", "fraction", "accuracy", *_HEAT_FOLDERS)
_MOST_BYTES = 1 << 24  # of a table of a task or of a specific heat


class PublishedError(SpinSpectraError):
    """A folder or file that is not of the published layout, or is damaged; the text names it."""


@dataclass(frozen=True, slots=True)
class ChainSize:
    """What the number of spins of a transformer's chain follows from: model width d, number of blocks; MLP ratio 4."""

    width: int
    blocks: int

    def n_spins(self, blocks: int | None = None) -> int:
        """N of the whole network, or of its first blocks: d in, then 7 d a block (qkv, proj, fc1 of 4 d, fc2).

        >>> ChainSize(768, 12).n_spins(), ChainSize(768, 12).n_spins(1)
        (65280, 6144)
        """
        return self.width * (7 * (self.blocks if blocks is None else blocks) + 1)


_BASE, _MEDIUM = ChainSize(768, 12), ChainSize(1024, 24)
SIZES: Mapping[str, ChainSize] = MappingProxyType(
    dict.fromkeys(("opt-125m", "gpt2", "bert-base", "vit-base", "deit-base", "beit-base"), _BASE)
    | dict.fromkeys(("opt-350m", "gpt2-medium", "bert-large", "bloom"), _MEDIUM)
    | {"opt-1.3b": ChainSize(2048, 24)}
)


@dataclass(frozen=True, slots=True)
class Twins:
    """The trained network's density and that of the same weights shuffled."""

    trained: DensityOfStates
    shuffled: DensityOfStates


@dataclass(frozen=True, slots=True)
class TaskCurve:
    """A task's metric (% right for ImageNet, else perplexity) over the fraction of weights shuffled, (n,) each.

    metric: NaN where the file has the fraction alone.
    """

    model: str
    task: str
    fractions: Floats
    metric: Floats


@dataclass(frozen=True, slots=True)
class HeatCurve:
    """A specific heat as published, in the paper's convention: T and C, (n,) each."""

    temperatures: Floats
    heat: Floats


@dataclass(frozen=True, slots=True)
class Published:
    """All that a folder holds; what it lacks is empty. sizes: of the networks, known and given.

    densities: by network. lattice: of dos/ising8x8.dat, energies scaled to 0..1. blocks: by model and number of
    blocks. fractions: by model and fraction shuffled. tasks: by file. heats: by name, _shuffled for twins.
    """

    folder: Path
    sizes: Mapping[str, ChainSize]
    densities: Mapping[str, Twins]
    lattice: DensityOfStates | None
    blocks: Mapping[str, Mapping[int, Twins]]
    fractions: Mapping[str, Mapping[float, DensityOfStates]]
    tasks: tuple[TaskCurve, ...]
    heats: Mapping[str, HeatCurve]


def read_published(folder: str | os.PathLike[str], sizes: Mapping[str, ChainSize] | None = None) -> Published:
    """Read a folder in the published layout.

    sizes: of networks that the paper has not, by name, over `SIZES`; files that tell N themselves, as ours do, need
    none. Raises PublishedError or DensityError at the first file that is damaged, has no twin or no known size, and if
    there is nothing to read.
    """
    folder, known = Path(folder), {**SIZES, **(sizes or {})}
    if not folder.is_dir():
        raise PublishedError(f"{folder}: no such folder; give the folder paper/ of a clone of stosicresearch/dnnising")
    if not any((folder / name).is_dir() for name in _FOLDERS):
        raise PublishedError(f"{folder}: holds none of {', '.join(_FOLDERS)}; the data lie in the folder paper/")
    lattice = folder / "dos" / f"{LATTICE}.dat"
    tasks = tuple(_read_task(path) for path in _files(folder / "accuracy"))
    return Published(
        folder,
        known,
        _networks(folder / "dos", known),
        DensityOfStates.load(lattice, 64) if lattice.is_file() else None,
        {model.name: _depths(model, known.get(model.name)) for model in _folders(folder / "blocks")},
        {model.name: _fractions(model, known.get(model.name)) for model in _folders(folder / "fraction")},
        tasks,
        {name: curve for one in _HEAT_FOLDERS for name, curve in _heats(folder / one)},
    )


def read_curve(path: Path, n_spins: int | None) -> DensityOfStates:
    """A density that reaches both sides of E = 0, as every one of a network does. n_spins: None if the file tells."""
    try:
        density = DensityOfStates.load(path, n_spins)
    except OptionError:  # the one thing that can be missing
        raise PublishedError(
            f"{path}: of a network of unknown size; give its width and blocks (sizes=, --size NAME=768x12)"
        ) from None
    if not density.e_min < 0.0 < density.e_max:
        raise PublishedError(
            f"{path}: energies {density.e_min:g} .. {density.e_max:g} lie on one side of 0; is the file cut short?"
        )
    return density


def _networks(folder: Path, sizes: Mapping[str, ChainSize]) -> dict[str, Twins]:
    names = [path.stem for path in _files(folder) if path.stem != LATTICE]
    n_spins = {name: size.n_spins() for name, size in sizes.items()}
    return {name: _twins(folder, name, n_spins.get(name)) for name in _with_twins(folder, names)}


def _depths(folder: Path, size: ChainSize | None) -> dict[int, Twins]:
    names = _with_twins(folder, [path.stem for path in _files(folder)])
    depths = sorted((int(_number(folder, name, "blocks", r"[1-9]\d*")), name) for name in names)
    return {depth: _twins(folder, name, None if size is None else size.n_spins(depth)) for depth, name in depths}


def _fractions(folder: Path, size: ChainSize | None) -> dict[float, DensityOfStates]:
    numbers = {_number(folder, path.stem, "fraction", r"0|1|[01]?\.\d+"): path for path in _files(folder)}
    n_spins = None if size is None else size.n_spins()
    return {fraction: read_curve(numbers[fraction], n_spins) for fraction in sorted(numbers)}


def _with_twins(folder: Path, names: list[str]) -> list[str]:
    """The trained ones; each of either kind must have its other."""
    for name in names:
        twin = name.removesuffix(TWIN) if name.endswith(TWIN) else name + TWIN
        if twin not in names:
            raise PublishedError(f"{folder / name}.dat: {twin}.dat is not beside it; get it, or take both away")
    return [name for name in names if not name.endswith(TWIN)]


def _twins(folder: Path, name: str, n_spins: int | None) -> Twins:
    return Twins(*(read_curve(folder / f"{name}{twin}.dat", n_spins) for twin in ("", TWIN)))


def _number(folder: Path, stem: str, word: str, pattern: str) -> float:
    found = re.fullmatch(f"{word}({pattern})", stem)
    if found is None or (word == "fraction" and float(found[1]) > 1.0):
        raise PublishedError(f"{folder / stem}.dat: not a file of this folder, whose names are {word}NUMBER.dat")
    return float(found[1])


def _read_task(path: Path) -> TaskCurve:
    model, _, task = path.stem.rpartition("-")
    if not (model and task):
        raise PublishedError(f"{path}: name it MODEL-TASK.dat")
    rows = _rows(path, lambda words: len(words) in (1, 2))
    fractions, metric = np.array([[*row, math.nan][:2] for row in rows]).T
    if not (fractions[0] == 0.0 and np.all(np.diff(fractions) > 0.0) and fractions[-1] <= 1.0 and metric[0] > 0.0):
        raise PublishedError(f"{path}: fractions must ascend from 0, with a metric above zero there, to at most 1")
    return TaskCurve(model, task, fractions, metric)


def _heats(folder: Path) -> Iterator[tuple[str, HeatCurve]]:
    for path in _files(folder):
        temperatures, heat = np.array(_rows(path, lambda words: len(words) == 2)).T
        if not np.all(np.diff(temperatures) > 0.0):
            raise PublishedError(f"{path}: temperatures do not ascend")
        yield path.stem.removeprefix("C_"), HeatCurve(temperatures, heat)


def _rows(path: Path, fits: Callable[[list[str]], bool]) -> list[list[float]]:
    """Numbers line by line; raises PublishedError with the line's number for anything else, and for under 2 lines."""
    if path.stat().st_size > _MOST_BYTES:
        raise PublishedError(f"{path}: {path.stat().st_size} bytes are no table of a few numbers")
    rows = []
    for at, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not (words := line.split()):
            continue
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = [math.nan]
        if not fits(words) or not all(math.isfinite(number) for number in numbers):
            raise PublishedError(f"{path}: line {at} is not two numbers: {shown(line)}")
        rows.append(numbers)
    if len(rows) < 2:
        raise PublishedError(f"{path}: {len(rows)} lines of numbers; a curve needs two")
    return rows


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.dat") if path.is_file() and not path.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.startswith("."))
