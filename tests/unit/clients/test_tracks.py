"""Dense tracks, whatever the feed."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from ghostback.play import Participant, ParticipantKind, Pass, Play, PlayState, Samples, Situation
from ghostback.tracks import resample

RELEASE_SECONDS = 2.0


def play_of(samples: Samples, rate: float, tags: tuple[int, ...] = (7,)) -> Play:
    release = round(RELEASE_SECONDS * rate)
    return Play(
        game_id="g",
        play_id="1",
        offense_team="A",
        offense_direction=1,
        sample_rate=rate,
        start_time=datetime(2024, 9, 1, tzinfo=UTC),
        participants=(Participant("p", ParticipantKind.PLAYER, "", "A", "WR", -1, tags),),
        events=(),
        forward_pass=Pass("p", "p", None, release, release + 10),
        situation=Situation(),
        state=PlayState.COMPLETE,
        description="",
        samples=samples,
    )


def circle(rate: float, tag: int = 7, reported: bool = True) -> Samples:
    """Five seconds on a circle of 5 yd radius at 5 yd/s, facing along."""
    frame = np.arange(round(5 * rate) + 1)
    angle = frame / rate
    columns = {"tag_id": np.full(len(frame), tag), "frame": frame}
    columns |= {"x": 50 + 5 * np.cos(angle), "y": 25 + 5 * np.sin(angle)}
    if reported:
        heading = np.degrees(np.arctan2(-np.sin(angle), np.cos(angle))) % 360
        columns |= {"speed": np.full(len(frame), 5.0), "direction": heading, "orientation": heading}
    return Samples.from_columns(columns)


@pytest.mark.parametrize("rate", [10.0, 25.0, 60.0])
def test_feeds_of_any_rate_give_the_same_track(rate: float) -> None:
    tracks = resample(play_of(circle(rate), rate), -0.4, 2.0)
    angle = RELEASE_SECONDS + tracks.times
    np.testing.assert_allclose(tracks.position[0], np.c_[50 + 5 * np.cos(angle), 25 + 5 * np.sin(angle)], atol=0.01)
    np.testing.assert_allclose(tracks.velocity[0], 5 * np.c_[-np.sin(angle), np.cos(angle)], atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(tracks.orientation[0], axis=-1), 1)


def test_velocity_does_not_depend_on_the_speed_and_direction_reported() -> None:
    plain, reported = (resample(play_of(circle(10.0, reported=r), 10.0), -0.4, 2.0) for r in (False, True))
    np.testing.assert_array_equal(plain.velocity, reported.velocity)
    assert not plain.orientation.any()


def test_velocity_knows_nothing_of_what_comes_after() -> None:
    samples = circle(10.0)
    at_the_pass = samples.take(samples.frame <= 10 * RELEASE_SECONDS)
    whole, cut = (resample(play_of(s, 10.0), -0.4, 0.0) for s in (samples, at_the_pass))
    np.testing.assert_array_equal(whole.velocity, cut.velocity)


def test_where_a_track_begins_velocity_is_that_between_its_first_two_places() -> None:
    samples = circle(10.0)
    tracks = resample(play_of(samples.take(samples.frame >= 10 * RELEASE_SECONDS), 10.0), 0.0, 0.5)
    np.testing.assert_allclose(tracks.velocity[0, 0], (tracks.position[0, 1] - tracks.position[0, 0]) * 10, atol=1e-6)


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    samples = circle(10.0)
    short = samples.take(~np.isin(samples.frame, [21, 22, 23]))
    assert np.isfinite(resample(play_of(short, 10.0), 0.0, 1.0).position).all()
    long = samples.take(~np.isin(samples.frame, np.arange(21, 28)))
    lost = np.isnan(resample(play_of(long, 10.0), 0.0, 1.0).position[0, :, 0])
    assert lost.tolist() == [False, *[True] * 7, False, False, False]


def test_beyond_the_last_sample_there_is_nothing() -> None:
    tracks = resample(play_of(circle(10.0), 10.0), 2.8, 3.2)
    assert np.isnan(tracks.position[0, :, 0]).tolist() == [False, False, False, True, True]


def test_tags_of_one_participant_are_averaged() -> None:
    left, right = circle(10.0), circle(10.0, tag=8)
    shifted = replace(right, x=right.x + np.float32(1.0))
    both = resample(play_of(Samples.concatenate([left, shifted]), 10.0, (7, 8)), 0.0, 1.0)
    one = resample(play_of(left, 10.0), 0.0, 1.0)
    np.testing.assert_allclose(
        both.position - one.position, np.broadcast_to([0.5, 0.0], both.position.shape), atol=1e-4
    )


def test_a_play_without_a_pass_has_no_such_tracks() -> None:
    with pytest.raises(ValueError, match="has no pass"):
        resample(replace(play_of(circle(10.0), 10.0), forward_pass=None), 0.0, 1.0)
