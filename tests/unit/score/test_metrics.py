"""The trajectory score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.common.errors import NotFound
from services.score import metrics, profiles
from services.score.profiles import ScoreProfile

CATCH_POINT, RECEIVER = profiles.get("catch-point@1"), profiles.get("receiver@1")
BOTH = pytest.mark.parametrize("profile", [CATCH_POINT, RECEIVER], ids=lambda profile: profile.id)


def line(start: tuple[float, float], end: tuple[float, float], steps: int) -> np.ndarray:
    return np.linspace(start, end, steps + 1)


def score(path: np.ndarray, receiver: np.ndarray, profile: ScoreProfile = CATCH_POINT) -> float:
    return float(metrics.score_trajectories(path[None], receiver, profile).score[0])


def test_a_defender_who_closes_fully_at_best_effort_scores_the_distance_closed_a_step() -> None:
    receiver = line((0, 10), (10, 10), 10)
    scores = metrics.score_trajectories(line((10, 0), (10, 10), 10)[None], receiver, CATCH_POINT)
    assert scores.positional_convergence[0] == pytest.approx(-1.0)
    assert scores.distance_ratio[0] == pytest.approx(1.0)
    assert scores.score[0] == pytest.approx(-1.0)
    assert scores.initial_distance[0] == pytest.approx(np.hypot(10, 10))


def test_half_the_effort_counts_by_the_ratio() -> None:
    receiver = line((0, 10), (10, 10), 10)
    scores = metrics.score_trajectories(line((10, 0), (10, 5), 10)[None], receiver, CATCH_POINT)
    assert scores.positional_convergence[0] == pytest.approx(-0.5)
    assert scores.distance_ratio[0] == pytest.approx(1 - 5 / 15)
    assert scores.score[0] == pytest.approx(-0.5 * (2 / 3))


def test_running_away_counts_more_the_poorer_the_effort() -> None:
    receiver = line((0, 10), (10, 10), 10)
    scores = metrics.score_trajectories(line((10, 0), (10, -5), 10)[None], receiver, CATCH_POINT)
    assert scores.score[0] == pytest.approx(0.5 * (2 - 2 / 3))


def test_the_profiles_differ_in_what_the_distance_is_measured_to() -> None:
    receiver, still = line((0, 0), (10, 0), 10), line((10, 5), (10, 5), 10)
    assert metrics.distances(still[None], receiver, CATCH_POINT)[0].tolist() == [5.0] * 11
    assert metrics.distances(still[None], receiver, RECEIVER)[0, 0] == pytest.approx(np.hypot(10, 5))


@BOTH
def test_steps_no_human_makes_are_penalised_one_by_one(profile: ScoreProfile) -> None:
    receiver = line((0, 0), (5, 0), 10)
    path = line((10, 0), (10, 10), 10)
    leaping = path.copy()
    leaping[5:] += (0, 2.0)
    assert metrics.superhuman_steps(leaping[None], profile.step_limit).tolist() == [1]
    free = replace(profile, penalty=0.0)
    assert score(leaping, receiver, profile) == pytest.approx(score(leaping, receiver, free) + profile.penalty)


def test_a_defender_who_has_nowhere_to_go_and_stays_scores_nothing() -> None:
    receiver, still = line((0, 5), (10, 5), 10), line((10, 5), (10, 5), 10)
    assert score(still, receiver) == 0.0


def test_weights_choose_the_steps_that_count() -> None:
    distance = np.array([[10.0, 9.0, 9.0, 8.5]])
    assert metrics.positional_convergence(distance)[0] == pytest.approx(-0.5)
    assert metrics.positional_convergence(distance, np.array([1.0, 0.0, 0.0]))[0] == pytest.approx(-1.0)


def test_the_play_score_counts_those_near_the_target_most() -> None:
    receiver = line((0, 0), (0, 0), 10)
    paths = np.stack([line((0, 5), (0, 0), 10), line((0, 40), (0, 45), 10)])
    scores = metrics.score_trajectories(paths, receiver, CATCH_POINT)
    near, far = scores.score
    assert near < metrics.play_score(scores, CATCH_POINT) < (near + far) / 2


coordinates = st.tuples(st.floats(5, 50), st.floats(5, 48))


@settings(deadline=None)
@given(coordinates, coordinates, st.integers(5, 40), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_a_better_effort_lowers_the_score_closing_or_diverging(
    start: tuple[float, float], place: tuple[float, float], steps: int, one: float, other: float
) -> None:
    away = np.subtract(place, start)
    assume(3 < np.linalg.norm(away) < 1.2 * steps and abs(one - other) > 0.05)
    receiver = line(place, place, steps)
    less, more = sorted([one, other])
    toward = [score(line(start, tuple(start + share * away), steps), receiver) for share in (less, more)]
    assert toward[1] < toward[0] < 0
    back = [score(line(start, tuple(start - share * away), steps), receiver) for share in (less, more)]
    assert 0 < back[0] < back[1]


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0, 2 * np.pi), st.floats(-20, 20), st.floats(-20, 20), st.booleans())
def test_turning_shifting_or_mirroring_the_field_changes_nothing(
    seed: int, angle: float, x: float, y: float, mirrored: bool
) -> None:
    random = np.random.default_rng(seed)
    paths = random.uniform(0, 50, 2) + random.normal(0, 0.6, (4, 13, 2)).cumsum(axis=1)
    receiver = random.uniform(0, 50, 2) + random.normal(0, 0.6, (13, 2)).cumsum(axis=0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * (1, -1 if mirrored else 1)
    for profile in (CATCH_POINT, RECEIVER):
        before = metrics.score_trajectories(paths, receiver, profile).score
        after = metrics.score_trajectories(paths @ turn + (x, y), receiver @ turn + (x, y), profile).score
        np.testing.assert_allclose(before, after, atol=1e-9)


def test_an_unknown_profile_is_told_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="there are catch-point@1, receiver@1"):
        profiles.get("mine@2")
    assert profiles.get("") is profiles.DEFAULT
