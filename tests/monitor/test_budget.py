"""What measuring may take, by a clock that is told the time."""

from hypothesis import given
from hypothesis import strategies as st

from spinspectra.monitor.budget import Budget


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def started(share: float | None) -> tuple[Budget, Clock]:
    clock = Clock()
    budget = Budget(share, clock)
    budget.begin()
    return budget, clock


def test_a_measurement_waits_until_the_training_has_made_room_for_it() -> None:
    budget, clock = started(0.05)
    clock.now += 19.0
    assert not budget.allows(1.0)
    clock.now += 1.0
    assert budget.allows(1.0)


def test_what_was_spent_counts_against_the_next_and_is_no_training() -> None:
    budget, clock = started(0.05)
    clock.now += 21.0  # of which one was spent in the background
    budget.spend(1.0)
    assert budget.training() == 20.0
    assert not budget.allows(0.1)
    clock.now += 2.0
    assert budget.allows(0.1)


def test_time_in_front_is_spent_even_if_it_ends_in_an_error() -> None:
    budget, clock = started(0.05)
    try:
        with budget.in_front():
            clock.now += 3.0
            raise RuntimeError
    except RuntimeError:
        pass
    assert budget.spent == 3.0
    assert budget.training() == 0.0


def test_no_limit_allows_everything_and_still_counts() -> None:
    budget, _clock = started(None)
    assert budget.allows(1e9)
    budget.spend(2.0)
    assert budget.spent == 2.0


def test_beginning_again_forgets() -> None:
    budget, clock = started(0.05)
    budget.spend(5.0)
    clock.now += 50.0
    budget.begin()
    assert (budget.spent, budget.elapsed()) == (0.0, 0.0)


@given(
    share=st.floats(0.001, 1.0),
    expected=st.floats(0.0, 10.0),
    kinder=st.lists(st.floats(0.0, 1.0), max_size=30),
    steps=st.lists(st.floats(0.01, 50.0), min_size=1, max_size=30),
)
def test_the_share_holds_at_all_times_if_nothing_takes_longer_than_expected(
    share: float, expected: float, kinder: list[float], steps: list[float]
) -> None:
    budget, clock = started(share)
    for step, part in zip(steps, [*kinder, *[1.0] * len(steps)], strict=False):
        clock.now += step
        if budget.allows(expected):
            clock.now += expected * part / 2.0
            budget.spend(expected * part)  # half in front, half behind the training
        assert budget.spent <= share * (clock.now - 100.0) * (1.0 + 1e-9)


@given(overrun=st.floats(1.0, 100.0))
def test_one_that_took_longer_is_made_up_for_before_the_next(overrun: float) -> None:
    budget, clock = started(0.05)
    clock.now += 20.0
    budget.spend(overrun)
    clock.now += overrun  # the training went on
    while not budget.allows(1.0):
        clock.now += 1.0
    assert budget.spent + 1.0 <= 0.05 * (clock.now - 100.0)
