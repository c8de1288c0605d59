"""Scoring rules: the truth loses least."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostback.play import PassOutcome
from services.score import losses

chances = st.integers(1, 98).flatmap(
    lambda c: st.tuples(st.just(c / 100), st.integers(0, 99 - c).map(lambda i: i / 100))
)


@given(chances, chances)
def test_nobody_expects_to_lose_less_than_who_says_the_truth(
    truth: tuple[float, float], said: tuple[float, float]
) -> None:
    real, told = losses.chances(*truth), losses.chances(*said)
    expected = [sum(real[each] * losses.log_loss(of[each]) for each in PassOutcome) for of in (real, told)]
    assert expected[0] <= expected[1] + 1e-9


def test_the_impossible_that_happens_costs_much_and_not_everything() -> None:
    assert losses.log_loss(0.0) == pytest.approx(-math.log(1e-6))


@given(st.integers(-3, 6))
def test_of_yards_that_are_certain_the_loss_is_how_far_off_they_are(happened: int) -> None:
    certain = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert losses.crps(certain, -3, happened) == pytest.approx(abs(happened + 1))


def test_a_distribution_loses_less_than_its_mean_alone() -> None:
    spread, alone = np.full(11, 1 / 11), np.eye(11)[5]
    assert np.mean([losses.crps(spread, 0, each) for each in range(11)]) < np.mean(
        [losses.crps(alone, 0, each) for each in range(11)]
    )
