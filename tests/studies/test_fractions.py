"""Fractions of a network: what they are called, what draws their random numbers, and lists that are none."""

import numpy as np
import pytest

from spinspectra.errors import OptionError
from spinspectra.seeds import seed_sequence
from spinspectra.studies.fractions import Shuffled, checked_fractions, shuffled_points


def test_names_are_those_of_the_published_files_and_never_the_same_for_two_points() -> None:
    known = ["fraction0", "fraction0.01", "fraction0.025", "fraction0.05", "fraction0.1", "fraction1"]
    assert [Shuffled(f, int(f > 0.0)).name for f in (0.0, 0.01, 0.025, 0.05, 0.1, 1.0)] == known
    assert Shuffled(1e-7, 1).name == "fraction0.0000001"
    points = shuffled_points([0.1, float(np.nextafter(0.1, 1.0)), 1.0], 12)
    assert len({point.name for point in points}) == 36


def test_the_trained_network_is_there_once() -> None:
    points = shuffled_points([0.0, 0.5], 2)
    assert points == [Shuffled(0.0, 0), Shuffled(0.5, 1), Shuffled(0.5, 2)]
    assert shuffled_points([0.5], 2) == points[1:]


def test_all_random_numbers_differ_and_are_the_points_own() -> None:
    root = seed_sequence(3)
    points = shuffled_points([0.0, 0.5, float(np.nextafter(0.5, 1.0)), 1.0], 3)
    states = [tuple(p.seed(root, study, what).generate_state(4)) for p in points for study in (1, 2) for what in (0, 1)]
    assert len(set(states)) == len(states) == 40
    assert tuple(Shuffled(0.5, 2).seed(root, 2, 1).generate_state(4)) in states


@pytest.mark.parametrize(
    ("fractions", "said"),
    [
        ([0.1, 1.5], "fractions: 1.5: give numbers from 0 to 1"),
        ([-0.1], "fractions: -0.1"),
        ([float("nan")], "fractions: nan"),
        (["0.1"], "fractions: 0.1: give numbers"),
        ([True], "fractions: True"),
        ([0.1, 0.10], "fractions: 0.1 is there 2 times; give each once"),
        ([0, 0.0], "is there 2 times"),
        ([], "fractions: give at least one"),
    ],
)
def test_what_is_no_list_of_fractions_is_refused(fractions: list[float], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        checked_fractions(fractions)
