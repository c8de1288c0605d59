"""What is measured of a pass."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from ghostback.play import Event, Participant, ParticipantKind, Pass, PassOutcome, Play, PlayState, Samples, Situation
from services.common.errors import FailedPrecondition
from services.features import feature_sets, tensors

LIVE, AT_ARRIVAL = feature_sets.get("pass-outcome-live@1"), feature_sets.get("pass-outcome@1")
SNAP, RELEASE, ARRIVAL, END = 0, 20, 30, 70
FRAMES = np.arange(END + 1)
SECONDS = FRAMES / 10


def straight(start: tuple[float, float], velocity: tuple[float, float]) -> np.ndarray:
    return np.array(start) + SECONDS[:, None] * np.array(velocity)


def a_play() -> Play:
    """A pass of 1 s: a receiver runs 5 yd/s along y = 20, a back stands 2 yd behind his place at arrival, a rusher
    is 4 yd from the passer, who stands at (30, 26)."""
    ball = np.where(
        (FRAMES < RELEASE)[:, None],
        [30.0, 26.0],
        [30.0, 26.0] + np.clip((FRAMES - RELEASE) / (ARRIVAL - RELEASE), 0, 1)[:, None] * np.array([26.0, -6.0]),
    )
    paths = {
        ("passer", "QB", "HOME"): straight((30, 26), (0, 0)),
        ("receiver", "WR", "HOME"): straight((40, 20), (5, 0)),
        ("back", "CB", "AWAY"): straight((57, 20), (0, 0)),
        ("rusher", "DE", "AWAY"): straight((34, 26), (0, 0)),
        ("ball", "", ""): ball,
    }
    participants, parts = [], []
    for tag, ((name, position, team), path) in enumerate(paths.items(), 1):
        kind = ParticipantKind.BALL if name == "ball" else ParticipantKind.PLAYER
        participants.append(Participant(name, kind, name, team, position, -1, (tag,)))
        columns = {"tag_id": np.full(len(FRAMES), tag), "frame": FRAMES, "x": path[:, 0], "y": path[:, 1]}
        parts.append(Samples.from_columns(columns))
    return Play(
        game_id="1",
        play_id="1",
        offense_team="HOME",
        offense_direction=1,
        sample_rate=10.0,
        start_time=datetime(2024, 9, 15, tzinfo=UTC),
        participants=tuple(participants),
        events=(Event("ball_snap", SNAP), Event("pass_forward", RELEASE), Event("pass_arrived", ARRIVAL)),
        forward_pass=Pass("passer", "receiver", PassOutcome.COMPLETE, RELEASE, ARRIVAL),
        situation=Situation(line_of_scrimmage=36.0),
        state=PlayState.COMPLETE,
        description="",
        samples=Samples.concatenate(parts),
    )


def without(play: Play, tag: int) -> Play:
    return replace(play, samples=play.samples.take(play.samples.tag_id != tag))


def measured(play: Play, feature_set: feature_sets.FeatureSet = AT_ARRIVAL, **options: object) -> dict[str, float]:
    batch = tensors.compute(play, feature_set, **options)  # type: ignore[arg-type]
    (row,) = batch.tensors["measurements"].tolist()
    return dict(zip(feature_set.tensors[0].entries, row, strict=True))


def test_a_pass_is_measured_at_the_throw_and_at_arrival() -> None:
    assert measured(a_play()) == pytest.approx(
        {
            "time to throw s": 2.0,
            "passer speed yd/s": 0.0,
            "rush separation yd": 4.0,
            "air distance yd": np.hypot(26, 6),
            "air yards yd": 20.0,
            "sideline separation yd": 20.0,
            "target separation yd": 2.0,
            "receiver speed yd/s": 5.0,
            "closing speed yd/s": 5.0,
            "closing angle deg": 90.0,
            "receiver to ball yd": 1.0,
            "defender to ball yd": 1.0,
        },
        abs=1e-3,
    )


def test_at_the_throw_nothing_is_taken_from_what_comes_after_it() -> None:
    play, samples = a_play(), a_play().samples
    cut = replace(play, samples=samples.take(samples.frame <= RELEASE))
    elsewhere = replace(cut, forward_pass=replace(play.forward_pass, arrived_frame=ARRIVAL + 5))
    known = measured(play, LIVE, target_ids=["receiver"], before_flight=True)
    assert known == measured(cut, LIVE, target_ids=["receiver"], before_flight=True)
    assert known == measured(elsewhere, LIVE, target_ids=["receiver"], before_flight=True)


def test_a_defender_goes_where_his_ghost_goes() -> None:
    ghost = np.array([57.0, 20.0]) + np.arange(40)[:, None] * np.array([0.0, 0.5])
    before = measured(a_play(), LIVE, before_flight=True)
    after = measured(a_play(), LIVE, before_flight=True, ghosts=[{("receiver", "back"): ghost}])
    batch = tensors.compute(a_play(), LIVE, before_flight=True)
    steps = int(batch.targets[0].air_steps)
    receiver = np.array([50.0 + 0.5 * steps, 20.0])
    gap = ghost[steps] - receiver
    assert after["target separation yd"] == pytest.approx(np.linalg.norm(gap), abs=1e-3)
    assert after["closing speed yd/s"] == pytest.approx(
        (np.array([0, 5]) - [5, 0]) @ -gap / np.linalg.norm(gap), abs=0.01
    )
    assert before["target separation yd"] != after["target separation yd"]


@pytest.mark.parametrize(
    ("play", "reason", "told"),
    [
        (replace(a_play(), events=()), "SITUATION_UNKNOWN", "ball_snap"),
        (replace(a_play(), situation=Situation()), "SITUATION_UNKNOWN", "line of scrimmage"),
        (
            replace(a_play(), samples=a_play().samples.take(a_play().samples.tag_id != 1)),
            "TRACKS_INCOMPLETE",
            "thrower",
        ),
    ],
    ids=["no snap", "no line", "no thrower"],
)
def test_a_play_that_does_not_tell_what_is_measured_is_refused(play: Play, reason: str, told: str) -> None:
    with pytest.raises(FailedPrecondition, match=told) as refused:
        measured(play)
    assert refused.value.reason == reason
