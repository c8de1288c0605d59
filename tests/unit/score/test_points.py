"""Expected points: what a situation is worth, before and after a pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.score.points import SAFETY, TOUCHDOWN, Situation

YARDS = st.floats(1, 99)
DOWNS = st.integers(1, 4)


@pytest.mark.parametrize(
    ("down", "to_go", "to_end_zone", "points"),
    [(1, 10, 75, 1.1), (1, 10, 20, 4.4), (2, 5, 50, 2.3), (3, 10, 80, -0.6), (3, 1, 30, 3.3), (2, 6, 50, 2.2)],
)
def test_the_published_table_is_what_a_situation_is_worth(
    down: int, to_go: float, to_end_zone: float, points: float
) -> None:
    assert Situation(down, to_go, to_end_zone).worth() == pytest.approx(points)


@given(DOWNS, st.floats(1, 10), YARDS, YARDS)
def test_nearer_to_the_end_zone_is_never_worth_less(down: int, to_go: float, one: float, other: float) -> None:
    near, far = sorted((one, other))
    assert Situation(down, to_go, near).worth() >= Situation(down, to_go, far).worth() - 1e-9


@given(st.integers(1, 3), YARDS)
def test_a_later_down_is_never_worth_more(down: int, to_end_zone: float) -> None:
    assert Situation(down + 1, 10, to_end_zone).worth() <= Situation(down, 10, to_end_zone).worth() + 1e-9


@given(DOWNS, st.floats(1, 10), YARDS)
def test_no_play_is_worth_more_than_a_touchdown_or_less_than_the_opponents(
    down: int, to_go: float, to_end_zone: float
) -> None:
    after = Situation(down, to_go, to_end_zone).after_gain(np.arange(-10.0, 100.0))
    assert (after <= TOUCHDOWN).all()
    assert (after >= -TOUCHDOWN).all()
    assert (after[np.arange(-10.0, 100.0) >= to_end_zone] == TOUCHDOWN).all()


def test_a_first_down_is_worth_more_than_a_yard_short_of_it() -> None:
    short, made = Situation(3, 8, 60).after_gain(np.array([7.0, 8.0]))
    assert made - short > 1


def test_fourth_down_that_fails_gives_the_ball_away() -> None:
    assert Situation(4, 3, 40).after_gain(np.zeros(1))[0] == -Situation(1, 10, 60).worth()


def test_behind_the_own_goal_line_is_a_safety() -> None:
    assert Situation(2, 10, 95).after_gain(np.array([-6.0]))[0] == SAFETY


def test_an_interception_is_the_better_the_farther_downfield() -> None:
    situation = Situation(3, 10, 60)
    assert situation.after_interception(40) > situation.after_interception(5)
    assert situation.after_interception(65) == -Situation(1, 10, 80).worth()
