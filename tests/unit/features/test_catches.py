"""What is measured of where a pass comes down."""

from dataclasses import replace

import numpy as np
import pytest

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, Participant, ParticipantKind, Play, Samples, Situation
from services.common.errors import FailedPrecondition
from services.features import feature_sets, tensors
from tests.unit.features.test_measurements import FRAMES, a_play, straight

LIVE, AT_ARRIVAL = feature_sets.get("yards-after-catch-live@1"), feature_sets.get("yards-after-catch@1")


def measured(play: Play, feature_set: feature_sets.FeatureSet = AT_ARRIVAL, **options: object) -> dict[str, float]:
    batch = tensors.compute(play, feature_set, **options)  # type: ignore[arg-type]
    (row,) = batch.tensors["measurements"].tolist()
    return dict(zip(feature_set.tensors[0].entries, row, strict=True))


def turned(play: Play) -> Play:
    """The play as if the offense had moved the other way."""
    samples = play.samples
    around = {"x": FIELD_LENGTH - samples.x, "y": FIELD_WIDTH - samples.y}
    line = FIELD_LENGTH - play.situation.line_of_scrimmage
    return replace(
        play,
        offense_direction=-1,
        situation=Situation(line_of_scrimmage=line),
        samples=Samples.from_columns({"tag_id": samples.tag_id, "frame": samples.frame} | around),
    )


def joined(play: Play, name: str, team: str, path: np.ndarray) -> Play:
    """The play with one more player."""
    tag = len(play.participants) + 1
    columns = {"tag_id": np.full(len(FRAMES), tag), "frame": FRAMES, "x": path[:, 0], "y": path[:, 1]}
    return replace(
        play,
        participants=(*play.participants, Participant(name, ParticipantKind.PLAYER, name, team, "WR", -1, (tag,))),
        samples=Samples.concatenate([play.samples, Samples.from_columns(columns)]),
    )


def test_a_pass_is_measured_where_it_comes_down() -> None:
    assert measured(a_play()) == pytest.approx(
        {
            "air yards yd": 20.0,
            "end zone yd": 54.0,
            "sideline separation yd": 20.0,
            "receiver speed downfield yd/s": 5.0,
            "receiver speed to the middle yd/s": 0.0,
            "nearest defender yd": 2.0,
            "nearest defender ahead yd": 2.0,
            "nearest defender closing speed yd/s": 5.0,
            "second defender yd": np.hypot(21, 6),
            "second defender ahead yd": -21.0,
            "second defender closing speed yd/s": -5 * 21 / np.hypot(21, 6),
            "third defender yd": 60.0,
            "third defender ahead yd": 60.0,
            "third defender closing speed yd/s": 0.0,
            "first defender ahead yd": 2.0,
            "defenders ahead within 5 yd 1": 1.0,
            "defenders ahead within 10 yd 1": 1.0,
            "defenders ahead within 20 yd 1": 1.0,
            "blockers ahead within 10 yd 1": 0.0,
        },
        abs=1e-3,
    )


@pytest.mark.parametrize("feature_set", [LIVE, AT_ARRIVAL], ids=["live", "at arrival"])
def test_it_is_all_the_same_whichever_way_the_offense_moves(feature_set: feature_sets.FeatureSet) -> None:
    assert measured(turned(a_play()), feature_set) == pytest.approx(measured(a_play(), feature_set), abs=1e-3)


def test_a_blocker_is_who_is_ahead_of_the_receiver_and_near() -> None:
    for path, blockers in (((58, 22), 1), ((54, 22), 0), ((58, 35), 0)):
        play = joined(a_play(), "other", "HOME", straight(path, (0, 0)))
        assert measured(play)["blockers ahead within 10 yd 1"] == blockers


def test_at_the_throw_nothing_is_taken_from_what_comes_after_it() -> None:
    play = joined(a_play(), "other", "HOME", straight((40, 22), (6, 0)))
    blind = replace(play, samples=play.samples.take(play.samples.frame <= 20))
    known = measured(play, LIVE, target_ids=["receiver"], before_flight=True)
    assert known == measured(blind, LIVE, target_ids=["receiver"], before_flight=True)
    assert known["blockers ahead within 10 yd 1"] == 1.0


def test_no_air_yards_are_told_beyond_the_goal_line() -> None:
    near = replace(a_play(), situation=Situation(line_of_scrimmage=36.0))
    shifted = replace(
        near,
        situation=Situation(line_of_scrimmage=92.0),
        samples=Samples.from_columns(
            {
                "tag_id": near.samples.tag_id,
                "frame": near.samples.frame,
                "x": near.samples.x + 56.0,
                "y": near.samples.y,
            }
        ),
    )
    told = measured(shifted)
    assert told["air yards yd"] == pytest.approx(18.0, abs=1e-3)
    assert told["end zone yd"] == pytest.approx(-2.0, abs=1e-3)


def test_a_play_that_tells_no_line_of_scrimmage_is_refused() -> None:
    with pytest.raises(FailedPrecondition, match="line of scrimmage") as refused:
        measured(replace(a_play(), situation=Situation()))
    assert refused.value.reason == "SITUATION_UNKNOWN"
