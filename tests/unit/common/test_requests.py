"""What the edge refuses, and how it says so."""

from datetime import UTC, datetime

import pytest

from ghostback import convert
from ghostback.play import Game
from ghostback.tracking.v1 import play_pb2
from services.common import requests
from services.common.errors import InvalidInput
from simulator.game import simulate_game

PLAY = simulate_game(95, 1).plays[0]


def refused(message: play_pb2.Play) -> dict[str, str]:
    with pytest.raises(InvalidInput) as error:
        requests.play(message)
    return {v.field: v.description for v in error.value.violations}


def message() -> play_pb2.Play:
    made = convert.play_to_message(PLAY)
    made.ClearField("samples")
    return made


def test_a_play_in_form_passes() -> None:
    assert requests.play(message()).name == PLAY.name
    assert requests.play_to_compute_on(convert.play_to_message(PLAY)) == PLAY


def test_every_wrong_field_is_named_at_once() -> None:
    wrong = message()
    wrong.sample_rate_hz, wrong.offense_team = 500, ""
    wrong.situation.down = 5
    wrong.participants[3].participant_id = "a b"
    assert set(refused(wrong)) == {
        "play.sample_rate_hz",
        "play.offense_team",
        "play.situation.down",
        "play.participants[3].participant_id",
    }


def test_a_tag_belongs_to_one_participant() -> None:
    wrong = message()
    wrong.participants[1].tag_ids[:] = wrong.participants[0].tag_ids[:]
    (told,) = refused(wrong).items()
    assert told[0] == "play.participants[1].tag_ids"
    assert "belongs to" in told[1]


def test_a_pass_arrives_after_it_was_thrown() -> None:
    wrong = message()
    wrong.forward_pass.thrower_id = "1"
    wrong.forward_pass.forward_frame = wrong.forward_pass.arrived_frame = 9
    assert refused(wrong) == {"play.forward_pass.arrived_frame": "is 9, must be later than forward_frame 9"}


def test_the_ball_of_a_live_play_may_be_in_the_air_and_that_of_a_play_that_is_over_may_not() -> None:
    in_air = message()
    in_air.state = play_pb2.PLAY_STATE_LIVE
    in_air.forward_pass.thrower_id, in_air.forward_pass.forward_frame, in_air.forward_pass.arrived_frame = "1", 9, 0
    thrown = requests.play(in_air).forward_pass
    assert thrown
    assert thrown.arrived_frame == 0
    in_air.state = play_pb2.PLAY_STATE_COMPLETE
    assert refused(in_air) == {"play.forward_pass.arrived_frame": "is 0, must be later than forward_frame 9"}


def test_limits_on_numbers_of_entries_are_kept() -> None:
    wrong = message()
    for _ in range(300):
        wrong.events.add(name="x", frame=1)
    assert list(refused(wrong)) == ["play.events"]


def test_a_play_to_compute_on_needs_samples_and_a_direction() -> None:
    with pytest.raises(InvalidInput, match=r"play\.samples: is missing"):
        requests.play_to_compute_on(message())
    lost = convert.play_to_message(PLAY)
    lost.offense_direction = play_pb2.OFFENSE_DIRECTION_UNSPECIFIED
    with pytest.raises(InvalidInput, match=r"play\.offense_direction: is missing"):
        requests.play_to_compute_on(lost)


@pytest.mark.parametrize("name", ["", "games/", "games/1/plays/2", "plays/1", "games/ä"])
def test_a_game_name_out_of_form_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as error:
        requests.game_id(name, "parent")
    assert error.value.reason == "NAME_INVALID"


def test_a_game_without_teams_is_refused() -> None:
    empty = convert.game_to_message(Game("1", "NFL", 2024, 1, "", "", datetime(2024, 9, 1, tzinfo=UTC)))
    with pytest.raises(InvalidInput) as error:
        requests.game(empty)
    assert error.value.reason == "FIELD_REQUIRED"
    assert [v.field for v in error.value.violations] == ["game.home_team", "game.away_team"]
