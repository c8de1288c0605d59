"""What a passer's options were worth, and what his choice left on the field."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostback.play import Play, PlayState
from services.common.errors import FailedPrecondition, InvalidInput
from services.score.decisions import Forecast, decide, situation, thrown_at
from simulator.game import simulate_game

GAME = simulate_game(4, 12)
PLAY = next(play for play in GAME.plays if play.forward_pass)
RELEASE = PLAY.forward_pass.forward_frame if PLAY.forward_pass else 0
RECEIVERS = [receiver.participant_id for receiver in PLAY.eligible_receivers()]


def forecast(target: int, completion: float, air_yards: float = 8.0, draws: tuple[float, ...] = ()) -> Forecast:
    """A pass that is stopped where it is caught."""
    probabilities = np.array([completion, *draws])
    stopped = np.ones((len(probabilities), 1))
    return Forecast(RECEIVERS[target], probabilities, np.zeros(len(probabilities)), air_yards, 0, stopped)


def target_of(play: Play) -> str:
    assert play.forward_pass
    return play.forward_pass.target_id


@given(st.lists(st.integers(0, 100), min_size=2, max_size=5, unique=True))
def test_of_passes_alike_the_likeliest_catch_is_the_best_option(percents: list[int]) -> None:
    completions = [each / 100 for each in percents]
    decision = decide(PLAY, RELEASE, [forecast(i, each) for i, each in enumerate(completions)])
    assert decision.options[0].target_id == RECEIVERS[int(np.argmax(completions))]
    assert [option.value for option in decision.options] == sorted((o.value for o in decision.options), reverse=True)


def test_a_sure_catch_is_worth_the_points_it_gains() -> None:
    [option] = decide(PLAY, RELEASE, [forecast(0, 1.0, 12.0)]).options
    before = situation(PLAY)
    assert option.value == pytest.approx(float(before.after_gain(np.array([12.0]))[0]) - before.worth())


def test_an_interception_costs() -> None:
    safe = forecast(0, 0.5)
    risky = replace(safe, interception=np.array([0.1]))
    values = [decide(PLAY, RELEASE, [each]).options[0].value for each in (safe, risky)]
    assert values[1] < values[0]


def test_what_the_choice_left_is_told_with_how_sure_it_is() -> None:
    chosen = RECEIVERS.index(target_of(PLAY))
    other = (chosen + 1) % len(RECEIVERS)
    better, worse = forecast(other, 0.9, draws=(0.9, 0.95, 0.4)), forecast(chosen, 0.5, draws=(0.5, 0.55, 0.6))
    decision = decide(PLAY, RELEASE, [worse, better])
    assert decision.chosen_id == RECEIVERS[chosen]
    assert decision.left
    assert decision.left.low <= decision.left.value < 0
    assert decision.left.high == pytest.approx(0, abs=0.1)
    assert [option.best_probability for option in decision.options] == pytest.approx([2 / 3, 1 / 3])
    assert "left on the field" in decision.explanation


def test_the_best_choice_leaves_nothing() -> None:
    chosen = RECEIVERS.index(target_of(PLAY))
    decision = decide(PLAY, RELEASE, [forecast(chosen, 0.9), forecast((chosen + 1) % len(RECEIVERS), 0.5)])
    assert decision.left
    assert decision.left.value == 0
    assert "That is where the ball went" in decision.explanation


def test_before_the_throw_nothing_is_chosen() -> None:
    decision = decide(PLAY, RELEASE - 3, [forecast(i, 0.5) for i in range(len(RECEIVERS))])
    assert decision.chosen_id == ""
    assert decision.left is None


def test_a_play_thrown_earlier_knows_nothing_of_what_came_later() -> None:
    early = thrown_at(PLAY, RELEASE - 5)
    assert early.state is PlayState.LIVE
    assert early.samples.frame.max() == RELEASE - 5
    assert early.forward_pass
    assert (early.forward_pass.target_id, early.forward_pass.outcome) == ("", None)
    assert all(event.frame <= RELEASE - 5 for event in early.events)


def test_a_live_play_without_a_pass_is_thrown_by_its_quarterback() -> None:
    waiting = replace(PLAY, forward_pass=None, state=PlayState.LIVE)
    thrown = thrown_at(waiting, RELEASE - 5).forward_pass
    assert thrown
    assert PLAY.forward_pass
    assert thrown.thrower_id == PLAY.forward_pass.thrower_id


def test_a_frame_after_the_release_is_refused() -> None:
    with pytest.raises(InvalidInput, match=f"is {RELEASE + 1}, after the release"):
        thrown_at(PLAY, RELEASE + 1)


@pytest.mark.parametrize("missing", ["down", "line_of_scrimmage"])
def test_without_down_or_line_no_decision_can_be_rated(missing: str) -> None:
    unknown = replace(PLAY, situation=replace(PLAY.situation, **{missing: 0}))
    with pytest.raises(FailedPrecondition, match="tells no"):
        decide(unknown, RELEASE, [forecast(0, 0.5)])


def test_yards_count_the_same_whichever_way_the_offense_moves() -> None:
    line = 120 - PLAY.situation.line_of_scrimmage
    turned = replace(
        PLAY,
        offense_direction=-PLAY.offense_direction,
        situation=replace(PLAY.situation, line_of_scrimmage=line),
    )
    assert situation(turned) == situation(PLAY)
