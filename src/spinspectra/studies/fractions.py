"""The points of a study of fractions: so much of a network shuffled, so many times, each by its own random numbers."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinspectra.errors import OptionError
from spinspectra.seeds import child_seed


@dataclass(frozen=True, slots=True)
class Shuffled:
    """A network with a fraction of it shuffled. number: of the shuffle, from 1; 0 is the trained network, fraction 0.

    >>> [Shuffled(0.0, 0).name, Shuffled(0.025, 1).name, Shuffled(1.0, 2).name]
    ['fraction0', 'fraction0.025', 'fraction1_2']
    """

    fraction: float
    number: int

    @property
    def name(self) -> str:
        """Of trained and first shuffled ones as the paper's files have it."""
        stem = f"fraction{np.format_float_positional(self.fraction, trim='-')}"
        return stem if self.number < 2 else f"{stem}_{self.number}"

    def seed(self, root: np.random.SeedSequence, study: int, purpose: int) -> np.random.SeedSequence:
        """By fraction, number and purpose, so that it is the same whichever other points there are."""
        words = struct.unpack(">II", struct.pack(">d", self.fraction))
        return child_seed(root, study, *words, self.number, purpose)


def shuffled_points(fractions: Sequence[float], shuffles: int) -> list[Shuffled]:
    """Each fraction as many times shuffled; fraction 0, if it is there, once."""
    return [Shuffled(f, number) for f in fractions for number in (range(1, shuffles + 1) if f else [0])]


def checked_fractions(fractions: Sequence[float]) -> list[float]:
    """In ascending order. Raises OptionError for none, anything but numbers from 0 to 1, and one that is there twice.

    >>> checked_fractions([1, 0.5])
    [0.5, 1.0]
    """
    given = list(fractions)
    if not given:
        raise OptionError("fractions: give at least one")
    for fraction in given:
        number = not isinstance(fraction, bool) and isinstance(fraction, int | float | np.integer | np.floating)
        if not number or not 0.0 <= fraction <= 1.0:
            raise OptionError(f"fractions: {fraction}: give numbers from 0 to 1")
        if given.count(fraction) > 1:
            raise OptionError(f"fractions: {fraction} is there {given.count(fraction)} times; give each once")
    return sorted(float(fraction) + 0.0 for fraction in given)  # + 0.0: no -0.0
