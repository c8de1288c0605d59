"""The trajectory score."""

from dataclasses import replace

import numpy as np
import pytest

from services.common.errors import NotFound
from services.score import metrics, profiles
from services.score.profiles import Diverging, ScoreProfile

CATCH_POINT, RECEIVER = profiles.get("catch-point@1"), profiles.get("receiver@1")
EVERY = pytest.mark.parametrize("profile", profiles.PROFILES.values(), ids=lambda profile: profile.id)


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


@pytest.mark.parametrize(
    ("diverging", "factor"),
    [(Diverging.MULTIPLY, 2 / 3), (Diverging.COMPLEMENT, 2 - 2 / 3), (Diverging.DIVIDE, 3 / 2)],
)
def test_the_profile_says_how_the_ratio_enters_when_running_away(diverging: Diverging, factor: float) -> None:
    receiver = line((0, 10), (10, 10), 10)
    path = line((10, 0), (10, -5), 10)
    assert score(path, receiver, replace(CATCH_POINT, diverging=diverging)) == pytest.approx(0.5 * factor)
    squared = replace(CATCH_POINT, diverging=diverging, effort=2.0)
    assert score(path, receiver, squared) == pytest.approx(
        0.5 * {Diverging.COMPLEMENT: 2 - (2 / 3) ** 2}.get(diverging, factor**2)
    )


def test_the_profiles_differ_in_what_the_distance_is_measured_to() -> None:
    receiver, still = line((0, 0), (10, 0), 10), line((10, 5), (10, 5), 10)
    assert metrics.distances(still[None], receiver, CATCH_POINT)[0].tolist() == [5.0] * 11
    assert metrics.distances(still[None], receiver, RECEIVER)[0, 0] == pytest.approx(np.hypot(10, 5))


@EVERY
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


@pytest.mark.parametrize(("lateness", "expected"), [(0, -0.5), (1, (-1 - 0 - 1.5) / 6), (np.inf, -0.5)])
def test_the_later_the_steps_the_more_they_weigh(lateness: float, expected: float) -> None:
    distance = np.array([[10.0, 9.0, 9.0, 8.5]])
    profile = replace(CATCH_POINT, lateness=lateness)
    assert metrics.positional_convergence(distance, profile)[0] == pytest.approx(expected)


def test_a_step_counts_for_no_more_than_the_closing_limit() -> None:
    distance = np.array([[10.0, 2.0, 12.0]])
    assert metrics.positional_convergence(distance, CATCH_POINT)[0] == pytest.approx(1.0)
    limited = replace(CATCH_POINT, closing_limit=1.0)
    assert metrics.positional_convergence(distance, limited)[0] == pytest.approx(0.0)


@EVERY
def test_many_plays_are_scored_at_once_as_one_by_one(profile: ScoreProfile) -> None:
    random = np.random.default_rng(1)
    paths, receivers = random.normal(0, 0.6, (2, 5, 13, 2)).cumsum(axis=2) + 25
    together = metrics.score_trajectories(paths, receivers, profile)
    alone = [metrics.score_trajectories(p[None], r, profile) for p, r in zip(paths, receivers, strict=True)]
    np.testing.assert_allclose(together.score, [each.score[0] for each in alone])
    np.testing.assert_allclose(together.initial_distance, [each.initial_distance[0] for each in alone])


def test_the_play_score_counts_those_near_the_target_most() -> None:
    receiver = line((0, 0), (0, 0), 10)
    paths = np.stack([line((0, 5), (0, 0), 10), line((0, 40), (0, 45), 10)])
    scores = metrics.score_trajectories(paths, receiver, CATCH_POINT)
    near, far = scores.score
    assert near < metrics.play_score(scores, CATCH_POINT) < (near + far) / 2


def test_an_unknown_profile_is_told_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="there are catch-point@1, catch-point@2, receiver@1"):
        profiles.get("mine@2")
    assert profiles.get("") is profiles.DEFAULT
    assert profiles.DEFAULT.id == "catch-point@2"


def test_the_first_profiles_score_as_they_always_did() -> None:
    random = np.random.default_rng(3)
    paths, receiver = random.normal(0, 0.7, (3, 9, 2)).cumsum(axis=1) + 20, line((20, 10), (26, 14), 8)
    known = [[2.28998, 1.153778, 0.932255], [2.016423, 0.905138, 0.888958]]
    scores = [metrics.score_trajectories(paths, receiver, each).score for each in (CATCH_POINT, RECEIVER)]
    np.testing.assert_allclose(scores, known, atol=1e-6)


@EVERY
def test_the_description_names_every_choice_and_constant(profile: ScoreProfile) -> None:
    for value in (profile.measured_to.value, profile.diverging.value):
        assert value in profile.description
    for number in (profile.lateness, profile.effort, profile.closing_limit, profile.penalty, profile.radius):
        assert f"{number:g}" in profile.description
