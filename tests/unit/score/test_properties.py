"""What holds of the trajectory score whatever the play: the claims of docs/scoring.md."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.score import metrics, profiles
from services.score.profiles import DEFAULT, Diverging, MeasuredTo, ScoreProfile

LIMIT = DEFAULT.step_limit
HUMAN = LIMIT - 1e-6
"""A longest step that rounding makes superhuman nowhere on the field."""
READINGS = [
    replace(DEFAULT, measured_to=to, diverging=diverging, lateness=lateness)
    for to, diverging, lateness in product(MeasuredTo, Diverging, (0.0, 1.0, np.inf))
] + list(profiles.PROFILES.values())

readings = st.sampled_from(READINGS)
to_catch_point = st.sampled_from([each for each in READINGS if each.measured_to is MeasuredTo.CATCH_POINT])
with_equal_weights = st.sampled_from([each for each in READINGS if each.lateness == 0])
angles = st.floats(0, 2 * np.pi)
places = st.tuples(st.floats(0, 120), st.floats(0, 53.3))


@st.composite
def runs(draw: st.DrawFn, steps: int, longest: float = HUMAN) -> np.ndarray:
    """A track, steady or not, of some steps, none longer than a bound: (steps + 1, 2) yards."""

    def each(of: st.SearchStrategy[float]) -> list[float]:
        return [draw(of)] * steps if draw(st.booleans()) else draw(st.lists(of, min_size=steps, max_size=steps))

    return track(draw(places), each(st.floats(0, longest)), each(angles))


@st.composite
def races(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A straight run to or from a receiver who stands where it could just end, and the receiver's track."""
    steps, heading, length = draw(st.integers(1, 30)), draw(angles), draw(st.floats(0.5, HUMAN))
    path = track(draw(places), [length] * steps, [heading] * steps)
    end = path[-1] if draw(st.booleans()) else 2 * path[0] - path[-1]
    return path, np.broadcast_to(end, path.shape)


def track(start: Sequence[float], lengths: Sequence[float], headings: Sequence[float]) -> np.ndarray:
    steps = np.array(lengths)[:, None] * np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    return np.concatenate([np.zeros((1, 2)), steps.cumsum(axis=0)]) + start


def score(path: np.ndarray, receiver: np.ndarray, profile: ScoreProfile) -> float:
    return float(metrics.score_trajectories(path[None], receiver, profile).score[0])


