"""The story the demo tells follows from its own figures and from facts about every chain."""

import pytest

from spinspectra.demo.story import Chapter, tell


@pytest.fixture(scope="module")
def chapters() -> dict[str, Chapter]:
    return {chapter.checkpoint.name: chapter for chapter in tell()}


def test_no_energy_lies_below_what_is_proved(chapters: dict[str, Chapter]) -> None:
    for chapter in chapters.values():
        assert chapter.proved <= chapter.energy < 0


def test_untrained_weights_look_shuffled_and_trained_ones_do_not(chapters: dict[str, Chapter]) -> None:
    assert chapters["initial"].ratio == pytest.approx(1.0, abs=0.05)
    for name in ("memorising", "grokked", "degraded"):
        assert chapters[name].energy < chapters[name].shuffled - 10 * chapters[name].shuffled_spread


def test_the_same_story_every_time(chapters: dict[str, Chapter]) -> None:
    assert [chapter.energy for chapter in tell()] == [chapter.energy for chapter in chapters.values()]