def turned(path: np.ndarray, angle: float) -> np.ndarray:
    """A track turned about its start."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return path[0] + (path - path[0]) @ turn


@settings(deadline=None, max_examples=500)
@given(readings, st.data(), st.integers(1, 30), angles, st.floats(-50, 50), st.floats(-50, 50), st.booleans())
def test_turning_shifting_or_mirroring_the_play_changes_nothing(
    profile: ScoreProfile, data: st.DataObject, steps: int, angle: float, x: float, y: float, mirrored: bool
) -> None:
    path, receiver = data.draw(runs(steps, 2.0)), data.draw(runs(steps))
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=-1)
    assume((np.abs(lengths - LIMIT) > 1e-6).all())
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * (1, -1 if mirrored else 1)
    moved = score(path @ turn + (x, y), receiver @ turn + (x, y), profile)
    assert moved == pytest.approx(score(path, receiver, profile), abs=1e-6)


@settings(deadline=None, max_examples=500)
@given(to_catch_point, st.lists(st.floats(0.05, HUMAN), min_size=1, max_size=30), st.floats(0.5, 40), angles, angles)
def test_a_straight_run_turned_toward_the_catch_point_scores_better(
    profile: ScoreProfile, lengths: list[float], distance: float, one: float, other: float
) -> None:
    """At any pace, as long as it is no longer than the way to the catch point."""
    assume(sum(lengths) <= distance)
    nearer, farther = sorted([one, other], key=lambda angle: -np.cos(angle))
    assume(np.cos(nearer) - np.cos(farther) > 1e-3)
    receiver = np.broadcast_to((distance, 0.0), (len(lengths) + 1, 2))
    better, worse = (score(track((0, 0), lengths, [a] * len(lengths)), receiver, profile) for a in (nearer, farther))
    assert better < worse


@settings(deadline=None, max_examples=300)
@given(with_equal_weights, st.data(), st.integers(1, 30), angles)
def test_with_equal_weights_the_same_track_turned_to_end_nearer_the_receiver_scores_better(
    profile: ScoreProfile, data: st.DataObject, steps: int, angle: float
) -> None:
    path, receiver = data.draw(runs(steps)), data.draw(runs(steps))
    unlimited = replace(profile, closing_limit=np.inf)
    tracks = sorted([path, turned(path, angle)], key=lambda each: float(np.linalg.norm(each[-1] - receiver[-1])))
    ends = [float(np.linalg.norm(each[-1] - receiver[-1])) for each in tracks]
    assume(ends[1] - ends[0] > 1e-3)
    assume(metrics.distance_ratio(path[None], receiver, LIMIT)[0] > 1e-3)
    better, worse = (score(each, receiver, unlimited) for each in tracks)
    assert better < worse


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 1.0), min_size=4, max_size=30), st.floats(0.1, 0.9), st.floats(0.1, 0.9), angles)
@pytest.mark.parametrize("profile", profiles.PROFILES.values(), ids=lambda profile: profile.id)
def test_a_better_effort_lowers_the_score_whether_toward_or_away(
    profile: ScoreProfile, lengths: list[float], one: float, other: float, heading: float
) -> None:
    assume(abs(one - other) > 0.05)
    headings, steps = [heading] * len(lengths), np.array(lengths)
    receiver = np.broadcast_to(track((60, 25), lengths, headings)[-1], (len(lengths) + 1, 2))
    less, more = sorted([one, other])
    toward = [score(track((60, 25), (steps * share).tolist(), headings), receiver, profile) for share in (less, more)]
    assert toward[1] < toward[0] < 0
    away = [score(track((60, 25), (-steps * share).tolist(), headings), receiver, profile) for share in (less, more)]
    assert 0 < away[0] < away[1]


def leaping(path: np.ndarray, at: int, length: float, heading: float) -> np.ndarray:
    """The track with another step `at`; those after it go on from there."""
    changed = path.copy()
    changed[at + 1 :] += track((0, 0), [length], [heading])[1] - (path[at + 1] - path[at])
    return changed


@settings(deadline=None)
@given(st.data(), st.integers(1, 30), st.floats(1.3, 60), angles)
def test_adding_a_superhuman_step_makes_any_track_worse(
    data: st.DataObject, steps: int, length: float, heading: float
) -> None:
    path, receiver = data.draw(st.one_of(races(), st.tuples(runs(steps, 2.0), runs(steps))))
    at = data.draw(st.integers(0, len(path) - 2))
    assume(np.linalg.norm(path[at + 1] - path[at]) < HUMAN + 1e-9)
    assert score(leaping(path, at, length, heading), receiver, DEFAULT) > score(path, receiver, DEFAULT)


@settings(deadline=None)
@given(st.data(), races(), races(), st.floats(1.3, 60), angles)
def test_no_track_with_a_superhuman_step_scores_as_well_as_the_worst_that_a_human_can_run(
    data: st.DataObject,
    human: tuple[np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray],
    length: float,
    heading: float,
) -> None:
    path, receiver = other
    at = data.draw(st.integers(0, len(path) - 2))
    assert score(leaping(path, at, length, heading), receiver, DEFAULT) > score(*human, DEFAULT)


@settings(deadline=None)
@given(st.data(), st.integers(1, 30), st.floats(0, 30))
def test_the_default_score_is_bounded_whatever_the_track(data: st.DataObject, steps: int, longest: float) -> None:
    path, receiver = data.draw(runs(steps, longest)), data.draw(runs(steps, longest))
    superhuman = metrics.superhuman_steps(path[None], LIMIT)[0]
    human_part = score(path, receiver, DEFAULT) - DEFAULT.penalty * superhuman
    assert -LIMIT - 1e-9 <= human_part <= LIMIT + 1e-9


@settings(deadline=None)
@given(st.data(), st.integers(1, 30))
def test_the_first_profiles_are_bounded_for_tracks_that_humans_can_run(data: st.DataObject, steps: int) -> None:
    path, receiver = data.draw(runs(steps)), data.draw(runs(steps))
    assert -LIMIT <= score(path, receiver, profiles.get("catch-point@1")) <= 2 * LIMIT
    assert -2 * LIMIT <= score(path, receiver, profiles.get("receiver@1")) <= 4 * LIMIT
